# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Elliptic regions of a face that five landmarks tell: eyes, mouth, the whole.

Who edits a part of a face takes the region for its mask.
"""

import dataclasses
import math

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.crops import SCALE, TEMPLATE

# Outer radii along the line of the eyes and across it, in distances of the eyes.
_EYE_RADII = (0.48, 0.46)
# By how much the region of an eye reaches above it, so that it holds the brow: two eyes
# may be alike when mirrored, slanting brows are not.
_BROW = 0.13
FACE_RADII = (1.25, 1.6)
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
    return _region(landmarks, centre, FACE_RADII)


def upright_landmarks(height: int, width: int) -> np.ndarray:
    """Where the landmarks are in a crop of an upright face: in its central square.

    Args:
        height: Of the crop.
        width: Of the crop.

    Returns:
        float64 `[5, 2]`, (x, y) in pixels.
    """
    points: np.ndarray = (TEMPLATE / SCALE + 0.5) * min(height, width)
    return points + (np.array([width, height]) - min(height, width)) / 2


def is_near_eye(landmarks: np.ndarray, eye: int) -> bool:
    """Whether an eye is not on the far side of a face that is turned away.

    Args:
        landmarks: `[5, 2]` pixels.
        eye: 0 for the person's right, 1 for the left.
    """
    return bool(_eye_to_nose(landmarks)[eye] >= _FAR_EYE)


def is_inside(point: np.ndarray, height: int, width: int) -> bool:
    """Whether a point `[2]`, (x, y) in pixels, is in a picture."""
    return bool(0 <= point[0] <= width and 0 <= point[1] <= height)


def check_landmarks(landmarks: np.ndarray, height: int, width: int) -> None:
    """Checks that landmarks may be those of a face in a picture.

    Args:
        landmarks: `[5, 2]` pixels, finite.
        height: Of the picture.
        width: Of the picture.

    Raises:
        ImageError: They are too close or too far apart.
    """
    size = _distances(landmarks).max()
    if not 2 <= size <= max(height, width) or np.hypot(*_across(landmarks)) < 1:
        raise ImageError(
            f"has landmarks that are not those of a face in {width}×{height} pixels: "
            + ", ".join(f"({x:.0f}, {y:.0f})" for x, y in landmarks)
        )


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
