# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Inception-ResNet v1, with which FaceNet's open implementations recognise faces.

The geometry is that of the published weights, which differs from the paper's in the
stem and in the width of some branches; residual branches are scaled, as the paper
proposes for training.

References:
    Schroff, Kalenichenko, Philbin: "FaceNet: a unified embedding for face recognition
    and clustering", CVPR 2015.
    Szegedy, Ioffe, Vanhoucke, Alemi: "Inception-v4, Inception-ResNet and the impact of
    residual connections on learning", AAAI 2017.
"""

import dataclasses
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The network was trained on boxes of faces, without a margin. Cutting out the centre of
# crops of 1.3 × the box is a choice of this toolkit.
PREPROCESSING = Preprocessing(
    Framing(160, 160, central_share=1 / 1.3),
    mean=(127.5, 127.5, 127.5),
    std=(128.0, 128.0, 128.0),
)
EMBEDDING_SIZE = 512
_EPSILON = 1e-3


@dataclasses.dataclass(frozen=True)
class _Conv:
    """A convolution with normalisation and ReLU."""

    features: int
    kernel: channel_last.Size = 1
    stride: int = 1
    padding: channel_last.Size = 0


@dataclasses.dataclass(frozen=True)
class _Block:
    """Branches side by side.

    Attributes:
        branches: The convolutions of each branch.
        scale: Of a residual block, what its last convolution is multiplied by; None for
            a block that halves the planes, with a maximum pooling as its last branch.
        relu: Whether the sum is rectified.
    """

    branches: tuple[tuple[_Conv, ...], ...]
    scale: float | None = None
    relu: bool = True


_STEM = {
    "conv2d_1a": _Conv(32, 3, 2),
    "conv2d_2a": _Conv(32, 3),
    "conv2d_2b": _Conv(64, 3, padding=1),
    "conv2d_3b": _Conv(80),
    "conv2d_4a": _Conv(192, 3),
    "conv2d_4b": _Conv(256, 3, 2),
}
_POOLED_AFTER = "conv2d_2b"
_BLOCK35 = _Block(
    (
        (_Conv(32),),
        (_Conv(32), _Conv(32, 3, padding=1)),
        (_Conv(32), _Conv(32, 3, padding=1), _Conv(32, 3, padding=1)),
    ),
    0.17,
)
_BLOCK17 = _Block(
    (
        (_Conv(128),),
        (
            _Conv(128),
            _Conv(128, (1, 7), padding=(0, 3)),
            _Conv(128, (7, 1), padding=(3, 0)),
        ),
    ),
    0.1,
)
_BLOCK8 = _Block(
    (
        (_Conv(192),),
        (
            _Conv(192),
            _Conv(192, (1, 3), padding=(0, 1)),
            _Conv(192, (3, 1), padding=(1, 0)),
        ),
    ),
    0.2,
)
_MIXED_6A = _Block(
    (
        (_Conv(384, 3, 2),),
        (_Conv(192), _Conv(192, 3, padding=1), _Conv(256, 3, 2)),
    )
)
_MIXED_7A = _Block(
    (
        (_Conv(256), _Conv(384, 3, 2)),
        (_Conv(256), _Conv(256, 3, 2)),
        (_Conv(256), _Conv(256, 3, padding=1), _Conv(256, 3, 2)),
    )
)
# By their names in PyTorch's files.
_BLOCKS = {
    **{f"repeat_1.{i}": _BLOCK35 for i in range(5)},
    "mixed_6a": _MIXED_6A,
    **{f"repeat_2.{i}": _BLOCK17 for i in range(10)},
    "mixed_7a": _MIXED_7A,
    **{f"repeat_3.{i}": _BLOCK8 for i in range(5)},
    "block8": _Block(_BLOCK8.branches, 1.0, relu=False),
}


class InceptionResNetV1(nn.Module):
    """132 convolutions and a fully-connected layer.

    Attributes:
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken. "layer": the output of the convolution,
            before batch normalisation. "activation": after normalisation and ReLU; for
            `_conv2d`, the last convolution of a residual block, this is the output of
            the block; for `last_linear` it is the normalised output.
    """

    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds faces.

        Args:
            images: Float `[batch, 160, 160, 3]`, RGB, −1 to 1 (`PREPROCESSING`); other
                sizes from 75 × 75 on work too.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The embedding, float32 `[batch, 512]`, of unit length. And the outputs of
            the 133 layers by name, in network order.
        """
        out: dict[str, jax.Array] = {}

        def keep(name: str, output: jax.Array, activation: jax.Array) -> None:
            out[name] = {"layer": output, "activation": activation}[self.site]

        def convolve(planes: jax.Array, name: str, conv: _Conv) -> jax.Array:
            layer = channel_last.Conv(
                conv.features,
                conv.kernel,
                conv.stride,
                conv.padding,
                dtype=self.dtype,
                name=name,
            )
            norm = channel_last.BatchNorm(
                epsilon=_EPSILON, dtype=self.dtype, name=f"{name}_bn"
            )
            convolved = layer(planes)
            activation = nn.relu(norm(convolved, train=train))
            keep(name, convolved, activation)
            return activation

        def apply(planes: jax.Array, name: str, block: _Block) -> jax.Array:
            branches = []
            for number, convs in enumerate(block.branches):
                hidden = planes
                for path, conv in _branch(name, number, convs):
                    hidden = convolve(hidden, _plain(path), conv)
                branches.append(hidden)
            if block.scale is None:
                branches.append(channel_last.max_pool(planes, 3, 2))
                return jnp.concatenate(branches, -1)
            path = _plain(f"{name}.conv2d")
            joined = channel_last.Conv(
                planes.shape[-1], 1, use_bias=True, dtype=self.dtype, name=path
            )(jnp.concatenate(branches, -1))
            hidden = planes + jnp.asarray(block.scale, self.dtype) * joined
            hidden = nn.relu(hidden) if block.relu else hidden
            keep(path, joined, hidden)
            return hidden

        hidden = images.astype(self.dtype)
        for name, conv in _STEM.items():
            hidden = convolve(hidden, name, conv)
            if name == _POOLED_AFTER:
                hidden = channel_last.max_pool(hidden, 3, 2)
        for name, block in _BLOCKS.items():
            hidden = apply(hidden, name, block)
        pooled = hidden.mean((1, 2), dtype=jnp.float32)
        linear = channel_last.Dense(
            EMBEDDING_SIZE, use_bias=False, dtype=self.dtype, name="last_linear"
        )(pooled)
        norm = channel_last.BatchNorm(
            epsilon=_EPSILON, dtype=jnp.float32, name="last_linear_bn"
        )
        normalised = norm(linear, train=train)
        keep("last_linear", linear, normalised)
        length = jnp.linalg.norm(normalised, axis=-1, keepdims=True)
        return normalised / jnp.maximum(length, 1e-12), out


