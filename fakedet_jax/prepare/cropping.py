# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How faces are found and cut out, as it was asked for."""

import dataclasses
from typing import Any

from fakedet_jax.config import PrepareConfig
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


def from_config(config: PrepareConfig) -> Cropping:
    """Checks what was asked for, and makes the detector.

    Raises:
        RequestError: It is wrong or contradicts itself.
    """
    name = config.face_detector
    if not name:
        raise RequestError(
            "--face_detector: expected how faces are found, one of "
            f"{', '.join(detection.DETECTORS)}; none was given"
        )
    scale: float | None = config.face_scale
    if not 0 < config.face_scale <= _MAX_SCALE:
        raise RequestError(
            f"--face_scale: expected a number above 0 and up to {_MAX_SCALE:g}, found "
            f"{config.face_scale:g}"
        )
    if name == "none":
        if scale != crops.SCALE:
            raise RequestError(
                "--face_scale is for detectors that give boxes; leave it out with "
                "--face_detector=none, which takes pictures whole"
            )
        scale = None
    if config.size is not None and not MIN_SIDE <= config.size <= _MAX_SIDE:
        raise RequestError(
            f"--size: expected {MIN_SIDE} to {_MAX_SIDE} pixels, found {config.size}"
        )
    if config.align and config.size is None:
        raise RequestError(
            "--align needs --size, the side of the crops in pixels; none was given"
        )
    if config.align and name not in ("yunet", "boxes"):
        raise RequestError(
            "--align needs landmarks, which --face_detector=yunet finds and "
            f"--face_detector=boxes may bring; found --face_detector={name}"
        )
    return Cropping(
        detector=detection.create(
            name,
            model=config.face_detector_model,
            boxes=config.face_boxes,
            data_dir=config.data.data_dir,
            min_score=config.face_min_score,
        ),
        scale=scale,
        size=config.size,
        align=config.align,
        all_faces=config.all_faces,
        selection=_selection(config),
    )


def _selection(config: PrepareConfig) -> Evenly | EveryNth:
    if config.frame_step is not None:
        if config.frame_step < 1:
            raise RequestError(
                f"--frame_step: expected at least 1, found {config.frame_step}"
            )
        return EveryNth(config.frame_step)
    if config.frames_per_video < 1:
        raise RequestError(
            f"--frames_per_video: expected at least 1, found {config.frames_per_video}"
        )
    return Evenly(config.frames_per_video)
