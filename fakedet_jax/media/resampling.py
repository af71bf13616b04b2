# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bilinear interpolation."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # Of float32, which NumPy's stubs lose track of.


def bilinear(plane: Array, x: Array, y: Array) -> Array:
    """Interpolates a plane bilinearly at fractional positions.

    Args:
        plane: float32 `[height, width]`, at least 2×2; pixel centres are at whole
            numbers, from 0.
        x: Horizontal positions in pixels, float32; clamped to the plane.
        y: Vertical positions in pixels, float32, of a shape that broadcasts with that
            of `x`; clamped to the plane.

    Returns:
        Interpolated values, floating-point of the common shape of `x` and `y`.

    >>> plane = np.array([[0, 1], [2, 3]], np.float32)
    >>> bilinear(plane, np.float32([0.5]), np.float32([0.25])).tolist()
    [1.0]
    """
    height, width = plane.shape
    # Slightly less than the last pixel, so that there is always a next one.
    x = np.clip(x, 0, width - 1.001)
    y = np.clip(y, 0, height - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    fraction_x, fraction_y = x - left, y - top
    index = top * width + left
    upper = plane.take(index)
    upper += fraction_x * (plane.take(index + 1) - upper)
    lower = plane.take(index + width)
    lower += fraction_x * (plane.take(index + width + 1) - lower)
    return upper + fraction_y * (lower - upper)
