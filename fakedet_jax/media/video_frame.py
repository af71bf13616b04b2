# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts decoded video frames to upright uint8 RGB with square pixels."""

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fakedet_jax.media import hdr, options
from fakedet_jax.media.options import MediaConfig

if TYPE_CHECKING:
    import av

# Pixels that differ less from squares are left alone: nobody sees it, and resampling
# costs traces.
_MIN_STRETCH = 0.01
_MAX_ASPECT = 4
_UNKNOWN_ASPECT = Fraction(1)
_ACCURATE = "bicubic+accurate_rnd+full_chroma_int"


def to_rgb(
    frame: "av.VideoFrame",
    how: MediaConfig = options.DEFAULT,
    pixel_aspect: Fraction = _UNKNOWN_ASPECT,
) -> np.ndarray:
    """Converts a decoded frame to an upright RGB picture.

    libswscale converts with the colour matrix and range of the frame, by default BT.601
    and limited range. Of 8-bit frames 4:2:0 chroma samples are repeated, not
    interpolated, if the height is even, as OpenCV does and published detectors saw
    them; more bits are converted with accurate rounding and interpolated chroma. HDR
    becomes BT.709. Of an interlaced frame the top field is taken. Fields and pixels
    that are not square are stretched in one resampling (Lanczos). The display matrix is
    applied as quarter turns and mirroring.

    Args:
        frame: A decoded frame of any pixel format.
        how: Whether HDR is converted.
        pixel_aspect: Width of a stored pixel by its height.

    Returns:
        Read-only uint8 `[height, width, 3]`.
    """
    picture = _convert(frame, how)
    height, width = shown_size(frame, pixel_aspect)
    if picture.shape[:2] != (height, width):
        stretched = Image.fromarray(picture).resize(
            (width, height), Image.Resampling.LANCZOS
        )
        picture = np.asarray(stretched)
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


def shown_size(frame: "av.VideoFrame", pixel_aspect: Fraction) -> tuple[int, int]:
    """Height and width of a frame with square pixels, before it is turned.

    The shorter side grows, so that no detail is lost.
    """
    height, width = frame.height, frame.width
    if not needs_stretching(pixel_aspect):
        return height, width
    if pixel_aspect > 1:
        return height, max(1, round(width * pixel_aspect))
    return max(1, round(height / pixel_aspect)), width


def needs_stretching(pixel_aspect: Fraction) -> bool:
    """Whether pixels are far enough from squares, and not absurd.

    >>> [needs_stretching(Fraction(*aspect)) for aspect in ((1, 1), (64, 45), (99, 1))]
    [False, True, False]
    """
    stretch = max(pixel_aspect, 1 / pixel_aspect) if pixel_aspect > 0 else 1
    return 1 + _MIN_STRETCH < stretch <= _MAX_ASPECT


def describe(
    frame: "av.VideoFrame", how: MediaConfig, pixel_aspect: Fraction
) -> list[str]:
    """What `to_rgb` does to a frame that a user should know of, in words."""
    notes = []
    transfer = hdr.TRANSFERS.get(frame.color_trc)
    if transfer is not None:
        notes.append(hdr.describe(transfer, how.hdr))
    if frame.interlaced_frame:
        notes.append("is interlaced; the top field of each such frame was used")
    if needs_stretching(pixel_aspect):
        height, width = shown_size(frame, pixel_aspect)
        notes.append(
            f"has pixels that are not square ({pixel_aspect.numerator}:"
            f"{pixel_aspect.denominator}); frames were stretched from "
            f"{frame.width}×{frame.height} to {width}×{height}"
        )
    return notes


def rotation(frame: "av.VideoFrame") -> int:
    """Clockwise turn that `to_rgb` applies: 0, 90, 180 or 270 degrees."""
    (a, b), (c, d) = _display_matrix(frame)
    if a == d == 0 and b * c != 0:
        return 90 if b > 0 else 270
    return 180 if a < 0 and d < 0 else 0


def _convert(frame: "av.VideoFrame", how: MediaConfig) -> np.ndarray:
    """Converts a frame, or the top field of an interlaced one, to RGB as stored."""
    field = [("field", "type=top")] if _has_fields(frame) else []
    transfer = hdr.TRANSFERS.get(frame.color_trc)
    if transfer is not None and how.hdr == "bt709":
        coded = _filter(frame, *field, *_accurate("rgb48le")).to_ndarray()
        # libswscale keeps the scale of 8 bits: white is 255 × 256.
        return hdr.to_bt709(coded / np.float32(65280), transfer, frame.color_primaries)
    if any(part.bits > 8 for part in frame.format.components):
        return _filter(frame, *field, *_accurate("rgb24")).to_ndarray()
    whole = _filter(frame, *field) if field else frame
    return whole.to_ndarray(format="rgb24", interpolation="BICUBIC", threads=1)


def _has_fields(frame: "av.VideoFrame") -> bool:
    return bool(frame.interlaced_frame) and frame.height >= 4


def _accurate(name: str) -> list[tuple[str, str]]:
    """Filters that convert to a pixel format as FFmpeg does with accurate rounding."""
    return [("scale", f"flags={_ACCURATE}"), ("format", name)]


def _filter(frame: "av.VideoFrame", *filters: tuple[str, str]) -> "av.VideoFrame":
    """Sends a frame through filters, which know where its chroma samples lie."""
    from av import VideoFrame
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=Fraction(1, 25),
    )
    chain = [source, *(graph.add(*named) for named in filters)]
    chain.append(graph.add("buffersink"))
    for before, after in itertools.pairwise(chain):
        before.link_to(after)
    graph.configure()
    source.push(frame)
    found = chain[-1].pull()
    assert isinstance(found, VideoFrame)  # For the type checker.
    return found


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
