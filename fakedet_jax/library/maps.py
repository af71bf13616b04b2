# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes what a detector reacts to, in batches of one size that are compiled once."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import attribution, scoring
from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.evaluation.scoring import PictureFn, Scorer
from fakedet_jax.media import batching
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.base import Fitted
from fakedet_jax.systems.features import Feature, FeatureRequest

_BATCH_SIZE = 16
_TRACES = "traces"


class MapMaker:
    """Computes the maps of a detector, all that its kind has.

    Attributes:
        layers_of: See `Maps`.
    """

    def __init__(self, fitted: Fitted, mesh: Mesh) -> None:
        """Prepares the functions; the first pictures compile them.

        Args:
            fitted: The detector, on the mesh.
            mesh: The devices.

        Raises:
            RequestError: It sees each face in several framings, and a map has one.
        """
        if fitted.info.framing.parts:
            raise RequestError(
                f"`maps`: {fitted.info.detector} sees each face in several framings, "
                "which have no map in common; draw those of its members"
            )
        self.layers_of = fitted.layers.faces if fitted.layers else ""
        self._fitted = fitted
        self._mesh = mesh
        self._batch_size = parallel.round_up_batch_size(_BATCH_SIZE, mesh)
        log_odds = scoring.log_odds_fn(fitted.log_probability_fn, fitted.info.is_fake)

        def occlusion(variables: Any, images: jax.Array) -> jax.Array:
            return attribution.occlusion(log_odds, variables, images)

        def gradient(variables: Any, images: jax.Array) -> jax.Array:
            return attribution.gradient_times_input(log_odds, variables, images)

        self._occlusion = self._scorer(occlusion)
        self._gradient = self._scorer(gradient) if fitted.has_gradient else None
        self._layers = self._scorer(fitted.layers.compare_fn) if fitted.layers else None
        self._traces = self._feature(_TRACES)

    def __call__(self, pictures: np.ndarray) -> Maps:
        """Computes the maps of pictures.

        Args:
            pictures: Inputs of the network, uint8 `[n, height, width, 3]`, at least
                one.
        """
        fitted = self._fitted
        traces = layers = None
        if self._traces is not None:
            traces = _collect(
                scoring.stream(
                    self._traces.compute, self._mesh, self._batches(pictures)
                )
            )
        if self._layers is not None:
            layers = self._run(self._layers, pictures)
        return Maps(
            occlusion=self._run(self._occlusion, pictures),
            gradient=self._run(self._gradient, pictures) if self._gradient else None,
            traces=traces,
            layers=layers,
            layer_names=fitted.layers.names if fitted.layers else (),
            layers_of=self.layers_of,
        )

    def _scorer(self, function: PictureFn) -> Scorer:
        return Scorer(function, self._mesh, self._batch_size)

    def _feature(self, kind: str) -> Feature | None:
        if kind not in self._fitted.features:
            return None
        return self._fitted.features[kind](
            FeatureRequest.of_pictures(self._mesh, "the faces of maps")
        )

    def _run(self, scorer: Scorer, pictures: np.ndarray) -> np.ndarray:
        return _collect(scorer.stream(self._fitted.variables, self._batches(pictures)))

    def _batches(self, pictures: np.ndarray) -> Any:
        framing = self._fitted.info.framing
        batches = batching.from_pictures(pictures, framing, self._batch_size)
        return ((None, batch) for batch in batches)


def _collect(results: Any) -> np.ndarray:
    parts: Sequence[np.ndarray] = [values for _, values, _ in results]
    return np.concatenate(parts)
