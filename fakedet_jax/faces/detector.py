# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The interface of face detectors, and the two that do not search.

A face detector can be pickled, sent to other processes and used by several threads.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.boxes_file import FaceBoxes
from fakedet_jax.faces.face import Face, check_box, check_picture, largest_first


class FaceDetector(abc.ABC):
    """Finds the faces in a picture.

    Attributes:
        name: Name of the face detector, as in `detection.DETECTORS`.
    """

    name: ClassVar[str]

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that the result depends on besides the picture, JSON-able."""

    def detect(
        self,
        picture: np.ndarray,
        name: str | None = None,
        frame: int | None = None,
    ) -> list[Face]:
        """Finds the faces in a picture; the result is deterministic.

        Args:
            picture: RGB picture, uint8 `[height, width, 3]`.
            name: Path of its file, relative to the data folder; only `boxes` needs it.
            frame: Number of the frame of a video, from 0; only `boxes` needs it.

        Returns:
            The faces in pixels of the picture, the largest box first.

        Raises:
            ImageError: The array is no RGB picture or too small, or a given box is
                missing or wrong.
            RequestError: OpenCV is not installed or rejects the model.
        """
        check_picture(picture)
        return largest_first(self._find(picture, name, frame))

    @abc.abstractmethod
    def _find(
        self, picture: np.ndarray, name: str | None, frame: int | None
    ) -> list[Face]: ...


@dataclasses.dataclass(frozen=True)
class WholePicture(FaceDetector):
    """Treats the whole picture as a face."""

    name = "none"

    @property
    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"name": self.name}

    def _find(
        self, picture: np.ndarray, name: str | None, frame: int | None
    ) -> list[Face]:
        height, width = picture.shape[:2]
        return [Face.at((0, 0, width, height))]


@dataclasses.dataclass(frozen=True)
class GivenBoxes(FaceDetector):
    """Looks the faces up in a table.

    Attributes:
        boxes: The table.
    """

    boxes: FaceBoxes

    name = "boxes"

    @property
    def settings(self) -> dict[str, Any]:
        """See the base class."""
        return {"name": self.name, "boxes_sha256": self.boxes.sha256}

    def _find(
        self, picture: np.ndarray, name: str | None, frame: int | None
    ) -> list[Face]:
        if name is None:
            raise ImageError("has no name to look up in the file of face boxes")
        faces = self.boxes.find(name, frame)
        for face in faces:
            check_box(face.box, *picture.shape[:2])
        return faces
