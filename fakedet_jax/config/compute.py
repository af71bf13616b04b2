# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How networks are computed, and which steps are traced."""

import dataclasses
from pathlib import Path
from typing import Any

from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option

DTYPES = ("float32", "bfloat16")


PRECISIONS = ("float32", "tf32", "bfloat16")


def _cache_option(default: str) -> Any:
    return option(
        None,
        "Folder where compiled programs are kept for later runs, which then start "
        f"faster. {default} by default; empty for none.",
        is_stored=False,
        accepts_empty=True,
    )


@dataclasses.dataclass(frozen=True)
class ComputeConfig(Settings):
    """How a trained network is computed."""

    matmul_precision: str | None = option(
        None,
        "Precision of float32 products on GPUs and TPUs: float32, tf32 or bfloat16; "
        "by default that of the training. CPUs always use float32.",
        choices=PRECISIONS,
    )
    compilation_cache_dir: str | None = _cache_option("None")
    deterministic: bool = option(
        False,
        "Whether XLA keeps, on GPUs, to operations and algorithms that give the same "
        "bits run after run; may be slower.",
    )


@dataclasses.dataclass(frozen=True)
class FirstPrecisionConfig(Settings):
    """How exactly a network multiplies that is not trained yet."""

    matmul_precision: str = option(
        "float32",
        "Precision of float32 products on GPUs and TPUs: float32, tf32 or bfloat16. "
        "CPUs always use float32.",
        choices=PRECISIONS,
    )


@dataclasses.dataclass(frozen=True)
class FirstComputeConfig(FirstPrecisionConfig, ComputeConfig):
    """How a network is computed that is not trained yet."""


@dataclasses.dataclass(frozen=True)
class PredictComputeConfig(ComputeConfig):
    """How scores of files are computed."""

    compilation_cache_dir: str | None = _cache_option("In the user's cache folder")


@dataclasses.dataclass(frozen=True)
class ProfileConfig(Settings):
    """Which training steps are traced."""

    folder: Path | None = option(
        None,
        "Folder for a trace of some training steps, for Perfetto or XProf.",
        is_stored=False,
        name="profile_dir",
    )
    first_step: int = option(
        10,
        "First training step that is traced.",
        minimum=1,
        is_stored=False,
        name="profile_first_step",
    )
    last_step: int | None = option(
        None,
        "Last training step that is traced; by default the fourth after the first.",
        minimum=1,
        is_stored=False,
        name="profile_last_step",
    )

    def __post_init__(self) -> None:
        """Completes and checks the settings.

        Raises:
            RequestError: A value is not valid, or the last step precedes the first.
        """
        super().__post_init__()
        if self.last_step is None:
            object.__setattr__(self, "last_step", self.first_step + 4)
        elif self.last_step < self.first_step:
            raise RequestError(
                "`profile_last_step`: expected at least `profile_first_step`, "
                f"{self.first_step}, found {self.last_step}"
            )
