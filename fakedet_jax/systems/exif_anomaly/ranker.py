# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks that embed faces and rank them by the camera settings of their photographs.

A body turns a face into 768 numbers, and five linear heads read from these how large
ISO, aperture, exposure time and focal length are among others, and whether the face was
manipulated. (Zou, Yu, Zhan, Ma: "Self-supervised learning for detecting AI-generated
faces as anomalies", ICASSP 2025.) The published body is a ResNet-50; `small` is ours,
for pictures of 128 × 128 pixels and for CPUs.
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, pretrained, resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime.registry import Registry

Outputs = dict[str, jax.Array]

NUM_FEATURES = 768
NUM_HEADS = 5

# Of the pooled features of the small body, in training.
_DROPOUT = 0.2


class FaceRanker(nn.Module):
    """A body and five heads: 25,085,509 parameters with a ResNet-50.

    Attributes:
        build_body: From a dtype and a name to a module
            `(images, train) → (embedding, outputs)`.
        dtype: Of the computation.
    """

    build_body: Callable[..., nn.Module]
    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Embeds and ranks faces.

        Args:
            images: Float `[batch, height, width, 3]`, preprocessed.
            train: Whether batch normalisation uses, and learns from, this batch.

        Returns:
            float32 `[batch, 5]`: a score for each of `data.exif.TAGS` whose order tells
            that of the settings, and the logit of having been manipulated; and the
            outputs of the body, then `embedding` float32 `[batch, 768]` and `heads`.
        """
        body = self.build_body(dtype=self.dtype, name="body")
        embedding, out = body(images, train=train)
        heads = channel_last.Dense(
            NUM_HEADS, kernel_init=resnet.DENSE_INIT, name="heads"
        )(embedding)
        return heads, {**out, "embedding": embedding, "heads": heads}


class SmallBody(nn.Module):
    """A small residual network: 1,754,496 parameters.

    The pictures are joined by what a blur takes from them, which is where noise and
    interpolation show. Squares of 2 × 2 pixels become one place: a colour filter array
    repeats itself as often, and two CPU cores train it 2.5 times as fast. Means over
    the picture tell what is everywhere, such as noise, and maxima what is somewhere;
    a few features of every place tell what is where, such as a mouth upside down.
    """

    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Outputs]:
        """Embeds pictures of 128 × 128 pixels; see `FaceRanker`."""
        out: Outputs = {}

        def conv_norm(
            planes: jax.Array, name: str, features: int, size: int = 3, stride: int = 1
        ) -> jax.Array:
            out[name] = channel_last.Conv(
                features,
                size,
                stride=stride,
                padding=size // 2,
                dtype=self.dtype,
                kernel_init=resnet.CONV_INIT,
                name=name,
            )(planes)
            norm = channel_last.BatchNorm(dtype=self.dtype, name=f"{name}_bn")
            return norm(out[name], train=train)

        hidden = _fold(jnp.concatenate([images, 8 * _residual(images)], -1))
        hidden = nn.relu(conv_norm(hidden, "conv1", 32))
        hidden = nn.relu(conv_norm(hidden, "conv2", 48, stride=2))
        for name, features in (("block1", 96), ("block2", 192)):
            changed = nn.relu(conv_norm(hidden, f"{name}_conv1", features, stride=2))
            changed = conv_norm(changed, f"{name}_conv2", features)
            shortcut = conv_norm(hidden, f"{name}_shortcut", features, 1, stride=2)
            hidden = nn.relu(changed + shortcut)
        places = nn.relu(conv_norm(hidden, "places", 16, 1)).astype(jnp.float32)
        hidden = hidden.astype(jnp.float32)
        pooled = jnp.concatenate(
            [
                hidden.mean((1, 2)),
                hidden.max((1, 2)),
                places.reshape(len(places), -1),
            ],
            -1,
        )
        pooled = nn.Dropout(_DROPOUT, deterministic=not train)(pooled)
        out["fc"] = channel_last.Dense(NUM_FEATURES, dtype=self.dtype, name="fc")(
            pooled
        )
        # Without it the manipulated head may call all faces the same from the start,
        # and the fidelity loss, flat where it is wrong, never lets go.
        norm = channel_last.BatchNorm(name="fc_bn")
        return norm(out["fc"].astype(jnp.float32), train=train), out


@dataclasses.dataclass(frozen=True)
class Embedder:
    """A `FaceRanker` by name.

    Attributes:
        name: As the setting `embedder` names it.
        build: From a dtype to the network.
        preprocessing: Of its input.
        pretrained: The network whose published weights its body can start from.
    """

    name: str
    build: Callable[[channel_last.Dtype], nn.Module]
    preprocessing: Preprocessing
    pretrained: Backbone | None = None


_EMBEDDERS = Registry[Embedder]("embedder")

names = _EMBEDDERS.names
create = _EMBEDDERS.__getitem__
register = _EMBEDDERS.add
unregister = _EMBEDDERS.unregister


def _resnet50(dtype: channel_last.Dtype, name: str) -> nn.Module:
    return resnet.ResNet(50, NUM_FEATURES, dtype, name=name)


def _fold(planes: jax.Array) -> jax.Array:
    """Squares of 2 × 2 pixels as one: `[b, h, w, c]` → `[b, h / 2, w / 2, 4 c]`."""
    batch, height, width, features = planes.shape
    shape = (batch, height // 2, 2, width // 2, 2, features)
    folded = planes.reshape(shape).transpose(0, 1, 3, 2, 4, 5)
    return folded.reshape(batch, height // 2, width // 2, 4 * features)


def _residual(images: jax.Array) -> jax.Array:
    """What a binomial blur of 3 × 3 pixels takes from pictures, of the same shape."""
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    blurred = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16
    return images - blurred


# The first one is the default.
register(
    Embedder(
        name="resnet50",
        build=lambda dtype: FaceRanker(_resnet50, dtype),
        # Mean and deviation of CLIP, as the authors normalise.
        preprocessing=Preprocessing(
            Framing.square(224),
            mean=tuple(255 * m for m in (0.48145466, 0.4578275, 0.40821073)),  # type: ignore[arg-type]
            std=tuple(255 * s for s in (0.26862954, 0.26130258, 0.27577711)),  # type: ignore[arg-type]
        ),
        pretrained=pretrained.RESNET50,
    )
)
register(
    Embedder(
        name="small",
        build=lambda dtype: FaceRanker(SmallBody, dtype),
        preprocessing=Preprocessing(
            Framing.square(128), mean=(127.5,) * 3, std=(127.5,) * 3
        ),
    )
)
