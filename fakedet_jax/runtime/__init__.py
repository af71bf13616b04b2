# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Devices, files and processes, which all other parts build on."""

__all__ = [
    "checkpoint",
    "dispatch",
    "measurement",
    "parallel",
    "plugins",
    "processes",
    "progress",
    "records",
    "registry",
    "signals",
    "storage",
    "tables",
    "text",
]
