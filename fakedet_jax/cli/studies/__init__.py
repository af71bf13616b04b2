# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Studies: trainings and tests that make up a table."""

__all__ = [
    "file",
    "flags",
    "run",
]
