# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Measures detectors: scores of datasets, metrics, intervals and suites."""

__all__ = [
    "bootstrap",
    "data",
    "info",
    "metrics",
    "perturbed",
    "predictions",
    "protocol",
    "scoring",
    "suite_export",
]
