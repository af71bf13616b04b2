# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""MobileFaceNet, a small network for face recognition.

References:
    Chen, Liu, Gao, Han: "MobileFaceNets: efficient CNNs for accurate real-time face
    verification on mobile devices", CCBR 2018: table 1 with the input of 112×96.
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The network was trained on crops that the face fills, whereas datasets of forgeries
# usually hold crops of 1.3 × the face's box. Cutting out the centre to undo this margin
# is a choice of this toolkit.
PREPROCESSING = Preprocessing(
    Framing(112, 96, central_share=1 / 1.3),
    mean=(127.5, 127.5, 127.5),
    std=(128.0, 128.0, 128.0),
)

# Expansion, output features, repetitions, stride of the first one (table 1).
_BOTTLENECKS = (
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)
# Expansion, output features, stride.
_BLOCKS = tuple(
    (expansion, features, stride if number == 0 else 1)
    for expansion, features, repetitions, stride in _BOTTLENECKS
    for number in range(repetitions)
)


class MobileFaceNet(nn.Module):
    """Fifty convolutions without biases, each with batch normalisation.

    Attributes:
        embedding_size: Length of the embedding.
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken. "layer": the output of the convolution,
            before batch normalisation. "activation": after normalisation and PReLU.
            Linear layers (`_project`, `linear7`, `linear1`) have no PReLU: there it is
            the normalised output, before the residual addition.
    """

    embedding_size: int = 128
    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds faces.

        Args:
            images: Float `[batch, 112, 96, 3]`, RGB, −1 to 1 (`PREPROCESSING`). Other
                sizes work and change the kernel of `linear7`, which covers the whole
                last feature map.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The embedding, float32 `[batch, embedding_size]`: the last layer after its
            normalisation, not scaled to unit length. And the outputs of the 50 layers
            by name, in network order.
        """
        out: dict[str, jax.Array] = {}

        def conv_norm(
            planes: jax.Array,
            name: str,
            features: int,
            kernel_size: channel_last.Size,
            stride: int = 1,
            padding: int = 0,
            *,
            depthwise: bool = False,
            linear: bool = False,
        ) -> jax.Array:
            conv = channel_last.Conv(
                features,
                kernel_size,
                stride,
                padding,
                groups=features if depthwise else 1,
                dtype=self.dtype,
                name=name,
            )
            norm = channel_last.BatchNorm(dtype=self.dtype, name=f"{name}_bn")
            convolved = conv(planes)
            activation = norm(convolved, train=train)
            if not linear:
                prelu = channel_last.PReLU(dtype=self.dtype, name=f"{name}_prelu")
                activation = prelu(activation)
            out[name] = {"layer": convolved, "activation": activation}[self.site]
            return activation

        def bottleneck(
            planes: jax.Array, name: str, expansion: int, features: int, stride: int
        ) -> jax.Array:
            wide = expansion * planes.shape[-1]
            hidden = conv_norm(planes, f"{name}_expand", wide, 1)
            hidden = conv_norm(
                hidden, f"{name}_depthwise", wide, 3, stride, 1, depthwise=True
            )
            hidden = conv_norm(hidden, f"{name}_project", features, 1, linear=True)
            residual = stride == 1 and planes.shape[-1] == features
            return planes + hidden if residual else hidden

        hidden = conv_norm(images.astype(self.dtype), "conv1", 64, 3, 2, 1)
        hidden = conv_norm(hidden, "dw_conv1", 64, 3, 1, 1, depthwise=True)
        for number, (expansion, features, stride) in enumerate(_BLOCKS, start=1):
            hidden = bottleneck(hidden, f"block{number}", expansion, features, stride)
        hidden = conv_norm(hidden, "conv2", 512, 1)
        _, height, width, features = hidden.shape
        hidden = conv_norm(
            hidden, "linear7", features, (height, width), depthwise=True, linear=True
        )
        hidden = conv_norm(hidden, "linear1", self.embedding_size, 1, linear=True)
        return hidden.astype(jnp.float32).reshape(hidden.shape[0], -1), out


def _layers() -> Iterator[Layer]:
    """All layers with parameters, convolutional ones in network order."""

    def named(name: str, conv: str, norm: str, prelu: str | None) -> Iterator[Layer]:
        yield Layer(name, "conv", conv)
        yield Layer(f"{name}_bn", "norm", norm)
        if prelu is not None:
            yield Layer(f"{name}_prelu", "prelu", prelu)

    def single(name: str, *, linear: bool = False) -> Iterator[Layer]:
        prelu = None if linear else f"{name}.prelu"
        return named(name, f"{name}.conv", f"{name}.bn", prelu)

    yield from single("conv1")
    yield from single("dw_conv1")
    for number in range(len(_BLOCKS)):
        # PyTorch numbers the members of a block: 0 convolves, 1 normalises, …
        name, torch = f"block{number + 1}", f"blocks.{number}.conv"
        yield from named(f"{name}_expand", f"{torch}.0", f"{torch}.1", f"{torch}.2")
        yield from named(f"{name}_depthwise", f"{torch}.3", f"{torch}.4", f"{torch}.5")
        yield from named(f"{name}_project", f"{torch}.6", f"{torch}.7", None)
    yield from single("conv2")
    yield from single("linear7", linear=True)
    yield from single("linear1", linear=True)


LAYERS = tuple(_layers())
