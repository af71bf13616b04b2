# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Devices, files and processes, which all other parts build on."""

__all__ = [
    "checkpoint",
    "measurement",
    "parallel",
    "processes",
    "progress",
    "registry",
    "signals",
    "storage",
    "tables",
    "text",
]
