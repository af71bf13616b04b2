# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits thresholds and counts neurons over datasets, on all devices and hosts."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import CountConfig, InputConfig
from fakedet_jax.data import pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import PictureFn, Scored, Scorer
from fakedet_jax.media import batching
from fakedet_jax.models import backbones, precision
from fakedet_jax.models.backbone import SITES, Backbone
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.runtime import parallel, progress
from fakedet_jax.settings import Settings, option
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.feature_cache import CheckFn, FeatureCache, agree_on_rows

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CountSettings(Settings):
    """Which neurons of which network are counted.

    Attributes:
        backbone: The recognition network.
        neuron: What a neuron is, one of `coverage.NEURONS`.
        site: Where a layer is read, one of `models.backbone.SITES`.
        dtype: Data type of the computation, one of `models.dtypes.DTYPES`.

    Raises:
        RequestError: A name is unknown.
    """

    backbone: Backbone
    neuron: str = option("unit", choices=coverage.NEURONS)
    site: str = option("layer", choices=SITES)
    dtype: str = option("float32", choices=tuple(DTYPES))

    def described(self, weights_digest: str) -> dict[str, str]:
        """What counts depend on besides the pictures, for JSON.

        Args:
            weights_digest: Digest of the weights.
        """
        return {
            "backbone": self.backbone.name,
            "weights": weights_digest,
            "neuron": self.neuron,
            "site": self.site,
            "dtype": self.dtype,
            "matmul_precision": precision.chosen(),
        }

    @functools.cached_property
    def network(self) -> coverage.Coverage:
        """The functions that compute means and counts of batches."""
        module = self.backbone.build(DTYPES[self.dtype], self.site)
        return coverage.Coverage(module, self.backbone.preprocessing, self.neuron)


def count_settings(chosen: CountConfig, dtype: str = "float32") -> CountSettings:
    """What a request counts.

    Args:
        chosen: The network and its neurons, of the request.
        dtype: Data type of the computation.

    Raises:
        RequestError: They name no backbone, or one that there is not.
    """
    if not chosen.backbone:
        raise RequestError(
            "`backbone`: expected the recognition network to look at, one of "
            f"{', '.join(backbones.names())}, found none"
        )
    backbone = backbones.create(chosen.backbone)
    return CountSettings(backbone, chosen.neuron, chosen.site, dtype)


def count_fn(network: coverage.Coverage, *, mirrored: bool = False) -> PictureFn:
    """The counts of a network as a function to score with.

    Args:
        network: The network.
        mirrored: Whether pictures are first flipped left to right.

    Returns:
        `fn((variables, thresholds), images)`, to int32 `[batch, layers]`.
    """
    step = -1 if mirrored else 1

    def count(operands: Any, images: jax.Array) -> jax.Array:
        variables, thresholds = operands
        return network.counts(variables, images[:, :, ::step], thresholds)

    return count


_update_thresholds = jax.jit(coverage.update_thresholds)


