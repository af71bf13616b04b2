# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Directories of TIFF files, read without decoding a picture.

Raw photographs are TIFF files whose first directory often holds a preview. They are
recognised here, by the directories that describe the values of the sensor.

References:
    TIFF 6.0 (Adobe, 1992); BigTIFF (libtiff); DNG 1.7.
"""

import struct
from collections.abc import Iterator

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

MAKE = 271
SUB_DIRECTORIES = 330
PHOTOMETRIC = 262
DNG_VERSION = 50706

_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_MAX_DIRECTORIES = 32
_MAX_ENTRIES = 4096
_MAX_VALUES = 64
# Codes of `struct` by the type of a field: numbers without a sign, and text.
_CODES = {1: "B", 2: "c", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

Directory = dict[int, tuple[int, ...] | bytes]


def directories(encoded: bytes) -> Iterator[Directory]:
    """Reads the directories of a file, each followed by those within it.

    Args:
        encoded: The bytes of a TIFF or BigTIFF file, complete or damaged.

    Yields:
        Up to 32 directories, each with the first values of its whole numbers and texts
        by their tags. What is damaged is left out.
    """
    order = "<" if encoded[:2] == b"II" else ">"
    is_big = encoded[2:4] in (b"+\0", b"\0+")
    pending = [_number(encoded, 8 if is_big else 4, order, is_big)]
    seen: set[int] = set()
    while pending and len(seen) < _MAX_DIRECTORIES:
        start = pending.pop(0)
        if start == 0 or start in seen:
            continue
        seen.add(start)
        directory, following = _read(encoded, start, order, is_big)
        yield directory
        within = directory.get(SUB_DIRECTORIES, ())
        pending += [place for place in (*within, following) if place]


def raw_kind(encoded: bytes) -> str | None:
    """The kind of a raw photograph.

    Args:
        encoded: The bytes of a TIFF file.

    Returns:
        `DNG`, `CR2`, `IIQ`, or the name of the camera's maker; `None` if the file is an
        ordinary TIFF.
    """
    if encoded[8:10] == b"CR":
        return "CR2"
    if encoded[8:12] in (b"IIII", b"MMMM"):
        return "IIQ"
    maker = ""
    for directory in directories(encoded):
        maker = maker or _text(directory.get(MAKE, b""))
        if DNG_VERSION in directory:
            return "DNG"
        if directory.get(PHOTOMETRIC) in ((_COLOUR_FILTER_ARRAY,), (_LINEAR_RAW,)):
            return f"of {maker}" if maker else "values of a sensor"
    return None


def _read(
    encoded: bytes, start: int, order: str, is_big: bool
) -> tuple[Directory, int]:
    """Reads one directory, and where the next one starts; 0 if there is none."""
    directory: Directory = {}
    head, size, room = (8, 20, 8) if is_big else (2, 12, 4)
    count_code, form = ("Q", "HHQ") if is_big else ("H", "HHI")
    try:
        (count,) = struct.unpack_from(order + count_code, encoded, start)
    except struct.error:
        return {}, 0
    if count > _MAX_ENTRIES:
        return {}, 0
    for entry in range(count):
        place = start + head + size * entry
        try:
            tag, kind, length = struct.unpack_from(order + form, encoded, place)
            code = _CODES.get(kind)
            if code is None or not length:
                continue
            place += size - room
            if struct.calcsize(code) * length > room:
                place = _number(encoded, place, order, is_big)
            taken = min(length, _MAX_VALUES)
            values = struct.unpack_from(f"{order}{taken}{code}", encoded, place)
        except struct.error:
            continue
        directory[tag] = b"".join(values) if code == "c" else values
    return directory, _number(encoded, start + head + size * count, order, is_big)


def _number(encoded: bytes, place: int, order: str, is_big: bool) -> int:
    """Reads an offset; 0 where the file ends before it."""
    try:
        (value,) = struct.unpack_from(order + ("Q" if is_big else "I"), encoded, place)
    except struct.error:
        return 0
    return int(value)


def _text(value: tuple[int, ...] | bytes) -> str:
    if not isinstance(value, bytes):
        return ""
    text = value.partition(b"\0")[0].decode("ascii", "replace")
    return " ".join(text.split())[:40]
