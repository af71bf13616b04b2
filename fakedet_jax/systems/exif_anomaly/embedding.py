# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What turns faces into the rows of a mixture: a trained ranker, or a recogniser."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fakedet_jax.evaluation.scoring import PictureFn
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import platforms
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions
from fakedet_jax.workdir import Workdir

# The published one.
DEFAULT = face_ranker.names()[0]


@dataclasses.dataclass(frozen=True)
class Embedding:
    """A network that embeds faces.

    Attributes:
        settings: Names it, for `config.json`: `embedder`, `backbone` and `dtype`.
        framing: Of its input.
        num_features: Length of the embedding.
        embed: Pure, from variables and uint8 `[batch, height, width, 3]` to float32
            `[batch, num_features]`.
        rank: Likewise to the heads of a `FaceRanker`, `[batch, 5]`; None where there
            are none.
        abstract: Shapes of the variables.
    """

    settings: Mapping[str, str | None]
    framing: Framing
    num_features: int
    embed: PictureFn
    rank: PictureFn | None
    abstract: Any


def create(settings: Mapping[str, Any]) -> Embedding:
    """Makes the embedding that settings name.

    Args:
        settings: `backbone`, or without one `embedder`; and `dtype`. All else in it is
            left to others.

    Raises:
        RequestError: There is none such.
    """
    dtype = settings.get("dtype") or "float32"
    if settings.get("backbone"):
        backbone = backbones.create(settings["backbone"])
        network = backbone.build(DTYPES[dtype], "layer")
        preprocessing = backbone.preprocessing
    else:
        embedder = face_ranker.create(settings.get("embedder") or DEFAULT)
        network = embedder.build(DTYPES[dtype])
        preprocessing = embedder.preprocessing
    is_ranker = not settings.get("backbone")

    def apply(variables: Any, images: jax.Array) -> Any:
        return network.apply(variables, preprocessing(images), train=False)

    def embed(variables: Any, images: jax.Array) -> jax.Array:
        first, out = apply(variables, images)
        return (out["embedding"] if is_ranker else first).astype(jnp.float32)

    def rank(variables: Any, images: jax.Array) -> jax.Array:
        heads, _ = apply(variables, images)
        return heads

    pictures = jax.ShapeDtypeStruct((1, *preprocessing.framing.shape), jnp.uint8)
    abstract = platforms.eval_shape(
        lambda images: network.init(jax.random.key(0), preprocessing(images)), pictures
    )
    shape = platforms.eval_shape(embed, abstract, pictures).shape
    return Embedding(
        settings={
            "embedder": embedder.name if is_ranker else None,
            "backbone": settings.get("backbone"),
            "dtype": dtype,
        },
        framing=preprocessing.framing,
        num_features=shape[1],
        embed=embed,
        rank=rank if is_ranker else None,
        abstract=abstract,
    )


def of_workdir(workdir: Workdir) -> Embedding:
    """Makes the embedding that `config.json` of a workdir names.

    Raises:
        RequestError: It names none.
    """
    return create(vars(workdir.settings(ExifAnomalyOptions)))
