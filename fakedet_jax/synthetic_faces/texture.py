# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Soft shapes and natural noise for painting scenes.

Everything is a pure function of float32 planes. Noise comes from a few periodic tiles
that are computed once, so looking it up costs little.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[Any]  # Of float32, which NumPy's stubs lose track of.

TILE_SIZE = 256
"""Side of a noise tile in texels; a power of two, so that a mask wraps positions."""

_TILE_SEED = 20260101
_TILES_PER_EXPONENT = 4


def step(signed_distance: Array, width: float | Array) -> Array:
    """A soft step: 0 below `-width`, 1 above `width`, linear in between.

    Args:
        signed_distance: Distance inside a shape, in the unit of `width`, any shape.
        width: Half the width of the soft edge; about one pixel antialiases a shape.

    Returns:
        Floating-point of the same shape, in [0, 1].
    """
    return np.clip(signed_distance / (2 * width) + 0.5, 0, 1)


def smooth(x: Array, low: float, high: float) -> Array:
    """A cubic step that rises from 0 to 1.

    Args:
        x: Positions, floating-point of any shape.
        low: Position up to which the step is 0.
        high: Position from which it is 1.

    Returns:
        Floating-point of the shape of `x`, in [0, 1].
    """
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: Array, y: Array, sigma_x: float, sigma_y: float) -> Array:
    """A Gaussian with height 1 at the origin.

    Args:
        x: Horizontal positions, floating-point of any shape.
        y: Vertical positions, of a shape that broadcasts with that of `x`.
        sigma_x: Horizontal standard deviation in the unit of `x`.
        sigma_y: Vertical standard deviation in the unit of `y`.

    Returns:
        Floating-point of the common shape, in [0, 1].
    """
    return np.exp(-0.5 * ((x / sigma_x) ** 2 + (y / sigma_y) ** 2))


def mix(under: Array, over: Array | npt.ArrayLike, alpha: Array) -> Array:
    """Paints `over` on `under`.

    Args:
        under: Colours below, `[h, w, 3]`.
        over: Colours on top, `[h, w, 3]`, or one colour `[3]`.
        alpha: Opacity of `over`, `[h, w]` in [0, 1].

    Returns:
        Colours, floating-point `[h, w, 3]`.
    """
    over = np.asarray(over, np.float32)
    return under + alpha[..., None] * (over - under)


def shade(colour: Sequence[float], factors: Sequence[float]) -> Array:
    """Multiplies each channel of a colour by a factor.

    Args:
        colour: Red, green and blue.
        factors: Factor of each of them.

    Returns:
        The colour, float32 `[3]`.
    """
    return np.array([c * f for c, f in zip(colour, factors, strict=True)], np.float32)


def noise(u: Array, v: Array, kind: int, exponent: int = 1) -> Array:
    """Looks up periodic noise of mean 0 and standard deviation 1, with interpolation.

    Args:
        u: Horizontal position in texels, float32 of any shape.
        v: Vertical position in texels, of the same shape.
        kind: Number of the tile (modulo their number); also shifts the origin.
        exponent: The spectrum falls as 1/f to this power: 0 is white, 1 is pink.

    Returns:
        Noise, float32 of the shape of `u`.
    """
    tile = _tiles(exponent)[kind % _TILES_PER_EXPONENT]
    # The shift stays within one tile, because far from the origin float32 would have no
    # fraction left to interpolate with.
    u = u + np.float32(kind * 37 % TILE_SIZE)
    v = v + np.float32(kind * 101 % TILE_SIZE)
    whole_u, whole_v = np.floor(u), np.floor(v)
    fraction_u, fraction_v = u - whole_u, v - whole_v
    wrap = TILE_SIZE - 1
    left = whole_u.astype(np.int32) & wrap
    top = (whole_v.astype(np.int32) & wrap) * TILE_SIZE
    right = (left + 1) & wrap
    bottom = (top + TILE_SIZE) & (TILE_SIZE * TILE_SIZE - 1)
    upper = tile.take(top + left)
    upper += fraction_u * (tile.take(top + right) - upper)
    lower = tile.take(bottom + left)
    lower += fraction_u * (tile.take(bottom + right) - lower)
    return upper + fraction_v * (lower - upper)


@functools.cache
def _tiles(exponent: int) -> Array:
    """Periodic noise with the spectrum 1/f**exponent, `[kinds, TILE_SIZE ** 2]`."""
    rng = np.random.default_rng([_TILE_SEED, exponent])
    white = rng.standard_normal((_TILES_PER_EXPONENT, TILE_SIZE, TILE_SIZE))
    frequency = np.hypot(
        np.fft.fftfreq(TILE_SIZE)[:, None], np.fft.rfftfreq(TILE_SIZE)[None]
    )
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(white) / frequency**exponent
    spectrum[:, 0, 0] = 0
    tiles = np.fft.irfft2(spectrum, s=(TILE_SIZE, TILE_SIZE))
    tiles /= tiles.std(axis=(1, 2), keepdims=True)
    return tiles.reshape(_TILES_PER_EXPONENT, -1).astype(np.float32)


def bounding_slices(hit: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle that contains a mask.

    Args:
        hit: The mask, bool `[height, width]`.

    Returns:
        Two slices, which are empty if the mask is.
    """
    found = ndimage.find_objects(hit.astype(np.int8))
    return found[0] if found else (slice(0, 0), slice(0, 0))
