# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Meso-4 and MesoInception-4: very small networks for faces in compressed videos.

Geometry, initial values and batch normalisation are those of the authors' Keras
definition, whose last layer is a single sigmoid (`models.evidence`). In the authors'
weights 1 means real; `from_published` converts them.

References:
    Afchar, Nozick, Yamagishi, Echizen: "MesoNet: a compact facial video forgery
    detection network", WIFS 2018.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, evidence
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

Outputs = dict[str, jax.Array]
Variables = Mapping[str, Any]

PREPROCESSING = Preprocessing(Framing.square(256), std=(255.0, 255.0, 255.0))

# Number of features of the four branches of each inception block.
_BRANCHES = ((1, 4, 4, 2), (2, 4, 4, 2))
# The convolutions of a block: name, branch, side of the kernel, dilation. Those of a
# branch follow each other; all branches start from the block's input.
_INCEPTION = (
    ("a", 0, 1, 1),
    ("b1", 1, 1, 1),
    ("b2", 1, 3, 1),
    ("c1", 2, 1, 1),
    ("c2", 2, 3, 2),
    ("d1", 3, 1, 1),
    ("d2", 3, 3, 3),
)
_POOLS = (2, 2, 2, 4)


class MesoNet(nn.Module):
    """Four stages and two dense layers: 27,977 parameters, or 28,615 with inception.

    The counts are those of trainable parameters for two classes: they include scales
    and biases of batch normalisation, but not its running statistics.

    Attributes:
        num_classes: Number of logits. Two are computed from one output, as published;
            more have one output each, which is a choice of this toolkit.
        dtype: Dtype of the computation; the logits are float32.
        batch_norm_fraction: Share of the running statistics that a step keeps.
        inception: Whether the first two stages are inception blocks
            (MesoInception-4) instead of convolutions (Meso-4).
    """

    num_classes: int = 2
    dtype: channel_last.Dtype = jnp.float32
    batch_norm_fraction: float = 0.99
    inception: bool = False

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 256, 256, 3]`, RGB, 0–1 (`PREPROCESSING`). Other
                sizes work and change the size of `fc1`.
            train: Whether dropout is active, with the PRNG `dropout`, and batch
                normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and the outputs of all layers
            with a kernel by name, in network order, before their ReLU.
        """
        out: Outputs = {}

        def conv(
            planes: jax.Array, name: str, features: int, size: int, dilation: int = 1
        ) -> jax.Array:
            layer = channel_last.Conv(
                features,
                size,
                padding=dilation * (size // 2),
                use_bias=True,
                dtype=self.dtype,
                kernel_init=nn.initializers.glorot_uniform(),
                dilation=dilation,
                name=name,
            )
            out[name] = layer(planes)
            return nn.relu(out[name])

        def inception(planes: jax.Array, number: int) -> jax.Array:
            branches = [planes] * 4
            for name, branch, size, dilation in _INCEPTION:
                features = _BRANCHES[number - 1][branch]
                branches[branch] = conv(
                    branches[branch], f"conv{number}{name}", features, size, dilation
                )
            return jnp.concatenate(branches, axis=-1)

        def dense(values: jax.Array, name: str, features: int) -> jax.Array:
            values = nn.Dropout(0.5, deterministic=not train)(values)
            layer = channel_last.Dense(
                features,
                dtype=self.dtype,
                kernel_init=nn.initializers.glorot_uniform(),
                name=name,
            )
            out[name] = layer(values)
            return out[name]

        hidden = images.astype(self.dtype)
        stages = ((8, 3), (8, 5), (16, 5), (16, 5))
        for number, (features, size) in enumerate(stages, start=1):
            if self.inception and number <= len(_BRANCHES):
                hidden = inception(hidden, number)
            else:
                hidden = conv(hidden, f"conv{number}", features, size)
            norm = channel_last.BatchNorm(
                momentum=1 - self.batch_norm_fraction,
                epsilon=1e-3,
                dtype=self.dtype,
                name=f"bn{number}",
            )
            hidden = max_pool_same(norm(hidden, train=train), _POOLS[number - 1])
        hidden = hidden.reshape(hidden.shape[0], -1)
        hidden = nn.leaky_relu(dense(hidden, "fc1", 16), 0.1)
        outputs = dense(hidden, "fc2", evidence.num_outputs(self.num_classes))
        return evidence.to_logits(outputs), out


def max_pool_same(planes: jax.Array, window: int) -> jax.Array:
    """Takes the maximum over adjoining squares, with Keras' padding `same`.

    Where a side is no multiple of the window, padding is added at both ends, an odd
    pixel at the bottom or right; padding never wins.

    Args:
        planes: Float `[batch, height, width, features]`.
        window: Side and stride of the window, pixels.

    Returns:
        Float `[batch, ceil(height / window), ceil(width / window), features]`.
    """
    missing = [-size % window for size in planes.shape[1:3]]
    margins = [(total // 2, total - total // 2) for total in missing]
    if any(missing):
        planes = jnp.pad(planes, ((0, 0), *margins, (0, 0)), constant_values=-jnp.inf)
    return channel_last.max_pool(planes, window, window)


def from_published(variables: Variables) -> dict[str, Any]:
    """Converts the authors' weights, whose output is evidence of a real face.

    Args:
        variables: Variables of a `MesoNet` with two classes, as `LAYERS` or
            `INCEPTION_LAYERS` map them from the authors' files.

    Returns:
        The same variables with kernel and bias of `fc2` negated, so that its output is
        evidence of a fake.
    """
    params = dict(variables["params"])
    params["fc2"] = {name: -value for name, value in params["fc2"].items()}
    return {**variables, "params": params}


def _layers(convs: list[str], conv: int, norm: int, dense: int) -> tuple[Layer, ...]:
    """All layers with parameters.

    Keras numbers the layers of a kind across all networks of a program. The authors'
    Meso-4 was not the first network, so its numbers do not start at 1.

    Args:
        convs: Our names of the convolutions, in the authors' order.
        conv: Keras' number of the first convolution.
        norm: Keras' number of the first normalisation.
        dense: Keras' number of the first dense layer.
    """
    return (
        *(
            Layer(name, "conv", keras=f"conv2d_{number}", bias=True)
            for number, name in enumerate(convs, conv)
        ),
        *(
            Layer(f"bn{place + 1}", "norm", keras=f"batch_normalization_{norm + place}")
            for place in range(4)
        ),
        Layer("fc1", "dense", keras=f"dense_{dense}", bias=True),
        Layer("fc2", "dense", keras=f"dense_{dense + 1}", bias=True),
    )


_BLOCKS = [f"conv{number}{name}" for number in (1, 2) for name, *_ in _INCEPTION]

# Names as in the authors' files of Meso-4 and of MesoInception-4.
LAYERS = _layers([f"conv{number}" for number in range(1, 5)], 5, 5, 3)
INCEPTION_LAYERS = _layers([*_BLOCKS, "conv3", "conv4"], 1, 1, 1)


# Batch size and epochs are those of the comparison with AMTENnet.
_RECIPE = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=64, num_epochs=10)

MESO4 = NetworkDetector(
    name="meso4",
    build=MesoNet,
    preprocessing=PREPROCESSING,
    recipe=_RECIPE,
    loss="mean_squared_error",
    published=Published(LAYERS, from_published),
)

MESOINCEPTION4 = dataclasses.replace(
    MESO4,
    name="mesoinception4",
    build=functools.partial(MesoNet, inception=True),
    published=Published(INCEPTION_LAYERS, from_published),
)
