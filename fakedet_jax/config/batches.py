# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a trained network sees at once."""

import dataclasses

from fakedet_jax.config.compute import ComputeConfig
from fakedet_jax.config.data import SPLITS, DataConfig, InputConfig
from fakedet_jax.settings import Settings, option, part

_DATA_FOLLOW = (
    "without them the pictures are those that the detector was trained on, in their "
    "classes"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchConfig(Settings):
    """How many pictures a trained network sees at once."""

    batch_size: int = option(
        64,
        "Pictures per step, rounded up to a multiple of the number of devices.",
        minimum=1,
    )
    compute: ComputeConfig = part(ComputeConfig)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitConfig(BatchConfig):
    """A split of a dataset, and how it is read."""

    input: InputConfig = part(InputConfig)
    split: str = option(
        "test", "Split: train, validation, test or all.", choices=SPLITS
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneDatasetConfig(SplitConfig):
    """A split of one dataset, by default of that of the training."""

    data: DataConfig | None = part(
        DataConfig,
        is_optional=True,
        triggers=("dataset", "data_dir"),
        reason=_DATA_FOLLOW,
    )
