# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of FakeSpotter's training and benchmark."""

import dataclasses
from pathlib import Path
from typing import ClassVar

from fakedet_jax.config import CountConfig
from fakedet_jax.settings import Settings, option
from fakedet_jax.systems.options import PictureOptions, TableOptions

_MAX_WIDTH = 65536


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(CountConfig):
    """What the benchmark of the neuron counts can be asked for."""

    workdir: Path | None = option(
        None, "Workdir of a training run whose network is measured."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FakeSpotterOptions(CountConfig, PictureOptions, TableOptions):
    """What the training can be asked for."""

    Benchmark: ClassVar[type[Settings]] = BenchmarkOptions

    widths: tuple[int, ...] = option(
        (64, 32, 16, 8),
        "Widths of the hidden layers of the classifier.",
        minimum=1,
        maximum=_MAX_WIDTH,
    )
