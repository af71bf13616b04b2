# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of a fusion's training."""

import dataclasses

from fakedet_jax.config import FusionMembersConfig
from fakedet_jax.systems.options import PerturbOptions, ThresholdOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusionOptions(FusionMembersConfig, ThresholdOptions, PerturbOptions):
    """What the training can be asked for."""
