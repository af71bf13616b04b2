# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads pictures between their pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # of float32; NumPy's stubs lose track of it


def bilinear(plane: Array, x: Array, y: Array) -> Array:
    """Reads a plane at fractional places, clamped to its border.

    Args:
        plane: float32 `[h, w]`, at least 2×2; the centres of its pixels lie at whole
            numbers, from 0.
        x: float32, of a shape that broadcasts with that of `y`.
        y: float32.

    Returns:
        Floating-point numbers, of the common shape of `x` and `y`.

    >>> plane = np.array([[0, 1], [2, 3]], np.float32)
    >>> bilinear(plane, np.float32([0.5]), np.float32([0.25])).tolist()
    [1.0]
    """
    height, width = plane.shape
    # A little less than the last pixel, which then has a neighbour to mix with.
    x = np.clip(x, 0, width - 1.001)
    y = np.clip(y, 0, height - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    fraction_x, fraction_y = x - left, y - top
    index = top * width + left
    upper = plane.take(index)
    upper += fraction_x * (plane.take(index + 1) - upper)
    lower = plane.take(index + width)
    lower += fraction_x * (plane.take(index + width + 1) - lower)
    result: Array = upper + fraction_y * (lower - upper)
    return result
