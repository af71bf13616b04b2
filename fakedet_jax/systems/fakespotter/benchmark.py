# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What counting neurons costs, and what rounding does to counts and detection."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.media import batching
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones, precision
from fakedet_jax.runtime import measurement, parallel, peer
from fakedet_jax.systems.base import Benchmark, Fitted
from fakedet_jax.systems.fakespotter import programs, torch_peer
from fakedet_jax.systems.fakespotter import system as fakespotter
from fakedet_jax.systems.fakespotter.counts import (
    CountSettings,
    NeuronCounter,
    count_fn,
    count_settings,
)
from fakedet_jax.systems.fakespotter.options import BenchmarkOptions, FakeSpotterOptions
from fakedet_jax.systems.options import Options
from fakedet_jax.systems.programs import ProgramRequest
from fakedet_jax.weights import store
from fakedet_jax.workdir import Workdir, open_workdir

Results = dict[str, Any]

# Pictures on which the counts of both number formats are compared.
_NUM_COMPARED = 256

ROWS: tuple[measurement.Row, ...] = (
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
    ("precision_equal_counts", "Counts equal with rounded products", "%", 0.01),
    ("precision_mean_change", "Mean change of a count, of its layer", "%", 0.01),
    ("precision_largest_change", "Largest change of a count, of its layer", "%", 0.01),
    ("auc_float32", "AUC of the workdir, float32", "", 1),
    ("auc_precision", "AUC of the workdir, float32 with rounded products", "", 1),
    ("auc_bfloat16", "AUC of the workdir, bfloat16", "", 1),
)


@dataclasses.dataclass(frozen=True)
class _Subject:
    """A backbone in float32 and bfloat16, its weights, and the detector it is of.

    Attributes:
        settings: What is counted.
        variables: Of the backbone, on the mesh.
        workdir: Of the detector; None for a backbone alone.
        fitted: The detector.
    """

    settings: CountSettings
    variables: Any
    workdir: Workdir | None = None
    fitted: Fitted | None = None

    @property
    def framing(self) -> Framing:
        return self.settings.backbone.preprocessing.framing

    def in_dtype(self, dtype: str) -> CountSettings:
        return dataclasses.replace(self.settings, dtype=dtype)


class CoverageBenchmark(Benchmark):
    """The measurements of one backbone."""

    rows = (*ROWS, *peer.rows(torch_peer.WORKS))

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
        if config.compare is not None:
            torch_peer.check(self._subject.settings.backbone.name)
            peer.load()
        self.framing = self._subject.framing

    def measure(self, dataset: Dataset) -> Results:
        """Measures the counting of neurons, in runs that take turns.

        Args:
            dataset: Pictures to count on.

        Returns:
            Names to numbers; see `rows`. AUCs are None without a workdir.
        """
        config, subject, mesh = self._config, self._subject, self._mesh
        pictures = _pictures(config, dataset, subject)
        thresholds = _thresholds(config, subject, pictures, mesh)
        rows = np.resize(np.arange(len(pictures)), config.batch_size)
        batch = parallel.put_batch(mesh, {"image": pictures[rows]})["image"]
        operands = (subject.variables, parallel.replicate(mesh, thresholds))
        request = ProgramRequest(mesh, Options(), config.batch_size)
        exact, rough = (
            programs.of_backbone(request, subject.in_dtype(dtype))
            for dtype in ("float32", "bfloat16")
        )
        plain, means, counts, counts_bf16 = (
            made().lower().compile()
            for made in (
                exact["forward"],
                exact["means"],
                exact["coverage"],
                rough["coverage"],
            )
        )
        with jax.set_mesh(mesh):
            seconds = measurement.seconds_in_turns(
                {
                    "forward": lambda: plain(subject.variables, batch),
                    "counts": lambda: counts(operands, batch),
                    "counts_bfloat16": lambda: counts_bf16(operands, batch),
                    "means": lambda: means(subject.variables, batch),
                },
                config.num_repeats,
            )
        speeds = {
            f"{name}_images_per_second": config.batch_size / value
            for name, value in seconds.items()
        }
        compared = {}
        if config.compare is not None:
            compared = self._compare(request, operands, batch, pictures[rows])
        return {
            **speeds,
            **compared,
            "forward_temporary_bytes": _temporary_bytes(plain),
            "counts_temporary_bytes": _temporary_bytes(counts),
            "counts_cost": seconds["counts"] / seconds["forward"] - 1,
            **_changes(config, subject, thresholds, pictures, mesh),
            **_detection(config, subject, mesh),
            "backbone": subject.settings.backbone.name,
        }

    def _compare(
        self,
        request: ProgramRequest,
        operands: tuple[Any, jax.Array],
        batch: jax.Array,
        pictures: np.ndarray,
    ) -> Results:
        """Counting, in turns with PyTorch's.

        Args:
            request: For what the program is made.
            operands: Variables and thresholds, on the mesh.
            batch: The pictures, on the mesh.
            pictures: The pictures, on the host.
        """
        torch, subject = peer.load(), self._subject
        results = peer.describe(torch)
        variables, thresholds = jax.device_get(operands)
        for numbers in peer.formats(self._config.dtype):
            dtype, products = peer.FORMATS[numbers]
            with precision.using(products):
                made = programs.of_backbone(request, subject.in_dtype(dtype))
                counts = made["coverage"]().lower().compile()
            theirs = peer.Peer(torch, numbers)
            twins = torch_peer.scoring(
                theirs, subject.settings, variables, thresholds, pictures
            )
            results |= peer.compare(
                "counts",
                numbers,
                {"ours": functools.partial(counts, operands, batch), **twins},
                batch_size=self._config.batch_size,
                num_repeats=self._config.num_repeats,
            )
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
        settings = count_settings(trained, trained.dtype)
        return _Subject(settings, fitted.variables["backbone"], workdir, fitted)
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
    return _Subject(settings, parallel.replicate(mesh, variables))


