# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One module per mode of the command line; each takes one frozen dataclass.

`files` is what the modes that take files share, `parts` what those that write parts
share, `compute` what those that use devices share, `threshold` what those that decide
share.
"""

__all__ = [
    "benchmark",
    "benchmark_faces",
    "check",
    "compare",
    "compute",
    "convert",
    "cross_dataset",
    "evaluate",
    "export",
    "extract",
    "extract_parts",
    "files",
    "merge",
    "parts",
    "predict",
    "predict_parts",
    "prepare",
    "suite",
    "suite_scores",
    "threshold",
    "train",
]
