# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""IResNet-50, with which ArcFace's authors recognise faces.

Each block normalises its input, and nothing rectifies the sum of a block and its
shortcut; planes are halved by the second convolution of the first block of a stage.

References:
    Deng, Guo, Xue, Zafeiriou: "ArcFace: additive angular margin loss for deep face
    recognition", CVPR 2019.
    Duta, Liu, Zhu, Shao: "Improved residual networks for image and video recognition",
    ICPR 2020.
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The network was trained on aligned faces that fill their crops. Cutting out the centre
# of crops of 1.3 × the box is a choice of this toolkit.
PREPROCESSING = Preprocessing(
    Framing(112, 112, central_share=1 / 1.3),
    mean=(127.5, 127.5, 127.5),
    std=(127.5, 127.5, 127.5),
)
# Blocks and features of each stage.
_STAGES = ((3, 64), (4, 128), (14, 256), (3, 512))
EMBEDDING_SIZE = 512


class IResNet50(nn.Module):
    """53 convolutions and a fully-connected layer.

    Attributes:
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken. "layer": the output of the convolution,
            before batch normalisation. "activation": after normalisation and, where
            there is one, PReLU. Two of these are choices of this toolkit: `_conv2` is
            the output of the block, after the residual addition; `_downsample` is the
            normalised shortcut. `fc` is normalised there.
    """

    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds faces.

        Args:
            images: Float `[batch, 112, 112, 3]`, RGB, −1 to 1 (`PREPROCESSING`). Other
                sizes change the kernel of `fc`, which sees the whole last planes.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The embedding, float32 `[batch, 512]`, not of unit length. And the outputs
            of the 54 layers by name, in network order.
        """
        out: dict[str, jax.Array] = {}

        def keep(name: str, output: jax.Array, activation: jax.Array) -> None:
            out[name] = {"layer": output, "activation": activation}[self.site]

        def norm(planes: jax.Array, name: str) -> jax.Array:
            layer = channel_last.BatchNorm(dtype=self.dtype, name=name)
            return layer(planes, train=train)

        def conv_norm(
            planes: jax.Array,
            name: str,
            features: int,
            kernel_size: int,
            stride: int = 1,
            *,
            prelu: bool = False,
        ) -> jax.Array:
            convolved = channel_last.Conv(
                features,
                kernel_size,
                stride,
                kernel_size // 2,
                dtype=self.dtype,
                name=name,
            )(planes)
            activation = norm(convolved, f"{name}_bn")
            if prelu:
                layer = channel_last.PReLU(dtype=self.dtype, name=f"{name}_prelu")
                activation = layer(activation)
            keep(name, convolved, activation)
            return activation

        def block(
            planes: jax.Array, name: str, features: int, stride: int
        ) -> jax.Array:
            hidden = norm(planes, f"{name}_bn")
            hidden = conv_norm(hidden, f"{name}_conv1", features, 3, prelu=True)
            hidden = conv_norm(hidden, f"{name}_conv2", features, 3, stride)
            if stride > 1:
                planes = conv_norm(planes, f"{name}_downsample", features, 1, stride)
            hidden = hidden + planes
            if self.site == "activation":
                out[f"{name}_conv2"] = hidden
            return hidden

        hidden = conv_norm(images.astype(self.dtype), "conv1", 64, 3, prelu=True)
        for stage, (num_blocks, features) in enumerate(_STAGES, start=1):
            for number in range(num_blocks):
                stride = 2 if number == 0 else 1
                hidden = block(hidden, f"layer{stage}_{number}", features, stride)
        hidden = norm(hidden, "bn2")
        dense = channel_last.Dense(EMBEDDING_SIZE, dtype=self.dtype, name="fc")
        linear = dense(hidden.reshape(hidden.shape[0], -1))
        features_norm = channel_last.BatchNorm(dtype=jnp.float32, name="fc_bn")
        embedding = features_norm(linear, train=train)
        keep("fc", linear, embedding)
        return embedding, out


def _layers() -> Iterator[Layer]:
    """All layers with parameters, in network order."""
    yield Layer("conv1", "conv", "conv1")
    yield Layer("conv1_bn", "norm", "bn1")
    yield Layer("conv1_prelu", "prelu", "prelu")
    for stage, (num_blocks, _) in enumerate(_STAGES, start=1):
        for number in range(num_blocks):
            name, torch = f"layer{stage}_{number}", f"layer{stage}.{number}"
            yield Layer(f"{name}_bn", "norm", f"{torch}.bn1")
            yield Layer(f"{name}_conv1", "conv", f"{torch}.conv1")
            yield Layer(f"{name}_conv1_bn", "norm", f"{torch}.bn2")
            yield Layer(f"{name}_conv1_prelu", "prelu", f"{torch}.prelu")
            yield Layer(f"{name}_conv2", "conv", f"{torch}.conv2")
            yield Layer(f"{name}_conv2_bn", "norm", f"{torch}.bn3")
            if number == 0:
                shortcut = f"{torch}.downsample"
                yield Layer(f"{name}_downsample", "conv", f"{shortcut}.0")
                yield Layer(f"{name}_downsample_bn", "norm", f"{shortcut}.1")
    yield Layer("bn2", "norm", "bn2")
    yield Layer("fc", "dense", "fc", bias=True, flattened=(7, 7, 512))
    yield Layer("fc_bn", "norm", "features")


LAYERS = tuple(_layers())
