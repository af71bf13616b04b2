# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Post-processing of pictures, such as compression and blur, and robustness suites."""

__all__ = [
    "apply",
    "codecs",
    "operations",
    "perturbation",
    "specification",
    "suites",
    "treatment",
]