def _thresholds(
    config: BenchmarkConfig, subject: _Subject, pictures: np.ndarray, mesh: Mesh
) -> np.ndarray:
    """The thresholds of the detector, or else those that fit the pictures."""
    if subject.fitted is not None:
        stored: np.ndarray = parallel.to_host(subject.fitted.variables["thresholds"])
        return stored
    counter = NeuronCounter(
        subject.in_dtype("float32"),
        subject.variables,
        mesh,
        batch_size=config.batch_size,
        reading=config.input,
    )
    batches = batching.from_pictures(pictures, subject.framing, config.batch_size)
    return counter.thresholds_of(batches)


def _pictures(
    config: BenchmarkConfig, dataset: Dataset, subject: _Subject
) -> np.ndarray:
    """Some readable pictures of the dataset, uint8 `[n, height, width, 3]`."""
    chosen = dataset.subset(range(min(dataset.num_examples, _NUM_COMPARED)))
    batches = pipeline.eval_batches(
        chosen,
        framing=subject.framing,
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


def _ways() -> dict[str, tuple[str, str]]:
    """Ways to compute, the exact one first: their dtype and that of their products."""
    ways = {"float32": ("float32", "float32"), "bfloat16": ("bfloat16", "float32")}
    if precision.chosen() != "float32":
        # The products are rounded, the network is not.
        ways["precision"] = ("float32", precision.chosen())
    return ways


def _changes(
    config: BenchmarkConfig,
    subject: _Subject,
    thresholds: np.ndarray,
    pictures: np.ndarray,
    mesh: Mesh,
) -> Results:
    """How far counts that are rounded in some way are from those in float32."""
    operands = parallel.replicate(mesh, (subject.variables, thresholds))
    sizes = np.array(list(subject.settings.network.layer_sizes.values()))
    counts = {}
    for name, (dtype, products) in _ways().items():
        count = count_fn(subject.in_dtype(dtype).network)
        scorer = Scorer(count, mesh, config.batch_size)
        batches = batching.from_pictures(
            pictures, subject.framing, scorer.local_batch_size
        )
        with precision.using(products):
            found = list(scorer.stream(operands, ((None, batch) for batch in batches)))
        counts[name] = np.concatenate([part.values for part in found]).astype(np.int64)
    exact = counts.pop("float32")
    results: Results = {}
    for name, rough in counts.items():
        difference = np.abs(exact - rough)
        results |= {
            f"{name}_equal_counts": float(np.mean(difference == 0)),
            f"{name}_mean_change": float(np.mean(difference / sizes)),
            f"{name}_largest_change": float(np.max(difference / sizes)),
        }
    return results


def _detection(config: BenchmarkConfig, subject: _Subject, mesh: Mesh) -> Results:
    """AUC of the workdir's detector in each way, on its test pictures."""
    workdir, fitted = subject.workdir, subject.fitted
    if workdir is None or fitted is None:
        return {f"auc_{name}": None for name in _ways()}
    data = config.data or workdir.data
    dataset = catalog.load(data, "test", needs="either").as_binary()
    widths = workdir.settings(FakeSpotterOptions).widths
    results = {}
    for way, (dtype, products) in _ways().items():
        name = f"auc_{way}"
        fn = fakespotter.make_log_probability_fn(subject.in_dtype(dtype), widths)
        with precision.using(products):
            scored = Scorer(fn, mesh, config.batch_size).score_dataset(
                fitted.variables, dataset, fitted.info.framing, config.input, label=name
            )
        evidence = fitted.info.log_odds(scored.values[scored.valid])
        results[name] = metrics.auc(dataset.labels[scored.valid], evidence)
    return results
