# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What counting neurons costs, and what bfloat16 does to counts and detection."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.media import batching
from fakedet_jax.models import backbones
from fakedet_jax.runtime import measurement, parallel
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.systems.fakespotter import system as fakespotter
from fakedet_jax.systems.fakespotter.counts import (
    CountSettings,
    count_fn,
    count_settings,
)
from fakedet_jax.systems.fakespotter.options import BenchmarkOptions, FakeSpotterOptions
from fakedet_jax.weights import store
from fakedet_jax.workdir import open_workdir

Results = dict[str, Any]

# Pictures on which the counts of both number formats are compared.
_NUM_COMPARED = 256

# How the table shows a result: its name, what it is, its unit and what divides it.
ROWS: tuple[tuple[str, str, str, float], ...] = (
    ("forward_images_per_second", "Backbone alone", "images/s", 1),
    ("counts_images_per_second", "Counting all layers", "images/s", 1),
    ("counts_cost", "Counting, more than the backbone", "%", 0.01),
    ("means_images_per_second", "Means for thresholds", "images/s", 1),
    ("counts_bfloat16_images_per_second", "Counting in bfloat16", "images/s", 1),
    ("forward_temporary_bytes", "Temporaries, backbone alone", "MiB", 2**20),
    ("counts_temporary_bytes", "Temporaries, counting", "MiB", 2**20),
    ("bfloat16_equal_counts", "Counts equal in bfloat16", "%", 0.01),
    ("bfloat16_mean_change", "Mean change of a count, of its layer", "%", 0.01),
    ("bfloat16_largest_change", "Largest change of a count, of its layer", "%", 0.01),
    ("auc_float32", "AUC of the workdir, float32", "", 1),
    ("auc_bfloat16", "AUC of the workdir, bfloat16", "", 1),
)


@dataclasses.dataclass(frozen=True)
class _Subject:
    """A backbone in float32 and bfloat16, its weights, and thresholds if known.

    Attributes:
        settings: What is counted, in float32.
        variables: Of the backbone, on the mesh.
        thresholds: float32 `[layers]`, or None.
    """

    settings: CountSettings
    variables: Any
    thresholds: np.ndarray | None

    def network(self, dtype: str) -> coverage.Coverage:
        return dataclasses.replace(self.settings, dtype=dtype).network


class CoverageBenchmark:
    """The measurements of one backbone.

    Attributes:
        framing: Framing of its input.
        rows: See `systems.base.Benchmark`.
    """

    rows = ROWS

    def __init__(self, config: BenchmarkConfig, mesh: Mesh) -> None:
        """Loads the backbone.

        Args:
            config: The settings. With a workdir, its backbone, weights and thresholds
                are taken; with a backbone, its weights, or initial ones without, and
                thresholds that fit the pictures.
            mesh: The devices.

        Raises:
            RequestError: The settings are not as expected.
        """
        parallel.local_batch_size(config.batch_size, mesh)
        self._config, self._mesh = config, mesh
        self._subject = _subject(config, mesh)
        self.framing = self._subject.settings.backbone.preprocessing.framing

    def measure(self, dataset: Dataset) -> Results:
        """Measures the counting of neurons.

        Speeds of the backbone and of counting come from runs that take turns.

        Args:
            dataset: Pictures to count on.

        Returns:
            Names to numbers; see `ROWS`. AUCs are None without a workdir.
        """
        return _measure(self._config, self._subject, dataset, self._mesh)

    def ratios(self, results: Mapping[str, Any]) -> Results:
        """What follows from all measurements together: nothing more."""
        del results
        return {}


def _measure(
    config: BenchmarkConfig, subject: _Subject, dataset: Dataset, mesh: Mesh
) -> Results:
    pictures = _pictures(config, dataset, subject)
    batch_size = config.batch_size
    rows = np.resize(np.arange(len(pictures)), batch_size)
    batch = parallel.put_batch(mesh, {"image": pictures[rows]})["image"]
    exact, rough = subject.network("float32"), subject.network("bfloat16")
    cut = parallel.batch_sharding(mesh)

    def forward(variables: Any, images: jax.Array) -> Any:
        values = exact.preprocessing(images)
        embedding, out = exact.module.apply(variables, values, train=False)
        # The last layer too: counting needs it as well.
        return embedding, list(out.values())[-1].astype(jnp.float32)

    with jax.set_mesh(mesh):
        means = jax.jit(exact.means, out_shardings=cut)
        thresholds = subject.thresholds
        if thresholds is None:
            found = parallel.to_host(means(subject.variables, batch))
            thresholds = found.astype(np.float64).mean(0).astype(np.float32)
        placed = parallel.replicate(mesh, thresholds)
        plain = jax.jit(forward, out_shardings=cut).lower(subject.variables, batch)
        compiled_plain = plain.compile()
        counting = jax.jit(exact.counts, out_shardings=cut)
        compiled_counting = counting.lower(subject.variables, batch, placed).compile()
        seconds = measurement.seconds_in_turns(
            {
                "forward": lambda: compiled_plain(subject.variables, batch),
                "counts": lambda: compiled_counting(subject.variables, batch, placed),
            },
            config.num_repeats,
        )
        counts_bf16 = jax.jit(rough.counts, out_shardings=cut)
        seconds["counts_bfloat16"] = measurement.seconds_per_call(
            lambda: counts_bf16(subject.variables, batch, placed), config.num_repeats
        )
        seconds["means"] = measurement.seconds_per_call(
            lambda: means(subject.variables, batch), config.num_repeats
        )
        results: Results = {
            f"{name}_images_per_second": batch_size / value
            for name, value in seconds.items()
        }
        results["forward_temporary_bytes"] = _temporary_bytes(compiled_plain)
        results["counts_temporary_bytes"] = _temporary_bytes(compiled_counting)
        results["counts_cost"] = seconds["counts"] / seconds["forward"] - 1
        results |= _changes(
            subject,
            thresholds,
            pictures,
            Scorer(count_fn(exact), mesh, batch_size),
            Scorer(count_fn(rough), mesh, batch_size),
        )
    results |= _detection(config, mesh)
    results["backbone"] = subject.settings.backbone.name
    return results


