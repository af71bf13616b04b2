# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Four ways to spoil a face, for learning what a face is without any fake.

The mouth is turned upside down or mirrored, one eye is mirrored, or the face is warped
piece by piece. The new pixels come from the same picture, so its camera's traces stay;
only the face no longer fits together.

Pixels outside of the edited region are those of the input, bit by bit, and nothing is
resized here. Callers must resize originals and manipulated faces alike, in the same
order of steps: otherwise the resizing would tell them apart, and not the face.

References:
    Zou, Yu, Zhan, Ma: "Self-Supervised Learning for Detecting AI-Generated Faces as
    Anomalies", ICASSP 2025.
"""

import numpy as np
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces import regions
from fakedet_jax.faces.face import NUM_LANDMARKS, check_picture
from fakedet_jax.faces.regions import Region
from fakedet_jax.media.resampling import bilinear

KINDS = ("mouth_rotation", "mouth_flip", "eye_flip", "warp")
"""The kinds of manipulations."""

# Spacing of the warp's grid in distances of the eyes, and how far its points move in
# parts of the spacing. Below 8 ** -0.5 no triangle can be turned over.
_SPACING = 0.4
_MOVES = (0.1, 0.3)


def draw(rng: np.random.Generator) -> str | None:
    """Draws what to do to a face: nothing to one half, each kind to an eighth.

    Args:
        rng: Gives one number.

    Returns:
        One of `KINDS`; `None` for a face that stays as it is.
    """
    number = int(rng.random() * 2 * len(KINDS)) - len(KINDS)
    return KINDS[number] if number >= 0 else None


def manipulate(
    crop: np.ndarray, landmarks: np.ndarray, kind: str, rng: np.random.Generator
) -> np.ndarray:
    """Manipulates a face.

    Args:
        crop: uint8 RGB `[height, width, 3]`.
        landmarks: `[5, 2]`, (x, y) in pixels of the crop; see
            `fakedet_jax.faces.face.Face`. Where any is NaN, the face is warped around
            the middle of the crop, whatever the kind.
        kind: One of `KINDS`.
        rng: Draws the eye, or the warp. Of a face that is turned away only the nearer
            eye is taken, as the background begins right behind the other.

    Returns:
        uint8 RGB `[height, width, 3]`, a new array.

    Raises:
        ImageError: The array is no picture, the landmarks are not those of a face of
            its size, or what the kind edits lies outside of it.
    """
    check_picture(crop)
    if kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}, found {kind!r}")
    points = np.asarray(landmarks, np.float64)
    if points.shape != (NUM_LANDMARKS, 2):
        raise ValueError(f"expected landmarks [5, 2], found {list(points.shape)}")
    height, width = crop.shape[:2]
    if not np.isfinite(points).all():
        points = regions.upright_landmarks(height, width)
        kind = "warp"
    regions.check_landmarks(points, height, width)
    if kind == "warp":
        return _warp(crop, regions.face_region(points), rng)
    if kind == "eye_flip":
        drawn = int(rng.integers(2))
        # An eye far on one side makes the other a near one: in a crop of the whole
        # face there is always one to take.
        usable = [
            eye
            for eye in (drawn, 1 - drawn)
            if regions.is_inside(points[eye], height, width)
            and regions.is_near_eye(points, eye)
        ]
        if not usable:
            raise ImageError(
                f"has no eye that is well seen within its {width}×{height} pixels"
            )
        return _mirror(crop, regions.eye_region(points, usable[0]))
    if not regions.is_inside(points[3:].mean(0), height, width):
        raise ImageError(f"has a mouth outside of its {width}×{height} pixels")
    if kind == "mouth_flip":
        return _mirror(crop, regions.mouth_region(points))
    # A rotation by 180°: pixels fall on pixels.
    return _transform(crop, regions.mouth_region(points), -np.eye(2))


def _mirror(crop: np.ndarray, region: Region) -> np.ndarray:
    """Exchanges left and right of a region, along the line of the eyes."""
    x, y = region.across
    return _transform(
        crop,
        region,
        np.array([(y * y - x * x, -2 * x * y), (-2 * x * y, x * x - y * y)]),
    )


def _transform(crop: np.ndarray, region: Region, matrix: np.ndarray) -> np.ndarray:
    """Maps a region onto itself, linearly around its centre, and blends that in.

    Args:
        crop: The picture.
        region: The region.
        matrix: `[2, 2]`, its own inverse.
    """
    height, width = crop.shape[:2]
    left, top, right, bottom = region.box
    # Two more pixels on each side are what bicubic interpolation looks at.
    rows = np.clip(np.arange(top - 2, bottom + 2), 0, height - 1)
    columns = np.clip(np.arange(left - 2, right + 2), 0, width - 1)
    window = crop[rows[:, None], columns]
    centre = np.array(region.centre) - (left - 2, top - 2)
    shift = centre - matrix @ centre
    moved = Image.fromarray(window).transform(
        (window.shape[1], window.shape[0]),
        Image.Transform.AFFINE,
        tuple(np.column_stack([matrix, shift]).ravel()),
        resample=Image.Resampling.BICUBIC,
    )
    # The window may reach beyond the crop.
    box = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    y_start, x_start = box[1] - top + 2, box[0] - left + 2
    new = np.asarray(moved)[y_start:, x_start:][: box[3] - box[1], : box[2] - box[0]]
    result = crop.copy()
    old = result[box[1] : box[3], box[0] : box[2]]
    weights = region.weights(*box)[..., None]
    old[:] = np.rint(old + weights * (new.astype(np.float32) - old))
    return result


def _warp(crop: np.ndarray, region: Region, rng: np.random.Generator) -> np.ndarray:
    """Moves the points of a grid, and with them the triangles between.

    The map from new to old pixels is affine within each triangle and continuous across
    their borders. Only points whose neighbours all lie in the region are moved: an
    ellipse is convex, so all that follows them lies in it as well.
    """
    height, width = crop.shape[:2]
    spacing = _SPACING * region.radii[0] / regions.FACE_RADII[0]
    left, top, right, bottom = region.box
    start = np.array((left, top)) - spacing * rng.uniform(1, 2, 2)
    num_columns, num_rows = np.ceil((np.array((right, bottom)) - start) / spacing + 2)
    x = start[0] + spacing * np.arange(int(num_columns))
    y = start[1] + spacing * np.arange(int(num_rows))
    is_free = _is_free(region, x, y, height, width)
    if not is_free.any():
        raise ImageError(f"has hardly any face within its {width}×{height} pixels")
    angle, length = rng.random((2, len(y), len(x)))
    length = spacing * (_MOVES[0] + (_MOVES[1] - _MOVES[0]) * length)
    moves = np.stack([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)])
    moves *= length * is_free

    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, width), min(bottom, height)
    shift_x, shift_y = _interpolate(
        moves.astype(np.float32),
        (np.arange(left, right) + 0.5 - start[0]) / spacing,
        (np.arange(top, bottom) + 0.5 - start[1]) / spacing,
    )
    result = crop.copy()
    window = result[top:bottom, left:right]
    # From here on coordinates count from the centre of the window's first pixel.
    source_x = np.arange(right - left, dtype=np.float32)[None] + shift_x
    source_y = np.arange(bottom - top, dtype=np.float32)[:, None] + shift_y
    for plane in np.moveaxis(window, -1, 0):
        old = np.ascontiguousarray(plane, np.float32)
        plane[:] = np.rint(bilinear(old, source_x, source_y))
    return result


def _is_free(
    region: Region, x: np.ndarray, y: np.ndarray, height: int, width: int
) -> np.ndarray:
    """Which points of a grid have only neighbours in the region and the crop."""
    # Imported here because it is slow and few commands need it.
    from scipy import ndimage

    inside = region.radius(x[None], y[:, None]) < 1
    inside &= (x >= 0) & (x <= width) & ((y >= 0) & (y <= height))[:, None]
    free: np.ndarray = ndimage.binary_erosion(inside, np.ones((3, 3)))
    return free


def _interpolate(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolates values on a grid linearly within triangles.

    Each square is cut along the diagonal from its first corner.

    Args:
        values: float32 `[n, rows, columns]`.
        x: `[width]`, in columns of the grid.
        y: `[height]`, in rows of the grid.

    Returns:
        float32 `[n, height, width]`.
    """
    column, row = x.astype(int), y.astype(int)
    u = (x - column).astype(np.float32)[None]
    v = (y - row).astype(np.float32)[:, None]
    corner, beside, below, opposite = (
        values[:, (row + down)[:, None], column + right]
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1))
    )
    turn = np.where(u >= v, beside, below)
    return (
        corner
        + np.maximum(u, v) * (turn - corner)
        + np.minimum(u, v) * (opposite - turn)
    )
