# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a detector costs on a device."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax import systems
from fakedet_jax.config.compute import DTYPES, FirstComputeConfig, FirstPrecisionConfig
from fakedet_jax.config.data import DataConfig, InputConfig
from fakedet_jax.settings import Settings, option, part


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(Settings):
    """Measurements of speed on this machine."""

    detector: str = option(
        systems.DEFAULT, "Detector to measure.", choices=systems.names
    )
    data: DataConfig | None = part(DataConfig, is_optional=True)
    input: InputConfig = part(InputConfig)
    batch_size: int = option(64, "Pictures per step.", minimum=1)
    num_repeats: int = option(
        5, "Runs of each measurement; the median is reported.", minimum=1
    )
    dtype: str = option("float32", "Precision: float32 or bfloat16.", choices=DTYPES)
    compute: FirstComputeConfig = part(FirstComputeConfig)
    compare: str | None = option(
        None, "Library to compare with in turns: torch (PyTorch).", choices=("torch",)
    )
    output: Path | None = option(None, "JSON file for the results.")
    files: bool = option(
        False,
        "Whether picture files are scored as predict does it, in turns with reading "
        "and the network alone.",
    )
    face_detector_model: Path | None = option(
        None, "ONNX file of yunet; with it, finding and reading faces are measured too."
    )
    options: Any = part(
        select=systems.benchmark_options_of, every=systems.all_benchmark_options
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompileConfig(Settings):
    """A program that a detector or a backbone runs, compiled for a device."""

    what: str | None = option(
        None,
        "Program: train (a step), score (class probabilities), coverage (neuron "
        "counts), mixture (a block of rows in its fit) or forward (a backbone alone); "
        "by default the first that the detector has.",
        choices=("train", "score", "coverage", "mixture", "forward"),
    )
    detector: str | None = option(
        None,
        "Detector that runs the program; of a backbone alone, by default the one that "
        "counts its neurons.",
        choices=systems.names,
    )
    device: str = option(
        "",
        "Device to compile for: cpu, tpu:GENERATION:TOPOLOGY such as tpu:v5e:2x2, "
        "cuda:NAME or cuda:NAME:N such as cuda:h100:4, or cuda:FILE with a GPU's "
        "description; by default the devices of this machine.",
    )
    num_devices: int | None = option(
        None,
        "Devices that share the batch; by default all, of an absent GPU one.",
        minimum=1,
    )
    batch_size: int | None = option(
        None,
        "Pictures of a call, over all devices; by default about 64. Of a mixture the "
        "rows of a block; by default those of a fit to 25,000 rows.",
        minimum=1,
    )
    dtype: str = option("float32", "Precision: float32 or bfloat16.", choices=DTYPES)
    precision: FirstPrecisionConfig = part(FirstPrecisionConfig)
    output: Path | None = option(None, "JSON file for the results.")
    hlo_dir: Path | None = option(None, "Folder for the optimised program.")
    options: Mapping[str, Any] = part(
        select=systems.options_of_program,
        every=systems.all_options,
        is_partial=True,
        only=lambda known: known.is_architecture,
    )
