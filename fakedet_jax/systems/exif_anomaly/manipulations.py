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

import dataclasses
import math

import numpy as np
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.crops import SCALE, TEMPLATE
from fakedet_jax.faces.face import NUM_LANDMARKS, check_picture
from fakedet_jax.media.resampling import bilinear

KINDS = ("mouth_rotation", "mouth_flip", "eye_flip", "warp")
"""The kinds of manipulations."""

# Outer radii along the line of the eyes and across it, in distances of the eyes.
_EYE_RADII = (0.48, 0.46)
# By how much the region of an eye reaches above it, so that it holds the brow: two eyes
# may be alike when mirrored, slanting brows are not.
_BROW = 0.13
_FACE_RADII = (1.25, 1.6)
# The mouth's first radius is `_MOUTH_MARGIN` times half its width, within limits.
_MOUTH_RADII = (0.5, 0.8, 0.44)
_MOUTH_MARGIN = 1.8
# By how much the lips lie below the corners of the mouth, in the same unit. Centred on
# the corners, the region would have to reach up to the nostrils to hold the lower lip.
_LIPS = 0.06
# Eyes that lie closer beside the nose, in parts of what is usual, are on the far side.
_FAR_EYE = 0.75
# The part of the radius up to which the edit is seen in full.
_CORE = 0.6
# Spacing of the warp's grid in distances of the eyes, and how far its points move in
# parts of the spacing. Below 8 ** -0.5 no triangle can be turned over.
_SPACING = 0.4
_MOVES = (0.1, 0.3)


@dataclasses.dataclass(frozen=True)
class Region:
    """An ellipse on a face, with a soft rim.

    Attributes:
        centre: (x, y) in pixels of the crop.
        across: Unit vector (x, y) along the first axis, from the person's right to the
            left.
        radii: Half axes in pixels.
    """

    centre: tuple[float, float]
    across: tuple[float, float]
    radii: tuple[float, float]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the smallest box of whole pixels around it."""
        x, y = self.across
        half_width = math.hypot(self.radii[0] * x, self.radii[1] * y)
        half_height = math.hypot(self.radii[0] * y, self.radii[1] * x)
        return (
            math.floor(self.centre[0] - half_width),
            math.floor(self.centre[1] - half_height),
            math.ceil(self.centre[0] + half_width),
            math.ceil(self.centre[1] + half_height),
        )

    def radius(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """How far points lie from the centre: 1 on the ellipse.

        Args:
            x: Float, in pixels of the crop; x and y are broadcast.
            y: Float, in pixels of the crop.

        Returns:
            Float of the common shape, at least 0.
        """
        right, down = x - self.centre[0], y - self.centre[1]
        along = (right * self.across[0] + down * self.across[1]) / self.radii[0]
        beside = (down * self.across[0] - right * self.across[1]) / self.radii[1]
        return np.hypot(along, beside)

    def weights(self, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """How much of an edit each pixel of a box shows.

        Args:
            left: First column of the box.
            top: First row.
            right: Column after the last.
            bottom: Row after the last.

        Returns:
            float32 `[bottom - top, right - left]`: 1 in the core, 0 outside, and in
            between half a period of a cosine.
        """
        x = np.arange(left, right, dtype=np.float32) + np.float32(0.5)
        y = np.arange(top, bottom, dtype=np.float32) + np.float32(0.5)
        rim = (self.radius(x[None], y[:, None]) - _CORE) / (1 - _CORE)
        weights = 0.5 + 0.5 * np.cos(np.pi * np.clip(rim, 0, 1))
        weights[rim >= 1] = 0
        return weights.astype(np.float32)


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
        # Where the landmarks would be in an upright crop.
        points = (TEMPLATE / SCALE + 0.5) * min(height, width)
        points += (np.array([width, height]) - min(height, width)) / 2
        kind = "warp"
    _check_landmarks(points, height, width)
    if kind == "warp":
        return _warp(crop, face_region(points), rng)
    if kind == "eye_flip":
        drawn = int(rng.integers(2))
        # An eye far on one side makes the other a near one: in a crop of the whole
        # face there is always one to take.
        usable = [
            eye
            for eye in (drawn, 1 - drawn)
            if _is_inside(points[eye], crop) and _eye_to_nose(points)[eye] >= _FAR_EYE
        ]
        if not usable:
            raise ImageError(
                f"has no eye that is well seen within its {width}×{height} pixels"
            )
        return _mirror(crop, eye_region(points, usable[0]))
    if not _is_inside(points[3:].mean(0), crop):
        raise ImageError(f"has a mouth outside of its {width}×{height} pixels")
    if kind == "mouth_flip":
        return _mirror(crop, mouth_region(points))
    # A rotation by 180°: pixels fall on pixels.
    return _transform(crop, mouth_region(points), -np.eye(2))


def mouth_region(landmarks: np.ndarray) -> Region:
    """The region around both corners of the mouth.

    Args:
        landmarks: `[5, 2]` pixels.
    """
    scale = _scale(landmarks)
    half_width = np.hypot(*(landmarks[4] - landmarks[3])) / 2 / scale[0]
    # A pursed mouth leaves more cheek beside it, and sometimes its outline.
    along = np.clip(_MOUTH_MARGIN * half_width, *_MOUTH_RADII[:2])
    centre = landmarks[3:].mean(0) + _LIPS * scale[1] * _down(landmarks)
    return _region(landmarks, centre, (along, _MOUTH_RADII[2]))


def eye_region(landmarks: np.ndarray, eye: int) -> Region:
    """The region around an eye.

    Args:
        landmarks: `[5, 2]` pixels.
        eye: 0 for the person's right, 1 for the left.
    """
    along = _EYE_RADII[0] * np.clip(_eye_to_nose(landmarks)[eye], _FAR_EYE, 1)
    centre = landmarks[eye] - _BROW * _scale(landmarks)[1] * _down(landmarks)
    return _region(landmarks, centre, (along, _EYE_RADII[1]))


def face_region(landmarks: np.ndarray) -> Region:
    """The region from the forehead to the chin.

    Args:
        landmarks: `[5, 2]` pixels.
    """
    centre = (landmarks[:2].mean(0) + landmarks[3:].mean(0)) / 2
    return _region(landmarks, centre, _FACE_RADII)


def _region(
    landmarks: np.ndarray, centre: np.ndarray, radii: tuple[float, float]
) -> Region:
    # On a border or a centre of pixels, so that pixels of an upright face fall on
    # pixels again and keep their values.
    x, y = np.round(2 * centre) / 2
    down = _down(landmarks)
    half_axes = _scale(landmarks) * radii
    return Region(
        (float(x), float(y)),
        (float(down[1]), float(-down[0])),
        (float(half_axes[0]), float(half_axes[1])),
    )


def _across(landmarks: np.ndarray) -> np.ndarray:
    """The direction `[2]` from the person's right to the left, of eyes and mouth."""
    return landmarks[1] - landmarks[0] + landmarks[4] - landmarks[3]


