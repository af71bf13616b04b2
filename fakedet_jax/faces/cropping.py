# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How faces are found and cut out, as it was asked for."""

import dataclasses
from pathlib import Path
from typing import Any

from fakedet_jax.config import FaceConfig, FrameConfig
from fakedet_jax.data.decode import MIN_SIDE
from fakedet_jax.data.video import Evenly, EveryNth
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import crops, detection
from fakedet_jax.faces.detector import FaceDetector

_MAX_SCALE = 10.0
_MAX_SIDE = 4096
_EVENLY = Evenly(32)


@dataclasses.dataclass(frozen=True)
class Cropping:
    """What happens to a photograph or video.

    Attributes:
        detector: Finds the faces.
        scale: Side of a crop to the longer side of the box; None takes the box.
        size: Side of a crop in pixels; None keeps the pixels as they are.
        align: Whether eyes and mouth are brought to fixed places.
        all_faces: Whether all faces are taken, or the main one.
        selection: Which frames of a video.
    """

    detector: FaceDetector
    scale: float | None = crops.SCALE
    size: int | None = None
    align: bool = False
    all_faces: bool = False
    selection: Evenly | EveryNth = _EVENLY

    @property
    def is_search(self) -> bool:
        """Whether faces are searched for, so that their places are uncertain."""
        return self.detector.name not in ("none", "boxes")

    @property
    def record(self) -> dict[str, Any]:
        """What the crops depend on besides the files; JSON-able."""
        if isinstance(self.selection, Evenly):
            frames = {"evenly": self.selection.count}
        else:
            frames = {"every": self.selection.step}
        return {
            "detector": self.detector.settings,
            "scale": self.scale,
            "size": self.size,
            "align": self.align,
            "all_faces": self.all_faces,
            "frames": frames,
        }


def create(
    faces: FaceConfig, frames: FrameConfig, data_dir: Path | None = None
) -> Cropping:
    """Checks what was asked for, and makes the detector.

    Args:
        faces: How faces are found and cut out.
        frames: Which frames of videos.
        data_dir: The folder that the paths of a file of boxes are relative to; each
            of them must be there.

    Raises:
        RequestError: It is wrong or contradicts itself.
    """
    name = faces.detector
    if not name:
        raise RequestError(
            "--face_detector: expected how faces are found, one of "
            f"{', '.join(detection.DETECTORS)}; none was given"
        )
    scale: float | None = crops.SCALE if faces.scale is None else faces.scale
    if scale is not None and not 0 < scale <= _MAX_SCALE:
        raise RequestError(
            f"--face_scale: expected a number above 0 and up to {_MAX_SCALE:g}, found "
            f"{scale:g}"
        )
    if name == "none":
        if faces.scale is not None:
            raise RequestError(
                "--face_scale is for detectors that give boxes; leave it out with "
                "--face_detector=none, which takes pictures whole"
            )
        scale = None
    if faces.size is not None and not MIN_SIDE <= faces.size <= _MAX_SIDE:
        raise RequestError(
            f"--size: expected {MIN_SIDE} to {_MAX_SIDE} pixels, found {faces.size}"
        )
    if faces.align and faces.size is None:
        raise RequestError(
            "--align needs --size, the side of the crops in pixels; none was given"
        )
    if faces.align and name not in ("yunet", "boxes"):
        raise RequestError(
            "--align needs landmarks, which --face_detector=yunet finds and "
            f"--face_detector=boxes may bring; found --face_detector={name}"
        )
    return Cropping(
        detector=detection.create(
            name,
            model=faces.model,
            boxes=faces.boxes,
            data_dir=data_dir,
            min_score=faces.min_score,
        ),
        scale=scale,
        size=faces.size,
        align=faces.align,
        all_faces=faces.all_faces,
        selection=select(frames),
    )


def select(frames: FrameConfig) -> Evenly | EveryNth:
    """Checks which frames were asked for.

    Raises:
        RequestError: There are no such frames.
    """
    if frames.frame_step is not None:
        if frames.frame_step < 1:
            raise RequestError(
                f"--frame_step: expected at least 1, found {frames.frame_step}"
            )
        return EveryNth(frames.frame_step)
    if frames.frames_per_video < 1:
        raise RequestError(
            f"--frames_per_video: expected at least 1, found {frames.frames_per_video}"
        )
    return Evenly(frames.frames_per_video)
