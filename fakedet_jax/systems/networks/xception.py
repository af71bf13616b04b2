# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Xception, the strongest network in FaceForensics++.

The geometry is that of the PyTorch port which FaceForensics++ used: no padding in the
first two convolutions, symmetric padding elsewhere.

References:
    Chollet: "Xception: deep learning with depthwise separable convolutions", CVPR 2017.
    Rössler, Cozzolino, Verdoliva, Riess, Thies, Nießner: "FaceForensics++: learning to
    detect manipulated facial images", ICCV 2019.
"""

from collections.abc import Iterator
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, pretrained
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

Outputs = dict[str, jax.Array]

# (x / 255 − 0.5) / 0.5
PREPROCESSING = Preprocessing(
    Framing.square(299), mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)
)


class _Separable(NamedTuple):
    """A depthwise 3×3 convolution, a 1×1 one and a normalisation.

    Attributes:
        name: Prefix of the names of its layers.
        features: Number of output features.
        rectified: Whether a ReLU precedes it.
    """

    name: str
    features: int
    rectified: bool = True


class _Block(NamedTuple):
    """Separable convolutions, pooling if the stride is 2, and a residual addition.

    Attributes:
        name: Prefix of the names of its layers.
        convolutions: The separable convolutions.
        stride: 1 or 2.
        projected: Whether the shortcut is a 1×1 convolution.
    """

    name: str
    convolutions: tuple[_Separable, ...]
    stride: int
    projected: bool


class Xception(nn.Module):
    """Xception: 22,855,952 parameters for 1000 classes, 20,811,050 for two.

    Attributes:
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
    """

    num_classes: int = 1000
    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, 299, 299, 3]`, RGB, −1 to 1 (`PREPROCESSING`). Other
                sizes work too.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and the outputs of all
            convolutions (both parts of separable ones), before normalisation, and of
            `fc` by name, in network order.
        """
        out: Outputs = {}

        def conv(
            planes: jax.Array,
            name: str,
            features: int,
            size: int,
            stride: int = 1,
            padding: int = 0,
            groups: int = 1,
        ) -> jax.Array:
            layer = channel_last.Conv(
                features, size, stride, padding, groups, dtype=self.dtype, name=name
            )
            out[name] = layer(planes)
            return out[name]

        def norm(planes: jax.Array, name: str) -> jax.Array:
            layer = channel_last.BatchNorm(dtype=self.dtype, name=f"{name}_bn")
            return layer(planes, train=train)

        def separable(planes: jax.Array, part: _Separable) -> jax.Array:
            if part.rectified:
                planes = nn.relu(planes)
            width = planes.shape[-1]
            planes = conv(
                planes, f"{part.name}_depthwise", width, 3, 1, 1, groups=width
            )
            planes = conv(planes, f"{part.name}_pointwise", part.features, 1)
            return norm(planes, part.name)

        hidden = images.astype(self.dtype)
        hidden = nn.relu(norm(conv(hidden, "conv1", 32, 3, 2), "conv1"))
        hidden = nn.relu(norm(conv(hidden, "conv2", 64, 3), "conv2"))
        for block in _BLOCKS:
            shortcut = hidden
            for part in block.convolutions:
                hidden = separable(hidden, part)
            if block.stride > 1:
                hidden = channel_last.max_pool(hidden, 3, block.stride, padding=1)
            if block.projected:
                name = f"{block.name}_skip"
                features = hidden.shape[-1]
                shortcut = conv(shortcut, name, features, 1, block.stride)
                shortcut = norm(shortcut, name)
            hidden = hidden + shortcut
        for part in _EXIT:
            hidden = nn.relu(separable(hidden, part))
        pooled = hidden.mean((1, 2), dtype=jnp.float32)
        out["fc"] = channel_last.Dense(self.num_classes, dtype=self.dtype, name="fc")(
            pooled
        )
        return out["fc"].astype(jnp.float32), out


def _block(number: int, widths: tuple[int, ...], stride: int, inputs: int) -> _Block:
    name = f"block{number}"
    parts = tuple(
        # The input of the first block is rectified already.
        _Separable(f"{name}_sep{place}", width, rectified=(number, place) != (1, 1))
        for place, width in enumerate(widths, start=1)
    )
    return _Block(name, parts, stride, stride > 1 or inputs != widths[-1])


_BLOCKS = (
    _block(1, (128, 128), 2, 64),
    _block(2, (256, 256), 2, 128),
    _block(3, (728, 728), 2, 256),
    *(_block(number, (728, 728, 728), 1, 728) for number in range(4, 12)),
    _block(12, (728, 1024), 2, 728),
)
_EXIT = (
    _Separable("conv3", 1536, rectified=False),
    _Separable("conv4", 2048, rectified=False),
)


def _layers() -> Iterator[Layer]:
    """All layers with parameters, and their names in the PyTorch port's files."""

    def separable(name: str, conv: str, norm: str) -> Iterator[Layer]:
        yield Layer(f"{name}_depthwise", "conv", f"{conv}.conv1")
        yield Layer(f"{name}_pointwise", "conv", f"{conv}.pointwise")
        yield Layer(f"{name}_bn", "norm", norm)

    for name in ("conv1", "conv2"):
        yield Layer(name, "conv", name)
        yield Layer(f"{name}_bn", "norm", f"bn{name[-1]}")
    for block in _BLOCKS:
        # PyTorch numbers the members of a block, rectifiers included.
        number = 0
        for part in block.convolutions:
            number += part.rectified
            path = f"{block.name}.rep"
            yield from separable(part.name, f"{path}.{number}", f"{path}.{number + 1}")
            number += 2
        if block.projected:
            name = f"{block.name}_skip"
            yield Layer(name, "conv", f"{block.name}.skip")
            yield Layer(f"{name}_bn", "norm", f"{block.name}.skipbn")
    for part in _EXIT:
        yield from separable(part.name, part.name, f"bn{part.name[-1]}")
    yield Layer("fc", "dense", "last_linear", bias=True)


LAYERS = tuple(_layers())


# Trained on ImageNet, to start from.
PRETRAINED = Backbone(
    name="xception_imagenet",
    build=lambda dtype, site: Xception(1000, dtype=dtype),
    preprocessing=PREPROCESSING,
    layers=LAYERS,
    embedding=pretrained.EMBEDDING,
)

DETECTOR = NetworkDetector(
    name="xception",
    build=Xception,
    preprocessing=PREPROCESSING,
    recipe=Recipe(optimizer="adam", learning_rate=2e-4, batch_size=32, num_epochs=10),
    pretrained=PRETRAINED,
    start_from=pretrained.start_from,
)
