# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the EXIF data, colour profile, XMP and C2PA data of a picture in any format.

Orientation and camera settings are read from the same EXIF data: the APP1 segment of a
JPEG, the eXIf chunk of a PNG or the text in which older programs hide it, the EXIF
chunk of a WebP, the Exif item of HEIC and AVIF, the uuid box of a JPEG 2000, and the
directories of a TIFF. BMP, GIF and PPM have none.

References:
    Exif 2.32 (CIPA DC-008); PNG 3 (W3C); ISO/IEC 15444-1 annex I; ICC.1 annex B; XMP
    part 3 (Adobe); C2PA 2.2, annex A: where each format has the data.
"""

import io
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from PIL import AvifImagePlugin, Image, PngImagePlugin, WebPImagePlugin

from fakedet_jax.media import formats

UPRIGHT = 1

_ORIENTATION_TAG = 0x0112
_PNG_PROFILE = "Raw profile type exif"
_JP2_EXIF = b"JpgTiffExif->JP2"
_ICC = b"ICC_PROFILE\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_C2PA_OF_GIF = b"\x21\xff\x0bC2PA_GIF"

# The chunks of a PNG that matter here, without pixels and frames.
_PNG_CHUNKS = (b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

# Opened, these know their metadata without decoding a pixel.
_HEADERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
HEADERS = frozenset(_HEADERS)


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


def jpeg_xmp(encoded: bytes) -> bytes:
    """The XMP packet of a JPEG, without its extension; empty if it has none."""
    for start, end in _segments(encoded):
        if encoded[start + 1] == 0xE1 and encoded.startswith(_XMP, start + 4):
            return encoded[start + 4 + len(_XMP) : end]
    return b""


def read_info(encoded: bytes, kind: str) -> dict[str | tuple[int, int], Any]:
    """Reads what Pillow finds in the header of a file, without decoding a pixel.

    The pixels of a PNG are removed first, because Pillow decodes them to find metadata
    behind them. Damaged data bring out warnings and errors of a dozen types.

    Args:
        encoded: The bytes of the file.
        kind: Its format, one of `HEADERS`.

    Returns:
        Attribute `info` of Pillow's image: texts of a PNG by their keywords, the EXIF
        data as `exif`, and the XMP packet as `xmp`.
    """
    if kind == "PNG":
        encoded = _png_header(encoded)
    return _HEADERS[kind](io.BytesIO(encoded)).info


def c2pa_size(encoded: bytes, kind: str) -> int:
    """The number of bytes of the C2PA data in a file; 0 if it has none.

    Args:
        encoded: The bytes of the file.
        kind: Its format; that of a TIFF is in its tags, and counts as none here.
    """
    if kind == "JPEG":
        # A box that several segments share is told apart by its number; one is enough.
        parts = [encoded[start + 4 : end] for start, end in _jumbf_segments(encoded)]
        return sum(map(len, parts)) if any(b"c2pa" in part for part in parts) else 0
    if kind == "PNG":
        return sum(
            end - start for name, start, end in _png_chunks(encoded) if name == b"caBX"
        )
    if kind == "WebP":
        return sum(
            end - start for name, start, end in _riff_chunks(encoded) if name == b"C2PA"
        )
    if kind in ("HEIC", "AVIF"):
        return sum(
            len(content)
            for name, content in formats.boxes(encoded)
            if name == b"uuid" and content.startswith(_C2PA_UUID)
        )
    if kind == "GIF":  # Its blocks have no length in advance.
        start = encoded.find(_C2PA_OF_GIF)
        return 0 if start < 0 else len(encoded) - start
    return 0


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


def _jumbf_segments(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the segments of a JPEG that have parts of JUMBF boxes."""
    for start, end in _segments(encoded):
        if encoded[start + 1] == 0xEB and encoded.startswith(b"JP", start + 4):
            yield start, end


def _png_header(encoded: bytes) -> bytes:
    """Removes the pixels from a PNG, so that chunks behind them become header."""
    kept = [
        encoded[start:end]
        for name, start, end in _png_chunks(encoded)
        if name in _PNG_CHUNKS
    ]
    return b"".join([encoded[:8], *kept, _PNG_END])


def _png_chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each complete chunk of a PNG."""
    position = 8
    while position + 12 <= len(encoded):
        end = position + 12 + int.from_bytes(encoded[position : position + 4], "big")
        if end > len(encoded):
            return
        yield encoded[position + 4 : position + 8], position, end
        position = end


def _riff_chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each complete chunk of a WebP."""
    position = 12
    while position + 8 <= len(encoded):
        size = int.from_bytes(encoded[position + 4 : position + 8], "little")
        end = position + 8 + size
        if end > len(encoded):
            return
        yield encoded[position : position + 4], position, end
        position = end + size % 2


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