class NeuronCounter:
    """Counts neurons with one backbone, whose weights are on a mesh."""

    def __init__(
        self,
        settings: CountSettings,
        variables: Any,
        mesh: Mesh,
        *,
        batch_size: int,
        reading: InputConfig,
    ) -> None:
        """Prepares the functions; the first batch compiles them.

        Args:
            settings: Which neurons are counted.
            variables: Variables of the backbone, on the host or on the mesh.
            mesh: The devices.
            batch_size: Pictures per step over all devices and hosts, rounded up to a
                multiple of the number of devices.
            reading: How pictures are read.

        Raises:
            RequestError: The batch size is not positive.
        """
        self._settings = settings
        self._variables = parallel.replicate(mesh, variables)
        self._mesh = mesh
        self._reading = reading
        batch_size = parallel.round_up_batch_size(batch_size, mesh)
        self._means = Scorer(settings.network.means, mesh, batch_size)
        self._scorers = {
            side: Scorer(count_fn(settings.network, mirrored=side), mesh, batch_size)
            for side in (False, True)
        }

    def fit_thresholds(self, dataset: Dataset, check: CheckFn) -> np.ndarray:
        """Fits the thresholds ξ to all readable pictures of a dataset (Eq. 1).

        Args:
            dataset: Real and fake training pictures.
            check: Called after every batch.

        Returns:
            float32 `[layers]`, the mean output of each layer.

        Raises:
            RequestError: No picture can be read, or outputs are not finite.
        """
        batches = pipeline.eval_batches(
            dataset,
            framing=self._settings.backbone.preprocessing.framing,
            batch_size=self._means.local_batch_size,
            num_workers=self._reading.num_workers,
            num_threads=self._reading.num_threads,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        quiet = jax.process_index() > 0
        with progress.Progress(
            dataset.num_examples, label="thresholds", quiet=quiet
        ) as shown:

            def watched() -> Iterator[batching.Batch]:
                for batch in batches:
                    yield batch
                    check()
                    shown.update(int((batch["index"] != batching.NO_EXAMPLE).sum()))

            return self.thresholds_of(watched())

    def thresholds_of(self, batches: Iterable[batching.Batch]) -> np.ndarray:
        """Fits the thresholds to batches of this process.

        Args:
            batches: Batches as `media.batching` describes them.

        Returns:
            float32 `[layers]`, the mean output of each layer.

        Raises:
            RequestError: There is no picture, or outputs are not finite.
        """
        state = coverage.init_thresholds(len(self._settings.network.layer_sizes))
        tagged = ((None, batch) for batch in batches)
        for _, means, _ in self._means.stream(self._variables, tagged):
            state = _update_thresholds(state, means, np.ones(len(means), bool))
        return coverage.finish_thresholds(state)

    def count(
        self, dataset: Dataset, thresholds: np.ndarray, *, mirrored: bool = False
    ) -> Scored:
        """Counts neurons of every picture of a dataset.

        Args:
            dataset: The pictures.
            thresholds: float32 `[layers]`.
            mirrored: Whether pictures are first flipped left to right.

        Returns:
            Counts, int32 `[num_examples, layers]`, the same in every process.
        """
        placed = parallel.replicate(self._mesh, thresholds)
        return self._scorers[mirrored].score_dataset(
            (self._variables, placed),
            dataset,
            self._settings.backbone.preprocessing.framing,
            self._reading,
        )


class CachedCounter:
    """Computes thresholds and counts once and keeps them on disk.

    See `FeatureCache`; a table depends on the weights and settings, too.
    """

    def __init__(
        self,
        settings: CountSettings,
        create_counter: Callable[[], NeuronCounter],
        folder: Path | None,
        *,
        weights_digest: str,
        num_threads: int,
        check: CheckFn,
    ) -> None:
        """Prepares the cache; nothing is read yet.

        Args:
            settings: Which neurons are counted.
            create_counter: Makes the counter; called when a table is not in the cache.
            folder: See `FeatureCache`.
            weights_digest: Digest of the weights.
            num_threads: See `FeatureCache`.
            check: Called after each batch or part; raises an exception to stop the
                work.
        """
        described = settings.described(weights_digest)
        # The cache adds it itself.
        del described["matmul_precision"]
        self._cache = FeatureCache(
            folder,
            described,
            settings.backbone.preprocessing,
            num_threads=num_threads,
            check=check,
        )
        self._counter = functools.cache(create_counter)
        self._check = check
        self._num_layers = len(settings.network.layer_sizes)

    def fit_thresholds(self, dataset: Dataset) -> np.ndarray:
        """Fits thresholds or reads them from the cache.

        Args:
            dataset: Real and fake training pictures.

        Returns:
            float32 `[layers]`.

        Raises:
            RequestError: No picture can be read, outputs are not finite, or the cache
                cannot be written.
        """
        empty = {"thresholds": np.zeros((0, self._num_layers), np.float32)}
        table = self._cache.table("thresholds", dataset, empty)
        rows = table.read()["thresholds"]
        if agree_on_rows(len(rows)):
            return rows[0]
        table.prepare()
        thresholds = self._counter().fit_thresholds(dataset, self._check)
        if jax.process_index() == 0:
            table.append(0, {"thresholds": thresholds[None]})
        return thresholds

    def count(
        self, dataset: Dataset, thresholds: np.ndarray, *, mirrored: bool = False
    ) -> Scored:
        """Counts neurons or reads the counts from the cache.

        Args:
            dataset: The pictures.
            thresholds: float32 `[layers]`.
            mirrored: Whether pictures are first flipped left to right.

        Returns:
            Counts, int32 `[num_examples, layers]`, the same in every process.

        Raises:
            RequestError: The cache cannot be written.
        """
        return self._cache.rows(
            "counts",
            dataset,
            np.zeros((0, self._num_layers), np.int32),
            lambda part: self._counter().count(part, thresholds, mirrored=mirrored),
            doing="counting neurons of",
            thresholds=thresholds.tobytes().hex(),
            mirrored=mirrored,
        )
