# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One module per mode of the command line; each takes one frozen dataclass."""

__all__ = [
    "benchmark",
    "benchmark_faces",
    "compare",
    "convert",
    "cross_dataset",
    "evaluate",
    "export",
    "extract",
    "predict",
    "prepare",
    "suite",
    "suite_scores",
    "train",
]
