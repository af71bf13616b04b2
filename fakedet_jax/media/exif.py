# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads camera settings from the EXIF data of picture files.

ISO, f-number, exposure time and focal length are read as Exif 2.32 (CIPA DC-008)
defines them, from every format that carries EXIF data, see `media.metadata`. Only
headers are read, never pixels. Every setting is a number in its
unit or is missing for a stated reason; no exception or warning of Pillow escapes.

Pillow parses the directories of tags. The choice among tags and the check of their
values is done here: readers of EXIF return whatever a file contains.

>>> tags = ExifTags(iso=100.0, aperture=2.8, reasons={"exposure_time": ABSENT})
>>> to_array(tags)
array([100. ,   2.8,   nan,   nan], dtype=float32)
"""

import dataclasses
import io
import math
import numbers
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import IFD, Base

from fakedet_jax.errors import ImageError
from fakedet_jax.media import decode, formats, heif, metadata
from fakedet_jax.runtime.text import one_line

TAGS = ("iso", "aperture", "exposure_time", "focal_length")
# Their names in sentences and figures.
TITLES = {name: name.replace("_", " ") for name in TAGS} | {"iso": "ISO"}

# Values outside these ranges, which are our choice, are errors of the file's writer.
PLAUSIBLE = {
    "iso": (1.0, 1e7),
    "aperture": (0.5, 128.0),
    "exposure_time": (1e-6, 3600.0),
    "focal_length": (0.5, 5000.0),
}

# Reasons why a setting is missing; a colon and a detail may follow.
NO_EXIF = "no EXIF data"
UNREADABLE = "unreadable EXIF data"
UNSUPPORTED = "format without a reader of its EXIF data"
ABSENT = "absent"
DAMAGED = "absent from damaged EXIF data"
ZERO_DENOMINATOR = "zero denominator"
NOT_A_NUMBER = "not a number"
SEVERAL_VALUES = "several values"
NOT_FINITE = "not finite"
IMPLAUSIBLE = "implausible"


@dataclasses.dataclass(frozen=True)
class ExifTags:
    """Camera settings of a photograph; `None` for missing ones.

    Attributes:
        iso: Sensitivity as an ISO number.
        aperture: F-number.
        exposure_time: Exposure time in seconds.
        focal_length: Focal length in millimetres; not the 35 mm equivalent.
        reasons: Why each missing setting is missing, by its name in `TAGS`.
    """

    iso: float | None = None
    aperture: float | None = None
    exposure_time: float | None = None
    focal_length: float | None = None
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)


def read_tags(encoded: bytes) -> ExifTags:
    """Reads the camera settings from the bytes of a picture file.

    The aperture is FNumber or, if that tag is absent, ApertureValue; the exposure time
    is ExposureTime or, if that is absent, ShutterSpeedValue. A preferred tag that is
    present but unusable is not replaced, because a writer that gets one wrong seldom
    gets the other right. Of several ISO numbers the first counts if all are positive.
    ISO 65535 stands for a larger number, which RecommendedExposureIndex or ISOSpeed
    contains. Text such as `1/250 sec`, `f/2.8` or `50 mm` is read as its number.

    Args:
        encoded: The bytes of a file.

    Returns:
        The settings, and the reasons for missing ones. A damaged picture gives reasons,
        too.

    Raises:
        ImageError: The bytes are no picture in a known format.
    """
    try:
        directory, damage = _read_directory(encoded, _TAG_NUMBERS)
    except _MissingError as missing:
        return _without_tags(str(missing))
    values: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, read in _READERS.items():
        try:
            values[name] = _check_range(name, read(directory))
        except _MissingError as missing:
            reasons[name] = str(missing)
            if damage and reasons[name] == ABSENT:
                reasons[name] = f"{DAMAGED}: {damage}"
    return ExifTags(**values, reasons=reasons)


def read_values(encoded: bytes, numbers: Sequence[int]) -> tuple[dict[int, Any], str]:
    """Reads the values of any tags from the bytes of a picture file, unchecked.

    Args:
        encoded: The bytes of a file.
        numbers: The numbers of the tags.

    Returns:
        The values as Pillow decodes them, by number, and why there are none; an empty
        string if the EXIF data could be read.

    Raises:
        ImageError: The bytes are no picture in a known format.
    """
    try:
        return _read_directory(encoded, numbers)[0], ""
    except _MissingError as missing:
        return {}, str(missing)


def to_array(tags: ExifTags) -> np.ndarray:
    """The settings as float32 `[4]` in the order of `TAGS`, NaN for missing ones."""
    values = (getattr(tags, name) for name in TAGS)
    return np.array([math.nan if v is None else v for v in values], np.float32)


_ISO_OR_MORE = 65535

_TAG_NUMBERS: tuple[int, ...] = (
    Base.ISOSpeedRatings,
    Base.RecommendedExposureIndex,
    Base.ISOSpeed,
    Base.FNumber,
    Base.ApertureValue,
    Base.ExposureTime,
    Base.ShutterSpeedValue,
    Base.FocalLength,
)

_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]+)?"


def _compile(before: str = "", after: str = "") -> re.Pattern[str]:
    """Compiles a pattern of a number or fraction with optional text around it."""
    pattern = rf"(?:{before})\s*({_NUMBER})(?:\s*/\s*({_NUMBER}))?\s*(?:{after})"
    return re.compile(pattern, re.IGNORECASE)


_PLAIN_TEXT = _compile()
_ISO_TEXT = _compile(before="(?:iso)?")
_APERTURE_TEXT = _compile(before=r"(?:f\s*/?)?")
_SECONDS_TEXT = _compile(after=r'(?:s|secs?\.?|seconds?|")?')
_MILLIMETRES_TEXT = _compile(after=r"(?:mm)?")


class _MissingError(Exception):
    """A setting has no usable value; the message is the reason."""


def _without_tags(reason: str) -> ExifTags:
    return ExifTags(reasons=dict.fromkeys(TAGS, reason))


def _read_directory(
    encoded: bytes, numbers: Sequence[int]
) -> tuple[dict[int, Any], str]:
    """Reads the values of some tags that a file contains.

    Returns:
        The values as Pillow decodes them, and Pillow's warning about damaged EXIF
        data; an empty string if there is none.

    Raises:
        _MissingError: The file has no readable EXIF data.
        ImageError: The bytes are no picture in a known format.
    """
    kind = formats.sniff_format(encoded)
    damage = ""
    try:
        try:
            # Warnings are errors at first, so that undamaged data are read only once.
            with decode.warnings_lock, warnings.catch_warnings():
                warnings.filterwarnings("error", module=r"PIL\b")
                directory = _collect(_open_exif(encoded, kind, numbers), numbers)
        except Warning as warning:
            damage = one_line(warning)
            with decode.quiet_pillow():
                directory = _collect(_open_exif(encoded, kind, numbers), numbers)
    except _MissingError:
        raise
    except Exception as error:
        # Damaged data bring out errors of a dozen types in the readers.
        raise _MissingError(f"{UNREADABLE}: {one_line(error)}") from error
    if directory is None:
        raise _MissingError(f"{UNREADABLE}: {damage}" if damage else NO_EXIF)
    return directory, damage


def _collect(exif: Image.Exif | None, numbers: Sequence[int]) -> dict[int, Any] | None:
    """Reads the values of some tags from EXIF data; `None` if there are none."""
    if not exif:
        return None
    # TIFF/EP, the standard of raw files, has the same tags in the main directory.
    directory = {tag: exif[tag] for tag in numbers if tag in exif}
    if IFD.Exif in exif:
        details = exif.get_ifd(IFD.Exif)
        if not details:
            raise _MissingError(f"{UNREADABLE}: its directory is empty or out of place")
        directory.update((tag, details[tag]) for tag in numbers if tag in details)
    return directory


def _open_exif(encoded: bytes, kind: str, numbers: Sequence[int]) -> Image.Exif | None:
    """Finds the EXIF data of a file and lets Pillow read their main directory."""
    if kind == "JPEG":
        _, block = metadata.split_jpeg(encoded)
        if not block and b"Exif\0\0" in encoded[: 2**16]:
            raise _MissingError(f"{UNREADABLE}: its segment is cut or out of place")
        return _load(block)
    if kind == "HEIC":
        return _load(_heic_block(encoded))
    if kind == "JPEG 2000":
        return _load(metadata.jp2_exif(encoded))
    if kind in metadata.HEADERS:
        return _load(metadata.exif_of_info(metadata.read_info(encoded, kind)))
    if kind == "TIFF":
        exif = TiffImagePlugin.TiffImageFile(io.BytesIO(encoded)).getexif()
        # Every TIFF has a main directory, even without the tags that are asked for.
        has_settings = any(tag in exif for tag in (IFD.Exif, *numbers))
        return exif if has_settings else None
    raise _MissingError(f"{UNSUPPORTED}: {kind}")


def _load(block: bytes | None) -> Image.Exif | None:
    if not block:
        return None
    exif = Image.Exif()
    exif.load(block)
    return exif


def _heic_block(encoded: bytes) -> bytes:
    try:
        return heif.read_exif(encoded)
    except ImageError as error:
        raise _MissingError(f"{UNSUPPORTED}: HEIC; {heif.INSTALL}") from error


def _read_iso(directory: Mapping[int, Any]) -> float:
    value = _read_sensitivity(directory, Base.ISOSpeedRatings)
    if value != _ISO_OR_MORE:
        return value
    for tag in (Base.RecommendedExposureIndex, Base.ISOSpeed):
        if tag in directory:
            return _read_sensitivity(directory, tag)
    raise _MissingError(
        f"{ABSENT}: 65535 stands for a larger number, which no tag contains"
    )


def _read_sensitivity(directory: Mapping[int, Any], tag: int) -> float:
    value = directory.get(tag)
    if not isinstance(value, tuple):
        return _to_float(value, _ISO_TEXT)
    numbers_read = [_to_float(part, _ISO_TEXT) for part in value]
    if not numbers_read or min(numbers_read) <= 0:
        raise _MissingError(f"{SEVERAL_VALUES}: {_shorten(value)}")
    return numbers_read[0]


def _read_aperture(directory: Mapping[int, Any]) -> float:
    if Base.FNumber in directory:
        return _to_float(directory[Base.FNumber], _APERTURE_TEXT)
    return _power_of_two(_to_float(directory.get(Base.ApertureValue)) / 2)


def _read_exposure_time(directory: Mapping[int, Any]) -> float:
    if Base.ExposureTime in directory:
        return _to_float(directory[Base.ExposureTime], _SECONDS_TEXT)
    return _power_of_two(-_to_float(directory.get(Base.ShutterSpeedValue)))


def _read_focal_length(directory: Mapping[int, Any]) -> float:
    return _to_float(directory.get(Base.FocalLength), _MILLIMETRES_TEXT)


_READERS = {
    "iso": _read_iso,
    "aperture": _read_aperture,
    "exposure_time": _read_exposure_time,
    "focal_length": _read_focal_length,
}


def _to_float(value: Any, text: re.Pattern[str] = _PLAIN_TEXT) -> float:
    """Converts a value that Pillow has decoded; text must match the pattern `text`."""
    if value is None:
        raise _MissingError(ABSENT)
    if isinstance(value, tuple):
        raise _MissingError(f"{SEVERAL_VALUES}: {_shorten(value)}")
    if isinstance(value, str):
        match = text.fullmatch(value.strip(" \t\r\n\0"))
        if match is None:
            raise _MissingError(f"{NOT_A_NUMBER}: {_shorten(value)}")
        numerator, denominator = float(match[1]), float(match[2] or 1)
    elif isinstance(value, numbers.Rational):
        numerator, denominator = float(value.numerator), float(value.denominator)
    elif isinstance(value, float):
        numerator, denominator = value, 1.0
    else:
        raise _MissingError(f"{NOT_A_NUMBER}: {_shorten(value)}")
    if denominator == 0:
        raise _MissingError(f"{ZERO_DENOMINATOR}: {numerator:g}/0")
    return numerator / denominator


def _power_of_two(exponent: float) -> float:
    try:
        return 2.0**exponent
    except OverflowError:
        return math.inf


def _check_range(name: str, value: float) -> float:
    low, high = PLAUSIBLE[name]
    if not math.isfinite(value):
        raise _MissingError(f"{NOT_FINITE}: {value}")
    if not low <= value <= high:
        raise _MissingError(f"{IMPLAUSIBLE}: {value:g} is not in [{low:g}, {high:g}]")
    return value


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
