# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks of which only the last layers are trained, on features computed once."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.evaluation.scoring import PictureFn, Scored, Scorer
from fakedet_jax.models import evidence
from fakedet_jax.runtime import parallel, platforms
from fakedet_jax.systems import table_run
from fakedet_jax.systems.base import FitRequest, Plan
from fakedet_jax.systems.feature_cache import FeatureCache
from fakedet_jax.systems.networks.system import NetworkDetector
from fakedet_jax.systems.options import PictureOptions, TableOptions
from fakedet_jax.training import steps
from fakedet_jax.training.recipe import Recipe

# Pictures whose features are computed at a time.
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class CachedDetector(NetworkDetector):
    """The detector. Classes are real and fake whatever the dataset has.

    A subclass says with `task` what is computed once of each picture and what is
    learned from it.

    Attributes:
        sees: What the trained layers see, in words.
    """

    can_go_on: bool = False
    sees: str = "features"

    def check(self, options: PictureOptions, recipe: Recipe, mesh: Mesh) -> None:
        """Refuses batches that cannot be cut, where nothing is cached."""
        del options
        parallel.local_batch_size(recipe.batch_size, mesh)

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Reads the weights that are not trained.

        Raises:
            RequestError: They are not named, or do not fit, or steps are to be traced.
        """
        del recipe, mesh  # The batches of the trained layers are not cut.
        table_run.check(config, self.sees)
        return self.start(config.options)

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """All of them, each as often as it is there.

        Raises:
            RequestError: There are too few for the parts asked for.
        """
        del validation
        table_run.check_pictures(config, train)
        return train

    def fit(self, request: FitRequest) -> None:
        """Computes features, or reads them from the cache, and trains.

        A run that was stopped while it computed them goes on there.

        Raises:
            RequestError: The pictures are not as expected.
            Stopped: The run was asked to stop; what was computed is in the cache.
            NonFiniteLossError: The training diverged.
        """
        table_run.fit(
            request,
            self.name,
            self.framing,
            lambda train, validation: self.task(request, train, validation),
        )

    def task(
        self, request: FitRequest, train: Dataset, validation: Dataset
    ) -> table_run.Task:
        """What is to be learned.

        Args:
            request: Names the options, the devices and how pictures are read.
            train: The training pictures.
            validation: The validation pictures.
        """
        raise NotImplementedError

    def trained_model(self, num_classes: int, options: PictureOptions) -> nn.Module:
        """Its network, for a training without a cache."""
        return self.model(num_classes, options.dtype)

    def step_options(self, options: PictureOptions) -> dict[str, Any]:
        """How its last layers are trained where nothing is cached."""
        del options
        return {
            "trainable": self.trainable,
            "objective": steps.classification(self.loss),
        }


class Features:
    """Features of datasets, from the cache where they are there."""

    def __init__(
        self,
        request: FitRequest,
        detector: NetworkDetector,
        compute: PictureFn,
        *,
        what: str,
        doing: str,
        variables: Any,
        described: Mapping[str, Any],
    ) -> None:
        """Prepares; nothing is computed yet.

        Args:
            request: Of the training.
            detector: Whose input the pictures are.
            compute: Pure, from variables and uint8 `[batch, height, width, 3]` to
                float32 `[batch, columns]`.
            what: Name of the features.
            doing: What is done to the pictures, such as "embedding".
            variables: Of `compute`.
            described: See `FeatureCache`.
        """
        options: TableOptions = request.config.options
        self._request, self._framing = request, detector.framing
        self._compute, self._variables = compute, variables
        self._what, self._doing = what, doing
        self._cache = FeatureCache(
            options.cache_dir,
            described,
            detector.preprocessing,
            num_threads=request.config.input.num_threads,
            check=table_run.stopping(request.stop),
        )
        self._scorers: dict[bool, Scorer] = {}

    @functools.cached_property
    def _placed(self) -> Any:
        """The variables on the devices, once something has to be computed."""
        return parallel.replicate(self._request.mesh, self._variables)

    def of(self, dataset: Dataset, *, mirrored: bool) -> Scored:
        """Float32 `[num_examples, columns]`, the same in every process.

        Args:
            dataset: The pictures.
            mirrored: Whether they are mirrored.
        """
        pictures = jax.ShapeDtypeStruct((1, *self._framing.shape), jnp.uint8)
        row = platforms.eval_shape(self._compute, self._variables, pictures)
        return self._cache.rows(
            self._what,
            dataset,
            np.zeros((0, *row.shape[1:]), np.float32),
            lambda part: self._score(part, mirrored),
            doing=self._doing,
            mirrored=mirrored,
        )

    def _score(self, part: Dataset, mirrored: bool) -> Scored:
        if mirrored not in self._scorers:
            mesh = self._request.mesh

            def mirror(variables: Any, images: jax.Array) -> jax.Array:
                return self._compute(variables, images[:, :, ::-1])

            self._scorers[mirrored] = Scorer(
                mirror if mirrored else self._compute,
                mesh,
                parallel.round_up_batch_size(_BATCH, mesh),
            )
        return self._scorers[mirrored].score_dataset(
            self._placed, part, self._framing, self._request.config.input
        )


def log_probability_fn(model: nn.Module) -> Callable[[Any, Any], jax.Array]:
    """What trained layers say of features, compiled.

    Args:
        model: The layers, from features `[batch, columns]` to evidence of a fake
            `[batch]`.

    Returns:
        `fn(params, features)` from the parameters of the layers and float `[batch,
        columns]` to the logarithms of the probabilities of real and fake, float32
        `[batch, 2]`.
    """

    @jax.jit
    def log_probabilities(params: Any, features: jax.Array) -> jax.Array:
        found = jnp.asarray(model.apply({"params": params}, features))
        return jax.nn.log_softmax(evidence.to_logits(found[:, None]))

    return log_probabilities
