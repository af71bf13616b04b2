# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A training run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax import systems
from fakedet_jax.config.compute import FirstComputeConfig, ProfileConfig
from fakedet_jax.config.data import DataConfig, InputConfig
from fakedet_jax.settings import Settings, option, part
from fakedet_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """A training run."""

    workdir: Path = option(help="Folder of the training run.", is_stored=False)
    detector: str = option(systems.DEFAULT, "Detector to train.", choices=systems.names)
    data: DataConfig = part(DataConfig)
    input: InputConfig = part(InputConfig)
    recipe: Mapping[str, Any] = part(Recipe, is_partial=True)
    seed: int = option(0, "Seed of all random choices.", minimum=0, maximum=2**32 - 1)
    compute: FirstComputeConfig = part(FirstComputeConfig)
    profile: ProfileConfig | None = part(
        ProfileConfig,
        is_optional=True,
        triggers=("profile_dir",),
        reason="it says where the trace goes",
    )
    options: Any = part(select=systems.options_of, every=systems.all_options)
