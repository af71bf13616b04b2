# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A face in a picture, and the geometry of boxes.

Coordinates are continuous, in pixels: x grows to the right and y downwards. The pixel
in column i covers i to i + 1, so a box from 0 to the width covers the whole picture.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.media.decode import check_sides

NUM_LANDMARKS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """Position of a face.

    Attributes:
        box: Left, top, right, bottom in pixels, float32 `[4]`. It may extend beyond the
            picture.
        landmarks: (x, y) of the right eye, left eye, nose tip, right and left corner of
            the mouth in pixels, float32 `[5, 2]`; left and right are the person's. NaN
            if unknown.
        score: Confidence of the face detector, in [0, 1]; NaN if it gives none.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float = math.nan

    @classmethod
    def at(
        cls,
        box: Iterable[float],
        landmarks: Iterable[Iterable[float]] | np.ndarray | None = None,
        score: float = math.nan,
    ) -> "Face":
        """Makes a face from plain numbers.

        Args:
            box: Left, top, right, bottom in pixels.
            landmarks: Five points (x, y) in pixels; `None` if unknown.
            score: Confidence, in [0, 1], or NaN.

        >>> Face.at([10, 20, 40, 60]).area
        1200.0
        """
        if landmarks is None:
            points = np.full((NUM_LANDMARKS, 2), np.nan, np.float32)
        else:
            points = np.array(landmarks, np.float32).reshape(NUM_LANDMARKS, 2)
        return cls(np.array(box, np.float32).reshape(4), points, float(score))

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.box.tolist()
        return (right - left) * (bottom - top)

    @property
    def has_landmarks(self) -> bool:
        """Whether all five landmarks are known."""
        return bool(np.isfinite(self.landmarks).all())


def largest_first(faces: Iterable[Face]) -> list[Face]:
    """Sorts faces by area, the largest first; independent of the order of `faces`.

    Among equal areas, the face with the higher score comes first, then the one further
    left, then the one higher up.
    """

    def key(face: Face) -> tuple[float, ...]:
        score = -1.0 if math.isnan(face.score) else face.score
        return (-face.area, -score, *face.box.tolist())

    return sorted(faces, key=key)


def intersection_over_union(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every other one.

    Args:
        boxes: Left, top, right, bottom of boxes with a positive area, `[n, 4]`.
        others: The other boxes, `[m, 4]`.

    Returns:
        float64 `[n, m]` in [0, 1].

    >>> boxes = np.array([[0, 0, 2, 2]])
    >>> intersection_over_union(boxes, np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3)
    array([[0.333, 0.   ]])
    """
    a = np.asarray(boxes, np.float64).reshape(-1, 1, 4)
    b = np.asarray(others, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = np.prod(a[..., 2:] - a[..., :2], -1) + np.prod(b[..., 2:] - b[..., :2], -1)
    return shared / (areas - shared)


def check_picture(picture: np.ndarray) -> None:
    """Checks that an array is an RGB picture of acceptable size.

    Args:
        picture: Array to check; uint8 `[height, width, 3]` is expected.

    Raises:
        ImageError: It is something else, or too small.
    """
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ImageError(
            "is no RGB picture: expected uint8 [height, width, 3], found "
            f"{array.dtype} {list(array.shape)}"
        )
    check_sides("is", *array.shape[:2])


def check_box(box: np.ndarray, height: int, width: int) -> None:
    """Checks that a box contains at least a pixel of a picture.

    Args:
        box: Left, top, right, bottom in pixels, `[4]`.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Raises:
        ImageError: The box has no area, contains other values than finite numbers, or
            lies outside of the picture.
    """
    values = np.asarray(box, np.float64)
    text = ", ".join(f"{value:g}" for value in values.ravel())
    if values.shape != (4,) or not np.isfinite(values).all():
        raise ImageError(f"has a face box that is not four numbers: ({text})")
    left, top, right, bottom = values
    if not (left < right and top < bottom):
        raise ImageError(
            f"has a face box without area: (left, top, right, bottom) = ({text})"
        )
    if min(right, width) - max(left, 0) < 1 or min(bottom, height) - max(top, 0) < 1:
        raise ImageError(
            f"has a face box outside of its {width}×{height} pixels: ({text})"
        )
