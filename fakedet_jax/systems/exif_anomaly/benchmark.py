# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What learning to rank, embedding faces and fitting a mixture cost."""

import dataclasses
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import mixture
from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.media import exif
from fakedet_jax.runtime import measurement, parallel, peer, platforms
from fakedet_jax.systems.base import Benchmark
from fakedet_jax.systems.exif_anomaly import embedding, programs
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions
from fakedet_jax.systems.exif_anomaly.system import ExifAnomaly
from fakedet_jax.training import loop

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

# The published mixture, and iterations enough to tell its speed.
_NUM_ROWS, _NUM_FEATURES, _NUM_COMPONENTS = 25_000, face_ranker.NUM_FEATURES, 12
_NUM_ITERATIONS = 5
_REG_COVAR = 1e-3
# A fit takes many seconds, and scikit-learn's a minute.
_MAX_FITS = 3

_MIXTURE = f"{_NUM_ROWS:,} × {_NUM_FEATURES}, {_NUM_COMPONENTS} components"

ROWS: tuple[measurement.Row, ...] = (
    ("ranking_images_per_second", "Training to rank", "images/s", 1),
    ("embedding_images_per_second", "Embedding", "images/s", 1),
    ("mixture_seconds", f"Mixture of {_MIXTURE}, {_NUM_ITERATIONS} iterations", "s", 1),
    (
        "mixture_sklearn_seconds",
        f"The same by scikit-learn in float64 (each {_MAX_FITS} runs at most)",
        "s",
        1,
    ),
    ("mixture_speedup", "Its time to ours, median of turns", "×", 1),
    ("mixture_speedup_lowest", "Its time to ours, lowest", "×", 1),
    ("mixture_speedup_highest", "Its time to ours, highest", "×", 1),
    ("likelihood_rows_per_second", "Log-likelihoods under it", "rows/s", 1),
)


