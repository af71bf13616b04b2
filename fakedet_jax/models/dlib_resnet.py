# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""dlib's network for face recognition: a residual network with 29 convolutions.

It differs from ResNet-34 in its geometry: nothing is padded before a convolution with a
step of two, a shortcut averages 2 × 2 pixels instead of convolving, and where the two
parts of a sum differ in height, width or features, the smaller one continues with
zeros. Affine layers stand in the place of batch normalisation.

References:
    He, Zhang, Ren, Sun: "Deep residual learning for image recognition", CVPR 2016.
    King: "Dlib-ml: a machine learning toolkit", JMLR 2009. Geometry and preprocessing
    are those that the file of the network states.
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The file says to subtract this from red, green and blue; dlib divides by 256. dlib
# cuts faces so that the eyes are a third of the side apart. In crops of 1.3 × the box,
# as datasets of forgeries have them, they are a quarter apart; cutting out the centre
# to undo this is a choice of this toolkit.
PREPROCESSING = Preprocessing(
    Framing(150, 150, central_share=1 / 1.3),
    mean=(122.782, 117.001, 104.298),
    std=(256.0, 256.0, 256.0),
)
# Features of the blocks from the input on, and whether they halve the planes.
BLOCKS = (
    *((32, False),) * 3,
    (64, True),
    *((64, False),) * 3,
    (128, True),
    *((128, False),) * 2,
    (256, True),
    *((256, False),) * 2,
    (256, True),
)
EMBEDDING_SIZE = 128


class DlibResNet29(nn.Module):
    """A 7×7 convolution, 14 blocks of two 3×3 ones, and a fully-connected layer.

    Attributes:
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken. "layer": the output of the convolution,
            with its bias. "activation": after the affine layer and ReLU; for the second
            convolution of a block this is the output of the block, after the residual
            addition and its ReLU. `fc` is the embedding at both sites.
    """

    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds faces.

        Args:
            images: Float `[batch, 150, 150, 3]`, RGB, about −0.5 to 0.6
                (`PREPROCESSING`); other sizes work too.
            train: Unused; no layer depends on it.

        Returns:
            The embedding, float32 `[batch, 128]`, not of unit length. And the outputs
            of the 29 convolutions and of `fc` by name, in network order.
        """
        del train
        out: dict[str, jax.Array] = {}

        def convolve(
            planes: jax.Array, features: int, kernel_size: int, stride: int, pad: int
        ) -> tuple[str, jax.Array]:
            number = len(out) + 1
            conv = channel_last.Conv(
                features,
                kernel_size,
                stride,
                pad,
                use_bias=True,
                dtype=self.dtype,
                name=f"con{number}",
            )
            affine = channel_last.Affine(dtype=self.dtype, name=f"affine{number}")
            convolved = conv(planes)
            changed = affine(convolved)
            out[f"con{number}"] = {"layer": convolved, "activation": nn.relu(changed)}[
                self.site
            ]
            return f"con{number}", changed

        def block(planes: jax.Array, features: int, halved: bool) -> jax.Array:
            stride, pad = (2, 0) if halved else (1, 1)
            _, hidden = convolve(planes, features, 3, stride, pad)
            name, hidden = convolve(nn.relu(hidden), features, 3, 1, 1)
            if halved:
                planes = nn.avg_pool(planes, (2, 2), (2, 2))
            hidden = nn.relu(_add(hidden, planes))
            if self.site == "activation":
                out[name] = hidden
            return hidden

        _, hidden = convolve(images.astype(self.dtype), 32, 7, 2, 0)
        hidden = channel_last.max_pool(nn.relu(hidden), 3, 2)
        for features, halved in BLOCKS:
            hidden = block(hidden, features, halved)
        pooled = hidden.mean((1, 2), dtype=jnp.float32)
        dense = channel_last.Dense(
            EMBEDDING_SIZE, use_bias=False, dtype=self.dtype, name="fc"
        )
        embedding = dense(pooled).astype(jnp.float32)
        out["fc"] = embedding
        return embedding, out


def _add(first: jax.Array, second: jax.Array) -> jax.Array:
    """Adds feature maps, of which the smaller continue with zeros."""
    shape = [max(sizes) for sizes in zip(first.shape, second.shape, strict=True)]

    def extended(planes: jax.Array) -> jax.Array:
        margins = [(0, s - p) for s, p in zip(shape, planes.shape, strict=True)]
        return jnp.pad(planes, margins)

    return extended(first) + extended(second)


def _layers() -> Iterator[Layer]:
    """All layers with parameters, in network order."""
    for number in range(1, 2 * len(BLOCKS) + 2):
        yield Layer(f"con{number}", "conv", f"con{number}", bias=True)
        yield Layer(f"affine{number}", "affine", f"affine{number}")
    yield Layer("fc", "dense", "fc")


LAYERS = tuple(_layers())