def _branch(
    name: str, number: int, convs: tuple[_Conv, ...]
) -> Iterator[tuple[str, _Conv]]:
    """The convolutions of a branch, with their names in PyTorch's files."""
    for place, conv in enumerate(convs):
        # A branch of one convolution is no sequence in these files.
        inner = f".{place}" if len(convs) > 1 else ""
        yield f"{name}.branch{number}{inner}", conv


def _plain(path: str) -> str:
    return path.replace(".", "_")


def _layers() -> Iterator[Layer]:
    """All layers with parameters, in network order."""

    def conv_norm(path: str) -> Iterator[Layer]:
        yield Layer(_plain(path), "conv", f"{path}.conv")
        yield Layer(f"{_plain(path)}_bn", "norm", f"{path}.bn")

    for name in _STEM:
        yield from conv_norm(name)
    for name, block in _BLOCKS.items():
        for number, convs in enumerate(block.branches):
            for path, _ in _branch(name, number, convs):
                yield from conv_norm(path)
        if block.scale is not None:
            path = f"{name}.conv2d"
            yield Layer(_plain(path), "conv", path, bias=True)
    yield Layer("last_linear", "dense", "last_linear")
    yield Layer("last_linear_bn", "norm", "last_bn")


LAYERS = tuple(_layers())
# The classifier that the published files hold beside the network.
UNUSED = ("logits.*",)