def _down(landmarks: np.ndarray) -> np.ndarray:
    """The unit vector `[2]` at right angles to `_across`, towards the chin."""
    x, y = _across(landmarks)
    return np.array([-y, x]) / math.hypot(x, y)


def _scale(landmarks: np.ndarray) -> np.ndarray:
    """Units of radii `[2]`: foreshortened with the face, but never to a line."""
    distances = _distances(landmarks)
    return np.maximum(distances, distances.max() / 2)


def _eye_to_nose(landmarks: np.ndarray) -> np.ndarray:
    """How far either eye `[2]` lies beside the nose: 1 where the face looks ahead."""
    between = landmarks[1] - landmarks[0]
    places = (landmarks[:2] - landmarks[2]) @ between / max(between @ between, 1e-6)
    return 2 * places * (-1, 1)


def _distances(landmarks: np.ndarray) -> np.ndarray:
    """Those between the eyes, and from the eyes to the mouth: `[2]` pixels.

    They are much alike. When a face turns to the side or is bowed, one of them shrinks
    and the other stays.
    """
    between_eyes = landmarks[1] - landmarks[0]
    to_mouth = landmarks[3:].mean(0) - landmarks[:2].mean(0)
    return np.array([np.hypot(*between_eyes), np.hypot(*to_mouth)])


def _check_landmarks(landmarks: np.ndarray, height: int, width: int) -> None:
    size = _distances(landmarks).max()
    if not 2 <= size <= max(height, width) or np.hypot(*_across(landmarks)) < 1:
        raise ImageError(
            f"has landmarks that are not those of a face in {width}×{height} pixels: "
            + ", ".join(f"({x:.0f}, {y:.0f})" for x, y in landmarks)
        )


def _is_inside(point: np.ndarray, crop: np.ndarray) -> bool:
    height, width = crop.shape[:2]
    return bool(0 <= point[0] <= width and 0 <= point[1] <= height)


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
    spacing = _SPACING * region.radii[0] / _FACE_RADII[0]
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
