# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cuts faces out of pictures: the published square crop, or upright by landmarks.

The square is that of FaceForensics++ (Rössler et al. 2019): 1.3 × the longer side of
the face box around its centre. Pixels are resampled at most once, and not at all in a
square crop of native size.
"""

import dataclasses
import math

import numpy as np
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.face import Face, check_box, check_picture
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing

SCALE = 1.3

# Where the landmarks of an upright face lie, from the centre of its box and in parts of
# the longer side: the medians of what YuNet finds on photographs, made symmetric.
TEMPLATE = np.array(
    [(-0.18, -0.115), (0.18, -0.115), (0.0, 0.09), (-0.155, 0.235), (0.155, 0.235)]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
    """A face cut out of a picture.

    Attributes:
        pixels: uint8 RGB `[height, width, 3]`.
        transform: float64 `[2, 3]`, which maps (x, y, 1) of the picture to (x, y) of
            the crop.
        face: The face in coordinates of the crop.
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
        picture: uint8 RGB `[height, width, 3]`.
        face: The face.
        scale: Side of the square in parts of the longer side of the face box. `None`
            takes the box as it is, for pictures that are crops already.
        size: Side of the crop in pixels; of a box that is no square the largest
            central one is taken. `None` keeps the native size.

    Returns:
        The crop.

    Raises:
        ImageError: The array is no picture, or the box marks no part of it.
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
    """The square around a face box that the public face sets are cropped to.

    Its side is `scale` times the longer side of the box, cut to whole pixels. As in
    the published crops a square that begins before the left or upper edge of the
    picture is moved in, and one that still ends behind the right or lower edge is made
    smaller from there. So it stays a square, and off the edges it is centred.

    Args:
        box: `[4]`: left, top, right, bottom; parts beyond the picture count.
        scale: Greater than 0.
        height: Of the picture, pixels.
        width: Of the picture, pixels.

    Returns:
        Left, top, right, bottom: whole pixels within the picture.

    Raises:
        ImageError: The box marks no part of the picture.

    >>> square_box(np.array([100, 100, 200, 180]), 1.3, 480, 640)
    (85, 75, 215, 205)
    >>> square_box(np.array([0, 100, 100, 200]), 1.3, 480, 640)
    (0, 85, 130, 215)
    """
    check_box(box, height, width)
    if not 0 < scale < math.inf:
        raise ValueError(f"expected a positive scale, found {scale}")
    # The box's float32 would round 1.3 × a side to either side of a whole number.
    box_left, box_top, box_right, box_bottom = (float(value) for value in box)
    side = int(max(box_right - box_left, box_bottom - box_top) * scale)
    # A box may end within the first pixels and a small square miss the picture.
    left = _within(math.floor((box_left + box_right) / 2) - side // 2, width)
    top = _within(math.floor((box_top + box_bottom) / 2) - side // 2, height)
    side = max(1, min(side, width - left, height - top))
    return left, top, left + side, top + side


def align(picture: np.ndarray, face: Face, size: int, *, scale: float = SCALE) -> Crop:
    """Cuts a face out upright, by the similarity transform that fits its landmarks.

    The landmarks are laid on `TEMPLATE`, so that a face which looks into the camera is
    framed as the square crop of the same scale frames it. Where the crop reaches
    beyond the picture, the outermost pixels are repeated. The picture is resampled
    once: bicubic, and averaged over the area of a pixel where it is shrunk.

    Args:
        picture: uint8 RGB `[height, width, 3]`.
        face: With landmarks.
        size: Side of the crop in pixels.
        scale: Side of the crop in parts of the longer side of an upright face's box.

    Returns:
        The crop.

    Raises:
        ImageError: The array is no picture, the landmarks are unknown or do not look
            like those of a face, or they lie outside of the picture.
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
    """The rotation, scale and shift that bring points nearest to others.

    The least-squares solution, which Umeyama (1991) gives for any dimension, has a
    simple form in the plane: with complex numbers it is linear regression.

    Args:
        points: `[n, 2]`.
        targets: `[n, 2]`.

    Returns:
        float64 `[2, 3]`, which maps (x, y, 1) of `points` to (x, y) of `targets`.

    Raises:
        ImageError: No such transform explains a quarter of the variance of the targets:
            the points lie in one place, are mirrored or in another order.

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
    # Of a full profile half is explained, of a mirrored face next to nothing.
    if not abs(covariance) ** 2 > 0.25 * variances[0] * variances[1]:
        raise ImageError(
            "has landmarks that do not lie like those of a face (right eye, left eye, "
            "nose, right and left corner of the mouth; left and right are the person's)"
        )
    turn = covariance / variances[0]
    shift = target.mean() - turn * source.mean()
    return np.array(
        [(turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag)]
    )


def map_points(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Maps points.

    Args:
        transform: `[2, 3]`.
        points: `[n, 2]`; NaN stays NaN.

    Returns:
        float64 `[n, 2]`.
    """
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def map_face(transform: np.ndarray, face: Face) -> Face:
    """Maps a face; the new box is the smallest around the corners of the old one.

    Args:
        transform: `[2, 3]`.
        face: The face.

    Returns:
        The face in the coordinates that the transform leads to.
    """
    left, top, right, bottom = face.box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    mapped = map_points(transform, np.array(corners))
    box = np.concatenate([mapped.min(0), mapped.max(0)])
    return Face.at(box, map_points(transform, face.landmarks), face.score)


def _within(start: int, length: int) -> int:
    return min(max(start, 0), length - 1)


def _whole_box(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The part of a box that lies in the picture, in whole pixels."""
    check_box(box, height, width)
    left = _within(round(float(box[0])), width)
    top = _within(round(float(box[1])), height)
    right = min(max(round(float(box[2])), left + 1), width)
    bottom = min(max(round(float(box[3])), top + 1), height)
    return left, top, right, bottom


def _check_aligned(transform: np.ndarray, size: int, height: int, width: int) -> None:
    """Refuses crops of next to nothing: the picture would be mostly its border."""
    centre = map_points(_inverse(transform), np.full((1, 2), size / 2))[0]
    side = size / math.hypot(*transform[:, 0])
    inside = 0 <= centre[0] <= width and 0 <= centre[1] <= height
    if not inside or not 2 <= side <= 2 * max(height, width):
        raise ImageError(
            f"has landmarks of a face that is not within its {width}×{height} pixels "
            f"(a square of {side:.0f} pixels around {centre[0]:.0f}, {centre[1]:.0f})"
        )


def _inverse(transform: np.ndarray) -> np.ndarray:
    turn = np.linalg.inv(transform[:, :2])
    return np.column_stack([turn, -turn @ transform[:, 2]])


def _warp(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Resamples the part of a picture that a similarity transform maps to a crop."""
    back = _inverse(transform)
    corners = map_points(back, size * np.array([(0, 0), (1, 0), (1, 1), (0, 1)]))
    # Two more pixels on each side are what bicubic interpolation looks at.
    first = np.floor(corners.min(0)).astype(int) - 2
    last = np.ceil(corners.max(0)).astype(int) + 2
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(first[1], last[1]), 0, height - 1)
    columns = np.clip(np.arange(first[0], last[0]), 0, width - 1)
    region = Image.fromarray(picture[rows[:, None], columns])
    # Several samples a pixel, whose mean it gets, keep fine detail from aliasing.
    samples = math.ceil(math.hypot(*back[:, 0]) - 1e-6)
    samples = max(samples, 1)
    back[:, 2] -= first
    back[:, :2] /= samples
    warped = region.transform(
        (size * samples, size * samples),
        Image.Transform.AFFINE,
        tuple(back.ravel()),
        resample=Image.Resampling.BICUBIC,
    )
    return np.asarray(warped.reduce(samples) if samples > 1 else warped)
