# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts decoded video frames to upright uint8 RGB."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av


def to_rgb(frame: "av.VideoFrame") -> np.ndarray:
    """Converts a decoded frame to an upright RGB picture.

    libswscale converts with the colour matrix and range of the frame, by default BT.601
    and limited range. 4:2:0 chroma samples are repeated, not interpolated, if the
    height is even. The size does not change, so pixels that are not square stay so. The
    display matrix is applied as quarter turns and mirroring.

    Args:
        frame: A decoded frame of any pixel format.

    Returns:
        Read-only uint8 `[height, width, 3]`.
    """
    picture: np.ndarray = frame.to_ndarray(
        format="rgb24", interpolation="BICUBIC", threads=1
    )
    (a, b), (c, d) = _display_matrix(frame)
    if a == d == 0 and b * c != 0:
        picture = picture.transpose(1, 0, 2)
        a, d = c, b
    if a < 0:
        picture = picture[:, ::-1]
    if d < 0:
        picture = picture[::-1]
    picture = np.ascontiguousarray(picture)
    picture.setflags(write=False)
    return picture


def rotation(frame: "av.VideoFrame") -> int:
    """Clockwise turn that `to_rgb` applies: 0, 90, 180 or 270 degrees."""
    (a, b), (c, d) = _display_matrix(frame)
    if a == d == 0 and b * c != 0:
        return 90 if b > 0 else 270
    return 180 if a < 0 and d < 0 else 0


def _display_matrix(frame: "av.VideoFrame") -> np.ndarray:
    """Reads the display matrix of a frame.

    Returns:
        int `[2, 2]`: a pixel at (x, y) is shown at (x, y) times this matrix.
    """
    side_data: Any = frame.side_data
    try:
        encoded = bytes(side_data["DISPLAYMATRIX"])
    except KeyError:
        return np.eye(2, dtype=int)
    matrix = np.frombuffer(encoded, np.int32, 9).reshape(3, 3)
    return np.rint(matrix[:2, :2] / 2**16).astype(int)
