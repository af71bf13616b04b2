# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds faces in pictures, with OpenCV's detectors or from given boxes.

- `yunet`: OpenCV's `FaceDetectorYN` with a YuNet model file; boxes, five landmarks
  and scores (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023).
- `haar`: the cascade of frontal faces that comes with OpenCV 4; boxes only (Viola,
  Jones: "Rapid Object Detection using a Boosted Cascade of Simple Features", 2001).
- `boxes`: what a CSV file says; see `fakedet_jax.faces.boxes_file`.
- `none`: pictures are face crops already; the whole picture is the face.

A detector may be pickled and sent to another process, and used by several threads:
each thread of each process loads its own copy of OpenCV's object at its first picture.
"""

from pathlib import Path

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.boxes_file import read_boxes
from fakedet_jax.faces.detector import FaceDetector, GivenBoxes, WholePicture
from fakedet_jax.faces.opencv import Haar, YuNet, load_cascade, read_model

DETECTORS = ("none", "haar", "yunet", "boxes")

MIN_SCORE = 0.7
LONGEST_SIDE = 640


def create(
    name: str,
    *,
    model: str | Path | None = None,
    boxes: str | Path | None = None,
    data_dir: str | Path | None = None,
    min_score: float | None = None,
    longest_side: int = LONGEST_SIDE,
) -> FaceDetector:
    """Makes a face detector and checks all that it needs, once.

    Args:
        name: One of `DETECTORS`.
        model: The YuNet model file (ONNX); of `yunet`.
        boxes: The CSV file of boxes; of `boxes`.
        data_dir: The folder that the paths of `boxes` are relative to; where it is
            given, each of them must be there.
        min_score: Faces of a lower score are left out; of `yunet`. Default
            `MIN_SCORE`: from 0.5 to 0.8 it hardly matters, below false faces come in,
            and at OpenCV's own 0.9 faces that are turned away or small fall out.
        longest_side: Larger pictures are shrunk to it to search them, and searched
            again in twice the size where that finds no face; boxes are in pixels of
            the picture all the same. YuNet finds faces from about 10 pixels of the
            shrunken picture on, and up to those that fill it; at high resolution it
            takes large faces apart. For all of the faces of a crowd take more.

    Returns:
        The detector.

    Raises:
        RequestError: Settings do not belong together, a file is missing or wrong, or
            OpenCV is not installed.
    """
    if name not in DETECTORS:
        raise RequestError(
            f"`face_detector`: expected one of {', '.join(DETECTORS)}, found {name!r}"
        )
    _check_belongs(name, "yunet", "`face_detector_model`", model)
    _check_belongs(name, "boxes", "`face_boxes`", boxes)
    if min_score is not None and name != "yunet":
        raise RequestError(
            "`face_min_score` is for `face_detector=yunet`; leave it out with "
            f"`face_detector={name}`, which gives no scores of its own"
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
        return YuNet(read_model(Path(str(model))), score, longest_side)
    if name == "haar":
        load_cascade()
        return Haar(longest_side)
    if name == "boxes":
        return GivenBoxes(
            read_boxes(Path(str(boxes)), None if data_dir is None else Path(data_dir))
        )
    return WholePicture()


def _check_belongs(name: str, owner: str, flag: str, value: str | Path | None) -> None:
    given = value not in (None, "")
    if name == owner and not given:
        raise RequestError(f"`face_detector={owner}` needs {flag}=FILE; none was given")
    if name != owner and given:
        raise RequestError(
            f"{flag} is for `face_detector={owner}`; leave it out with "
            f"`face_detector={name}`"
        )
