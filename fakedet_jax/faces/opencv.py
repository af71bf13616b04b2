# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""OpenCV's face detectors: YuNet and the Haar cascade of frontal faces.

Each thread of each process loads its own copy of OpenCV's object for its first picture.

References:
    Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023.
    Viola, Jones: "Rapid Object Detection using a Boosted Cascade of Simple Features",
    2001.
"""

import abc
import contextlib
import hashlib
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces.detector import FaceDetector
from fakedet_jax.faces.face import Face, check_box, intersection_over_union
from fakedet_jax.runtime.text import one_line

CASCADE = "haarcascade_frontalface_default.xml"
MAX_MODEL_BYTES = 64 * 2**20  # YuNet has 0.2 MiB.


class _Searching(FaceDetector):
    """Searches a shrunken picture with an OpenCV object, one per thread."""

    def __init__(self, longest_side: int):
        self._longest_side = longest_side
        self._local = threading.local()

    @abc.abstractmethod
    def _load(self) -> Any: ...

    @abc.abstractmethod
    def _search(self, loaded: Any, picture: np.ndarray) -> list[Face]: ...

    def _find(
        self, picture: np.ndarray, name: str | None, frame: int | None
    ) -> list[Face]:
        if not hasattr(self._local, "loaded"):
            self._local.loaded = self._load()
        picture = np.ascontiguousarray(picture)  # OpenCV accepts no other views.
        longest = max(picture.shape[:2])
        limit = self._longest_side
        faces = self._find_within(picture, limit)
        if not faces and longest > limit:
            faces = self._find_within(picture, 2 * limit)
        return faces

    def _find_within(
        self,
        picture: np.ndarray,
        limit: int,
        loaded: Any = None,
        is_rough: bool = False,
    ) -> list[Face]:
        """Searches a picture that is shrunk to at most `limit` pixels per side.

        To shrink it roughly, by less than two, takes a fifth of the time.
        """
        height, width = picture.shape[:2]
        shrink = min(1.0, limit / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        if size != (width, height):
            cv2 = _cv2()
            how = cv2.INTER_LINEAR if is_rough else cv2.INTER_AREA
            picture = cv2.resize(picture, size, interpolation=how)
        # Both sides were rounded, so each has its own scale.
        scale = np.array((width / size[0], height / size[1]), np.float32)
        faces = [
            Face(face.box * np.tile(scale, 2), face.landmarks * scale, face.score)
            for face in self._search(loaded or self._local.loaded, picture)
        ]
        return [face for face in faces if _is_usable(face, height, width)]


class YuNet(_Searching):
    """YuNet through OpenCV's `FaceDetectorYN`.

    Small faces of a large picture are found in two steps: a search at a larger size
    proposes places with low scores too, and at each of them the original pixels are
    searched again. A search at the full size would take several times as long.
    """

    name = "yunet"

    # Lowest score of a proposal; their largest number, which bounds the time.
    _MIN_PROPOSAL = 0.03
    _MAX_PROPOSALS = 256
    # Faces of this side in the first search need no other one to be found.
    _MAX_PROPOSED = 80
    # Around a proposal: side in units of that of its box, and in pixels for YuNet.
    _SURROUNDINGS = 2.0
    _PATCH_SIDE = 128
    _MIN_OVERLAP = 0.3

    def __init__(
        self,
        model: bytes,
        min_score: float,
        longest_side: int,
        wide_side: int | None = None,
    ):
        """Takes the bytes of the model, so that later changes of the file do no harm.

        Args:
            model: Bytes of the ONNX file, see `read_model`.
            min_score: Lowest score of a face, in (0, 1).
            longest_side: See `detection.create`.
            wide_side: See `detection.create`.
        """
        super().__init__(longest_side)
        self._model = model
        self._min_score = min_score
        self._wide_side = wide_side

    def __reduce__(self) -> tuple[Any, ...]:
        sides = self._longest_side, self._wide_side
        return YuNet, (self._model, self._min_score, *sides)

    @property
    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "name": self.name,
            "model_sha256": hashlib.sha256(self._model).hexdigest(),
            "min_score": self._min_score,
            "longest_side": self._longest_side,
            "wide_side": self._wide_side,
            "opencv": _cv2().__version__,
        }

    def _find(
        self, picture: np.ndarray, name: str | None, frame: int | None
    ) -> list[Face]:
        longest = max(picture.shape[:2])
        if self._wide_side is None or longest <= self._longest_side:
            return super()._find(picture, name, frame)
        picture = np.ascontiguousarray(picture)
        faces = self._find_within(
            picture, self._longest_side, self._object("whole", self._min_score)
        )
        proposals = self._propose(picture, self._wide_side)
        proposals.sort(key=lambda face: -face.score)
        largest = self._MAX_PROPOSED * longest / self._longest_side
        for proposal in proposals[: self._MAX_PROPOSALS]:
            # At a larger size YuNet finds parts of large faces.
            if any(_holds(face, proposal) for face in faces):
                continue
            if proposal.score < self._min_score and _side(proposal) > largest:
                continue
            found = self._look_again(picture, proposal)
            if found is not None and not any(_holds(face, found) for face in faces):
                faces.append(found)
        return faces

    def _propose(self, picture: np.ndarray, wide_side: int) -> list[Face]:
        """Searches a large picture at `wide_side` for whatever may be a face."""
        cv2 = _cv2()
        factor = 1
        # Halving is much faster than one step to the final size.
        while max(picture.shape[:2]) >= 2 * wide_side:
            height, width = (side // 2 for side in picture.shape[:2])
            picture = cv2.resize(
                picture[: 2 * height, : 2 * width],
                (width, height),
                interpolation=cv2.INTER_AREA,
            )
            factor *= 2
        loaded = self._object("proposals", self._MIN_PROPOSAL)
        return [
            Face(factor * face.box, factor * face.landmarks, face.score)
            for face in self._find_within(picture, wide_side, loaded, is_rough=True)
        ]

    def _look_again(self, picture: np.ndarray, proposal: Face) -> Face | None:
        """Searches the original pixels around a proposal."""
        if proposal.score >= self._min_score:
            return proposal
        cv2 = _cv2()
        box = proposal.box
        centre = (box[:2] + box[2:]) / 2
        side = self._SURROUNDINGS * _side(proposal)
        scale = self._PATCH_SIDE / side
        corner = centre - side / 2
        # A transform repeats the pixels of the border; shrunken patches are averaged.
        samples = max(1, math.ceil(1 / scale))
        transform = np.array(
            [[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]]
        )
        patch = cv2.warpAffine(
            picture,
            samples * transform,
            (samples * self._PATCH_SIDE,) * 2,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if samples > 1:
            patch = cv2.resize(
                patch, (self._PATCH_SIDE,) * 2, interpolation=cv2.INTER_AREA
            )
        found = self._search(self._object("patches", self._min_score), patch)
        faces = [
            Face(
                face.box / scale + np.tile(corner, 2).astype(np.float32),
                face.landmarks / scale + corner.astype(np.float32),
                face.score,
            )
            for face in found
        ]
        faces = [face for face in faces if _is_usable(face, *picture.shape[:2])]
        overlaps = [
            (float(intersection_over_union(box, face.box)[0, 0]), face.score, face)
            for face in faces
        ]
        best = max(overlaps, key=lambda entry: entry[:2], default=None)
        return best[2] if best and best[0] >= self._MIN_OVERLAP else None

    def _object(self, purpose: str, min_score: float) -> Any:
        """This thread's own object; those of one purpose keep the size of pictures."""
        objects = self._local.__dict__.setdefault("objects", {})
        if purpose not in objects:
            objects[purpose] = self._create(min_score)
        return objects[purpose]

    def _load(self) -> Any:
        return self._create(self._min_score)

    def _create(self, min_score: float) -> Any:
        cv2 = _cv2()
        if not hasattr(cv2, "FaceDetectorYN"):
            raise RequestError(
                "`face_detector=yunet` needs OpenCV 4.10 or later, found "
                f"{cv2.__version__}; {_INSTALL}"
            )
        return cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(self._model, np.uint8),
            np.zeros(0, np.uint8),
            (64, 64),
            score_threshold=min_score,
            nms_threshold=0.3,
        )

    def _search(self, loaded: Any, picture: np.ndarray) -> list[Face]:
        cv2 = _cv2()
        height, width = picture.shape[:2]
        loaded.setInputSize((width, height))
        _, rows = loaded.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return [
            Face.at(
                (*row[:2], row[0] + row[2], row[1] + row[3]),
                row[4:14],
                min(float(row[14]), 1.0),
            )
            for row in (() if rows is None else rows)
            # In extremely wide pictures YuNet finds boxes of absurd size.
            if (np.abs(row) < _MAX_COORDINATE).all()
        ]


