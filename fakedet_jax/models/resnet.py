# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Residual networks with torchvision's geometry and initial values.

The bottleneck block has its stride in the 3×3 convolution, whereas the paper puts it in
the first 1×1.

References:
    He, Zhang, Ren, Sun: "Deep residual learning for image recognition", CVPR 2016.
"""

from collections.abc import Iterator
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer

Outputs = dict[str, jax.Array]


class Geometry(NamedTuple):
    """The number of blocks in each stage, and whether they are bottlenecks."""

    num_blocks: tuple[int, int, int, int]
    bottleneck: bool


# By depth: the number of layers with a kernel, without projections.
GEOMETRIES = {
    18: Geometry((2, 2, 2, 2), bottleneck=False),
    34: Geometry((3, 4, 6, 3), bottleneck=False),
    50: Geometry((3, 4, 6, 3), bottleneck=True),
}

# A bottleneck widens its output by this factor.
_EXPANSION = 4

# Kaiming's normal distribution by fan-out, and uniform on ±1/√fan_in.
CONV_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
DENSE_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ResNet(nn.Module):
    """A residual network: 21,797,672 parameters for depth 34 and 1000 classes.

    Attributes:
        depth: A key of `GEOMETRIES`.
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
    """

    depth: int
    num_classes: int = 1000
    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies pictures.

        Args:
            images: Float `[batch, height, width, channels]`, standardised; 224 × 224
                as published, other sizes work too.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The logits, float32 `[batch, num_classes]`, and the outputs of all
            convolutions, before normalisation, and of `fc` by name, in network order.
        """
        out: Outputs = {}

        def conv_norm(
            planes: jax.Array, name: str, features: int, size: int, stride: int = 1
        ) -> jax.Array:
            conv = channel_last.Conv(
                features,
                size,
                stride=stride,
                padding=size // 2,
                dtype=self.dtype,
                kernel_init=CONV_INIT,
                name=name,
            )
            out[name] = conv(planes)
            norm = channel_last.BatchNorm(dtype=self.dtype, name=_norm_name(name))
            return norm(out[name], train=train)

        hidden = nn.relu(conv_norm(images, "conv1", 64, 7, stride=2))
        hidden = channel_last.max_pool(hidden, padding=1)
        for block in _blocks(self.depth):
            shortcut = hidden
            for convolution in block.convolutions:
                # The input of a block is rectified already, which ReLU does not change.
                hidden = conv_norm(nn.relu(hidden), *convolution)
            if block.projection:
                shortcut = conv_norm(shortcut, *block.projection)
            hidden = nn.relu(hidden + shortcut)
        pooled = hidden.mean((1, 2), dtype=jnp.float32)
        out["fc"] = linear(pooled, self.num_classes, "fc", dtype=self.dtype)
        return out["fc"].astype(jnp.float32), out


def linear(
    values: jax.Array,
    features: int,
    name: str,
    *,
    dtype: channel_last.Dtype = jnp.float32,
    kernel_init: channel_last.Initializer = DENSE_INIT,
) -> jax.Array:
    """Applies a linear layer whose initial values `torch.nn.Linear` draws.

    Args:
        values: `[batch, in_features]`.
        features: Number of outputs.
        name: Of the layer, within the module that calls.
        dtype: Dtype of the computation and the output.
        kernel_init: Another initialiser of the kernel.
    """
    bound = values.shape[-1] ** -0.5
    layer = channel_last.Dense(
        features,
        dtype=dtype,
        kernel_init=kernel_init,
        bias_init=lambda key, shape: jax.random.uniform(
            key, shape, minval=-bound, maxval=bound
        ),
        name=name,
    )
    return layer(values)


def layers(depth: int) -> tuple[Layer, ...]:
    """All layers with parameters, and their names in torchvision's files.

    Args:
        depth: A key of `GEOMETRIES`.

    >>> [layer.torch for layer in layers(34)][:4]
    ['conv1', 'bn1', 'layer1.0.conv1', 'layer1.0.bn1']
    """
    found = []
    names = ["conv1"]
    for block in _blocks(depth):
        parts = (*block.convolutions, block.projection)
        names.extend(part.name for part in parts if part)
    for name in names:
        # layer1_0_conv1 → layer1.0.conv1; the members of a projection are numbered.
        torch = name.replace("_", ".")
        if name.endswith("downsample"):
            conv, norm = f"{torch}.0", f"{torch}.1"
        else:
            conv, norm = torch, _norm_name(torch)
        found.append(Layer(name, "conv", torch=conv))
        found.append(Layer(_norm_name(name), "norm", torch=norm))
    return (*found, Layer("fc", "dense", torch="fc", bias=True))


class _Convolution(NamedTuple):
    name: str
    features: int
    size: int
    stride: int


class _Block(NamedTuple):
    convolutions: tuple[_Convolution, ...]
    projection: _Convolution | None


def _blocks(depth: int) -> Iterator[_Block]:
    geometry = GEOMETRIES[depth]
    in_features = 64
    for stage, num_blocks in enumerate(geometry.num_blocks):
        width = 64 * 2**stage
        for number in range(num_blocks):
            prefix = f"layer{stage + 1}_{number}"
            stride = 2 if stage and not number else 1
            if geometry.bottleneck:
                features = _EXPANSION * width
                shapes = [(width, 1, 1), (width, 3, stride), (features, 1, 1)]
            else:
                features = width
                shapes = [(width, 3, stride), (width, 3, 1)]
            convolutions = tuple(
                _Convolution(f"{prefix}_conv{place}", *shape)
                for place, shape in enumerate(shapes, 1)
            )
            projection = None
            if stride > 1 or in_features != features:
                name = f"{prefix}_downsample"
                projection = _Convolution(name, features, 1, stride)
            yield _Block(convolutions, projection)
            in_features = features


def _norm_name(name: str) -> str:
    """Name of the normalisation that follows a convolution."""
    if name.endswith("downsample"):
        return f"{name}_bn"
    return name.replace("conv", "bn")
