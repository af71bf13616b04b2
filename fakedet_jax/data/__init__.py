# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Datasets: layouts, splits, prepared datasets, checks, and the input pipeline."""

__all__ = [
    "catalog",
    "dataset",
    "folder",
    "inspection",
    "layouts",
    "leaks",
    "near_duplicates",
    "pipeline",
    "portraits",
    "prepared",
    "rows",
    "scan",
    "splits",
    "tags_file",
    "tfds_source",
]
