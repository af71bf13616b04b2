# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=benchmark`: how fast a detector trains and scores on this machine.

Compilation and warming up are left out of the speeds, and a run ends when its last
result is there. Numbers of one call can be compared with each other; those of two
calls only where nothing else kept the machine busy.
"""

import contextlib
import logging
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from PIL import Image

from fakedet_jax import systems
from fakedet_jax.config import BenchmarkConfig, DataConfig
from fakedet_jax.data import catalog
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.jobs import benchmark_faces, benchmark_files, compute
from fakedet_jax.media.framing import Framing
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.report.text_table import text_table
from fakedet_jax.runtime import measurement, parallel, storage

_LOGGER = logging.getLogger(__name__)

Results = dict[str, Any]

_JPEG_SIDE = 256
_JPEG_QUALITY = 90
_NUM_JPEGS = 64

_ROWS: tuple[measurement.Row, ...] = (
    ("pipeline_images_per_second", "Input pipeline alone", "images/s", 1),
    *benchmark_files.ROWS,
    *benchmark_faces.ROWS,
    ("peak_host_bytes", "Peak memory, host", "MiB", 2**20),
    ("peak_device_bytes", "Peak memory, fullest device", "MiB", 2**20),
    ("matmul_float32_flops_per_second", "Matrix product, float32", "TFLOP/s", 1e12),
    ("matmul_bfloat16_flops_per_second", "Matrix product, bfloat16", "TFLOP/s", 1e12),
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
        - `labels`: what each number is, for the table.
        - `train_share_of_peak`: the arithmetic of the training step per second as a
          part of the matrix product's in the dtype of the computation.

        What is measured of a system stands in the `benchmark.py` of its room.

    Raises:
        RequestError: The settings or the data are not as expected.
    """
    compute.prepare(config.compute)
    parallel.require_one_process("benchmark")
    mesh = parallel.data_mesh()
    compute.set_up(config.compute)
    subject = systems.create(config.detector).benchmark(config, mesh)
    with _dataset(config.data) as dataset:
        results = _describe(config, subject.framing, dataset)
        results["labels"] = {
            name: {"label": label, "unit": unit, "divisor": divisor}
            for name, label, unit, divisor in (*subject.rows, *_ROWS)
        }
        # First, because what it refuses should not take minutes.
        scoring = subject.scoring(dataset.num_classes) if config.files else None
        results |= subject.measure(dataset)
        _LOGGER.info("measuring: input pipeline")
        results["pipeline_images_per_second"] = benchmark_faces.reading_speed(
            dataset,
            subject.framing,
            config.batch_size,
            config.input,
            config.num_repeats,
        )
        if scoring is not None:
            _LOGGER.info("measuring: files")
            results |= benchmark_files.measure_files(
                *scoring,
                mesh,
                subject.framing,
                dataset,
                batch_size=config.batch_size,
                num_repeats=config.num_repeats,
                settings=config.input,
            )
    if config.face_detector_model is not None:
        _LOGGER.info("measuring: faces")
        results |= benchmark_faces.measure_faces(
            config.face_detector_model, num_repeats=config.num_repeats
        )
    # The large matrices come after the memory, to be no part of its peak.
    results |= measurement.peak_memory(mesh)
    _LOGGER.info("measuring: matrix product")
    results |= _machine(config, mesh)
    results |= subject.ratios(results)
    if config.output is not None:
        with storage.writing_to(config.output, "output", "file"):
            config.output.parent.mkdir(parents=True, exist_ok=True)
            storage.write_json(config.output, results)
    return results


def to_table(results: Mapping[str, Any]) -> str:
    """Aligns results for reading.

    Args:
        results: Of `benchmark`.

    Returns:
        Lines of text; what could not be measured says so.
    """
    kernels = "deterministic kernels, " if results["deterministic"] else ""
    lines = [
        "{detector}, {dtype}, products in {matmul_precision}, {kernels}batches of "
        "{batch_size}, {framing} pictures, on {num_devices} × {device_kind} "
        "({platform}); jax {jax_version}".format(**results, kernels=kernels),
        f"{results['dataset']}; medians of {results['num_repeats']} runs",
        "",
    ]
    rows = []
    for name, known in results["labels"].items():
        if name in results:
            value = _shown(results[name], known["divisor"])
            rows.append(
                (known["label"], value, "" if value == _UNKNOWN else known["unit"])
            )
    return "\n".join([*lines, *text_table(rows, left=(0, 2))])


_UNKNOWN = "not available"


def _shown(value: float | None, divisor: float) -> str:
    if value is None:
        return _UNKNOWN
    value /= divisor
    # Three digits tell all that such measurements know.
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


@contextlib.contextmanager
def _dataset(data: DataConfig | None) -> Iterator[Dataset]:
    """Training pictures: the ones asked for, or made ones as long as they are used."""
    if data is not None:
        yield catalog.load(data, "train")
        return
    with tempfile.TemporaryDirectory(prefix="fakedet_benchmark_") as folder:
        rng = np.random.default_rng(0)
        for number in range(_NUM_JPEGS):
            class_folder = Path(folder, "train", ("real", "fake")[number % 2])
            class_folder.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(_made_photograph(rng))
            picture.save(class_folder / f"{number:03d}.jpg", quality=_JPEG_QUALITY)
        yield catalog.load(DataConfig("folder", Path(folder)), "train")


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


def _describe(config: BenchmarkConfig, framing: Framing, dataset: Dataset) -> Results:
    device = jax.devices()[0]
    made = f"{dataset.num_examples} made JPEGs of {_JPEG_SIDE}²"
    return {
        "detector": config.detector,
        "dtype": config.dtype,
        "matmul_precision": config.compute.matmul_precision,
        "deterministic": config.compute.deterministic,
        "batch_size": config.batch_size,
        "framing": str(framing),
        "num_repeats": config.num_repeats,
        "dataset": config.data.dataset if config.data else made,
        "platform": device.platform,
        "device_kind": device.device_kind,
        "num_devices": jax.device_count(),
        "num_cpus": os.cpu_count(),
        "jax_version": jax.__version__,
        "python_version": platform.python_version(),
    }


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
