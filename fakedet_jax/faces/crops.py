# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cuts faces out of pictures, as a square around the box or aligned by landmarks.

The square is that of FaceForensics++: 1.3 × the longer side of the face box, around its
centre. Pixels are resampled at most once, and not at all in a square crop of native
size.

References:
    Rössler et al.: "FaceForensics++: Learning to Detect Manipulated Facial Images",
    ICCV 2019 (the square crop).
    Umeyama: "Least-squares estimation of transformation parameters between two point
    patterns", IEEE TPAMI 1991 (the alignment).
"""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.face import Face, check_box, check_picture
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing

SCALE = 1.3

# Landmarks of an upright face, relative to the centre of its box and in units of the
# longer side: medians of what YuNet finds in photographs, made symmetric.
TEMPLATE = np.array(
    [(-0.18, -0.115), (0.18, -0.115), (0.0, 0.09), (-0.155, 0.235), (0.155, 0.235)]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
    """A face cut out of a picture.

    Attributes:
        pixels: RGB pixels, uint8 `[height, width, 3]`.
        transform: Matrix that maps (x, y, 1) in the picture to (x, y) in the crop,
            float64 `[2, 3]`.
        face: The face in pixels of the crop.
    """

    pixels: np.ndarray
    transform: np.ndarray
    face: Face


def cut(
    picture: np.ndarray,
    face: Face,
    *,
    scale: float | None = SCALE,
    size: int | None = None,
) -> Crop:
    """Cuts out the square around a face.

    Args:
        picture: RGB picture, uint8 `[height, width, 3]`.
        face: The face in pixels of the picture.
        scale: Side of the square in units of the longer side of the face box. `None`
            cuts out the box itself, for pictures that are crops already.
        size: Side of the crop in pixels; a box that is not square is reduced to its
            largest central square. `None` keeps the native size.

    Returns:
        The crop.

    Raises:
        ImageError: The array is no picture, or the box contains no part of it.
    """
    check_picture(picture)
    height, width = picture.shape[:2]
    if scale is None:
        left, top, right, bottom = _whole_box(face.box, height, width)
    else:
        left, top, right, bottom = square_box(face.box, scale, height, width)
    pixels = np.ascontiguousarray(picture[top:bottom, left:right])
    x_scale, y_scale, x_start, y_start = 1.0, 1.0, float(left), float(top)
    if size is not None:
        framing = Framing.square(size)
        inner = framing.region(bottom - top, right - left)
        x_scale, y_scale = size / (inner[2] - inner[0]), size / (inner[3] - inner[1])
        x_start, y_start = left + inner[0], top + inner[1]
        pixels = to_input(pixels, framing)
    transform = np.array(
        [(x_scale, 0, -x_scale * x_start), (0, y_scale, -y_scale * y_start)]
    )
    return Crop(pixels, transform, map_face(transform, face))


def square_box(
    box: np.ndarray, scale: float, height: int, width: int
) -> tuple[int, int, int, int]:
    """The square around a face box to which published datasets of faces are cropped.

    Its side is `scale` times the longer side of the box, rounded down to whole pixels.
    As in the published crops, a square that starts outside of the left or upper edge of
    the picture is moved inside, and one that still ends outside of the right or lower
    edge is made smaller there. It thus stays a square, centred unless an edge is near.

    Args:
        box: Left, top, right, bottom in pixels, `[4]`; may extend beyond the picture.
        scale: Side of the square in units of the longer side of the box, above 0.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        Left, top, right, bottom in whole pixels, within the picture.

    Raises:
        ImageError: The box contains no part of the picture.
        ValueError: `scale` is not positive.

    >>> square_box(np.array([100, 100, 200, 180]), 1.3, 480, 640)
    (85, 75, 215, 205)
    >>> square_box(np.array([0, 100, 100, 200]), 1.3, 480, 640)
    (0, 85, 130, 215)
    """
    check_box(box, height, width)
    if not 0 < scale < math.inf:
        raise ValueError(f"expected a positive scale, found {scale}")
    # In float32, 1.3 × a side could be rounded to either side of a whole number.
    box_left, box_top, box_right, box_bottom = (float(value) for value in box)
    side = int(max(box_right - box_left, box_bottom - box_top) * scale)
    # Of a box that ends in the first pixels, a small square could miss the picture.
    left = _within(math.floor((box_left + box_right) / 2) - side // 2, width)
    top = _within(math.floor((box_top + box_bottom) / 2) - side // 2, height)
    side = max(1, min(side, width - left, height - top))
    return left, top, left + side, top + side


def align(picture: np.ndarray, face: Face, size: int, *, scale: float = SCALE) -> Crop:
    """Cuts out a face upright, by the similarity transform that fits its landmarks.

    The transform maps the landmarks to `TEMPLATE`, so a frontal face is framed as in
    the square crop of the same scale. Beyond the picture its border pixels are
    repeated. The picture is resampled once, bicubically; if it is shrunk, the samples
    are averaged over the area of each pixel.

    Args:
        picture: RGB picture, uint8 `[height, width, 3]`.
        face: A face with landmarks, in pixels of the picture.
        size: Side of the crop in pixels.
        scale: Side of the crop in units of the longer side of an upright face's box.

    Returns:
        The crop.

    Raises:
        ImageError: The array is no picture, or the landmarks are unknown, outside of
            the picture, or not arranged like those of a face.
    """
    check_picture(picture)
    if not face.has_landmarks:
        raise ImageError("has a face without landmarks, which cannot be aligned")
    template = (TEMPLATE / scale + 0.5) * size
    transform = fit_similarity(face.landmarks, template)
    _check_aligned(transform, size, *picture.shape[:2])
    pixels = _warp(picture, transform, size)
    return Crop(pixels, transform, map_face(transform, face))


def fit_similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Fits the rotation, scale and shift that map points closest to others.

    This is the least-squares solution of Umeyama (1991). In the plane it is a linear
    regression of complex numbers.

    Args:
        points: Points (x, y), `[n, 2]`.
        targets: Where each of them should be mapped to, `[n, 2]`.

    Returns:
        Matrix that maps (x, y, 1) of `points` to (x, y) of `targets`, float64 `[2, 3]`.

    Raises:
        ImageError: The transform explains less than a quarter of the variance of the
            targets: the points coincide, are mirrored or in another order.

    >>> points = np.array([[0, 0], [1, 0], [0, 1]])
    >>> fit_similarity(points, points @ [[0, 2], [-2, 0]] + 5).round(6) + 0.0
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  5.]])
    """
    source = np.asarray(points, np.float64) @ (1, 1j)
    target = np.asarray(targets, np.float64) @ (1, 1j)
    from_mean, to_mean = source - source.mean(), target - target.mean()
    covariance = np.vdot(from_mean, to_mean)
    variances = np.vdot(from_mean, from_mean).real, np.vdot(to_mean, to_mean).real
    # For a full profile a half is explained, for a mirrored face next to nothing.
    if not abs(covariance) ** 2 > 0.25 * variances[0] * variances[1]:
        raise ImageError(
            "has landmarks that are not arranged like those of a face (right eye, left "
            "eye, nose, right and left corner of the mouth, from the person's view)"
        )
    turn = covariance / variances[0]
    shift = target.mean() - turn * source.mean()
    return np.array(
        [(turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag)]
    )