def _subject(config: BenchmarkConfig, mesh: Mesh) -> _Subject:
    options: BenchmarkOptions = config.options
    if options.workdir is not None:
        if options.backbone is not None or options.weights is not None:
            raise RequestError(
                "`workdir`, `backbone`: the network comes from one of them; leave the "
                "other out"
            )
        workdir = open_workdir(options.workdir)
        fitted = fakespotter.SYSTEM.load(workdir, mesh)
        trained = workdir.settings(FakeSpotterOptions)
        return _Subject(
            count_settings(trained, trained.dtype),
            fitted.variables["backbone"],
            parallel.to_host(fitted.variables["thresholds"]),
        )
    if options.backbone is None:
        raise RequestError(
            "`backbone`: `detector=fakespotter` needs the network to measure, one of "
            f"{', '.join(backbones.names())}; or name a `workdir`"
        )
    settings = count_settings(options)
    if options.weights is None:
        variables = store.initial(settings.backbone)
    else:
        variables, _ = store.load(settings.backbone, options.weights)
    return _Subject(settings, parallel.replicate(mesh, variables), None)


def _pictures(
    config: BenchmarkConfig, dataset: Dataset, subject: _Subject
) -> np.ndarray:
    """Some readable pictures of the dataset, uint8 `[n, height, width, 3]`."""
    chosen = dataset.subset(range(min(dataset.num_examples, _NUM_COMPARED)))
    batches = pipeline.eval_batches(
        chosen,
        framing=subject.settings.backbone.preprocessing.framing,
        batch_size=config.batch_size,
        num_workers=config.input.num_workers,
        num_threads=config.input.num_threads,
    )
    found = np.concatenate([batch["image"][batch["mask"]] for batch in batches])
    if not len(found):
        raise RequestError(
            f"`dataset`: none of the first {chosen.num_examples} pictures can be read"
        )
    return found


def _temporary_bytes(compiled: Any) -> int | None:
    told = compiled.memory_analysis()
    return told.temp_size_in_bytes if told else None


def _changes(
    subject: _Subject,
    thresholds: np.ndarray,
    pictures: np.ndarray,
    exact: Scorer,
    rough: Scorer,
) -> Results:
    """How far counts in bfloat16 are from those in float32."""
    operands = parallel.replicate(exact.mesh, (subject.variables, thresholds))
    sizes = np.array(list(subject.settings.network.layer_sizes.values()))
    framing = subject.settings.backbone.preprocessing.framing
    counts = []
    for scorer in (exact, rough):
        batches = batching.from_pictures(pictures, framing, scorer.local_batch_size)
        found = scorer.stream(operands, ((None, batch) for batch in batches))
        counts.append(np.concatenate([part.values for part in found]).astype(np.int64))
    difference = np.abs(counts[0] - counts[1])
    return {
        "bfloat16_equal_counts": float(np.mean(difference == 0)),
        "bfloat16_mean_change": float(np.mean(difference / sizes)),
        "bfloat16_largest_change": float(np.max(difference / sizes)),
    }


def _detection(config: BenchmarkConfig, mesh: Mesh) -> Mapping[str, float | None]:
    """AUC of the workdir's detector in both number formats, on its test pictures."""
    names = {dtype: f"auc_{dtype}" for dtype in ("float32", "bfloat16")}
    if config.options.workdir is None:
        return dict.fromkeys(names.values())
    workdir = open_workdir(config.options.workdir)
    data = config.data or workdir.data
    dataset = catalog.load(data, "test", needs="either").as_binary()
    options = workdir.settings(FakeSpotterOptions)
    settings = count_settings(options, options.dtype)
    fitted = fakespotter.SYSTEM.load(workdir, mesh)
    results = {}
    for dtype, name in names.items():
        changed = dataclasses.replace(settings, dtype=dtype)
        probability_fn = fakespotter.make_probability_fn(changed, options.widths)
        scored = Scorer(probability_fn, mesh, config.batch_size).score_dataset(
            fitted.variables, dataset, fitted.info.framing, config.input, label=name
        )
        scores = fitted.info.scores(scored.values[scored.valid])
        results[name] = metrics.auc(dataset.labels[scored.valid], scores)
    return results
