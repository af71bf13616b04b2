# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Layers that suppress the content of a picture, compared with AMTEN.

Table V of the AMTENnet paper puts each of them in front of the same Model-base:

- `hand_crafted`: fixed high-pass filters
- `srm`: three fixed filters of the spatial rich model
- `constrained`: learned prediction-error filters

Feature maps are channel-first, as Model-base takes them. Zeros are added at the
borders, as in AMTEN, so that the size stays the one that Model-base was made for; the
sources do not say how they treat the borders.

References:
    Guo, Yang, Chen, Sun: see `amtennet`.
    Mo, Chen, Luo: "Fake faces identification via convolutional neural network",
    IH&MMSec 2018 (`hand_crafted`).
    Fridrich, Kodovský: "Rich models for steganalysis of digital images", IEEE TIFS 2012
    (`srm`).
    Bayar, Stamm: "Constrained convolutional neural networks", IEEE TIFS 2018
    (`constrained`).
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.models import channel_last, convolution, layers
from fakedet_jax.systems.networks import amtennet

PREPROCESSING = amtennet.PREPROCESSING
KINDS = ("hand_crafted", "srm", "constrained")

# `[filter, height, width]`: first differences along rows and columns, and the
# four-neighbour Laplacian. Which filters to use is a choice of this toolkit.
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


def _constrained_xavier(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return constrain(layers.caffe_xavier(key, shape))


class ConstrainedConv(layers.Conv):
    """Filters that predict a pixel from its neighbours and subtract the pixel.

    For every input channel, a filter is −1 in the centre and its other values add up to
    1. The initial values satisfy this; training must apply `project` after each update.
    """

    features: int = 3
    kernel_size: int = 5
    kernel_init: channel_last.Initializer = _constrained_xavier


class ResidualNet(nn.Module):
    """A residual layer in front of Model-base.

    Attributes:
        kind: One of `KINDS`.
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
        batch_norm_fraction: See `amtennet.ModelBase`.
    """

    kind: str
    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, amtennet.Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 128, 128, 3]`, BGR, 0–255 (`PREPROCESSING`).
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and named outputs in network
            order: `residual`, then those of Model-base.

        Raises:
            ValueError: `kind` is none of `KINDS`.
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
            raise ValueError(f"expected one of {KINDS}, found {self.kind!r}")
        base = amtennet.ModelBase(
            self.num_classes,
            dtype=self.dtype,
            batch_norm_fraction=self.batch_norm_fraction,
            name="base",
        )
        logits, out = base(residual, train=train)
        return logits, {"residual": residual, **out}


def hand_crafted(planes: jax.Array) -> jax.Array:
    """Applies each of `HAND_CRAFTED_FILTERS` to each channel.

    Args:
        planes: Float `[batch, channels, height, width]`.

    Returns:
        `[batch, 3 * channels, height, width]`: the residuals of the first channel, then
        those of the second, and so on.
    """
    batch, channels, height, width = planes.shape
    kernel = HAND_CRAFTED_FILTERS.transpose(1, 2, 0)[:, :, None]
    singles = planes.reshape(batch * channels, 1, height, width)
    residual = convolution.conv2d(singles, jnp.asarray(kernel), padding=1)
    return residual.reshape(batch, -1, height, width)


def srm(planes: jax.Array) -> jax.Array:
    """Applies `SRM_FILTERS` and adds up the residuals of all channels.

    Args:
        planes: Float `[batch, channels, height, width]`.

    Returns:
        `[batch, 3, height, width]`.
    """
    # Filtering is linear: the residual of the sum is the sum of the residuals.
    kernel = SRM_FILTERS.transpose(1, 2, 0)[:, :, None]
    total = planes.sum(1, keepdims=True)
    return convolution.conv2d(total, jnp.asarray(kernel), padding=2)


def constrain(kernel: jax.Array) -> jax.Array:
    """Turns any filters into prediction-error filters.

    The centre becomes −1, and the other values are divided by their sum, unless it is
    exactly 0.

    Args:
        kernel: Float `[size, size, in_features, features]`, size odd.

    Returns:
        Filters of the same shape; constraining them again changes nothing.
    """
    centre = kernel.shape[0] // 2
    around = kernel.at[centre, centre].set(0)
    total = around.sum((0, 1))
    around = around / jnp.where(total == 0, 1, total)
    return around.at[centre, centre].set(-1)


def project(params: Mapping[str, Any]) -> dict[str, Any]:
    """Restores the constraint of a network's layer `constrained` after an update.

    Args:
        params: Parameters of a network that has such a layer.

    Returns:
        The same parameters with the kernel of that layer constrained.
    """
    layer = params["constrained"]
    return {**params, "constrained": {**layer, "kernel": constrain(layer["kernel"])}}
