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
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces.detector import FaceDetector
from fakedet_jax.faces.face import Face, check_box
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

    def _find_within(self, picture: np.ndarray, limit: int) -> list[Face]:
        """Searches a picture that is shrunk to at most `limit` pixels per side."""
        height, width = picture.shape[:2]
        shrink = min(1.0, limit / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        if size != (width, height):
            cv2 = _cv2()
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        # Both sides were rounded, so each has its own scale.
        scale = np.array((width / size[0], height / size[1]), np.float32)
        faces = [
            Face(face.box * np.tile(scale, 2), face.landmarks * scale, face.score)
            for face in self._search(self._local.loaded, picture)
        ]
        return [face for face in faces if _is_usable(face, height, width)]


class YuNet(_Searching):
    """YuNet through OpenCV's `FaceDetectorYN`."""

    name = "yunet"

    def __init__(self, model: bytes, min_score: float, longest_side: int):
        """Takes the bytes of the model, so that later changes of the file do no harm.

        Args:
            model: Bytes of the ONNX file, see `read_model`.
            min_score: Lowest score of a face, in (0, 1).
            longest_side: See `detection.create`.
        """
        super().__init__(longest_side)
        self._model = model
        self._min_score = min_score

    def __reduce__(self) -> tuple[Any, ...]:
        return YuNet, (self._model, self._min_score, self._longest_side)

    @property
    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {
            "name": self.name,
            "model_sha256": hashlib.sha256(self._model).hexdigest(),
            "min_score": self._min_score,
            "longest_side": self._longest_side,
            "opencv": _cv2().__version__,
        }

    def _load(self) -> Any:
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
            score_threshold=self._min_score,
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


def _is_usable(face: Face, height: int, width: int) -> bool:
    """Whether the box of a face contains a part of the picture."""
    try:
        check_box(face.box, height, width)
    except ImageError:
        return False
    return True
