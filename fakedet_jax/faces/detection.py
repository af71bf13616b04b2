# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Creates face detectors by name.

- `yunet`: OpenCV's `FaceDetectorYN` with a YuNet model file; finds boxes, five
  landmarks and scores.
- `haar`: OpenCV's cascade of frontal faces; finds boxes only.
- `boxes`: faces from a CSV file, see `fakedet_jax.faces.boxes_file`.
- `none`: pictures are face crops already; the whole picture is the face.

References: see `fakedet_jax.faces.opencv`.
"""

from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.boxes_file import read_boxes
from fakedet_jax.faces.detector import FaceDetector, GivenBoxes, WholePicture
from fakedet_jax.faces.opencv import Haar, YuNet, load_cascade, read_model
from fakedet_jax.runtime import text

DETECTORS = ("none", "haar", "yunet", "boxes")

MIN_SCORE = 0.7
LONGEST_SIDE = 640
WIDE_SIDE = 1440  # In search of all faces.
# Side of a face, in pixels of the picture that is searched, from which most are found.
MIN_FACE = 25


def create(
    name: str,
    *,
    model: str | Path | None = None,
    boxes: str | Path | None = None,
    data_dir: str | Path | None = None,
    min_score: float | None = None,
    longest_side: int = LONGEST_SIDE,
    wide_side: int | None = None,
) -> FaceDetector:
    """Creates a face detector and checks everything that it needs.

    Args:
        name: One of `DETECTORS`.
        model: YuNet model file (ONNX); only for `yunet`.
        boxes: CSV file of face boxes; only for `boxes`.
        data_dir: Folder that the paths in `boxes` are relative to. If given, each of
            them must be a file in it.
        min_score: Lowest score of a face, in (0, 1); only for `yunet`, default
            `MIN_SCORE`. Values from 0.5 to 0.8 give nearly the same faces; lower ones
            let false faces in, and OpenCV's own 0.9 misses small and turned faces.
        longest_side: Longest side, in pixels, of the picture that is searched, at
            least 32; larger pictures are shrunk to it, and to twice of it if no face
            is found. Boxes are always in pixels of the original picture. YuNet finds
            faces from about 10 pixels of the shrunken picture up to those that fill
            it, but splits large faces at high resolution.
        wide_side: Longest side of a second search for small faces, for which YuNet
            proposes places that are then searched in the original pixels; `None` for
            none. Faces from about 25 pixels of that size on are found. Only for
            `yunet`.

    Returns:
        The face detector.

    Raises:
        RequestError: Settings contradict each other, a file is missing or wrong, or
            OpenCV is not installed.
    """
    if name not in DETECTORS:
        raise RequestError(text.unknown("face_detector", name, DETECTORS))
    _check_belongs(name, "yunet", "face_detector_model", model)
    _check_belongs(name, "boxes", "face_boxes", boxes)
    if min_score is not None and name != "yunet":
        raise RequestError(
            "`face_min_score` is for `face_detector=yunet`; leave it out with "
            f"`face_detector={name}`, which has no scores"
        )
    if longest_side < 32:
        raise RequestError(
            f"longest side to search: expected at least 32 pixels, found {longest_side}"
        )
    if name == "yunet":
        score = MIN_SCORE if min_score is None else min_score
        if not 0 < score < 1:
            raise RequestError(
                f"`face_min_score`: expected a number between 0 and 1, found {score}"
            )
        return YuNet(read_model(Path(str(model))), score, longest_side, wide_side)
    if name == "haar":
        load_cascade()
        return Haar(longest_side)
    if name == "boxes":
        return GivenBoxes(
            read_boxes(Path(str(boxes)), None if data_dir is None else Path(data_dir))
        )
    return WholePicture()


def _check_belongs(
    name: str, owner: str, setting: str, value: str | Path | None
) -> None:
    """Checks that a file is given to the face detector that uses it, and only to it."""
    given = value not in (None, "")
    if name == owner and not given:
        raise RequestError(
            f"`face_detector={owner}` needs `{setting}=FILE`; none was given"
        )
    if name != owner and given:
        raise RequestError(
            f"`{setting}` is for `face_detector={owner}`; leave it out with "
            f"`face_detector={name}`"
        )
