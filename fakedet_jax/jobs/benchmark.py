# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=benchmark`: how fast a detector trains and scores on this machine.

Compilation and warming up are left out of the speeds, and a run ends when its last
result is there. Numbers of one call can be compared with each other; those of two
calls only where nothing else kept the machine busy.
"""

import contextlib
import dataclasses
import logging
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from jax.sharding import Mesh
from PIL import Image

from fakedet_jax import (
    detectors,
    loop,
    measurement,
    optim,
    parallel,
    steps,
    storage,
    traces,
)
from fakedet_jax.config import BenchmarkConfig, DataConfig, TrainConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.detectors.network import NetworkDetector
from fakedet_jax.errors import RequestError
from fakedet_jax.models.dtypes import DTYPES

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

# More than the input pipeline holds ready: afterwards only what it reads counts.
_NUM_WARMUP_BATCHES = 4
# Of a made-up run, for the learning rate.
_NUM_STEPS = 1000

_JPEG_SIDE = 256
_JPEG_QUALITY = 90
_NUM_JPEGS = 64

# How the table shows a result: its name, what it is, its unit and what divides it.
_ROWS: tuple[tuple[str, str, str, float], ...] = (
    ("train_images_per_second", "Training step", "images/s", 1),
    ("evaluation_images_per_second", "Evaluation", "images/s", 1),
    ("pipeline_images_per_second", "Input pipeline alone", "images/s", 1),
    ("pipeline_per_train", "Input pipeline / training step", "× (3 wanted)", 1),
    ("traces_jit_images_per_second", "Traces, jit over a mesh", "images/s", 1),
    ("traces_pmap_images_per_second", "Traces, pmap", "images/s", 1),
    ("train_lower_seconds", "Training step, lowering", "s", 1),
    ("train_compile_seconds", "Training step, compiling", "s", 1),
    ("evaluation_lower_seconds", "Evaluation, lowering", "s", 1),
    ("evaluation_compile_seconds", "Evaluation, compiling", "s", 1),
    ("peak_host_bytes", "Peak memory, host", "MiB", 2**20),
    ("peak_device_bytes", "Peak memory, fullest device", "MiB", 2**20),
    ("train_temporary_bytes", "Temporaries of a training step", "MiB", 2**20),
    ("matmul_float32_flops_per_second", "Matrix product, float32", "TFLOP/s", 1e12),
    ("matmul_bfloat16_flops_per_second", "Matrix product, bfloat16", "TFLOP/s", 1e12),
    ("train_flops_per_image", "Arithmetic of a training step", "GFLOP/image", 1e9),
    ("train_flops_per_second", "Training step", "TFLOP/s", 1e12),
    ("train_share_of_peak", "Training step / matrix product", "%", 0.01),
)


def benchmark(config: BenchmarkConfig) -> Results:
    """Measures a detector and the machine.

    Args:
        config: The settings. Without data, photograph-like JPEGs of 256² are read.

    Returns:
        What is written as JSON: names to numbers, each speed the median of
        `num_repeats` runs; None for what the platform does not tell or what does not
        apply. Speeds are of all devices together.

        - `*_images_per_second`: pictures on the devices already, except for
          `pipeline` (from files to uint8 on the host) and `traces` (from uint8 on the
          host to traces on the devices).
        - `matmul_*_flops_per_second`: of a large matrix product, float32 in full
          precision.
        - `train_flops_per_image`: multiplications and additions that XLA counts in
          the network's plain form, whatever form is faster here.
        - `train_share_of_peak`: the arithmetic of the training step per second as a
          part of the matrix product's in the dtype of the computation.

    Raises:
        RequestError: The settings or the data are not as expected.
    """
    mesh = parallel.data_mesh()
    detector = _check(config, mesh)
    with _dataset(config.data) as dataset:
        results = _describe(config, detector, dataset)
        subject = _subject(config, detector, dataset.num_classes, mesh)
        # Training comes last, as it takes the state over.
        for measure in (_evaluation, _traces, _train):
            _LOGGER.info("measuring: %s", measure.__name__.strip("_"))
            results |= measure(subject)
        _LOGGER.info("measuring: input pipeline")
        results |= _pipeline(config, detector, dataset)
    # The large matrices come after the memory, to be no part of its peak.
    results |= measurement.peak_memory(mesh)
    _LOGGER.info("measuring: matrix product")
    results |= _machine(config, mesh)
    results |= _ratios(config, results)
    if config.output is not None:
        _write(config.output, results)
    return results


def to_table(results: Mapping[str, Any]) -> str:
    """Aligns results for reading.

    Args:
        results: Of `benchmark`.

    Returns:
        Lines of text; what could not be measured says so.
    """
    lines = [
        "{detector}, {dtype}, batches of {batch_size}, {framing} pictures, on "
        "{num_devices} × {device_kind} ({platform}); jax {jax_version}".format(
            **results
        ),
        f"{results['dataset']}; medians of {results['num_repeats']} runs",
        "",
    ]
    rows = [
        (label, _shown(results[name], divisor), unit)
        for name, label, unit, divisor in _ROWS
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for label, value, unit in rows:
        unit = "" if value == _UNKNOWN else unit
        lines.append(f"{label:{widths[0]}}  {value:>{widths[1]}}  {unit}".rstrip())
    return "\n".join(lines)


_UNKNOWN = "not available"


def _shown(value: float | None, divisor: float) -> str:
    if value is None:
        return _UNKNOWN
    value /= divisor
    # Three digits tell all that such measurements know.
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


@dataclasses.dataclass(frozen=True)
class _Subject:
    """What is measured: the network of a detector on a mesh.

    Attributes:
        config: The settings.
        detector: The kind of detector.
        model: Its network.
        optimizer: Of its recipe.
        state: Before the first step, on the mesh; the training step takes it over.
        mesh: The devices.
        batch: On the host.
    """

    config: BenchmarkConfig
    detector: NetworkDetector
    model: nn.Module
    optimizer: optax.GradientTransformation
    state: steps.TrainState
    mesh: Mesh
    batch: dict[str, np.ndarray]


def _subject(
    config: BenchmarkConfig, detector: NetworkDetector, num_classes: int, mesh: Mesh
) -> _Subject:
    model = detector.build(num_classes, DTYPES[config.dtype])
    optimizer = optim.create_optimizer(detector.recipe, _NUM_STEPS, detector.frozen)
    create_state = jax.jit(
        lambda: steps.create_train_state(model, detector.preprocessing, optimizer, 0),
        out_shardings=parallel.replicated(mesh),
    )
    rng = np.random.default_rng(0)
    rows = config.batch_size
    batch = {
        "image": rng.integers(0, 256, (rows, *detector.framing.shape), np.uint8),
        "label": np.arange(rows, dtype=np.int32) % num_classes,
    }
    return _Subject(config, detector, model, optimizer, create_state(), mesh, batch)


def _check(config: BenchmarkConfig, mesh: Mesh) -> NetworkDetector:
    detector = detectors.create(config.detector)
    if jax.process_count() > 1:
        raise RequestError(
            "--mode=benchmark runs in one process, on all of its devices; start it "
            "without --distributed"
        )
    if config.num_repeats < 1:
        raise RequestError(
            f"--num_repeats: expected at least 1, found {config.num_repeats}"
        )
    if not isinstance(detector, NetworkDetector):
        raise RequestError(
            f"--detector: {config.detector!r} is no single network, whose training "
            "step could be measured; choose another"
        )
    recipe = dataclasses.replace(detector.recipe, batch_size=config.batch_size)
    settings = TrainConfig(config.detector, workdir=Path(), dtype=config.dtype)
    detector.check(settings, recipe, mesh)
    return detector


@contextlib.contextmanager
def _dataset(data: DataConfig | None) -> Iterator[Dataset]:
    """Training pictures: the ones asked for, or made ones as long as they are used."""
    if data is not None:
        yield catalog.load_configured(data, "train")
        return
    with tempfile.TemporaryDirectory(prefix="fakedet_benchmark_") as folder:
        rng = np.random.default_rng(0)
        for number in range(_NUM_JPEGS):
            class_folder = Path(folder, "train", ("real", "fake")[number % 2])
            class_folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(_made_photograph(rng))
            picture.save(class_folder / f"{number:03d}.jpg", quality=_JPEG_QUALITY)
        yield catalog.load_configured(DataConfig("folder", Path(folder)), "train")


def _made_photograph(rng: np.random.Generator) -> np.ndarray:
    """Soft shapes, finer ones and sensor noise: as costly to decode as a photograph."""
    total = np.full((_JPEG_SIDE, _JPEG_SIDE, 3), 128.0)
    for cells, contrast in ((4, 60.0), (16, 20.0), (64, 8.0)):
        coarse = rng.normal(0, contrast, (cells, cells, 3)) + 128
        layer = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
        layer = layer.resize((_JPEG_SIDE, _JPEG_SIDE), Image.Resampling.BICUBIC)
        total += np.asarray(layer) - 128.0
    total += rng.normal(0, 3, total.shape)
    return np.clip(total, 0, 255).astype(np.uint8)


def _describe(
    config: BenchmarkConfig, detector: NetworkDetector, dataset: Dataset
) -> Results:
    device = jax.devices()[0]
    made = f"{dataset.num_examples} made JPEGs of {_JPEG_SIDE}²"
    return {
        "detector": detector.name,
        "dtype": config.dtype,
        "batch_size": config.batch_size,
        "framing": str(detector.framing),
        "num_repeats": config.num_repeats,
        "dataset": config.data.dataset if config.data else made,
        "platform": device.platform,
        "device_kind": device.device_kind,
        "num_devices": jax.device_count(),
        "num_cpus": os.cpu_count(),
        "jax_version": jax.__version__,
        "python_version": platform.python_version(),
    }


def _train(subject: _Subject) -> Results:
    recipe = subject.detector.recipe
    train_step = steps.make_train_step(
        subject.model,
        subject.detector.preprocessing,
        subject.optimizer,
        optim.create_schedule(recipe, _NUM_STEPS),
        seed=0,
    )
    state = subject.state
    placed = parallel.put_batch(subject.mesh, subject.batch)
    arguments = (state, placed["image"], placed["label"])
    jitted = loop.compile_step(train_step, subject.mesh)

    def step() -> Any:
        # The state is donated, so that only the metrics can be waited for.
        nonlocal state
        state, metrics = compiled(state, placed["image"], placed["label"])
        return metrics

    with jax.set_mesh(subject.mesh):
        compiled, seconds_to_compile = _compile("train", jitted, arguments)
        flops = measurement.count_flops(jitted, arguments)
        seconds = measurement.seconds_per_call(step, subject.config.num_repeats)
    memory = compiled.memory_analysis()
    batch_size = subject.config.batch_size
    return {
        "train_images_per_second": batch_size / seconds,
        **seconds_to_compile,
        "train_temporary_bytes": memory.temp_size_in_bytes if memory else None,
        "train_flops_per_image": flops / batch_size if flops else None,
    }


def _evaluation(subject: _Subject) -> Results:
    variables = subject.state.variables
    image = parallel.put_batch(subject.mesh, subject.batch)["image"]
    jitted = jax.jit(
        steps.make_probability_fn(subject.model, subject.detector.preprocessing),
        out_shardings=parallel.batch_sharding(subject.mesh),
    )
    with jax.set_mesh(subject.mesh):
        compiled, seconds_to_compile = _compile(
            "evaluation", jitted, (variables, image)
        )
        seconds = measurement.seconds_per_call(
            lambda: compiled(variables, image), subject.config.num_repeats
        )
    rate = subject.config.batch_size / seconds
    return {"evaluation_images_per_second": rate, **seconds_to_compile}


def _traces(subject: _Subject) -> Results:
    """Both ways to extract traces, each from a batch on the host."""
    variables, image = subject.state.variables, subject.batch["image"]

    def by_jit() -> jax.Array:
        batch = parallel.put_batch(subject.mesh, {"image": image})
        # Only here: under a mesh `jax.pmap` refuses to run.
        with jax.set_mesh(subject.mesh):
            return traces.jit_extract(variables, batch["image"])

    calls = {
        "traces_jit_images_per_second": by_jit,
        "traces_pmap_images_per_second": lambda: traces.pmap_extract(variables, image),
    }
    try:
        jax.eval_shape(traces.extract, variables, image)
    except RequestError:
        # The network has no extractor.
        return dict.fromkeys(calls)
    repeats, rows = subject.config.num_repeats, subject.config.batch_size
    return {
        name: rows / measurement.seconds_per_call(call, repeats)
        for name, call in calls.items()
    }


def _pipeline(
    config: BenchmarkConfig, detector: NetworkDetector, dataset: Dataset
) -> Results:
    with pipeline.train_iterator(
        dataset,
        framing=detector.framing,
        batch_size=config.batch_size,
        seed=0,
        flip=True,
        num_workers=config.input.num_workers,
        num_threads=config.input.num_threads,
    ) as batches:
        seconds = measurement.seconds_per_call(
            lambda: next(batches), config.num_repeats, num_warmup=_NUM_WARMUP_BATCHES
        )
    return {"pipeline_images_per_second": config.batch_size / seconds}


def _machine(config: BenchmarkConfig, mesh: Mesh) -> Results:
    # float32 is always asked for: its ratio to bfloat16 tells what that could bring.
    wanted = {"float32", config.dtype}
    return {
        f"matmul_{name}_flops_per_second": (
            measurement.matmul_flops_per_second(mesh, dtype, config.num_repeats)
            if name in wanted
            else None
        )
        for name, dtype in DTYPES.items()
    }


def _ratios(config: BenchmarkConfig, results: Results) -> Results:
    rate = results["train_images_per_second"]
    flops = results["train_flops_per_image"]
    flops_per_second = flops * rate if flops else None
    peak = results[f"matmul_{config.dtype}_flops_per_second"]
    return {
        "pipeline_per_train": results["pipeline_images_per_second"] / rate,
        "train_flops_per_second": flops_per_second,
        "train_share_of_peak": flops_per_second / peak if flops_per_second else None,
    }


def _compile(name: str, jitted: Any, arguments: tuple[Any, ...]) -> tuple[Any, Results]:
    compiled, lower_seconds, compile_seconds = measurement.compile_timed(
        jitted, arguments
    )
    return compiled, {
        f"{name}_lower_seconds": lower_seconds,
        f"{name}_compile_seconds": compile_seconds,
    }


def _write(path: Path, results: Results) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.write_json(path, results)
    except OSError as error:
        raise RequestError(
            f"--output: {str(path)!r} cannot be written ({error.strerror})"
        ) from error
