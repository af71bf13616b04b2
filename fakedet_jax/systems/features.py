# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features that can be extracted from pictures, and the networks they come from."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import systems
from fakedet_jax.config import DataConfig, ExtractConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import PictureFn
from fakedet_jax.media.batching import Batch
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import platforms
from fakedet_jax.workdir import Workdir, open_workdir


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of pictures, ready to be computed.

    Attributes:
        compute: Compiled, from uint8 `[batch, height, width, 3]` on the mesh to
            `[batch, …]`.
        row_shape: Shape of the features of one picture.
        dtype: Number format of the features.
        layers: Names of the layers that they come from.
        layer_sizes: Neurons of each layer, where neurons are counted.
        thresholds: float32 `[layers]`, where neurons are counted.
        settings: The network and its neurons, for JSON; thresholds that were fitted
            with others do not fit.
        draw: From a picture, its features and a title to a PNG file; None where they
            cannot be drawn.
    """

    compute: Callable[[jax.Array], jax.Array]
    row_shape: tuple[int, ...]
    dtype: np.dtype
    layers: tuple[str, ...]
    layer_sizes: tuple[int, ...] = ()
    thresholds: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.float32)
    )
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    draw: Callable[[np.ndarray, np.ndarray, str], bytes] | None = None


@dataclasses.dataclass(frozen=True)
class FeatureRequest:
    """What a feature may depend on besides the network.

    Attributes:
        mesh: The devices.
        open_batches: Starts to read the pictures.
        pictures: What the pictures are, in words.
        are_training_pictures: Whether the detector to come is trained on them.
        thresholds: `.npz` file with thresholds; None for none.
    """

    mesh: Mesh
    open_batches: Callable[[], Iterator[Batch]]
    pictures: str
    are_training_pictures: bool
    thresholds: Path | None = None

    @classmethod
    def of_pictures(cls, mesh: Mesh, pictures: str) -> "FeatureRequest":
        """For pictures in memory, to which nothing is fitted.

        Args:
            mesh: The devices.
            pictures: What the pictures are, in words.
        """
        return cls(mesh, lambda: iter(()), pictures, are_training_pictures=False)


FeatureFn = Callable[[FeatureRequest], Feature]


def embedding_feature(
    embed: PictureFn, variables: Any, framing: Framing, settings: Mapping[str, str]
) -> FeatureFn:
    """Makes a feature of the embedding of a network.

    Args:
        embed: Pure, from variables and uint8 `[batch, height, width, 3]` to float32
            `[batch, features]`.
        variables: Its variables, on the mesh.
        framing: Framing of its input.
        settings: See `Feature`.
    """

    def feature(request: FeatureRequest) -> Feature:
        picture = jax.ShapeDtypeStruct((1, *framing.shape), np.uint8)
        shape = platforms.eval_shape(embed, variables, picture)
        compiled = platforms.jit_rows(embed, request.mesh)
        return Feature(
            compute=lambda images: compiled(variables, images),
            row_shape=shape.shape[1:],
            dtype=np.dtype(shape.dtype),
            layers=("embedding",),
            settings=settings,
        )

    return feature


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that features come from.

    Attributes:
        framing: Framing of its input.
        feature: The feature that was asked for.
        workdir: Of its training; None for a backbone.
        model_id: Digest of the detector, see `identity.model_id`; empty for a backbone.
    """

    framing: Framing
    feature: FeatureFn
    workdir: Workdir | None = None
    model_id: str = ""

    @property
    def training_data(self) -> DataConfig | None:
        """The pictures it was trained on, None where nobody knows."""
        return None if self.workdir is None else self.workdir.data


def open_network(config: ExtractConfig, mesh: Mesh) -> Network:
    """Loads the network that the asked feature comes from.

    Args:
        config: The settings.
        mesh: The devices.

    Raises:
        RequestError: The settings or the network are not as expected.
    """
    # It knows detectors, which know this module.
    from fakedet_jax.systems import identity

    features: Mapping[str, FeatureFn]
    if config.count is not None:
        framing, features = systems.open_backbone(config.count, mesh)
        source, workdir = f"the backbone {config.count.backbone}", None
        model = ""
    elif config.workdir is not None:
        workdir = open_workdir(config.workdir)
        fitted = systems.load(workdir, mesh)
        framing, features = fitted.info.framing, fitted.features
        source = f"the detector {workdir.title!r} of `workdir`"
        model = identity.model_id(fitted)
    else:
        raise RequestError(
            f"`workdir`: `features={config.features}` needs the workdir of a detector, "
            "or `backbone` and `weights`, found none"
        )
    if config.features not in features:
        raise RequestError(
            f"`features`: {source} has no {config.features}, only "
            f"{', '.join(features) or 'scores'}; name another detector"
        )
    if config.thresholds is not None and config.features != "coverage":
        raise RequestError(
            f"`thresholds`: `features={config.features}` counts nothing; leave it out"
        )
    return Network(framing, features[config.features], workdir, model)