class AnomalyBenchmark(Benchmark):
    """The measurements of one embedder, and of the mixture."""

    rows = ROWS

    def __init__(
        self, config: BenchmarkConfig, detector: ExifAnomaly, mesh: Mesh
    ) -> None:
        """Checks the settings.

        Raises:
            RequestError: They do not fit.
        """
        if config.compare is not None:
            raise RequestError(
                f"`compare`: there is no PyTorch twin of {detector.name}; its mixture "
                "is always compared with scikit-learn; leave `compare` out"
            )
        options = ExifAnomalyOptions(
            dtype=config.dtype, embedder=config.options.embedder
        )
        settings = TrainConfig(detector=detector.name, workdir=Path(), options=options)
        recipe = dataclasses.replace(detector.recipe, batch_size=config.batch_size)
        detector.plan(settings, recipe, mesh)
        self._config, self._recipe, self._mesh = config, recipe, mesh
        self._embedder = face_ranker.create(options.embedder or embedding.DEFAULT)
        self.framing = self._embedder.preprocessing.framing

    def measure(self, dataset: Dataset) -> Results:
        """Measures training, embedding and the mixture.

        The two fits of a mixture take turns, so that whatever else keeps the machine
        busy slows both alike.

        Args:
            dataset: Not looked at.

        Returns:
            Names to numbers; see `ROWS`. What scikit-learn takes is None where it is
            not installed.
        """
        del dataset
        _LOGGER.info("measuring: ranking")
        results = self._network()
        _LOGGER.info("measuring: mixture")
        return results | self._mixture()

    def _network(self) -> Results:
        config, mesh, embedder = self._config, self._mesh, self._embedder
        options = ExifAnomalyOptions(dtype=config.dtype)
        training = programs.ranking(embedder, options, self._recipe)
        state = training.start(mesh)
        rng = np.random.default_rng(0)
        size = config.batch_size
        targets = rng.random((size, len(exif.TAGS) + 1), np.float32)
        targets[:, -1] = np.arange(size) % 2
        placed = parallel.put_batch(
            mesh,
            {
                "image": rng.integers(0, 256, (size, *self.framing.shape), np.uint8),
                "label": targets,
            },
        )
        named = embedding.create({"embedder": embedder.name, "dtype": config.dtype})
        embed = platforms.jit_rows(named.embed, mesh)
        compiled = loop.compile_step(training.step, mesh)

        def step() -> Any:
            nonlocal state
            # The state is donated, so that only the metrics can be waited for.
            state, metrics = compiled(state, placed["image"], placed["label"])
            return metrics

        with jax.set_mesh(mesh):
            variables = state.variables
            embed_seconds = measurement.seconds_per_call(
                lambda: embed(variables, placed["image"]), config.num_repeats
            )
            train_seconds = measurement.seconds_per_call(step, config.num_repeats)
        return {
            "ranking_images_per_second": size / train_seconds,
            "embedding_images_per_second": size / embed_seconds,
        }

    def _mixture(self) -> Results:
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(_NUM_COMPONENTS, _NUM_FEATURES))
        of_row = rng.integers(_NUM_COMPONENTS, size=_NUM_ROWS)
        rows = rng.normal(centres[of_row], 1.0).astype(np.float32)
        weights = np.full(_NUM_COMPONENTS, 1 / _NUM_COMPONENTS)
        covariances = np.tile(np.eye(_NUM_FEATURES), (_NUM_COMPONENTS, 1, 1))
        start = mixture.from_parameters(weights, centres, covariances)
        fits: dict[str, Callable[[], Any]] = {
            "ours": lambda: mixture.fit(
                rows,
                _NUM_COMPONENTS,
                reg_covar=_REG_COVAR,
                tolerance=0,
                max_iterations=_NUM_ITERATIONS,
                init=start,
                mesh=self._mesh,
            )
        }
        theirs = _sklearn_fit(rows, weights, centres)
        if theirs is not None:
            fits["theirs"] = theirs
        fits["ours"]()  # Compiles.
        times: dict[str, list[float]] = {name: [] for name in fits}
        for _ in range(min(self._config.num_repeats, _MAX_FITS)):
            for name, fit in fits.items():
                began = time.perf_counter()
                fit()
                times[name].append(time.perf_counter() - began)
        seconds = {name: statistics.median(runs) for name, runs in times.items()}
        ratios: dict[str, float | None] = dict.fromkeys(
            ("ratio", "ratio_lowest", "ratio_highest")
        )
        if theirs is not None:
            ratios |= peer.ratios_of_turns(times["theirs"], times["ours"])
        likelihoods = jax.jit(mixture.log_likelihoods)
        sample = rows[:1000]
        per_call = measurement.seconds_per_call(
            lambda: likelihoods(start, sample), self._config.num_repeats
        )
        return {
            "mixture_seconds": seconds["ours"],
            "mixture_sklearn_seconds": seconds.get("theirs"),
            "mixture_speedup": ratios["ratio"],
            "mixture_speedup_lowest": ratios["ratio_lowest"],
            "mixture_speedup_highest": ratios["ratio_highest"],
            "likelihood_rows_per_second": len(sample) / per_call,
        }


def _sklearn_fit(
    rows: np.ndarray, weights: np.ndarray, centres: np.ndarray
) -> Callable[[], Any] | None:
    """The same fit by scikit-learn, in float64; None where it is not installed."""
    try:
        from sklearn.mixture import GaussianMixture
    except ImportError:
        return None
    precisions = np.tile(np.eye(rows.shape[1]), (len(weights), 1, 1))
    doubled = rows.astype(np.float64)

    def fit() -> Any:
        model = GaussianMixture(
            len(weights),
            tol=0,
            reg_covar=_REG_COVAR,
            max_iter=_NUM_ITERATIONS,
            weights_init=weights,
            means_init=centres,
            precisions_init=precisions,
        )
        with warnings.catch_warnings():
            # That so few iterations do not converge is no news.
            warnings.simplefilter("ignore")
            return model.fit(doubled)

    return fit
