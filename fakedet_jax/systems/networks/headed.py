# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks that are a linear layer behind a trained encoder of pictures."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, evidence, resnet
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.systems.features import FeatureFn, embedding_feature

ENCODER, HEAD = "encoder", "fc"
# Paths of the parameters of the linear layer.
HEAD_PATTERN = f"^{HEAD}/"


class Headed(nn.Module):
    """An encoder, and a linear layer of its embedding.

    Attributes:
        encoder: `(images, train) → (embedding, outputs)`.
        num_outputs: Of the linear layer; one is evidence of a fake, see
            `models.evidence`.
        normalised: Whether the linear layer sees embeddings of unit length.
        kernel_init: Initialiser of the kernel of the linear layer.
    """

    encoder: nn.Module
    num_outputs: int
    normalised: bool = False
    kernel_init: channel_last.Initializer = resnet.DENSE_INIT

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Classifies pictures.

        Args:
            images: Float `[batch, height, width, 3]`, preprocessed.
            train: Whether the encoder is trained.

        Returns:
            The logits, float32 `[batch, classes]`. And the outputs of the encoder by
            name, its embedding as the linear layer sees it (`embedding`, float32
            `[batch, features]`), and the output of that layer (`fc`).
        """
        embedding, out = self.encoder(images, train=train)
        if self.normalised:
            embedding = unit_length(embedding)
        found = resnet.linear(
            embedding, self.num_outputs, HEAD, kernel_init=self.kernel_init
        )
        out = {**out, "embedding": embedding, HEAD: found}
        return evidence.to_logits(found), out


def unit_length(rows: jax.Array) -> jax.Array:
    """Rows `[batch, features]`, each divided by its length; a row of zeros stays so."""
    squared = jnp.square(rows).sum(-1, keepdims=True)
    return rows * jax.lax.rsqrt(jnp.maximum(squared, 1e-24))


def cropped(backbone: Backbone, central_share: float) -> Preprocessing:
    """The preprocessing of an encoder, with another share of the picture.

    Args:
        backbone: The network; that of a face-recognition network stays as it is.
        central_share: See `Framing`.
    """
    preprocessing = backbone.preprocessing
    if backbone.size is None:
        return preprocessing
    framing = preprocessing.framing
    return dataclasses.replace(
        preprocessing, framing=Framing(framing.height, framing.width, central_share)
    )


def start_from(fresh: Mapping[str, Any], trained: Mapping[str, Any]) -> dict[str, Any]:
    """Fresh variables of a `Headed`, with those of a trained encoder in their place.

    Args:
        fresh: Of the whole network.
        trained: Of the encoder, possibly with a projection that the network lacks.
    """

    def of_encoder(name: str) -> Any:
        kept = fresh[name][ENCODER]
        return {layer: trained[name][layer] for layer in kept}

    return {
        name: {**collection, ENCODER: of_encoder(name)}
        if ENCODER in collection
        else dict(collection)
        for name, collection in fresh.items()
    }


def with_head(encoder: Mapping[str, Any], head: Any) -> dict[str, Any]:
    """Variables of a `Headed`.

    Args:
        encoder: Variables of the encoder.
        head: Parameters of the linear layer.
    """
    joined = {name: {ENCODER: collection} for name, collection in encoder.items()}
    joined["params"] = {**joined["params"], HEAD: head}
    return joined


def embed(
    network: nn.Module, preprocessing: Preprocessing, variables: Any, images: jax.Array
) -> jax.Array:
    """Embeddings of pictures.

    Args:
        network: The encoder.
        preprocessing: Of its input.
        variables: Of the encoder.
        images: uint8 `[batch, height, width, 3]`.

    Returns:
        Float32 `[batch, features]`.
    """
    embedding, _ = network.apply(variables, preprocessing(images), train=False)
    return embedding.astype(jnp.float32)


def features(
    network: nn.Module, preprocessing: Preprocessing, variables: Any
) -> Mapping[str, FeatureFn]:
    """What can be extracted with a `Headed`: the embedding of its encoder.

    Args:
        network: The encoder.
        preprocessing: Of its input.
        variables: Of the whole network, on the mesh.
    """
    inner = {name: tree[ENCODER] for name, tree in variables.items() if ENCODER in tree}
    compute = functools.partial(embed, network, preprocessing)
    return {"embedding": embedding_feature(compute, inner, preprocessing.framing, {})}