class Haar(_Searching):
    """OpenCV's cascade of frontal faces on the grey picture.

    It is several times slower than YuNet. It finds faces from 40 pixels of the shrunken
    picture on (24 in tiny pictures) and misses most faces that are turned away.
    """

    name = "haar"
    _SCALE_FACTOR = 1.1
    _MIN_NEIGHBORS = 5
    _MIN_SIDE = 40  # Searching for smaller faces would double the time.
    _SMALLEST_SIDE = 24  # The size of the windows that the cascade was trained on.

    def __reduce__(self) -> tuple[Any, ...]:
        return Haar, (self._longest_side,)

    @property
    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "name": self.name,
            "cascade": CASCADE,
            "scale_factor": self._SCALE_FACTOR,
            "min_neighbors": self._MIN_NEIGHBORS,
            "min_side": self._MIN_SIDE,
            "longest_side": self._longest_side,
            "opencv": _cv2().__version__,
        }

    def _load(self) -> Any:
        return load_cascade()

    def _search(self, loaded: Any, picture: np.ndarray) -> list[Face]:
        cv2 = _cv2()
        half = min(picture.shape[:2]) // 2
        smallest = max(min(self._MIN_SIDE, half), self._SMALLEST_SIDE)
        found = loaded.detectMultiScale(
            cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
            scaleFactor=self._SCALE_FACTOR,
            minNeighbors=self._MIN_NEIGHBORS,
            minSize=(smallest, smallest),
        )
        return [
            Face.at((left, top, left + width, top + height))
            for left, top, width, height in found
        ]


