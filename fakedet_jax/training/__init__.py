# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains networks: loop, steps, optimisers, recipes and the record of metrics."""

__all__ = [
    "freezing",
    "loop",
    "optim",
    "recipe",
    "steps",
    "table_training",
    "writers",
]
