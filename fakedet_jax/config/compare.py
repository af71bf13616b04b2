# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Several trainings and evaluations side by side."""

import dataclasses
from pathlib import Path

from fakedet_jax.config.data import DataConfig, InputConfig
from fakedet_jax.config.work import ShardConfig
from fakedet_jax.settings import Settings, option, part


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(Settings):
    """Evaluations, shown side by side."""

    paths: tuple[str, ...] = option(
        (), "Folders of evaluations, or CSV files with path,label,score."
    )
    output: Path = option(help="Folder for the results.")
    names: tuple[str, ...] = option(
        (), "Names of the evaluations; by default made of their paths."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(ShardConfig):
    """Trainings and tests that make up a table.

    Attributes:
        overrides: Flags such as `num_epochs=5` that follow those of each training.
    """

    study: Path = option(help="JSON file that lists trainings and tests.")
    output: Path = option(help="Folder for the runs and the table.")
    seeds: tuple[int, ...] = option(
        (0,), "Seeds; each training runs once per seed.", minimum=0
    )
    overrides: tuple[str, ...] = ()
    data: DataConfig | None = part(
        DataConfig, is_optional=True, triggers=("dataset", "data_dir")
    )
    input: InputConfig = part(InputConfig)
