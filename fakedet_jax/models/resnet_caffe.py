# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The VGGFace2 networks: ResNet-50 and SE-ResNet-50 with Caffe's geometry.

They differ from torchvision's: the stride of a stage is in the first 1×1 convolution of
its first block, the pooling after conv1 has no padding but rounds its size up, and the
input is blue, green, red in 0–255 minus the mean.

References:
    Cao, Shen, Xie, Parkhi, Zisserman: "VGGFace2: a dataset for recognising faces across
    pose and age", FG 2018.
    He, Zhang, Ren, Sun: "Deep residual learning for image recognition", CVPR 2016.
    Hu, Shen, Sun: "Squeeze-and-excitation networks", CVPR 2018.
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The short side is scaled to 256 pixels, then the central 224 are cut out.
PREPROCESSING = Preprocessing(
    Framing(224, 224, 224 / 256), bgr=True, mean=(91.4953, 103.8827, 131.0912)
)
NUM_IDENTITIES = 8631

# Name, number of blocks, width of the inner convolutions; a block outputs 4 × as many.
_STAGES = (("conv2", 3, 64), ("conv3", 4, 128), ("conv4", 6, 256), ("conv5", 3, 512))
_EXPANSION = 4
# The squeeze divides the number of features by this.
_REDUCTION = 16


class ResNet50(nn.Module):
    """ResNet-50, or SE-ResNet-50 with `squeeze_excite`.

    Attributes:
        squeeze_excite: Whether each block weights its features (SE-ResNet-50).
        num_classes: Number of logits.
        dtype: Dtype of the computation; the embedding and the logits are float32.
        site: Where layer outputs are taken. "layer": the output of the convolution,
            before batch normalisation. "activation": after normalisation and ReLU.
            Three of these are choices of this toolkit: `_increase` is the output of
            the block, after the residual addition and its ReLU; `_proj` is the
            normalised shortcut, which no ReLU follows; `_up` is after the sigmoid.
            The classifier returns its logits at both sites.
    """

    squeeze_excite: bool = False
    num_classes: int = NUM_IDENTITIES
    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds and classifies faces.

        Args:
            images: Float `[batch, 224, 224, 3]`, BGR, 0–255 minus the mean
                (`PREPROCESSING`); other sizes work too.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            The embedding, float32 `[batch, 2048]`: the last block's output, averaged
            over all positions, not normalised. And the outputs of the 54 layers (SE:
            86) by name, in network order; `classifier` is float32 `[batch,
            num_classes]`.
        """
        out: dict[str, jax.Array] = {}

        def keep(name: str, output: jax.Array, activation: jax.Array) -> None:
            out[name] = {"layer": output, "activation": activation}[self.site]

        def conv_norm(
            planes: jax.Array,
            name: str,
            features: int,
            kernel_size: int,
            stride: int = 1,
            padding: int = 0,
            relu: bool = False,
        ) -> jax.Array:
            conv = channel_last.Conv(
                features, kernel_size, stride, padding, dtype=self.dtype, name=name
            )
            norm = channel_last.BatchNorm(dtype=self.dtype, name=f"{name}_bn")
            convolved = conv(planes)
            normalised = norm(convolved, train=train)
            activation = nn.relu(normalised) if relu else normalised
            keep(name, convolved, activation)
            return activation

        def excite(planes: jax.Array, name: str) -> jax.Array:
            """Weights each feature by the averages of all features."""
            features = planes.shape[-1]

            def conv(squeezed: jax.Array, part: str, features: int) -> jax.Array:
                layer = channel_last.Conv(
                    features, 1, use_bias=True, dtype=self.dtype, name=name + part
                )
                return layer(squeezed)

            squeezed = planes.mean((1, 2), keepdims=True, dtype=jnp.float32)
            down = conv(squeezed, "_1x1_down", features // _REDUCTION)
            keep(f"{name}_1x1_down", down, nn.relu(down))
            up = conv(nn.relu(down), "_1x1_up", features)
            keep(f"{name}_1x1_up", up, nn.sigmoid(up))
            return planes * nn.sigmoid(up)

        def block(planes: jax.Array, name: str, width: int, stride: int) -> jax.Array:
            wide = width * _EXPANSION
            hidden = conv_norm(
                planes, f"{name}_1x1_reduce", width, 1, stride, relu=True
            )
            hidden = conv_norm(hidden, f"{name}_3x3", width, 3, padding=1, relu=True)
            hidden = conv_norm(hidden, f"{name}_1x1_increase", wide, 1)
            if self.squeeze_excite:
                hidden = excite(hidden, name)
            if planes.shape[-1] != wide:
                planes = conv_norm(planes, f"{name}_1x1_proj", wide, 1, stride)
            hidden = nn.relu(hidden + planes)
            if self.site == "activation":
                out[f"{name}_1x1_increase"] = hidden
            return hidden

        hidden = conv_norm(
            images.astype(self.dtype), "conv1", 64, 7, stride=2, padding=3, relu=True
        )
        hidden = channel_last.max_pool(hidden, 3, 2, ceil=True)
        for stage, num_blocks, width in _STAGES:
            for number in range(num_blocks):
                stride = 2 if number == 0 and stage != "conv2" else 1
                hidden = block(hidden, f"{stage}_{number + 1}", width, stride)
        embedding = hidden.mean((1, 2), dtype=jnp.float32)
        classifier = channel_last.Dense(
            self.num_classes, dtype=self.dtype, name="classifier"
        )
        out["classifier"] = classifier(embedding).astype(jnp.float32)
        return embedding, out


def _layers(squeeze_excite: bool) -> Iterator[Layer]:
    """All layers with parameters, convolutional and dense ones in network order."""

    def conv_norm(name: str, conv: str, norm: str, file: str) -> Iterator[Layer]:
        yield Layer(name, "conv", conv, file, file)
        yield Layer(f"{name}_bn", "norm", norm, f"{file}/bn", f"{file}/bn")

    yield from conv_norm("conv1", "conv1", "bn1", "conv1/7x7_s2")
    for stage, (stage_name, num_blocks, _) in enumerate(_STAGES, start=1):
        for number in range(num_blocks):
            block, torch = f"{stage_name}_{number + 1}", f"layer{stage}.{number}"
            parts = ("1x1_reduce", "3x3", "1x1_increase")
            for place, part in enumerate(parts, start=1):
                name = f"{block}_{part}"
                yield from conv_norm(
                    name, f"{torch}.conv{place}", f"{torch}.bn{place}", name
                )
            if squeeze_excite:
                for place, part in ((4, "down"), (5, "up")):
                    name = f"{block}_1x1_{part}"
                    yield Layer(
                        name, "conv", f"{torch}.conv{place}", name, name, bias=True
                    )
            if number == 0:
                name, shortcut = f"{block}_1x1_proj", f"{torch}.downsample"
                yield from conv_norm(name, f"{shortcut}.0", f"{shortcut}.1", name)
    yield Layer("classifier", "dense", "fc", "classifier", "classifier", bias=True)


RESNET50_LAYERS = tuple(_layers(squeeze_excite=False))
SENET50_LAYERS = tuple(_layers(squeeze_excite=True))
