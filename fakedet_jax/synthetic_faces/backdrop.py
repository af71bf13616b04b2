# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Paints backdrops: walls, shelves, foliage, lights.

They are full of fine detail and straight lines, which reveal the effects of a lens:
defocus, distortion, colour fringes and field of view.
"""

import math
from collections.abc import Callable

import numpy as np

from fakedet_jax.synthetic_faces.person import BACKDROPS, Sitting
from fakedet_jax.synthetic_faces.texture import Array, bump, noise, smooth, step


def paint_backdrop(x: Array, y: Array, pixel: float, sitting: Sitting) -> Array:
    """Paints the backdrop of a sitting.

    Args:
        x: Horizontal position on the backdrop, float32 `[h, w]`; about [-1, 1] at a
            focal length of 50 mm.
        y: Vertical position, likewise.
        pixel: Size of a pixel in the same unit.
        sitting: Kind, colour, seed and light of the backdrop.

    Returns:
        Linear radiance, float32 `[h, w, 3]`.
    """
    rng = np.random.default_rng([sitting.seed, 2])
    tilt = rng.normal(0, 0.03)
    x, y = x + np.float32(tilt) * y, y - np.float32(tilt) * x
    colour = np.array(sitting.backdrop_colour, np.float32)
    kind = int(rng.integers(100))  # Of noise.
    paint = _PAINTERS[BACKDROPS[sitting.backdrop]]
    picture = paint(x, y, pixel, colour, kind, rng)
    side = math.sin(sitting.light_azimuth)
    falloff = 1 + 0.25 * side * x - 0.12 * y
    picture *= np.clip(falloff, 0.3, 2)[..., None]
    grain = noise(x * 100, y * 100, sitting.seed, exponent=0)
    picture *= np.maximum(1 + 0.06 * grain, 0)[..., None]
    return np.maximum(picture, 0.002)


def _studio(
    x: Array, y: Array, pixel: float, colour: Array, kind: int, rng: np.random.Generator
) -> Array:
    clouds = noise(x * 40, y * 40, kind)
    spot = bump(x - rng.uniform(-0.6, 0.6), y + rng.uniform(-0.2, 0.5), 0.9, 0.9)
    fibres = noise(x * 130, y * 9, kind + 1, exponent=0)
    value = (0.4 + 0.75 * spot) * (1 + 0.12 * clouds + 0.08 * fibres)
    return value[..., None] * colour


def _wall(
    x: Array, y: Array, pixel: float, colour: Array, kind: int, rng: np.random.Generator
) -> Array:
    """Paints wallpaper with a moulding and, at one side, a picture frame."""
    period = rng.uniform(0.12, 0.22)
    phase = (x / period) % 1
    stripe = step(np.abs(phase - 0.5) - 0.25, pixel / period)
    value = 0.85 + 0.3 * stripe + 0.06 * noise(x * 60, y * 60, kind)
    picture = value[..., None] * colour
    rail = rng.uniform(-0.75, 0.75)
    moulding = step(0.045 - np.abs(y - rail), pixel)
    picture *= (1 + 0.5 * moulding)[..., None]
    shade = np.exp(-(((y - rail - 0.06) / 0.025) ** 2))
    picture *= (1 - 0.45 * shade)[..., None]
    left = rng.uniform(0.75, 1.1) * (1 if rng.random() < 0.5 else -1)
    frame = np.maximum(np.abs(x - left) / 0.34, np.abs(y + 0.35) / 0.45)
    inside = step(1 - frame, pixel * 3)
    border = inside * step(frame - 0.88, pixel * 3)
    tint = rng.uniform(0.1, 0.6, 3).astype(np.float32)
    art = np.abs(noise(x * 25, y * 25, kind + 1))[..., None] * tint
    picture += inside[..., None] * (art - picture)
    picture += border[..., None] * (np.float32(0.04) - picture)
    return picture


def _bricks(
    x: Array, y: Array, pixel: float, colour: Array, kind: int, rng: np.random.Generator
) -> Array:
    height = rng.uniform(0.1, 0.15)
    row = np.floor(y / height)
    along = x / (2.4 * height) + 0.5 * (row % 2)
    column = np.floor(along)
    u, v = (along - column) * 2.4 * height, (y / height - row) * height
    brick = step(np.minimum(u, 2.4 * height - u) - 0.008, pixel) * step(
        np.minimum(v, height - v) - 0.008, pixel
    )
    each = noise(column * 17.3, row * 31.7, kind, exponent=0)
    rough = noise(x * 80, y * 80, kind)
    tone = (0.8 + 0.2 * each + 0.12 * rough) * brick
    clay = colour * np.array([1.25, 0.85, 0.75], np.float32)
    mortar = (1 - brick) * (0.35 + 0.03 * rough)
    return tone[..., None] * clay + mortar[..., None]


def _shelves(
    x: Array, y: Array, pixel: float, colour: Array, kind: int, rng: np.random.Generator
) -> Array:
    """Paints shelves with books of many colours."""
    height = rng.uniform(0.38, 0.55)
    row = np.floor(y / height)
    v = y / height - row
    width = rng.uniform(0.07, 0.1)
    # A monotone bend of the position along the shelf makes books of uneven width.
    along = x / width + 0.12 * np.sin(x * 9 + row * 2.3) / width
    book = np.floor(along)
    u = along - book
    shades = [
        noise(book * 13.7 + 5 * c, row * 29.1, kind + c, exponent=0) for c in range(3)
    ]
    spines = np.stack([np.exp(0.7 * s - 1.9) for s in shades], axis=-1)
    tall = 0.16 + 0.07 * shades[0]
    title = step(0.12 - np.abs(v - 0.45), 0.02) * step(0.22 - np.abs(u - 0.5), 0.08)
    spines *= (1 + 1.2 * title * (shades[1] > 0.3))[..., None]
    spines *= (0.55 + 0.6 * np.sqrt(np.clip(4 * u * (1 - u), 0, 1)))[..., None]
    spines *= step(v - tall, pixel / height)[..., None]
    board = step(0.035 - np.abs(v - 0.965), pixel / height)
    spines += board[..., None] * (colour * 0.6 - spines)
    spines += 0.008
    return spines


def _foliage(
    x: Array, y: Array, pixel: float, colour: Array, kind: int, rng: np.random.Generator
) -> Array:
    big = noise(x * 22, y * 22, kind)
    leaves = noise(x * 70 + 4 * big, y * 70, kind + 1)
    fine = noise(x * 55, y * 55, kind + 2, exponent=0)
    value = np.exp(0.45 * big + 0.5 * leaves + 0.25 * fine - 1.7)
    sky = smooth(big + 0.6 * leaves - y, 1.4, 2.0)
    green = np.stack([0.5 + 0.12 * leaves, 1 + 0 * big, 0.22 + 0.05 * big], axis=-1)
    picture = value[..., None] * green
    picture += sky[..., None] * (np.array([0.75, 0.85, 1.0], np.float32) - picture)
    trunk_x = rng.uniform(-1, 1)
    trunk = step(0.07 - np.abs(x - trunk_x - 0.1 * y), pixel)
    bark = 0.08 * (1 + 0.35 * noise(x * 120, y * 20, kind, exponent=0))
    picture += trunk[..., None] * (
        bark[..., None] * np.array([1.0, 0.8, 0.6], np.float32) - picture
    )
    return picture


def _lights(
    x: Array, y: Array, pixel: float, colour: Array, kind: int, rng: np.random.Generator
) -> Array:
    """Paints a street at night: dark facades, lit windows and lamps."""
    column, row = np.floor(x / 0.13), np.floor(y / 0.17)
    u, v = x / 0.13 - column, y / 0.17 - row
    lit = noise(column * 7.9, row * 11.3, kind, exponent=0)
    pane = step(0.3 - np.abs(u - 0.5), pixel / 0.13) * step(
        0.32 - np.abs(v - 0.5), pixel / 0.17
    )
    cross = step(np.abs(u - 0.5) - 0.03, pixel / 0.13)
    value = 0.05 + 0.02 * noise(x * 60, y * 60, kind)
    glow = pane * cross * np.where(lit > 0.4, 0.5 * lit, 0.04)
    warm = np.array([1.0, 0.72, 0.4], np.float32)
    picture = value[..., None] * (0.4 + colour) + glow[..., None] * warm
    for _ in range(9):
        lamp = bump(x - rng.uniform(-1.1, 1.1), y - rng.uniform(-1.1, 1), 0.02, 0.02)
        tint = np.array([1, rng.uniform(0.4, 0.9), rng.uniform(0.1, 0.8)], np.float32)
        picture += (rng.uniform(1.5, 5) * lamp)[..., None] * tint
    return picture


_Painter = Callable[[Array, Array, float, Array, int, np.random.Generator], Array]
_PAINTERS: dict[str, _Painter] = {
    "studio": _studio,
    "wall": _wall,
    "bricks": _bricks,
    "shelves": _shelves,
    "foliage": _foliage,
    "lights": _lights,
}
