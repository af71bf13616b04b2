# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detectors that consist of one network: AMTENnet and the networks it is compared with.

Each module has a network and its detector; `system` trains and loads them.
"""

__all__ = [
    "amtennet",
    "benchmark",
    "block_dct",
    "cached",
    "cnndetection",
    "community_forensics",
    "converted",
    "gend",
    "hand_crafted",
    "headed",
    "linear_probe",
    "mesonet",
    "mislnet",
    "options",
    "residuals",
    "spectrum",
    "system",
    "traces",
    "xception",
]
