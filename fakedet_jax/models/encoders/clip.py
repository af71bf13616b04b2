# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CLIP's image encoders, which learned to match pictures with their captions.

OpenAI's networks have QuickGELU. Most of those that OpenCLIP trained have GELU; their
files have the same names and shapes, so that the user says whose network it is.

References:
    Radford et al.: "Learning transferable visual models from natural language
    supervision", ICML 2021.
    Cherti et al.: "Reproducible scaling laws for contrastive language-image learning",
    CVPR 2023 (OpenCLIP).
"""

from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.encoders import layout, transformer
from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# The authors resize the short side and cut out the centre.
_MEAN = (122.7709383, 116.7460125, 104.09373615)
_STD = (68.5005327, 66.6321579, 70.32316305)
VIT_B32 = EncoderSize("CLIP ViT-B/32", 768, 12, 12, 32, 224, 512)
VIT_B16 = EncoderSize("CLIP ViT-B/16", 768, 12, 12, 16, 224, 512)
VIT_L14 = EncoderSize("CLIP ViT-L/14", 1024, 24, 16, 14, 224, 768)
VIT_L14_336 = EncoderSize("CLIP ViT-L/14@336px", 1024, 24, 16, 14, 336, 768)
VIT_H14 = EncoderSize("CLIP ViT-H/14", 1280, 32, 16, 14, 224, 1024)
VIT_G14 = EncoderSize("CLIP ViT-g/14", 1408, 40, 16, 14, 224, 1024, 0, 4.3637)
SIZES = (VIT_B32, VIT_B16, VIT_L14, VIT_L14_336, VIT_H14, VIT_G14)
# Of whole files, what belongs to the encoder of captions; and the projection, for those
# who take the class token before it.
UNUSED = (
    *("visual.proj", "visual_projection.weight"),
    *("transformer.*", "token_embedding.weight", "positional_embedding"),
    *("ln_final.*", "text_projection", "text_projection.*", "logit_scale"),
    *("logit_bias", "text.*", "text_model.*", "*.position_ids"),
    *("input_resolution", "context_length", "vocab_size"),
)
# Layers of a block in files of OpenAI and OpenCLIP.
_OPENAI = {
    "norm1": "ln_1",
    "qkv": "attn.in_proj_*",
    "attention": "attn.out_proj",
    "norm2": "ln_2",
    "fc1": "mlp.c_fc",
    "fc2": "mlp.c_proj",
}
# And in those of Hugging Face.
_HUGGING_FACE = {
    "norm1": "layer_norm1",
    "qkv": "self_attn.(q_proj,k_proj,v_proj)",
    "attention": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


class Clip(nn.Module):
    """A vision transformer with a class token, and a projection of it.

    With a size of no features the embedding is the normalised class token.

    Attributes:
        size: Width, depth and so on.
        activation: Non-linearity of the MLPs.
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken; see `transformer`. Of `patch_embedding`,
            "activation" is the tokens that enter the first block.
    """

    size: EncoderSize
    activation: transformer.Activation = transformer.quick_gelu
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
            The embedding, float32 `[batch, features]`, not of unit length. And the
            outputs of the layers and blocks by name, in network order; tokens are
            `[batch, 1 + patches, width]`, the class token first.

        Raises:
            RequestError: The pictures have another size.
        """
        size = self.size
        out = transformer.Outputs(self.site)
        tokens = embed(images, size, self.dtype, out)
        tokens = transformer.blocks(
            tokens, size, out,
            activation=self.activation, dtype=self.dtype, site=self.site,
        )  # fmt: skip
        norm = transformer.LayerNorm(dtype=self.dtype, name="norm_post")
        return project(norm(tokens[:, 0]), size, self.dtype, out), dict(out)


