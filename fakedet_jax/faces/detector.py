# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a face detector is, and the two that need not search.

A detector may be pickled and sent to another process, and used by several threads.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.boxes_file import FaceBoxes
from fakedet_jax.faces.face import Face, check_box, check_picture, largest_first


class FaceDetector(abc.ABC):
    """Finds the faces of a picture."""

    name: ClassVar[str]

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the result depends on besides the picture, for records; JSON-able."""

    def detect(
        self,
        picture: np.ndarray,
        name: str | None = None,
        frame: int | None = None,
    ) -> list[Face]:
        """Finds the faces of a picture; the same picture always gives the same faces.

        Args:
            picture: uint8 RGB `[height, width, 3]`.
            name: Path of its file relative to the data folder; only `boxes` asks.
            frame: Number of the frame, from 0, where the file is a video; only `boxes`
                asks.

        Returns:
            The faces, the largest box first; empty where there is none.

        Raises:
            ImageError: The array is no RGB picture or is too small, or its box is
                unknown or wrong.
            RequestError: OpenCV is missing, or refuses the model.
        """
        check_picture(picture)
        return largest_first(self._find(picture, name, frame))

    @abc.abstractmethod
    def _find(
        self, picture: np.ndarray, name: str | None, frame: int | None
    ) -> list[Face]: ...


@dataclasses.dataclass(frozen=True)
class WholePicture(FaceDetector):
    """Takes the whole picture for a face."""

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
    """Takes the faces from a table.

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
            raise ImageError("has no name, so the file of boxes cannot be asked")
        faces = self.boxes.find(name, frame)
        for face in faces:
            check_box(face.box, *picture.shape[:2])
        return faces
