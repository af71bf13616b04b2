# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Perception Encoder, which learned from captions of pictures and videos.

Queries and keys turn with the rows and columns of patches, besides learned positions.
An attention whose query is learned pools the tokens.

References:
    Bolya et al.: "Perception Encoder: the best visual embeddings are not at the output
    of the network", 2025, arXiv 2504.13181.
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.encoders import clip, positions, transformer
from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

SIZES = (
    EncoderSize("PE-Core-B/16", 768, 12, 12, 16, 224, 1024),
    CORE_L14 := EncoderSize("PE-Core-L/14", 1024, 24, 16, 14, 336, 1024),
)
# Heads of the attention that pools.
_POOL_HEADS = 8
# Base of the wavelengths, in patches.
_BASE = 10_000.0


class PerceptionEncoder(nn.Module):
    """A vision transformer with a class token, attention pooling and a projection.

    With a size of no features the embedding is the pool of all tokens.

    Attributes:
        size: Width, depth and so on.
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken; see `transformer`. Of `patch_embedding`,
            "activation" is the tokens that enter the first block. Of `pool/qkv`,
            "layer" is keys and values, `[batch, tokens, 2 × width]`: the query is the
            same for all pictures.
    """

    size: EncoderSize
    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Embeds pictures.

        Args:
            images: Float `[batch, side, side, 3]`, RGB, −1 to 1 (`backbone`).
            train: Not used; no layer behaves differently in training.

        Returns:
            The embedding, float32 `[batch, features]`, not of unit length. And the
            outputs of the layers and blocks by name, in network order; tokens are
            `[batch, 1 + patches, width]`, the class token first, and one behind the
            pooling.

        Raises:
            RequestError: The pictures have another size.
        """
        size = self.size
        out = transformer.Outputs(self.site)
        tokens = clip.embed(images, size, self.dtype, out)
        rotate = positions.rotation(angles(size), 1, interleaved=True)
        tokens = transformer.blocks(
            tokens, size, out, rotate,
            activation=transformer.gelu, dtype=self.dtype, site=self.site,
        )  # fmt: skip
        norm = transformer.LayerNorm(dtype=self.dtype, name="norm_post")
        pool = AttentionPool(
            _POOL_HEADS, size.mlp_width, dtype=self.dtype, site=self.site, name="pool"
        )
        pooled, found = pool(norm(tokens))
        out.update({f"pool/{name}": values for name, values in found.items()})
        return clip.project(pooled[:, 0], size, self.dtype, out), dict(out)


class AttentionPool(nn.Module):
    """One token as a mean of all, weighted by their similarity to a learned query.

    An MLP follows, as in a block.

    Attributes:
        num_heads: Heads of the attention.
        mlp_width: Features between the two layers of the MLP.
        dtype: Dtype of the computation and of the tokens.
        site: Where layer outputs are taken.
    """

    num_heads: int
    mlp_width: int
    dtype: channel_last.Dtype = jnp.float32
    site: str = "layer"

    @nn.compact
    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, transformer.Outputs]:
        """Maps `[batch, tokens, width]` to `[batch, 1, width]`, and layers' outputs."""
        out = transformer.Outputs(self.site)
        width = tokens.shape[-1]
        probe = transformer.Parameter((width,), name="probe")().astype(self.dtype)
        asking = jnp.broadcast_to(probe, (tokens.shape[0], 1, width))
        qkv = transformer.QueriesKeysValues(
            self.num_heads, dtype=self.dtype, name="qkv"
        )(tokens, asking)
        mixed = transformer.attend(*qkv)
        out.keep("qkv", transformer.joined(*qkv[1:]), transformer.joined(mixed))
        pooled = transformer.FromHeads(width, dtype=self.dtype, name="attention")(mixed)
        out.keep("attention", pooled, pooled)
        norm = transformer.LayerNorm(dtype=self.dtype, name="norm")
        hidden = self._dense("fc1", self.mlp_width)(norm(pooled))
        activation = transformer.gelu(hidden)
        out.keep("fc1", hidden, activation)
        change = self._dense("fc2", width)(activation)
        out.keep("fc2", change, change)
        return pooled + change, out

    def _dense(self, name: str, features: int) -> channel_last.Dense:
        return channel_last.Dense(features, dtype=self.dtype, name=name)


def angles(size: EncoderSize) -> np.ndarray:
    """By how much the pairs of features of a head are turned at each patch.

    Args:
        size: Of the encoder.

    Returns:
        float64 `[patches, features / 2]`, radians: first for the columns, then for the
        rows, both counted from 1.
    """
    num_waves = size.width // size.num_heads // 4
    waves = _BASE ** (-np.arange(num_waves) / num_waves)
    rows, columns = np.indices((size.grid, size.grid)) + 1.0
    places = np.stack([columns.ravel(), rows.ravel()], 1)
    found: np.ndarray = places[:, :, None] * waves
    return found.reshape(len(places), -1)


def layers(size: EncoderSize) -> Iterator[Layer]:
    """All layers with parameters, as the files of the authors name them."""
    *before, projection = clip.openai_layers(size)
    yield from before
    torch = "visual.attn_pool"
    yield Layer("pool/probe", "array", f"{torch}.probe")
    yield Layer("pool/qkv", "dense", f"{torch}.attn.in_proj_*", bias=True)
    yield Layer("pool/attention", "dense", f"{torch}.attn.out_proj", bias=True)
    yield Layer("pool/norm", "affine", f"{torch}.layernorm")
    yield Layer("pool/fc1", "dense", f"{torch}.mlp.c_fc", bias=True)
    yield Layer("pool/fc2", "dense", f"{torch}.mlp.c_proj", bias=True)
    yield projection


def backbone(name: str, size: EncoderSize) -> Backbone:
    """An encoder with its preprocessing and the layout of its files.

    Args:
        name: Value of the setting `backbone` that selects it.
        size: Its size.
    """
    half = (127.5, 127.5, 127.5)
    return Backbone(
        name=name,
        build=lambda dtype, site: PerceptionEncoder(size, dtype=dtype, site=site),
        # The authors squeeze pictures into a square; here the centre is cut out.
        preprocessing=Preprocessing(Framing.square(size.side), mean=half, std=half),
        layers=tuple(layers(size)),
        embedding=f"the projected pool of all tokens, {size.features} features, not of "
        "unit length",
        unused=clip.UNUSED,
        size=size,
        sizes=SIZES,
    )


BACKBONES = (backbone("pe_core_l14", CORE_L14),)