def read_model(path: Path) -> bytes:
    """Reads a YuNet model and tests it on an empty picture.

    Args:
        path: The ONNX file.

    Returns:
        The bytes of the file.

    Raises:
        RequestError: The file is missing or no YuNet model, or OpenCV is not installed.
    """
    problem: str
    try:
        if not path.is_file():
            problem = "no such file"
        elif path.stat().st_size > MAX_MODEL_BYTES:
            problem = f"a file of more than {MAX_MODEL_BYTES // 2**20} MiB"
        else:
            model = path.read_bytes()
            YuNet(model, 0.5, 64).detect(np.zeros((64, 64, 3), np.uint8))
            return model
    except RequestError:
        raise
    except OSError as error:
        problem = error.strerror or str(error)
    except _cv2().error as error:
        problem = f"something else ({_first_line(error)})"
    raise RequestError(
        f"`face_detector_model={str(path)!r}`: expected a YuNet face detector in ONNX "
        f"format, such as face_detection_yunet_2023mar.onnx, found {problem}"
    )


def load_cascade() -> Any:
    """Loads the cascade of frontal faces.

    Returns:
        OpenCV's `CascadeClassifier`.

    Raises:
        RequestError: OpenCV is not installed or comes without the cascade.
    """
    cv2 = _cv2()
    with contextlib.suppress(AttributeError):  # Other releases lack one or the other.
        path = Path(cv2.data.haarcascades) / CASCADE
        if path.is_file() and not (cascade := cv2.CascadeClassifier(str(path))).empty():
            return cascade
    raise RequestError(
        f"`face_detector=haar` needs {CASCADE}, which comes with OpenCV 4 and not "
        f"with the installed {cv2.__version__}; {_INSTALL}, or use "
        "`face_detector=yunet`"
    )


def set_num_threads(num_threads: int) -> None:
    """Sets how many threads OpenCV uses in this process; results do not depend on it.

    Args:
        num_threads: Number of threads. By default OpenCV uses all cores; 1 is best if
            several processes or threads share the work.

    Raises:
        RequestError: OpenCV is not installed.
    """
    _cv2().setNumThreads(num_threads)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limits OpenCV to one thread during a `with` block.

    Raises:
        RequestError: OpenCV is not installed.
    """
    before = _cv2().getNumThreads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(before)


_MAX_COORDINATE = 1e6  # Pixels; no picture is as large.
_INSTALL = "run: pip install 'fakedet-jax[video]'"


def _cv2() -> ModuleType:
    """Imports OpenCV, which is large and optional."""
    try:
        import cv2
    except ImportError as error:
        raise RequestError(
            "`face_detector=haar` and `face_detector=yunet` need OpenCV, which cannot "
            f"be imported ({one_line(error)}); {_INSTALL}"
        ) from error
    return cv2


def _first_line(error: Exception) -> str:
    """The message of an OpenCV error, without the path of its source file."""
    text = one_line(error)
    return text.partition("error: ")[2] or text


def _side(face: Face) -> float:
    """Longer side of the box of a face in pixels."""
    return float((face.box[2:] - face.box[:2]).max())


def _holds(face: Face, other: Face) -> bool:
    """Whether the centre of one of two faces lies within the other."""
    for outer, inner in ((face, other), (other, face)):
        x, y = (inner.box[:2] + inner.box[2:]) / 2
        left, top, right, bottom = outer.box
        if left <= x <= right and top <= y <= bottom:
            return True
    return False


def _is_usable(face: Face, height: int, width: int) -> bool:
    """Whether the box of a face contains a part of the picture."""
    try:
        check_box(face.box, height, width)
    except ImageError:
        return False
    return True
