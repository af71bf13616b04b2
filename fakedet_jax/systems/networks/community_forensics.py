# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Community Forensics: a small vision transformer with one output.

The authors trained it on pictures of thousands of generators, for inputs of 384 and of
224 pixels; pictures are resized to 440 or 256 before. The recipe is that of their code
without its warm-up, the clipping of gradients and the random augmentations, which
`perturb` can replace in part; training starts from scratch here.

References:
    Park, Owens: "Community Forensics: using thousands of generators to train fake image
    detectors", CVPR 2025 (arXiv 2411.04125).
    Dosovitskiy et al.: "An image is worth 16×16 words: transformers for image
    recognition at scale", ICLR 2021.
"""

import functools
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, evidence, pretrained, resnet
from fakedet_jax.models.encoders import layout, transformer
from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.networks.options import CommunityForensicsOptions
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training.recipe import Recipe

_EPSILON = 1e-6
_NAME = "Community Forensics ViT-S/16 of {} pixels"
# By the side of the input; and the side to which pictures are resized before.
SIZES = {
    side: EncoderSize(_NAME.format(side), 384, 12, 6, 16, side) for side in (384, 224)
}
_RESIZED = {384: 440, 224: 256}
# Layers of a block in files of timm.
_TIMM = {
    "norm1": "norm1",
    "qkv": "attn.qkv",
    "attention": "attn.proj",
    "norm2": "norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


class CommunityForensics(nn.Module):
    """A vision transformer: 21,811,969 parameters for two classes and 384 pixels.

    Attributes:
        size: Width, depth and so on.
        num_classes: Number of logits.
        dtype: Dtype of the computation; the logits are float32.
    """

    size: EncoderSize
    num_classes: int = 2
    dtype: channel_last.Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Classifies pictures.

        Args:
            images: Float `[batch, side, side, 3]`, RGB, standardised.
            train: Not used; no layer behaves differently in training.

        Returns:
            The logits, float32 `[batch, num_classes]`, and the outputs of layers and
            blocks by name, in network order; see `transformer`.

        Raises:
            RequestError: The pictures have another size.
        """
        size = self.size
        transformer.check_images(images, size)
        out = transformer.Outputs("layer")
        patches = transformer.PatchEmbedding(
            size.width, size.patch, True, self.dtype, name="patch_embedding"
        )(images)
        first = transformer.Parameter((size.width,), name="class_token")()
        shape = (1 + size.grid**2, size.width)
        positions = transformer.Parameter(shape, name="positions")()
        tokens = transformer.with_prefix(patches, first) + positions.astype(self.dtype)
        out.keep("patch_embedding", patches, tokens)
        tokens = transformer.blocks(
            tokens, size, out,
            activation=transformer.gelu, epsilon=_EPSILON, dtype=self.dtype,
        )  # fmt: skip
        norm = transformer.LayerNorm(_EPSILON, name="norm_post")
        found = resnet.linear(
            norm(tokens[:, 0]), evidence.num_outputs(self.num_classes), "fc"
        )
        out["fc"] = found
        return evidence.to_logits(found), dict(out)


def layers(size: EncoderSize) -> Iterator[Layer]:
    """All layers with parameters, as timm names them.

    Args:
        size: Of the network.
    """
    yield Layer("patch_embedding", "conv", "patch_embed.proj", bias=True)
    yield Layer("class_token", "array", "cls_token")
    yield Layer("positions", "array", "pos_embed")
    yield from layout.blocks(size, "blocks", _TIMM)
    yield Layer("norm_post", "affine", "norm")
    yield Layer("fc", "dense", "head", bias=True)


def detector(size: EncoderSize, central_share: float) -> NetworkDetector:
    """The detector of a size.

    Args:
        size: The size.
        central_share: See `Framing`.
    """
    standard = pretrained.RESNET50.preprocessing
    return NetworkDetector(
        name="community_forensics",
        build=functools.partial(CommunityForensics, size),
        preprocessing=Preprocessing(
            Framing(size.side, size.side, central_share),
            False,
            standard.mean,
            standard.std,
        ),
        recipe=Recipe(
            optimizer="adam",
            learning_rate=2e-5,
            schedule="cosine",
            weight_decay=1e-2,
            batch_size=32,
            num_epochs=20,
        ),
        published=Published(
            tuple(layers(size)), size=size, sizes=tuple(SIZES.values())
        ),
        Options=CommunityForensicsOptions,
        architecture={"input_side": size.side},
    )


def create(options: CommunityForensicsOptions | None = None) -> NetworkDetector:
    """The detector for one of the two sizes of inputs.

    Args:
        options: Name the size; None for the larger one, with which the authors find
            more fakes.
    """
    side = (options and options.input_side) or max(SIZES)
    return detector(SIZES[side], side / _RESIZED[side])
