# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluations of a trained detector: on datasets, suites and foreign scores."""

import dataclasses
from pathlib import Path

from fakedet_jax.config.batches import OneDatasetConfig, SplitConfig
from fakedet_jax.config.verdict import OperatingPointConfig, VerdictConfig
from fakedet_jax.config.work import ShardConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(SplitConfig, OperatingPointConfig):
    """What all evaluations of a trained detector have in common."""

    workdir: Path = option(help="Folder of the training run.")
    name: str = option(
        "",
        "Name of the results folder; by default made of dataset, split and, where they "
        "are others than in the training, folder and threshold.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureConfig(EvaluationConfig, VerdictConfig):
    """What evaluations have in common that give intervals."""

    num_resamples: int = option(
        1000,
        "Bootstrap samples for the confidence intervals; 0 omits the intervals.",
        minimum=0,
    )
    perturb: str = option(
        "", "Perturbation of every picture: OPERATION:STRENGTH, OPERATION:mix or mix."
    )
    seed: int = option(
        0,
        "Seed of the perturbation and of the bootstrap.",
        minimum=0,
        maximum=2**32 - 1,
    )
    report: bool = option(
        True,
        "Whether each evaluation has a page with figures; tables and numbers are "
        "always written.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(OneDatasetConfig, MeasureConfig):
    """An evaluation of a trained detector on one dataset."""

    group_by: str = option(
        "",
        "Column of `group_table` whose values make groups of pictures, each with its "
        "own metrics.",
    )
    group_table: Path | None = option(
        None,
        "CSV file with the column path, as in scores.csv or its end, and more columns, "
        "such as the table that labelled the pictures.",
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or one of the two is missing.
        """
        super().__post_init__()
        if bool(self.group_by) != (self.group_table is not None):
            missing = "group_table" if self.group_by else "group_by"
            raise RequestError(
                f"`{missing}`: expected a table and one of its columns, found only "
                f"`{'group_by' if self.group_by else 'group_table'}`; give both"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossDatasetConfig(MeasureConfig):
    """Evaluations of a trained detector on several datasets, in one table."""

    datasets: tuple[str, ...] = option(
        help="Datasets to evaluate, each as FOLDER or NAME=FOLDER."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteConfig(OneDatasetConfig, EvaluationConfig, ShardConfig):
    """A robustness suite, measured with a trained detector."""

    suite: str = option(help="Name of the robustness suite.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForeignScoresConfig(Settings):
    """A robustness suite, measured with scores of another program's detector."""

    scores: Path = option(
        help="CSV file with a score for each picture that the mode export wrote for "
        "the suite."
    )
    suite: str = option(help="Name of the robustness suite.")
    pictures: Path = option(help="Folder that the mode export wrote for the suite.")
    output: Path = option(help="Folder for the results.")
    name: str = option("", "Name of the detector; by default the stem of `scores`.")
