# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fusion: several trained detectors with one verdict."""

__all__ = ["options", "system"]
