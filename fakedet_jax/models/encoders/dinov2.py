# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""DINOv2's image encoders, which learned from pictures alone.

Their positions were learned for pictures of 518 pixels, and are interpolated for others
as the authors do: by bicubic interpolation whose scale is off by a tenth of a patch,
or, for networks with registers, with antialiasing. (Transformers leaves the tenth out,
so that its features of pictures of 224 pixels differ a little.)

References:
    Oquab et al.: "DINOv2: learning robust visual features without supervision", TMLR
    2024.
    Darcet, Oquab, Mairal, Bojanowski: "Vision transformers need registers", ICLR 2024.
"""

import dataclasses
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.encoders import layout, positions, transformer
from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer
from fakedet_jax.models.preprocessing import Preprocessing

# Those of ImageNet. The authors resize the short side to 256 and cut out the centre.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_CENTRAL_SHARE = 224 / 256

_PLAIN = (
    EncoderSize("DINOv2 ViT-S/14", 384, 12, 6, 14, 518, input_side=224),
    VIT_B14 := EncoderSize("DINOv2 ViT-B/14", 768, 12, 12, 14, 518, input_side=224),
    VIT_L14 := EncoderSize("DINOv2 ViT-L/14", 1024, 24, 16, 14, 518, input_side=224),
    EncoderSize("DINOv2 ViT-g/14", 1536, 40, 24, 14, 518, input_side=224),
)


def with_registers(size: EncoderSize) -> EncoderSize:
    """The network of this size that has four registers."""
    name = f"{size.name} with registers"
    return dataclasses.replace(size, name=name, num_registers=4)


SIZES = (*_PLAIN, *map(with_registers, _PLAIN))
EPSILON = 1e-6
# Layers of a block in files of the authors.
_FACEBOOK = {
    "norm1": "norm1",
    "qkv": "attn.qkv",
    "attention": "attn.proj",
    "scale1": "ls1.gamma",
    "norm2": "norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "scale2": "ls2.gamma",
}
# And in those of Hugging Face.
_HUGGING_FACE = {
    "norm1": "norm1",
    "qkv": "attention.attention.(query,key,value)",
    "attention": "attention.output.dense",
    "scale1": "layer_scale1.lambda1",
    "norm2": "norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "scale2": "layer_scale2.lambda1",
}


class Dinov2(nn.Module):
    """A vision transformer with layer scales, and registers if it has some.

    Attributes:
        size: Width, depth and so on.
        offset: See `positions.interpolated`.
        antialias: See `positions.interpolated`.
        dtype: Dtype of the computation; the embedding is float32.
        site: Where layer outputs are taken; see `transformer`. Of `patch_embedding`,
            "activation" is the tokens that enter the first block.
    """

    size: EncoderSize
    offset: float = 0.1
    antialias: bool = False
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
        shape = (1 + size.grid**2, size.width)
        learned = transformer.Parameter(shape, name="positions")()
        rows = size.input_grid
        places = positions.interpolated(
            learned[1:], (rows, rows), offset=self.offset, antialias=self.antialias
        )
        prefix = [first + learned[0]]
        if size.num_registers:
            count = (size.num_registers, size.width)
            prefix.append(transformer.Parameter(count, name="registers")())
        tokens = transformer.with_prefix(patches + places.astype(self.dtype), *prefix)
        out.keep("patch_embedding", patches, tokens)
        tokens = transformer.blocks(
            tokens, size, out,
            activation=transformer.gelu, epsilon=EPSILON, layer_scale=True,
            dtype=self.dtype, site=self.site,
        )  # fmt: skip
        norm = transformer.LayerNorm(EPSILON, jnp.float32, name="norm_post")
        return norm(tokens[:, 0]), dict(out)


def facebook_layers(size: EncoderSize) -> Iterator[Layer]:
    """All layers with parameters, as the files of the authors name them."""
    yield Layer("patch_embedding", "conv", "patch_embed.proj", bias=True)
    yield Layer("class_token", "array", "cls_token")
    yield Layer("positions", "array", "pos_embed")
    if size.num_registers:
        yield Layer("registers", "array", "register_tokens")
    yield from facebook_blocks(size)


def facebook_blocks(size: EncoderSize) -> Iterator[Layer]:
    """The blocks and the last normalisation of DINOv2 and DINOv3."""
    yield from layout.blocks(size, "blocks", _FACEBOOK)
    yield Layer("norm_post", "affine", "norm")


def hugging_face_layers(size: EncoderSize) -> Iterator[Layer]:
    """The same, as the files of Hugging Face name them."""
    before = "embeddings"
    projection = f"{before}.patch_embeddings.projection"
    yield Layer("patch_embedding", "conv", projection, bias=True)
    yield Layer("class_token", "array", f"{before}.cls_token")
    yield Layer("positions", "array", f"{before}.position_embeddings")
    if size.num_registers:
        yield Layer("registers", "array", f"{before}.register_tokens")
    yield from layout.blocks(size, "encoder.layer", _HUGGING_FACE)
    yield Layer("norm_post", "affine", "layernorm")


def backbone(name: str, size: EncoderSize) -> Backbone:
    """An encoder with its preprocessing and the layouts of its files.

    Args:
        name: Value of the setting `backbone` that selects it.
        size: Its size.
    """
    has_registers = size.num_registers > 0
    framing = Framing(size.input_side, size.input_side, _CENTRAL_SHARE)
    return Backbone(
        name=name,
        build=lambda dtype, site: Dinov2(
            size,
            offset=0.0 if has_registers else 0.1,
            antialias=has_registers,
            dtype=dtype,
            site=site,
        ),
        preprocessing=Preprocessing(framing, mean=MEAN, std=STD),
        layers=tuple(facebook_layers(size)),
        layouts=(tuple(hugging_face_layers(size)),),
        embedding=f"the normalised class token, {size.width} features, not of unit "
        "length",
        # The token of patches that training hides.
        unused=("mask_token", "embeddings.mask_token"),
        size=size,
        sizes=SIZES,
    )


BACKBONES = (
    backbone("dinov2_vit_b14", VIT_B14),
    backbone("dinov2_vit_b14_reg", with_registers(VIT_B14)),
    backbone("dinov2_vit_l14", VIT_L14),
    backbone("dinov2_vit_l14_reg", with_registers(VIT_L14)),
)
