# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a patch is: learned positions for another grid, and rotations by position.

References:
    Keys: "Cubic convolution interpolation for digital image processing", 1981.
    Su et al.: "RoFormer: enhanced transformer with rotary position embedding", 2021.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.models.encoders.transformer import Rotation

# Keys' parameter, in PyTorch without antialiasing and with it.
_SHARP, _ANTIALIASED = -0.75, -0.5


def interpolated(
    positions: jax.Array, grid: tuple[int, int], *, offset: float, antialias: bool
) -> jax.Array:
    """Learned positions of a square grid for another grid, as PyTorch interpolates.

    Args:
        positions: float32 `[side², width]`, row by row.
        grid: Rows and columns that are wanted.
        offset: What the authors of DINOv2 add to rows and columns where they compute
            the scale; 0 for none.
        antialias: Whether fewer positions are averages of many.

    Returns:
        float32 `[rows × columns, width]`.
    """
    side = round(positions.shape[0] ** 0.5)
    if grid == (side, side):
        return positions
    rows, columns = (
        cubic_weights(side, size, offset=offset, antialias=antialias) for size in grid
    )
    plane = positions.reshape(side, side, -1)
    found = jnp.einsum(
        "ry,cx,yxf->rcf", rows, columns, plane, precision=lax.Precision.HIGHEST
    )
    return found.reshape(grid[0] * grid[1], -1)


def cubic_weights(
    length: int, wanted: int, *, offset: float = 0, antialias: bool = False
) -> np.ndarray:
    """The matrix of a bicubic interpolation along one axis.

    Args:
        length: Numbers that there are.
        wanted: Numbers that are wanted.
        offset: Added to `wanted` for the scale.
        antialias: Whether the kernel grows with the scale, if that is above 1.

    Returns:
        float32 `[wanted, length]`; the weights of a row sum to 1.
    """
    scale = length / (wanted + offset)
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    if antialias:
        stretch = max(scale, 1.0)
        distances = (np.arange(length) - centres[:, None]) / stretch
        weights = _cubic(distances, _ANTIALIASED)
        weights /= weights.sum(1, keepdims=True)
        return weights.astype(np.float32)
    weights = np.zeros((wanted, length))
    first = np.floor(centres).astype(int) - 1
    for tap in range(4):
        # Beyond the border, its number is repeated.
        place = np.clip(first + tap, 0, length - 1)
        share = _cubic(first + tap - centres, _SHARP)
        np.add.at(weights, (np.arange(wanted), place), share)
    return weights.astype(np.float32)


def _cubic(distances: np.ndarray, sharpness: float) -> np.ndarray:
    """Keys' kernel, of the distances from a point."""
    x = np.abs(distances)
    near = ((sharpness + 2) * x - (sharpness + 3)) * x * x + 1
    far = sharpness * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def rotation(angles: np.ndarray, num_prefix: int, *, interleaved: bool) -> Rotation:
    """A function that turns pairs of features by angles.

    Args:
        angles: `[patches, features / 2]`, radians.
        num_prefix: Tokens before the patches, which are not turned.
        interleaved: Whether a pair is two neighbours; otherwise feature `i` and
            feature `i + features / 2`.
    """
    turned = np.concatenate([np.zeros((num_prefix, angles.shape[1])), angles])
    # Over heads too.
    cos, sin = (f(turned).astype(np.float32)[:, None] for f in (np.cos, np.sin))
    axis = -1 if interleaved else -2

    def rotate(heads: jax.Array) -> jax.Array:
        pairs = (-1, 2) if interleaved else (2, -1)
        values = heads.astype(jnp.float32).reshape(*heads.shape[:-1], *pairs)
        first, second = (jnp.take(values, index, axis=axis) for index in (0, 1))
        found = (first * cos - second * sin, second * cos + first * sin)
        return jnp.stack(found, axis=axis).reshape(heads.shape).astype(heads.dtype)

    return rotate
