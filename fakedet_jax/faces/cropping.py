# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Settings of finding and cutting out faces, from a request or from a record."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from fakedet_jax.config import FaceConfig, FrameConfig, MediaConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import crops, detection
from fakedet_jax.faces.detector import FaceDetector, WholePicture
from fakedet_jax.faces.expected import Expected
from fakedet_jax.media import options
from fakedet_jax.media.decode import MIN_SIDE
from fakedet_jax.media.video import Evenly, EveryNth
from fakedet_jax.runtime import records

_LOGGER = logging.getLogger(__name__)

# Pictures of less pixels are crops, whatever their shape; photographs have more.
_MIN_PHOTOGRAPH = 200
# What happens to a picture in which no face is searched for.
TAKEN_WHOLE = "the central square was taken for the face"

_MAX_SCALE = 10.0
_MAX_SIDE = 4096
_MAX_LONGEST = 100_000
_MAX_FRAMES = 10_000_000
_EVENLY = Evenly(32)
# By face detector, the settings that its record has.
_NEEDED = {
    "yunet": ("min_score", "longest_side"),
    "haar": ("longest_side",),
    "none": (),
    "boxes": (),
}

_T = TypeVar("_T")


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
        media: How the content of files becomes pixels.
        expected: Shape and size of the training pictures; None where all pictures are
            treated alike.
        otherwise: How the faces of other pictures are found; None where they are taken
            whole as well.
    """

    detector: FaceDetector
    scale: float | None = crops.SCALE
    size: int | None = None
    align: bool = False
    all_faces: bool = False
    selection: Evenly | EveryNth = _EVENLY
    media: MediaConfig = options.DEFAULT
    expected: Expected | None = None
    otherwise: "Cropping | None" = None

    def of_size(self, height: int, width: int) -> tuple["Cropping", str]:
        """How the faces of a picture of some size are found.

        Args:
            height: Height of the upright picture in pixels.
            width: Width of the upright picture in pixels.

        Returns:
            The settings, and what there is to say about the picture; empty where it is
            framed as expected.
        """
        if self.expected is None:
            return self, ""
        difference = self.expected.difference(height, width)
        if not difference:
            return self, ""
        if self.otherwise is None or min(height, width) < _MIN_PHOTOGRAPH:
            return self, f"{difference}: {TAKEN_WHOLE}"
        name = self.otherwise.detector.name
        return self.otherwise, f"{difference}: {name} searched for the face"

    @property
    def may_take_all(self) -> bool:
        """Whether all faces of some pictures at least are cut out."""
        return self.all_faces or (
            self.otherwise is not None and self.otherwise.all_faces
        )

    @property
    def may_search(self) -> bool:
        """Whether a face detector searches some pictures at least."""
        return self.is_search or self.otherwise is not None

    @property
    def takes_whole(self) -> bool:
        """Whether pictures are taken as they are."""
        return (
            type(self.detector) is WholePicture
            and self.scale is None
            and self.size is None
            and not self.align
        )

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
        found: dict[str, Any] = {
            "detector": self.detector.settings,
            "scale": self.scale,
            "size": self.size,
            "align": self.align,
            "all_faces": self.all_faces,
            "frames": frames,
            "media": dataclasses.asdict(self.media),
        }
        if self.expected is not None:
            found["expected"] = self.expected.record
        if self.otherwise is not None:
            found["otherwise"] = self.otherwise.record
        return found


def create(
    faces: FaceConfig,
    frames: FrameConfig,
    data_dir: Path | None = None,
    media: MediaConfig = options.DEFAULT,
) -> Cropping:
    """Checks the settings of a request and creates the face detector.

    Args:
        faces: How faces are found and cut out.
        frames: Which frames of a video are searched.
        data_dir: Folder that the paths in a file of face boxes are relative to. If
            given, each of them must be a file in it.
        media: How the content of files becomes pixels.

    Raises:
        RequestError: Settings are wrong or contradict each other.
    """
    name = faces.detector
    if not name:
        raise RequestError(
            f"`face_detector`: expected one of {', '.join(detection.DETECTORS)}; say "
            "how faces are found"
        )
    scale: float | None = crops.SCALE if faces.scale is None else faces.scale
    if name == "none":
        if faces.scale is not None:
            raise RequestError(
                "`face_scale` is for face detectors that find boxes; leave it out with "
                "`face_detector=none`, which takes whole pictures"
            )
        scale = None
    if faces.align and faces.size is None:
        raise RequestError(
            "`align` needs `size`, the side of the crops in pixels; none was given"
        )
    if faces.align and name not in ("yunet", "boxes"):
        raise RequestError(
            "`align` needs landmarks: expected `face_detector=yunet`, or "
            f"`face_detector=boxes` with landmarks, found `face_detector={name}`"
        )
    if faces.search_size is not None and name not in ("yunet", "haar"):
        raise RequestError(
            "`face_search_size` is for face detectors that search; leave it out with "
            f"`face_detector={name}`"
        )
    return Cropping(
        detector=detection.create(
            name,
            model=faces.model,
            boxes=faces.boxes,
            data_dir=data_dir,
            min_score=faces.min_score,
            **_sides(name, faces.search_size, faces.all_faces),
        ),
        scale=scale,
        size=faces.size,
        align=faces.align,
        all_faces=faces.all_faces,
        selection=select(frames),
        media=media,
    )


def from_record(
    record: Any,
    *,
    model: Path | None,
    all_faces: bool,
    frames: FrameConfig | None,
    search_size: int | None = None,
) -> Cropping:
    """Restores how the faces of a training were found and cut out.

    Args:
        record: A `Cropping.record`; it is checked, because its file may be wrong.
        model: ONNX file of `yunet`, which the record does not contain.
        all_faces: Whether all faces are cut out, or only the main one, regardless of
            the record.
        frames: Which frames of a video are searched; `None` takes those of the record.
        search_size: Longest side for finding faces; `None` takes that of the record,
            and for all faces a larger one too.

    Returns:
        Face detector, scale, size and alignment of the record.

    Raises:
        RequestError: The record is wrong, or `model` is missing or superfluous.
    """
    found = _convert(record, _FacesRecord)
    settings, name = found.detector, found.detector.name
    if name == "boxes":
        raise RequestError(
            "`workdir`: the detector was trained on faces from a file of boxes; say "
            "how to find faces by `face_detector=yunet`, haar or none, or bring their "
            "boxes with `face_boxes=FILE`"
        )
    if name != "yunet" and model is not None:
        how = "haar found the faces" if name == "haar" else "the pictures were whole"
        raise RequestError(
            f"`face_detector_model` is for yunet, but in the training {how}; leave it "
            "out, or give `face_detector=yunet` too"
        )
    if search_size is not None and name == "none":
        raise RequestError(
            "`face_search_size`: in the training the pictures were whole; leave it "
            "out, or give `face_detector` too"
        )
    options = {field: getattr(settings, field) for field in _NEEDED[name]}
    recorded = options.get("longest_side")
    if name == "yunet" and (all_faces or search_size is not None):
        options |= _sides(name, search_size, all_faces)
        if search_size is None:
            options["longest_side"] = recorded
    elif search_size is not None:
        options["longest_side"] = search_size
    selection = recorded_selection(record) if frames is None else select(frames)
    if name == "yunet" and model is None:
        raise RequestError(
            "`workdir`: the detector was trained on faces that yunet found; name its "
            "model file with `face_detector_model=FILE`"
        )
    detector = detection.create(name, model=model, **options)
    _warn_of_differences(record["detector"], detector.settings)
    return Cropping(
        detector=detector,
        scale=found.scale,
        size=found.size,
        align=found.align,
        all_faces=all_faces,
        selection=selection,
        media=recorded_media(record),
    )


def recorded_media(record: Any) -> MediaConfig:
    """How the content of files became pixels according to a `Cropping.record`.

    Args:
        record: The record; it is checked, because its file may be wrong. Records of
            older versions say nothing of it, which stands for the defaults.

    Raises:
        RequestError: The record is wrong.
    """
    return _convert(record, _MediaRecord).media


def recorded_selection(record: Any) -> Evenly | EveryNth:
    """Which frames of a video were searched according to a `Cropping.record`.

    Args:
        record: The record; it is checked, because its file may be wrong.

    Raises:
        RequestError: The record is wrong.
    """
    frames = _convert(record, _FramesRecord).frames
    return EveryNth(frames.every) if frames.every else Evenly(frames.evenly)


def choose(
    record: Any,
    *,
    faces: FaceConfig | None,
    model: Path | None,
    all_faces: bool,
    frames: FrameConfig | None,
    media: MediaConfig | None = None,
    search_size: int | None = None,
    expected: Expected | None = None,
) -> Cropping:
    """Chooses how faces of files are found and cut out for a trained network.

    The given settings come first, then the record of the training faces. Without
    either, photographs and frames that are framed like the training pictures are taken
    whole, and faces are searched for in larger ones: by yunet where its model is given,
    else by haar where OpenCV is installed. One without a face is left out.

    Args:
        record: The `Cropping.record` of the training faces; None where there is none.
        faces: How faces are found and cut out; None to follow the record.
        model: ONNX file of the face detector, where `faces` does not name it.
        all_faces: Whether all faces are taken, or the main one.
        frames: Which frames of a video; None to follow the record.
        media: How the content of files becomes pixels; None to follow the record.
        search_size: Longest side for finding faces, where `faces` does not say it.
        expected: Shape and size of the training pictures; None for a network that was
            not trained on faces to judge, which takes everything whole.

    Returns:
        The choice, with its face detector loaded.

    Raises:
        RequestError: The settings or the record are wrong.
    """
    if media is None:
        media = options.DEFAULT if record is None else recorded_media(record)
    if faces is None and record is not None and _searches(record):
        found = from_record(
            record,
            model=model,
            all_faces=all_faces,
            frames=frames,
            search_size=search_size,
        )
        return dataclasses.replace(found, media=media)
    if faces is None and expected is not None:
        return _whole_or_searched(
            record,
            model=model,
            all_faces=all_faces,
            frames=frames,
            expected=expected,
            media=media,
            search_size=search_size,
        )
    for field, value, needed in (
        ("face_detector_model", model, "`face_detector=yunet`"),
        ("all_faces", all_faces, "`face_detector`"),
        ("face_search_size", search_size, "`face_detector`"),
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
        search_size=faces.search_size or search_size,
    )
    cropping = create(faces, frames or FrameConfig(), media=media)
    if frames is None and record is not None:
        cropping = dataclasses.replace(cropping, selection=recorded_selection(record))
    if faces.detector == "none":
        cropping = dataclasses.replace(cropping, expected=expected)
    return cropping


def _sides(name: str, search_size: int | None, all_faces: bool) -> dict[str, Any]:
    """The longest sides for finding faces, as `detection.create` takes them."""
    if name not in ("yunet", "haar"):
        return {}
    if name == "haar" or not all_faces:
        sides = {"longest_side": search_size or detection.LONGEST_SIDE}
    else:
        wide = search_size or detection.WIDE_SIDE
        longest = min(wide, detection.LONGEST_SIDE)
        sides = {"longest_side": longest}
        if wide > longest:
            sides["wide_side"] = wide
    if all_faces:
        share = max(sides.values()) // detection.MIN_FACE
        _LOGGER.info(
            "all faces are searched for; those smaller than 1/%d of the longer side of "
            "a picture may be missed (a larger `face_search_size` finds them)",
            share,
        )
    return sides


def _searches(record: Any) -> bool:
    """Whether a face detector found the faces of the training."""
    return _convert(record, _FacesRecord).detector.name != "none"


def _whole_or_searched(
    record: Any,
    *,
    model: Path | None,
    all_faces: bool,
    frames: FrameConfig | None,
    expected: Expected,
    media: MediaConfig,
    search_size: int | None,
) -> Cropping:
    """Takes pictures like those of the training whole, and searches others; `choose`.

    Raises:
        RequestError: A file or package is missing that was asked for.
    """
    if record is None:
        whole = create(FaceConfig("none"), frames or FrameConfig())
    else:
        whole = from_record(record, model=None, all_faces=False, frames=frames)
    otherwise = None
    if model is not None:
        faces = FaceConfig(
            "yunet", model=model, all_faces=all_faces, search_size=search_size
        )
        otherwise = create(faces, FrameConfig(), media=media)
    else:
        faces = FaceConfig("haar", all_faces=all_faces, search_size=search_size)
        try:
            otherwise = create(faces, FrameConfig(), media=media)
        except RequestError:  # OpenCV is not installed.
            if all_faces:
                raise
    return dataclasses.replace(
        whole, expected=expected, otherwise=otherwise, media=media
    )


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
        return EveryNth(frames.frame_step)
    return Evenly(frames.frames_per_video) if frames.frames_per_video else _EVENLY


@dataclasses.dataclass(frozen=True)
class _DetectorRecord:
    name: str
    min_score: Annotated[float, Meta(gt=0, lt=1)] | None = None
    longest_side: Annotated[int, Meta(ge=32, le=_MAX_LONGEST)] | None = None

    def __post_init__(self) -> None:
        if self.name not in _NEEDED:
            found = records.shown(self.name)
            raise ValueError(f"name: expected yunet, haar or none, found {found}")
        for field in _NEEDED[self.name]:
            if getattr(self, field) is None:
                raise ValueError(f"{field}: expected a value, found none")


@dataclasses.dataclass(frozen=True)
class _FacesRecord:
    detector: _DetectorRecord
    scale: Annotated[float, Meta(gt=0, le=_MAX_SCALE)] | None
    size: Annotated[int, Meta(ge=MIN_SIDE, le=_MAX_SIDE)] | None
    align: bool

    def __post_init__(self) -> None:
        if self.align and (self.detector.name != "yunet" or self.size is None):
            raise ValueError("align: expected true only with yunet and a size")


@dataclasses.dataclass(frozen=True)
class _MediaRecord:
    media: MediaConfig = options.DEFAULT


@dataclasses.dataclass(frozen=True)
class _SelectionRecord:
    evenly: Annotated[int, Meta(ge=1, le=_MAX_FRAMES)] = 0
    every: Annotated[int, Meta(ge=1, le=_MAX_FRAMES)] = 0

    def __post_init__(self) -> None:
        if not self.evenly and not self.every:
            raise ValueError("evenly: expected a value, found none")


@dataclasses.dataclass(frozen=True)
class _FramesRecord:
    frames: _SelectionRecord


def _convert(record: Any, kind: type[_T]) -> _T:
    return records.convert(
        record,
        kind,
        source="`workdir`: config.json: faces",
        advice="say how to find faces with `face_detector`",
    )


def _warn_of_differences(
    recorded: Mapping[str, Any], actual: Mapping[str, Any]
) -> None:
    """Warns of differences that may make the face detector find other boxes."""
    for field, value in actual.items():
        # Other versions of OpenCV move a box by a fraction of a pixel at most.
        # The search of all faces, beside that of the main one, is no difference.
        if field in ("opencv", "wide_side") or recorded.get(field) == value:
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
