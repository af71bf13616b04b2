# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Hand-Crafted-Res: fixed high-pass filters in front of a small CNN.

The network is that of Mo, Chen and Luo as Guo et al. compare it with AMTENnet: with
Xavier's initial values instead of Gaussian ones. The sources give high-pass filters and
three groups of convolution and pooling; which filters, the widths, ReLU and one hidden
dense layer are choices of this toolkit.

References:
    Mo, Chen, Luo: "Fake faces identification via convolutional neural network",
    IH&MMSec 2018.
    Guo, Yang, Chen, Sun: see `amtennet`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.models import layers, pooling
from fakedet_jax.systems.networks import amtennet, residuals
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

# The size is that of the comparison with AMTENnet; to share its range is a choice.
PREPROCESSING = amtennet.PREPROCESSING


class HandCraftedNet(nn.Module):
    """Fixed filters, three convolutions and two dense layers.

    With the default widths it has 8,484,354 parameters for two classes.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
        widths: Number of features of each convolution.
        hidden_width: Number of features of the first dense layer.
    """

    num_classes: int
    dtype: layers.Dtype = jnp.float32
    widths: tuple[int, ...] = (32, 64, 128)
    hidden_width: int = 256

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, amtennet.Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 128, 128, 3]`, BGR, 0–255 (`PREPROCESSING`). Other
                sizes work and change the size of `fc1`.
            train: Ignored: no layer depends on the batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and by name in network order:
            the filters' `residual` and the outputs of all layers with a kernel, before
            their ReLU; feature maps are channel-first.
        """
        del train
        planes = images.astype(self.dtype).transpose(0, 3, 1, 2)
        hidden = residuals.hand_crafted(planes)
        out = {"residual": hidden}
        for number, width in enumerate(self.widths, start=1):
            name = f"conv{number}"
            conv = layers.Conv(width, 3, padding=1, dtype=self.dtype, name=name)
            out[name] = conv(hidden)
            hidden = pooling.max_pool(nn.relu(out[name]), 2, 2)
        hidden = hidden.reshape(hidden.shape[0], -1)
        dense = layers.Dense(self.hidden_width, dtype=self.dtype, name="fc1")
        out["fc1"] = dense(hidden)
        last = layers.Dense(self.num_classes, dtype=self.dtype, name="fc2")
        out["fc2"] = last(nn.relu(out["fc1"]))
        return out["fc2"].astype(jnp.float32), out


DETECTOR = NetworkDetector(
    name="hand_crafted_res",
    build=HandCraftedNet,
    preprocessing=PREPROCESSING,
    # A choice. It has no normalisation, and AMTENnet's recipe diverges.
    recipe=Recipe(optimizer="adam", learning_rate=1e-4, batch_size=64, num_epochs=10),
)
