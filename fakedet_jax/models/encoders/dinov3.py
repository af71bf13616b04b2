# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""DINOv3's image encoders, whose attention turns with the positions of patches.

References:
    Siméoni et al.: "DINOv3", 2025, arXiv 2508.10104.
"""

import math
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.encoders import dinov2, layout, positions, transformer
from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

SIZES = (
    EncoderSize("DINOv3 ViT-S/16", 384, 12, 6, 16, 224, num_registers=4),
    VIT_B16 := EncoderSize("DINOv3 ViT-B/16", 768, 12, 12, 16, 224, num_registers=4),
    VIT_L16 := EncoderSize("DINOv3 ViT-L/16", 1024, 24, 16, 16, 224, num_registers=4),
    EncoderSize("DINOv3 ViT-H+/16", 1280, 32, 20, 16, 224, num_registers=4),
    EncoderSize("DINOv3 ViT-7B/16", 4096, 40, 32, 16, 224, num_registers=4),
)
_EPSILON = 1e-5
# Base of the wavelengths, in halves of the picture's side.
_BASE = 100.0
# Layers of a block in files of Hugging Face.
_HUGGING_FACE = {
    "norm1": "norm1",
    "qkv": "attention.(q_proj,k_proj?,v_proj)",
    "attention": "attention.o_proj",
    "scale1": "layer_scale1.lambda1",
    "norm2": "norm2",
    "fc1": "mlp.up_proj",
    "fc2": "mlp.down_proj",
    "scale2": "layer_scale2.lambda1",
}


class Dinov3(nn.Module):
    """A vision transformer with layer scales and registers, and no learned positions.

    Attributes:
        size: Width, depth and so on.
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken; see `transformer`. Of `patch_embedding`,
            "activation" is the tokens that enter the first block.
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
            images: Float `[batch, side, side, 3]`, RGB, normalised (`backbone`).
            train: Not used; no layer behaves differently in training.

        Returns:
            The embedding, float32 `[batch, width]`, the normalised class token. And the
            outputs of the layers and blocks by name, in network order; tokens are
            `[batch, 1 + registers + patches, width]`, the class token first.

        Raises:
            RequestError: The pictures have another size.
        """
        size = self.size
        transformer.check_images(images, size)
        out = transformer.Outputs(self.site)
        patches = transformer.PatchEmbedding(
            size.width, size.patch, use_bias=True, dtype=self.dtype,
            name="patch_embedding",
        )(images)  # fmt: skip
        first = transformer.Parameter((size.width,), name="class_token")()
        count = (size.num_registers, size.width)
        registers = transformer.Parameter(count, name="registers")()
        tokens = transformer.with_prefix(patches, first, registers)
        out.keep("patch_embedding", patches, tokens)
        rotate = positions.rotation(
            angles(size), 1 + size.num_registers, interleaved=False
        )
        tokens = transformer.blocks(
            tokens, size, out, rotate,
            activation=transformer.gelu, epsilon=_EPSILON, layer_scale=True,
            dtype=self.dtype, site=self.site,
        )  # fmt: skip
        norm = transformer.LayerNorm(_EPSILON, jnp.float32, name="norm_post")
        return norm(tokens[:, 0]), dict(out)


def angles(size: EncoderSize) -> np.ndarray:
    """By how much the pairs of features of a head are turned at each patch.

    Args:
        size: Of the encoder.

    Returns:
        float64 `[patches, features / 2]`, radians: first for the rows, then for the
        columns, of which the centres are from −1 to 1.
    """
    num_waves = size.width // size.num_heads // 4
    waves = _BASE ** (-np.arange(num_waves) / num_waves)
    centres = 2 * (np.arange(size.grid) + 0.5) / size.grid - 1
    rows, columns = np.meshgrid(centres, centres, indexing="ij")
    places = np.stack([rows.ravel(), columns.ravel()], 1)
    found: np.ndarray = 2 * math.pi * places[:, :, None] * waves
    return found.reshape(len(places), -1)


def facebook_layers(size: EncoderSize) -> Iterator[Layer]:
    """All layers with parameters, as the files of the authors name them."""
    yield Layer("patch_embedding", "conv", "patch_embed.proj", bias=True)
    yield Layer("class_token", "array", "cls_token")
    yield Layer("registers", "array", "storage_tokens")
    yield from dinov2.facebook_blocks(size)


def hugging_face_layers(size: EncoderSize) -> Iterator[Layer]:
    """The same, as the files of Hugging Face name them; keys have no bias."""
    before = "embeddings"
    yield Layer("patch_embedding", "conv", f"{before}.patch_embeddings", bias=True)
    yield Layer("class_token", "array", f"{before}.cls_token")
    yield Layer("registers", "array", f"{before}.register_tokens")
    yield from layout.blocks(size, "layer", _HUGGING_FACE)
    yield Layer("norm_post", "affine", "norm")


def backbone(name: str, size: EncoderSize) -> Backbone:
    """An encoder with its preprocessing and the layouts of its files.

    Args:
        name: Value of the setting `backbone` that selects it.
        size: Its size.
    """
    return Backbone(
        name=name,
        build=lambda dtype, site: Dinov3(size, dtype=dtype, site=site),
        preprocessing=Preprocessing(
            Framing.square(size.side), mean=dinov2.MEAN, std=dinov2.STD
        ),
        layers=tuple(facebook_layers(size)),
        layouts=(tuple(hugging_face_layers(size)),),
        embedding=f"the normalised class token, {size.width} features, not of unit "
        "length",
        # The token of patches that training hides; what follows from the size; and the
        # normalisation of small crops in training.
        unused=(
            *("mask_token", "embeddings.mask_token"),
            *("rope_embed.periods", "local_cls_norm.*"),
        ),
        size=size,
        sizes=SIZES,
    )


BACKBONES = (
    backbone("dinov3_vit_b16", VIT_B16),
    backbone("dinov3_vit_l16", VIT_L16),
)
