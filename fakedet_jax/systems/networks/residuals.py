# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Residual layers, rivals of AMTEN: what is left when a picture's content is taken out.

The networks of table V in Guo, Yang, Chen, Sun: "Fake face detection via adaptive
manipulation traces extraction network", CVIU 204 (2021), 103170: each layer stands in
front of the same Model-base.

- `hand_crafted`: fixed high-pass filters, after Mo, Chen, Luo: "Fake faces
  identification via convolutional neural network", IH&MMSec 2018
- `srm`: three fixed filters of the spatial rich model, after Fridrich, Kodovský: "Rich
  models for steganalysis of digital images", IEEE TIFS 2012
- `constrained`: learned prediction-error filters, after Bayar, Stamm: "Constrained
  convolutional neural networks", IEEE TIFS 2018

Planes are channel-first, as Model-base wants them. Zeros are added at the borders, as
AMTEN does, so that planes keep the size that Model-base was made for; the sources leave
the borders open.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.models import convolution, layers
from fakedet_jax.systems.networks import amtennet

PREPROCESSING = amtennet.PREPROCESSING
KINDS = ("hand_crafted", "srm", "constrained")

Outputs = dict[str, jax.Array]

# First differences along a row and along a column, and the Laplacian of four
# neighbours: `[filter, height, width]`. Which filters is a choice of this toolkit.
HAND_CRAFTED_FILTERS = np.array(
    [
        [[0, 0, 0], [0, -1, 1], [0, 0, 0]],
        [[0, 0, 0], [0, -1, 0], [0, 1, 0]],
        [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    ],
    np.float32,
)

# `[filter, height, width]`.
SRM_FILTERS = np.zeros((3, 5, 5), np.float32)
SRM_FILTERS[0] = (
    np.array(
        [
            [-1, 2, -2, 2, -1],
            [2, -6, 8, -6, 2],
            [-2, 8, -12, 8, -2],
            [2, -6, 8, -6, 2],
            [-1, 2, -2, 2, -1],
        ]
    )
    / 12
)
SRM_FILTERS[1, 1:4, 1:4] = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
SRM_FILTERS[2, 2, 1:4] = np.array([1, -2, 1]) / 2


class ConstrainedConv(nn.Module):
    """Filters that predict a pixel from its neighbours and subtract the pixel.

    Each filter is −1 in the centre and adds up to 1 elsewhere, for every input channel.
    The initial values fulfil that; training must apply `project` after each update.

    Attributes:
        features: Number of filters.
        kernel_size: Side of the filters, odd.
        padding: Zeros added at each border, pixels.
        dtype: Of the computation.
    """

    features: int = 3
    kernel_size: int = 5
    padding: int = 0
    dtype: layers.Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Convolves `[b, in, h, w]` to `[b, features, h', w']`."""
        shape = (self.kernel_size, self.kernel_size, planes.shape[1], self.features)
        kernel = self.param(
            "kernel", lambda key: constrain(layers.caffe_xavier(key, shape))
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return convolution.conv2d(
            planes.astype(self.dtype), kernel, bias, padding=self.padding
        )


class ResidualNet(nn.Module):
    """A residual layer in front of Model-base.

    Attributes:
        kind: One of `KINDS`.
        num_classes: Number of logits.
        dtype: Of the computation.
        batch_norm_fraction: See `amtennet.ModelBase`.
    """

    kind: str
    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 128, 128, 3]`, BGR, 0–255 (`PREPROCESSING`).
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            Logits float32 `[batch, num_classes]` and named outputs in network order:
            `residual`, then those of Model-base.
        """
        planes = images.astype(self.dtype).transpose(0, 3, 1, 2)
        if self.kind == "hand_crafted":
            residual = hand_crafted(planes)
        elif self.kind == "srm":
            residual = srm(planes)
        elif self.kind == "constrained":
            layer = ConstrainedConv(padding=2, dtype=self.dtype, name="constrained")
            residual = layer(planes)
        else:
            raise ValueError(f"expected one of {KINDS}, got {self.kind!r}")
        base = amtennet.ModelBase(
            self.num_classes,
            dtype=self.dtype,
            batch_norm_fraction=self.batch_norm_fraction,
            name="base",
        )
        logits, out = base(residual, train=train)
        return logits, {"residual": residual, **out}


def hand_crafted(planes: jax.Array) -> jax.Array:
    """Every colour through every one of `HAND_CRAFTED_FILTERS`.

    Args:
        planes: Float `[batch, channels, height, width]`.

    Returns:
        `[batch, 3 * channels, height, width]`: the filters of the first colour, then
        those of the second, …
    """
    batch, channels, height, width = planes.shape
    kernel = HAND_CRAFTED_FILTERS.transpose(1, 2, 0)[:, :, None]
    singles = planes.reshape(batch * channels, 1, height, width)
    residual = convolution.conv2d(singles, jnp.asarray(kernel), padding=1)
    return residual.reshape(batch, -1, height, width)


def srm(planes: jax.Array) -> jax.Array:
    """The residuals of `SRM_FILTERS`, each added up over the colours.

    Args:
        planes: Float `[batch, channels, height, width]`.

    Returns:
        `[batch, 3, height, width]`.
    """
    # Filtering is linear: the sum of the colours has the sum of their residuals.
    kernel = SRM_FILTERS.transpose(1, 2, 0)[:, :, None]
    total = planes.sum(1, keepdims=True)
    return convolution.conv2d(total, jnp.asarray(kernel), padding=2)


def constrain(kernel: jax.Array) -> jax.Array:
    """Makes prediction-error filters of any filters.

    The centre becomes −1, and the rest is divided by its sum; where that is exactly 0,
    nothing can be divided, and the rest stays as it is.

    Args:
        kernel: Float `[size, size, in_features, features]`, size odd.

    Returns:
        The same shape. Applied twice it is the same as once.
    """
    centre = kernel.shape[0] // 2
    around = kernel.at[centre, centre].set(0)
    total = around.sum((0, 1))
    around = around / jnp.where(total == 0, 1, total)
    return around.at[centre, centre].set(-1)


def project(params: Mapping[str, Any]) -> dict[str, Any]:
    """Restores the constraint of a network's layer `constrained` after an update.

    Args:
        params: Of a network that has such a layer.

    Returns:
        The same with that kernel constrained; all else untouched.
    """
    layer = params["constrained"]
    return {**params, "constrained": {**layer, "kernel": constrain(layer["kernel"])}}