def map_points(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Applies a transform to points.

    Args:
        transform: Matrix of the transform, `[2, 3]`.
        points: Points (x, y), `[n, 2]`; NaN stays NaN.

    Returns:
        Mapped points, float64 `[n, 2]`.
    """
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def map_face(transform: np.ndarray, face: Face) -> Face:
    """Applies a transform to a face.

    Args:
        transform: Matrix of the transform, `[2, 3]`.
        face: The face.

    Returns:
        The mapped face; its box is the smallest around the mapped corners.
    """
    box = map_box(transform, face.box)
    return Face.at(box, map_points(transform, face.landmarks), face.score)


def map_box(transform: np.ndarray, box: ArrayLike) -> np.ndarray:
    """Applies a transform to a box.

    Args:
        transform: Matrix of the transform, `[2, 3]`.
        box: Left, top, right, bottom, `[4]`.

    Returns:
        The smallest box around the mapped corners, float64 `[4]`.

    >>> map_box(np.array([[0, -1, 0], [1, 0, 0]]), [0, 0, 3, 2]).tolist()
    [-2.0, 0.0, 0.0, 3.0]
    """
    left, top, right, bottom = np.asarray(box, np.float64)
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    mapped = map_points(transform, corners)
    return np.concatenate([mapped.min(0), mapped.max(0)])


def invert(transform: np.ndarray) -> np.ndarray:
    """Inverts a transform.

    Args:
        transform: Matrix of the transform, `[2, 3]`.

    Returns:
        Matrix of the inverse, float64 `[2, 3]`.
    """
    turn = np.linalg.inv(transform[:, :2])
    return np.column_stack([turn, -turn @ transform[:, 2]])


def _within(start: int, length: int) -> int:
    return min(max(start, 0), length - 1)


def _whole_box(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The part of a box that is in the picture, in whole pixels."""
    check_box(box, height, width)
    left = _within(round(float(box[0])), width)
    top = _within(round(float(box[1])), height)
    right = min(max(round(float(box[2])), left + 1), width)
    bottom = min(max(round(float(box[3])), top + 1), height)
    return left, top, right, bottom


def _check_aligned(transform: np.ndarray, size: int, height: int, width: int) -> None:
    """Rejects crops that would consist mostly of repeated border pixels."""
    centre = map_points(invert(transform), np.full((1, 2), size / 2))[0]
    side = size / math.hypot(*transform[:, 0])
    inside = 0 <= centre[0] <= width and 0 <= centre[1] <= height
    if not inside or not 2 <= side <= 2 * max(height, width):
        raise ImageError(
            f"has landmarks of a face that is not within its {width}×{height} pixels "
            f"(a square of {side:.0f} pixels around {centre[0]:.0f}, {centre[1]:.0f})"
        )


def _warp(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Resamples the part of a picture that a similarity transform maps to a crop."""
    back = invert(transform)
    box = map_box(back, (0, 0, size, size))
    # Bicubic interpolation needs two more pixels on each side.
    first = np.floor(box[:2]).astype(int) - 2
    last = np.ceil(box[2:]).astype(int) + 2
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(first[1], last[1]), 0, height - 1)
    columns = np.clip(np.arange(first[0], last[0]), 0, width - 1)
    region = Image.fromarray(picture[rows[:, None], columns])
    # Each pixel is the mean of several samples, so that fine detail does not alias.
    samples = max(math.ceil(math.hypot(*back[:, 0]) - 1e-6), 1)
    back[:, 2] -= first
    back[:, :2] /= samples
    warped = region.transform(
        (size * samples, size * samples),
        Image.Transform.AFFINE,
        tuple(back.ravel()),
        resample=Image.Resampling.BICUBIC,
    )
    return np.asarray(warped.reduce(samples) if samples > 1 else warped)
