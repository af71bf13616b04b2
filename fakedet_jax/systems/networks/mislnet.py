# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""MISLnet: prediction-error filters in front of a CNN, for manipulations of any kind.

For colour pictures, as Guo et al. compare it with AMTENnet, with Caffe's layers and
initial values.

References:
    Bayar, Stamm: "Constrained convolutional neural networks: a new approach towards
    general purpose image manipulation detection", IEEE TIFS 13 (2018).
    Guo, Yang, Chen, Sun: see `amtennet`.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.models import layers, pooling
from fakedet_jax.systems.networks import amtennet
from fakedet_jax.systems.networks.residuals import ConstrainedConv, project
from fakedet_jax.systems.networks.system import NetworkDetector

# The size is that of the comparison with AMTENnet; to share its range is a choice.
PREPROCESSING = amtennet.PREPROCESSING

# Name, features, side of the kernel, stride, padding.
_CONVS = (
    ("conv2", 96, 7, 2, 3),
    ("conv3", 64, 5, 1, 2),
    ("conv4", 64, 5, 1, 2),
    ("conv5", 128, 1, 1, 0),
)


class MislNet(nn.Module):
    """MISLnet: 550,790 parameters for two classes, 402 of them in the last layer.

    The first layer obeys a constraint, which `project` must restore after each update.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
        batch_norm_fraction: See `layers.BatchNorm`.
    """

    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, amtennet.Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 128, 128, 3]`, BGR, 0–255 (`PREPROCESSING`). Other
                sizes work and change the size of `fc1`.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and the outputs of all layers
            with a kernel by name, in network order, before normalisation and tanh;
            feature maps are channel-first.
        """
        out: amtennet.Outputs = {}
        planes = images.astype(self.dtype).transpose(0, 3, 1, 2)
        hidden = ConstrainedConv(dtype=self.dtype, name="constrained")(planes)
        out["constrained"] = hidden
        for name, features, size, stride, padding in _CONVS:
            conv = layers.Conv(
                features, size, padding, stride, dtype=self.dtype, name=name
            )
            out[name] = conv(hidden)
            norm = layers.BatchNorm(
                fraction=self.batch_norm_fraction,
                dtype=self.dtype,
                name=f"bn{name[-1]}",
            )
            hidden = jnp.tanh(norm(out[name], train=train))
            last = name == _CONVS[-1][0]
            pool = pooling.average_pool if last else pooling.max_pool
            hidden = pool(hidden, 3, 2)
        hidden = hidden.reshape(hidden.shape[0], -1)
        for name in ("fc1", "fc2"):
            out[name] = layers.Dense(200, dtype=self.dtype, name=name)(hidden)
            hidden = jnp.tanh(out[name])
        out["fc3"] = layers.Dense(self.num_classes, dtype=self.dtype, name="fc3")(
            hidden
        )
        return out["fc3"].astype(jnp.float32), out


DETECTOR = NetworkDetector(
    name="mislnet",
    build=MislNet,
    preprocessing=PREPROCESSING,
    # As the comparison with AMTENnet sets it.
    recipe=dataclasses.replace(amtennet.RECIPE, weight_decay=0.0005),
    project=project,
)
