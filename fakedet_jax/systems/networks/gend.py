# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""GenD: an encoder of which only the layer normalisations are tuned.

A linear layer with an output for each class sees the class token before any projection,
divided by its length. Two losses shape these embeddings on the sphere: alignment draws
those of a class together, and uniformity spreads all.

Weights of the losses, update rule and rate are those of the released code, and so is
the batch size, for which 512 pictures must fit into memory; `num_microbatches` cuts it,
and then pairs are those of each part. One cycle of the authors' cyclic schedule, ten
epochs, is the training here. Their colour, affine, blur and JPEG augmentations are left
to `perturb`; pictures are mirrored. Faces are framed 1.3 times as wide as their box.

References:
    Yermakov, Cech, Matas, Fritz: "Deepfake detection that generalizes across
    benchmarks", WACV 2026 (arXiv 2508.06248).
    Wang, Isola: "Understanding contrastive representation learning through alignment
    and uniformity on the hypersphere", ICML 2020 (equations 1 and 2).
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones
from fakedet_jax.models.parameters import Layer, Published
from fakedet_jax.systems.networks import headed
from fakedet_jax.systems.networks.linear_probe import PUBLISHED
from fakedet_jax.systems.networks.options import GendOptions
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.training import steps
from fakedet_jax.training.recipe import Recipe

# The layer normalisations of the encoder, and the linear layer.
TUNED = rf"(^|/)norm\w*/|{headed.HEAD_PATTERN}"

_RECIPE = Recipe(
    optimizer="adam",
    learning_rate=3e-4,
    schedule="cosine",
    final_learning_rate=1e-6,
    batch_size=512,
    num_epochs=10,
)
# Steepness of the uniformity, and the mean below which it tells nothing more.
_STEEPNESS, _LEAST = 2.0, 1e-6


def squared_distances(rows: jax.Array) -> jax.Array:
    """Squared distances of rows of unit length.

    Args:
        rows: Float32 `[batch, features]`.

    Returns:
        Float32 `[batch, batch]`.
    """
    products = jnp.matmul(rows, rows.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.maximum(2 - 2 * products, 0)


def alignment(rows: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean squared distance of the pairs of a class.

    Args:
        rows: Float32 `[batch, features]`, of unit length.
        labels: Int32 `[batch]`.

    Returns:
        Float32 `[]`; 0 where there is no pair.
    """
    # By a mask, and each pair once.
    pairs = jnp.triu(labels[:, None] == labels[None], 1).astype(jnp.float32)
    return (squared_distances(rows) * pairs).sum() / jnp.maximum(pairs.sum(), 1)


def uniformity(rows: jax.Array) -> jax.Array:
    """Logarithm of the mean Gaussian potential of all pairs.

    Args:
        rows: Float32 `[batch, features]`, of unit length.

    Returns:
        Float32 `[]`, from −4 to 0; 0 where there is no pair.
    """
    number = len(rows)
    if number < 2:
        return jnp.zeros(())
    pairs = jnp.triu(jnp.ones((number, number), jnp.float32), 1)
    potentials = jnp.exp(-_STEEPNESS * squared_distances(rows))
    return jnp.log(jnp.maximum((potentials * pairs).sum() / pairs.sum(), _LEAST))


def make_regularizer(
    uniformity_weight: float, alignment_weight: float
) -> steps.Regularizer:
    """Both losses, weighted, over all pairs of the batch on all devices.

    Args:
        uniformity_weight: Of the uniformity.
        alignment_weight: Of the alignment.
    """

    def regularize(
        outputs: Mapping[str, jax.Array], labels: jax.Array
    ) -> tuple[jax.Array, steps.Metrics]:
        rows = outputs["embedding"]
        spread, drawn = uniformity(rows), alignment(rows, labels)
        loss = uniformity_weight * spread + alignment_weight * drawn
        return loss, {"uniformity": spread, "alignment": drawn}

    return regularize


def create(options: GendOptions | None = None) -> NetworkDetector:
    """GenD on an encoder.

    Args:
        options: Name the encoder and the weights of the losses; None for the published
            ones.

    Raises:
        RequestError: There is no encoder of that name.
    """
    options = options or GendOptions()
    backbone = backbones.create(options.backbone or PUBLISHED)
    if backbone.size is None:
        known = [n for n in backbones.names() if backbones.create(n).size is not None]
        raise RequestError(
            f"`backbone`: gend tunes an image encoder, one of {', '.join(known)}, "
            f"found {backbone.name!r}"
        )
    encoder = backbone.without_projection()

    def build(num_classes: int, dtype: Any) -> headed.Headed:
        return headed.Headed(
            encoder.build(dtype, "layer"), num_classes, normalised=True
        )

    network = encoder.build(jnp.float32, "layer")
    return NetworkDetector(
        name="gend",
        build=build,
        preprocessing=encoder.preprocessing,
        recipe=_RECIPE,
        trainable=TUNED,
        regularizer=make_regularizer(options.uniformity, options.alignment),
        pretrained=backbone,
        needs_weights=True,
        start_from=headed.start_from,
        published=Published(
            (Layer(headed.HEAD, "dense", torch="model.linear", bias=True),),
            encoder=encoder,
        ),
        features=functools.partial(headed.features, network, encoder.preprocessing),
        Options=GendOptions,
        architecture={"backbone": backbone.name},
    )
