# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A trained detector as an object of Python, for pictures in memory and in files."""

__all__ = ["detector", "maps", "pictures"]
