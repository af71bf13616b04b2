# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads a CSV file of face boxes.

The first line names the columns: `path,left,top,right,bottom` and optionally
`x1,y1,…,x5,y5` (the landmarks in the order of `Face.landmarks`), `score`, and for
videos `frame`, from 0. Coordinates are in pixels. Paths are relative to the data
folder, with forward slashes. Several lines with the same path and frame are several
faces. Cells of landmarks and scores may be empty.
"""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from fakedet_jax.data import scan
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces.face import NUM_LANDMARKS, Face
from fakedet_jax.runtime import tables

REQUIRED_COLUMNS = ("path", "left", "top", "right", "bottom")
LANDMARK_COLUMNS = tuple(
    f"{axis}{number}" for number in range(1, NUM_LANDMARKS + 1) for axis in "xy"
)


@dataclasses.dataclass(frozen=True)
class FaceBoxes:
    """The faces in the files of a data folder.

    Attributes:
        faces: Faces by path, then by frame. The only frame of a path whose lines name
            no frame is `None`: its faces apply to the picture, or to every frame of
            the video.
        sha256: SHA-256 of the CSV file, hexadecimal.
    """

    faces: Mapping[str, Mapping[int | None, tuple[Face, ...]]]
    sha256: str

    def find(self, name: str, frame: int | None = None) -> list[Face]:
        """The faces of a picture or of a frame.

        Args:
            name: Path of the file, relative to the data folder.
            frame: Number of the frame of a video, from 0; `None` for a picture.

        Returns:
            The faces in the order of the CSV file; none if only other frames of the
            video have lines.

        Raises:
            ImageError: The CSV file has no line for `name`, or only lines for frames
                although `name` is a picture.
        """
        by_frame = self.faces.get(str(PurePosixPath(name)))
        if by_frame is None:
            raise ImageError("has no line in the file of face boxes")
        if None in by_frame:
            return list(by_frame[None])
        if frame is None:
            raise ImageError("has face boxes for frames, but it is a picture")
        return list(by_frame.get(frame, ()))


def read_boxes(path: Path, data_dir: Path | None = None) -> FaceBoxes:
    """Reads a CSV file of face boxes; the module describes the format.

    Args:
        path: The CSV file.
        data_dir: The data folder. If given, every path in the table must be a file in
            it.

    Returns:
        The faces by path and frame.

    Raises:
        RequestError: The file is missing or wrong; the message names the first wrong
            line.
    """
    # Faces by path, frame and box.
    found: dict[str, dict[int | None, dict[tuple[float, ...], Face]]] = {}
    rows = tables.read_records(
        path,
        REQUIRED_COLUMNS,
        (*LANDMARK_COLUMNS, "score", "frame"),
        if_missing="give the CSV file of face boxes as `face_boxes`",
    )
    for line, row in rows:
        where = f"{str(path)!r}, line {line}"
        _check_landmarks(row, path)
        name = scan.listed_path(row["path"], where)
        face = _to_face(row, path, line, where)
        frame = _to_frame(row.get("frame", ""), where)
        if name not in found and data_dir and not (data_dir / name).is_file():
            raise RequestError(
                f"{where}: expected a file below `data_dir={str(data_dir)!r}`, found "
                f"{name!r}, which does not exist; correct the path or delete the line"
            )
        by_frame = found.setdefault(name, {})
        if by_frame and (frame is None) != (None in by_frame):
            raise RequestError(
                f"{where}: expected a frame in all lines of {name!r} or in none, found "
                "lines with and without one"
            )
        of_frame = by_frame.setdefault(frame, {})
        key = tuple(face.box.tolist())
        if key in of_frame:
            raise RequestError(
                f"{where}: expected each face once, found a box of {name!r} again; "
                "delete one of the lines"
            )
        of_frame[key] = face
    if not found:
        raise RequestError(
            f"{str(path)!r}: expected lines of face boxes, found none; add one per face"
        )
    faces = {
        name: {frame: tuple(boxes.values()) for frame, boxes in by_frame.items()}
        for name, by_frame in found.items()
    }
    return FaceBoxes(faces, hashlib.sha256(path.read_bytes()).hexdigest())


def _check_landmarks(row: Mapping[str, str], path: Path) -> None:
    missing = [name for name in LANDMARK_COLUMNS if name not in row]
    if missing and len(missing) < len(LANDMARK_COLUMNS):
        raise RequestError(
            f"{str(path)!r}: expected the columns of all five landmarks or of none, "
            f"found no {', '.join(missing)}"
        )


def _to_face(row: Mapping[str, str], path: Path, line: int, where: str) -> Face:
    box = [_to_number(row[name], name, where) for name in REQUIRED_COLUMNS[1:]]
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise RequestError(
            f"{where}: expected left < right and top < bottom, found "
            f"{left:g},{top:g},{right:g},{bottom:g}"
        )
    points = [row.get(name, "") for name in LANDMARK_COLUMNS]
    landmarks = None
    if any(text.strip() for text in points):
        numbers = [
            _to_number(text, name, where)
            for text, name in zip(points, LANDMARK_COLUMNS, strict=True)
        ]
        landmarks = list(zip(numbers[::2], numbers[1::2], strict=True))
    score = row.get("score", "")
    return Face.at(
        box,
        landmarks,
        tables.to_score(score, path, line) if score.strip() else math.nan,
    )


def _to_number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    # Beyond the size of any picture; up to here float32 is exact to 0.01 pixels.
    if not abs(number) <= 1e5:
        raise RequestError(
            f"{where}: expected a number of pixels in the column {column}, found "
            f"{text!r}"
        )
    return number


def _to_frame(text: str, where: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestError(
            f"{where}: expected the number of a frame, from 0, found {text!r}"
        )
    return int(text)
