# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""AMTENnet: adaptive manipulation-trace extraction in front of a small CNN.

Guo, Yang, Chen, Sun: "Fake face detection via adaptive manipulation traces extraction
network", Computer Vision and Image Understanding 204 (2021), 103170. Geometry and
initialisers follow the authors' Caffe definition.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.framing import Framing
from fakedet_jax.models import layers, pooling
from fakedet_jax.models.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(Framing.square(128), bgr=True)

# Caffe's definition gives conv1 a bias with learning rate 0; it counts as parameters.
FROZEN = ("amten/conv1/bias",)

Outputs = dict[str, jax.Array]


class Amten(nn.Module):
    """The trace extractor (section 3.1); it can stand before any CNN.

    conv1 predicts the picture; what it misses is the manipulation trace F_mt. From it
    conv2 … conv5 draw higher-level traces, each stage seeing all before it (F_reu).
    No activation function: traces are faint and of either sign.
    """

    dtype: layers.Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, Outputs]:
        """Extracts traces.

        Args:
          images: float `[batch, height, width, 3]`, BGR, 0–255, of any size.

        Returns:
          F_reu `[batch, 12, height, width]` and the outputs of the layers, also
          channel-first: `conv1` … `conv5`, `trace` (F_mt, 3 channels),
          `reused_trace` (F_reu).
        """

        def conv(features: int, name: str) -> layers.Conv:
            return layers.Conv(features, 3, padding=1, dtype=self.dtype, name=name)

        planes = images.astype(self.dtype).transpose(0, 3, 1, 2)
        out: Outputs = {}
        out["conv1"] = conv(3, "conv1")(planes)
        out["trace"] = out["conv1"] - planes
        out["conv2"] = conv(3, "conv2")(out["trace"])
        out["conv3"] = conv(3, "conv3")(out["conv2"])
        first = jnp.concatenate([out["conv3"], out["trace"]], axis=1)
        out["conv4"] = conv(6, "conv4")(first)
        out["conv5"] = conv(6, "conv5")(out["conv4"])
        out["reused_trace"] = jnp.concatenate([out["conv5"], first], axis=1)
        return out["reused_trace"], out


class ModelBase(nn.Module):
    """The CNN behind the extractor (section 3.2): four convolutions, three dense.

    The paper puts neither ReLU nor dropout between the dense layers.

    Attributes:
        num_classes: Number of logits.
        dtype: Of the computation.
        batch_norm_fraction: See `layers.BatchNorm`. The authors' 0.999 averages over
            a thousand steps and more; shorter runs want less.
    """

    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999

    @nn.compact
    def __call__(
        self, features: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies.

        Args:
          features: float `[batch, channels, 128, 128]`, usually F_reu. Other sizes
            work too and change the size of `fc1`.
          train: whether batch normalisation uses, and learns from, this batch.

        Returns:
          Logits float32 `[batch, num_classes]` and the outputs `conv6` … `conv9`,
          `fc1` … `fc3` by name.
        """
        out: Outputs = {}
        widths = {"conv6": (24, 3, 1), "conv7": (48, 3, 0), "conv8": (64, 3, 0)}
        hidden = features
        for name, (width, kernel_size, padding) in widths.items():
            conv = layers.Conv(
                width, kernel_size, padding=padding, dtype=self.dtype, name=name
            )
            out[name] = conv(hidden)
            hidden = nn.relu(pooling.max_pool(out[name]))
            norm = layers.BatchNorm(
                fraction=self.batch_norm_fraction,
                dtype=self.dtype,
                name=f"bn{name[-1]}",
            )
            hidden = norm(hidden, train=train)
        out["conv9"] = layers.Conv(128, 1, dtype=self.dtype, name="conv9")(hidden)
        hidden = nn.relu(pooling.max_pool(out["conv9"]))
        hidden = hidden.reshape(hidden.shape[0], -1)
        for name, width in (("fc1", 300), ("fc2", 300), ("fc3", self.num_classes)):
            hidden = layers.Dense(width, dtype=self.dtype, name=name)(hidden)
            out[name] = hidden
        return hidden.astype(jnp.float32), out


class AmtenNet(nn.Module):
    """The whole network: 2,023,050 parameters for two classes, 2,024,856 for eight.

    Attributes: see `ModelBase`.
    """

    num_classes: int
    dtype: layers.Dtype = jnp.float32
    batch_norm_fraction: float = 0.999

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Classifies pictures.

        Args:
          images: float `[batch, 128, 128, 3]`, BGR, 0–255 (`PREPROCESSING`).
          train: see `ModelBase`.

        Returns:
          Logits float32 `[batch, num_classes]` and all named outputs in network order.
        """
        features, traces = Amten(dtype=self.dtype, name="amten")(images)
        base = ModelBase(
            self.num_classes,
            dtype=self.dtype,
            batch_norm_fraction=self.batch_norm_fraction,
            name="base",
        )
        logits, out = base(features, train=train)
        return logits, {**traces, **out}
