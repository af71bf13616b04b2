# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tells by the mask of a manipulated video which of its faces was forged.

FaceForensics++ hands out a video of masks for each fake, frame by frame and in its
size, with the manipulated pixels bright; see the README of its folder `dataset`
(https://github.com/ondyari/FaceForensics). The limits are our choice.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.face import Face
from fakedet_jax.media.video import Numbers, read_frames

# A pixel is forged from this level on, in any channel; compression blurs the edges.
MIN_LEVEL = 128
# Least share of a face's box that is forged; a mouth alone fills several times as much.
MIN_SHARE = 0.02
# Least share of a frame's pixels; single ones are noise of the compression.
MIN_FORGED = 1e-4


@dataclasses.dataclass(frozen=True)
class Forged:
    """How well the faces of a video fit its mask.

    Attributes:
        overlaps: By frame, for each of its faces the intersection over union of the
            mask with the box, and 0 for a box of which less than `MIN_SHARE` is forged.
            A frame without a mask is missing.
        unforged: Numbers of the frames whose mask is empty.
        note: What to say about a mask that was not or only partly used; empty if all is
            well.
    """

    overlaps: Mapping[int, Sequence[float]] = dataclasses.field(default_factory=dict)
    unforged: frozenset[int] = frozenset()
    note: str = ""


def measure(path: Path, found: Mapping[int, Sequence[Face]]) -> Forged:
    """Compares the faces in the frames of a video with its mask.

    A mask that cannot be read, or that is empty in all frames, is not used.

    Args:
        path: The video of masks.
        found: Faces by the number of their frame.

    Returns:
        How well they fit.

    Raises:
        RequestError: PyAV is not installed.
    """
    overlaps: dict[int, list[float]] = {}
    unforged: set[int] = set()
    try:
        with read_frames(path, selection=Numbers(tuple(found))) as masks:
            for mask in masks:
                forged = mask.picture.max(axis=-1) >= MIN_LEVEL
                if forged.mean() < MIN_FORGED:
                    unforged.add(mask.number)
                overlaps[mask.number] = [
                    _overlap(forged, face) for face in found[mask.number]
                ]
    except ImageError as error:
        return Forged(note=f"has a mask that {error}; {_WITHOUT}")
    if found and unforged == overlaps.keys():
        what = "is empty" if overlaps else "has none of its frames"
        return Forged(note=f"has a mask that {what}; {_WITHOUT}")
    lacking = [number for number in found if number not in overlaps]
    note = ""
    if lacking:
        note = (
            f"has no mask for {len(lacking)} of {len(found)} frames, such as number "
            f"{lacking[0]}; {_WITHOUT} there"
        )
    return Forged(overlaps, frozenset(unforged), note)


_WITHOUT = "faces were chosen by their size"


def _overlap(forged: np.ndarray, face: Face) -> float:
    """Intersection over union of forged pixels and a box."""
    left, top, right, bottom = np.rint(face.box).astype(int)
    rows = slice(max(top, 0), max(bottom, 0))
    columns = slice(max(left, 0), max(right, 0))
    inside = int(np.count_nonzero(forged[rows, columns]))
    if inside < MIN_SHARE * face.area:
        return 0.0
    return inside / (face.area + np.count_nonzero(forged) - inside)
