# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the EXIF data and the colour profile of a picture in any format.

Orientation and camera settings are read from the same EXIF data: the APP1 segment of a
JPEG, the eXIf chunk of a PNG or the text in which older programs hide it, the EXIF
chunk of a WebP, the Exif item of HEIC and AVIF, the uuid box of a JPEG 2000, and the
directories of a TIFF. BMP, GIF and PPM have none. XMP is not read.

References:
    Exif 2.32 (CIPA DC-008); PNG 3 (W3C); ISO/IEC 15444-1 annex I; ICC.1 annex B.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from fakedet_jax.media import formats

UPRIGHT = 1

_ORIENTATION_TAG = 0x0112
_PNG_PROFILE = "Raw profile type exif"
_JP2_EXIF = b"JpgTiffExif->JP2"
_ICC = b"ICC_PROFILE\0"


def split_jpeg(encoded: bytes) -> tuple[bytes, bytes]:
    """Splits the metadata off a JPEG.

    Pillow reads EXIF and other segments when it opens a JPEG, and fails if they are
    damaged although the picture is sound. It therefore gets the file without them.

    Args:
        encoded: The bytes of a JPEG file, complete or truncated.

    Returns:
        The JPEG without comments and application segments, except those of JFIF and
        Adobe, which say how colours are stored; and the payload of the EXIF segment,
        empty if there is none.
    """
    kept = [encoded[:2]]
    exif = b""
    position = 2
    for start, end in _segments(encoded):
        marker = encoded[start + 1]
        is_metadata = 0xE1 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker == 0xEE:
            kept.append(encoded[start:end])
        elif marker == 0xE1 and encoded[start + 4 : start + 8] == b"Exif":
            exif = exif or encoded[start + 4 : end]
        position = end
    kept.append(encoded[position:])
    return b"".join(kept), exif


def jpeg_profile(encoded: bytes) -> bytes:
    """Joins the parts of the colour profile of a JPEG; empty if it has none."""
    parts: dict[int, bytes] = {}
    for start, end in _segments(encoded):
        payload = encoded[start + 4 : end]
        if encoded[start + 1] == 0xE2 and payload.startswith(_ICC) and payload[12:13]:
            parts.setdefault(payload[12], payload[14:])
    return b"".join(parts[number] for number in sorted(parts))


def exif_of_info(info: Mapping[str | tuple[int, int], Any]) -> bytes:
    """The EXIF data that Pillow has found in a PNG, WebP or AVIF.

    Args:
        info: Attribute `info` of Pillow's image.

    Returns:
        The data as a TIFF file; empty if there are none.
    """
    block = info.get("exif")
    if isinstance(block, bytes) and block:
        return block
    text = info.get(_PNG_PROFILE)
    if not isinstance(text, str):
        return b""
    # A line with the name, one with the number of bytes, then lines of hex digits.
    digits = "".join(text.split("\n")[3:])
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def jp2_exif(encoded: bytes) -> bytes:
    """The EXIF data in the uuid box of a JPEG 2000; empty if there are none."""
    for kind, content in formats.boxes(encoded):
        if kind == b"uuid" and content.startswith(_JP2_EXIF):
            return content[len(_JP2_EXIF) :]
    return b""


def orientation(exif: bytes) -> int:
    r"""Reads the orientation from EXIF data.

    Args:
        exif: The data as a TIFF file, with or without the prefix `Exif`.

    Returns:
        1 to 8 as in Exif 2.32; `UPRIGHT` if it is missing or unclear.

    >>> orientation(b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0")
    6
    """
    if exif.startswith(b"Exif\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (num_entries,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(num_entries):
            offset = directory + 2 + 12 * entry
            tag, field_type = struct.unpack_from(f"{order}HH", exif, offset)
            if tag == _ORIENTATION_TAG:
                code = "I" if field_type == 4 else "H"
                (value,) = struct.unpack_from(order + code, exif, offset + 8)
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:  # The data are truncated.
        pass
    return UPRIGHT


def _segments(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Start, at its marker, and end of each segment of a JPEG before its pixels."""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:  # A fill byte before a marker.
            position += 1
            continue
        end = position + 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
        if not 0xC0 <= marker <= 0xFE or marker == 0xDA or end > len(encoded):
            return
        yield position, end
        position = end
