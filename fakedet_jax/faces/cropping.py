# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings of finding and cutting out faces, from a request or from a record."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.config import FaceConfig, FrameConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import crops, detection
from fakedet_jax.faces.detector import FaceDetector
from fakedet_jax.media.decode import MIN_SIDE
from fakedet_jax.media.video import Evenly, EveryNth

_LOGGER = logging.getLogger(__name__)

_MAX_SCALE = 10.0
_MAX_SIDE = 4096
_MAX_LONGEST = 100_000
_MAX_FRAMES = 10_000_000
_EVENLY = Evenly(32)


@dataclasses.dataclass(frozen=True)
class Cropping:
    """How the faces in a picture or video are found and cut out.

    Attributes:
        detector: Face detector.
        scale: Side of a crop in units of the longer side of the box; `None` cuts out
            the box itself.
        size: Side of a crop in pixels; `None` keeps the native size.
        align: Whether crops are aligned by their landmarks.
        all_faces: Whether all faces are cut out, or only the main one.
        selection: Which frames of a video are searched.
    """

    detector: FaceDetector
    scale: float | None = crops.SCALE
    size: int | None = None
    align: bool = False
    all_faces: bool = False
    selection: Evenly | EveryNth = _EVENLY

    @property
    def is_search(self) -> bool:
        """Whether the face detector searches, instead of taking given boxes."""
        return self.detector.name not in ("none", "boxes")

    @property
    def record(self) -> dict[str, Any]:
        """Everything that the crops depend on besides the files, JSON-able."""
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
    """Checks the settings of a request and creates the face detector.

    Args:
        faces: How faces are found and cut out.
        frames: Which frames of a video are searched.
        data_dir: Folder that the paths in a file of face boxes are relative to. If
            given, each of them must be a file in it.

    Raises:
        RequestError: Settings are wrong or contradict each other.
    """
    name = faces.detector
    if not name:
        raise RequestError(
            f"`face_detector`: expected one of {', '.join(detection.DETECTORS)}, found "
            "none; say how faces are found"
        )
    scale: float | None = crops.SCALE if faces.scale is None else faces.scale
    if scale is not None and not 0 < scale <= _MAX_SCALE:
        raise RequestError(
            f"`face_scale`: expected a number above 0 and up to {_MAX_SCALE:g}, found "
            f"{scale:g}"
        )
    if name == "none":
        if faces.scale is not None:
            raise RequestError(
                "`face_scale` is for face detectors that find boxes; leave it out with "
                "`face_detector=none`, which takes whole pictures"
            )
        scale = None
    if faces.size is not None and not MIN_SIDE <= faces.size <= _MAX_SIDE:
        raise RequestError(
            f"`size`: expected {MIN_SIDE} to {_MAX_SIDE} pixels, found {faces.size}"
        )
    if faces.align and faces.size is None:
        raise RequestError(
            "`align` needs `size`, the side of the crops in pixels; none was given"
        )
    if faces.align and name not in ("yunet", "boxes"):
        raise RequestError(
            "`align` needs landmarks: expected `face_detector=yunet`, or "
            f"`face_detector=boxes` with landmarks, found `face_detector={name}`"
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


def from_record(
    record: Any, *, model: Path | None, all_faces: bool, frames: FrameConfig | None
) -> Cropping:
    """Restores how the faces of a training were found and cut out.

    Args:
        record: A `Cropping.record`; it is checked, because its file may be wrong.
        model: ONNX file of `yunet`, which the record does not contain.
        all_faces: Whether all faces are cut out, or only the main one, regardless of
            the record.
        frames: Which frames of a video are searched; `None` takes those of the record.

    Returns:
        Face detector, scale, size and alignment of the record.

    Raises:
        RequestError: The record is wrong, or `model` is missing or superfluous.
    """
    found = _Record(record, "faces")
    settings = _Record(found.get("detector"), "faces.detector")
    name = settings.get("name")
    if name == "boxes":
        raise RequestError(
            "`workdir`: the detector was trained on faces from a file of boxes; say "
            "how to find faces by `face_detector=yunet`, haar or none, or bring their "
            "boxes with `face_boxes=FILE`"
        )
    settings.check("name", "yunet, haar or none", name in ("yunet", "haar", "none"))
    if name != "yunet" and model is not None:
        how = "haar found the faces" if name == "haar" else "the pictures were whole"
        raise RequestError(
            f"`face_detector_model` is for yunet, but in the training {how}; leave it "
            "out, or give `face_detector=yunet` too"
        )
    options: dict[str, Any] = {}
    if name == "yunet":
        options["min_score"] = settings.number("min_score", 0, 1, exclude_end=True)
    if name != "none":
        options["longest_side"] = settings.integer("longest_side", 32, _MAX_LONGEST)
    scale = found.get("scale")
    if scale is not None:
        scale = found.number("scale", 0, _MAX_SCALE)
    size = found.get("size")
    if size is not None:
        size = found.integer("size", MIN_SIDE, _MAX_SIDE)
    align = found.get("align")
    found.check("align", "true or false", isinstance(align, bool))
    if align:
        sound = name == "yunet" and size is not None
        found.check("align", "true only with yunet and a size", sound)
    selection = recorded_selection(record) if frames is None else select(frames)
    if name == "yunet" and model is None:
        raise RequestError(
            "`workdir`: the detector was trained on faces that yunet found; name its "
            "model file with `face_detector_model=FILE`"
        )
    detector = detection.create(name, model=model, **options)
    _warn_of_differences(settings.fields, detector.settings)
    return Cropping(detector, scale, size, align, all_faces, selection)


def recorded_selection(record: Any) -> Evenly | EveryNth:
    """Which frames of a video were searched according to a `Cropping.record`.

    Args:
        record: The record; it is checked, because its file may be wrong.

    Raises:
        RequestError: The record is wrong.
    """
    frames = _Record(_Record(record, "faces").get("frames"), "faces.frames")
    if "every" in frames.fields:
        return EveryNth(frames.integer("every", 1, _MAX_FRAMES))
    return Evenly(frames.integer("evenly", 1, _MAX_FRAMES))


def select(frames: FrameConfig) -> Evenly | EveryNth:
    """Checks the frames of a request.

    Args:
        frames: Which frames of a video are searched.

    Returns:
        The selection.

    Raises:
        RequestError: A number is less than 1.
    """
    if frames.frame_step is not None:
        if frames.frame_step < 1:
            raise RequestError(
                f"`frame_step`: expected at least 1, found {frames.frame_step}"
            )
        return EveryNth(frames.frame_step)
    if frames.frames_per_video < 1:
        raise RequestError(
            f"`frames_per_video`: expected at least 1, found {frames.frames_per_video}"
        )
    return Evenly(frames.frames_per_video)


class _Record:
    """An object within `config.json`, and checks of its fields."""

    def __init__(self, fields: Any, where: str):
        self.where = where
        if not isinstance(fields, dict):
            self._refuse("", "an object", fields)
        self.fields: dict[str, Any] = fields

    def get(self, field: str) -> Any:
        if field not in self.fields:
            self._refuse(f".{field}", "a value", "none")
        return self.fields[field]

    def check(self, field: str, expected: str, is_sound: bool) -> None:
        if not is_sound:
            self._refuse(f".{field}", expected, self.fields[field])

    def number(
        self, field: str, above: float, to: float, *, exclude_end: bool = False
    ) -> float:
        value = self.get(field)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_sound = is_number and above < value and (value < to or value == to)
        if exclude_end:
            is_sound = is_sound and value < to
        self.check(field, f"a number from {above:g} to {to:g}", is_sound)
        return float(value)

    def integer(self, field: str, least: int, most: int) -> int:
        value = self.get(field)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        is_sound = is_integer and least <= value <= most
        self.check(field, f"a whole number from {least} to {most}", is_sound)
        return int(value)

    def _refuse(self, field: str, expected: str, found: Any) -> None:
        text = repr(found)
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        raise RequestError(
            f"`workdir`: config.json: {self.where}{field}: expected {expected}, found "
            f"{shown}; say how to find faces with `face_detector`"
        )


def _warn_of_differences(
    recorded: Mapping[str, Any], actual: Mapping[str, Any]
) -> None:
    """Warns of differences that may make the face detector find other boxes."""
    for field, value in actual.items():
        # Other versions of OpenCV move a box by a fraction of a pixel at most.
        if field == "opencv" or recorded.get(field) == value:
            continue
        if field == "model_sha256":
            _LOGGER.warning(
                "`face_detector_model`: this is not the file that found the faces of "
                "the training (SHA-256 %s, expected %s)",
                value,
                str(recorded.get(field))[:64],
            )
        else:
            _LOGGER.warning(
                "faces are not found as in the training: %s of %s is %s now and was %s",
                field,
                actual["name"],
                value,
                str(recorded.get(field))[:64],
            )
