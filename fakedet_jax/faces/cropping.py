# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How faces are found and cut out, as it was asked for."""

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
            "`face_detector`: expected how faces are found, one of "
            f"{', '.join(detection.DETECTORS)}; none was given"
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
                "`face_scale` is for detectors that give boxes; leave it out with "
                "`face_detector=none`, which takes pictures whole"
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
            "`align` needs landmarks, which `face_detector=yunet` finds and "
            f"`face_detector=boxes` may bring; found `face_detector={name}`"
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
    """Treats pictures as those of a training were treated.

    Args:
        record: A `Cropping.record`, from a file that anyone may have written.
        model: The ONNX file, which is not in the record; of `yunet`.
        all_faces: Whether all faces are taken, or the main one; the record says what
            the training took, which need not be what is asked for now.
        frames: Which frames of a video; None takes those of the record.

    Returns:
        Detector, scale, size and alignment of the record.

    Raises:
        RequestError: The record is wrong, what it needs is missing, or is given and not
            needed.
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
    """Which frames of a video a `Cropping.record` says were looked at.

    Raises:
        RequestError: It does not say so.
    """
    frames = _Record(_Record(record, "faces").get("frames"), "faces.frames")
    if "every" in frames.fields:
        return EveryNth(frames.integer("every", 1, _MAX_FRAMES))
    return Evenly(frames.integer("evenly", 1, _MAX_FRAMES))


def choose(
    record: Any,
    *,
    faces: FaceConfig | None,
    model: Path | None,
    all_faces: bool,
    frames: FrameConfig | None,
) -> Cropping:
    """Chooses how faces of files are found and cut out for a trained network.

    The given settings come first, then the record of the training faces. Without
    either, photographs and frames are taken whole.

    Args:
        record: The `Cropping.record` of the training faces; None where there is none.
        faces: How faces are found and cut out; None to follow the record.
        model: ONNX file of the face detector, where `faces` does not name it.
        all_faces: Whether all faces are taken, or the main one.
        frames: Which frames of a video; None to follow the record.

    Returns:
        The choice, with its face detector loaded.

    Raises:
        RequestError: The settings or the record are wrong.
    """
    if faces is None and record is not None:
        return from_record(record, model=model, all_faces=all_faces, frames=frames)
    for field, value, needed in (
        ("face_detector_model", model, "`face_detector=yunet`"),
        ("all_faces", all_faces, "`face_detector`"),
    ):
        if faces is None and value:
            raise RequestError(
                f"`{field}`: pictures are taken whole, because no training faces are "
                f"on record that say how to find faces; leave it out, or give {needed} "
                "too"
            )
    faces = faces or FaceConfig("none")
    faces = dataclasses.replace(
        faces,
        model=faces.model or model,
        all_faces=faces.all_faces or all_faces,
    )
    cropping = create(faces, frames or FrameConfig())
    if frames is None and record is not None:
        cropping = dataclasses.replace(cropping, selection=recorded_selection(record))
    return cropping


def select(frames: FrameConfig) -> Evenly | EveryNth:
    """Checks which frames were asked for.

    Raises:
        RequestError: There are no such frames.
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
    """A part of `config.json` that must be an object, and checks of its fields."""

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
    """Warns where faces may be found at other places than in the training."""
    for field, value in actual.items():
        # Another version of OpenCV moves a box by parts of a pixel, if at all.
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