def embed(
    images: jax.Array,
    size: EncoderSize,
    dtype: channel_last.Dtype,
    out: transformer.Outputs,
) -> jax.Array:
    """The tokens that enter the first block, within the module of an encoder.

    Args:
        images: Float `[batch, side, side, 3]`.
        size: Of the encoder.
        dtype: Dtype of the computation and of the tokens.
        out: Where the output of the patch embedding goes.

    Returns:
        `[batch, 1 + patches, width]`, the class token first.

    Raises:
        RequestError: The pictures have another size.
    """
    transformer.check_images(images, size)
    patches = transformer.PatchEmbedding(
        size.width, size.patch, dtype=dtype, name="patch_embedding"
    )(images)
    first = transformer.Parameter((size.width,), name="class_token")()
    shape = (1 + size.grid**2, size.width)
    positions = transformer.Parameter(shape, name="positions")()
    tokens = transformer.with_prefix(patches, first) + positions.astype(dtype)
    tokens = transformer.LayerNorm(dtype=dtype, name="norm_pre")(tokens)
    out.keep("patch_embedding", patches, tokens)
    return tokens


def project(
    token: jax.Array,
    size: EncoderSize,
    dtype: channel_last.Dtype,
    out: transformer.Outputs,
) -> jax.Array:
    """The embedding of a token, within the module of an encoder.

    Args:
        token: `[batch, width]`.
        size: Of the encoder.
        dtype: Dtype of the computation.
        out: Where the output of the projection goes.

    Returns:
        float32 `[batch, features]`, or the token where the size has no features.
    """
    if size.features:
        projection = channel_last.Dense(
            size.features, use_bias=False, dtype=dtype, name="projection"
        )
        token = out["projection"] = projection(token)
    return token.astype(jnp.float32)


def openai_layers(size: EncoderSize) -> Iterator[Layer]:
    """All layers with parameters, as OpenAI's and OpenCLIP's files name them."""
    yield Layer("patch_embedding", "conv", "visual.conv1")
    yield Layer("class_token", "array", "visual.class_embedding")
    yield Layer("positions", "array", "visual.positional_embedding")
    yield Layer("norm_pre", "affine", "visual.ln_pre")
    yield from layout.blocks(size, "visual.transformer.resblocks", _OPENAI)
    yield Layer("norm_post", "affine", "visual.ln_post")
    if size.features:
        yield Layer("projection", "matrix", "visual.proj")


def hugging_face_layers(size: EncoderSize) -> Iterator[Layer]:
    """The same, as the files of Hugging Face name them."""
    model = "vision_model"
    yield Layer("patch_embedding", "conv", f"{model}.embeddings.patch_embedding")
    yield Layer("class_token", "array", f"{model}.embeddings.class_embedding")
    positions = f"{model}.embeddings.position_embedding.weight"
    yield Layer("positions", "array", positions)
    yield Layer("norm_pre", "affine", f"{model}.pre_layrnorm")
    yield from layout.blocks(size, f"{model}.encoder.layers", _HUGGING_FACE)
    yield Layer("norm_post", "affine", f"{model}.post_layernorm")
    if size.features:
        yield Layer("projection", "dense", "visual_projection")


def backbone(
    name: str,
    size: EncoderSize,
    activation: transformer.Activation = transformer.quick_gelu,
) -> Backbone:
    """An encoder with its preprocessing and the layouts of its files.

    Args:
        name: Value of the setting `backbone` that selects it.
        size: Its size.
        activation: Non-linearity of the MLPs.
    """
    return Backbone(
        name=name,
        build=lambda dtype, site: Clip(size, activation, dtype=dtype, site=site),
        preprocessing=Preprocessing(Framing.square(size.side), mean=_MEAN, std=_STD),
        layers=tuple(openai_layers(size)),
        layouts=(tuple(hugging_face_layers(size)),),
        embedding=f"the projected class token, {size.features} features, not of unit "
        "length",
        unused=UNUSED,
        size=size,
        sizes=SIZES,
    )


BACKBONES = (
    backbone("clip_vit_b16", VIT_B16),
    backbone("clip_vit_l14", VIT_L14),
    backbone("openclip_vit_b16", VIT_B16, transformer.gelu),
    backbone("openclip_vit_l14", VIT_L14, transformer.gelu),
)
