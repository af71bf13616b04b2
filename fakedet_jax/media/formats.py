# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Identifies the format of a picture by its content; names of files do not matter.

Formats that are known but not read are refused with what they are: a raw photograph
contains a small preview, which must not be taken for the photograph.

References:
    ISO/IEC 14496-12: boxes and brands of HEIC, AVIF, CR3, JPEG XL and MP4 files.
    DNG 1.7 (Adobe) and TIFF/EP (ISO 12234-2): directories of raw photographs.
"""

import struct
from collections.abc import Iterator

from fakedet_jax.errors import ImageError
from fakedet_jax.media import tiff

FORMATS = (
    *("JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF", "JPEG 2000", "PPM", "HEIC", "AVIF"),
)


def sniff_format(encoded: bytes) -> str:
    """Identifies the format of a picture by its content.

    Args:
        encoded: The bytes of a file.

    Returns:
        One of `FORMATS`.

    Raises:
        ImageError: The file is empty, in no known format, or in one that is not read.

    >>> sniff_format(b"GIF89a")
    'GIF'
    """
    if not encoded:
        raise ImageError("is empty (0 bytes)")
    for start, what in _NOT_READ:
        if encoded.startswith(start):
            raise ImageError(f"is {what}")
    if encoded[4:8] == b"ftyp":
        return _of_brands(encoded)
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "WebP"
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"AVI ":
        raise ImageError(f"is {_VIDEO}")
    for magic, kind in _MAGIC:
        if encoded.startswith(magic) and (
            kind != "PPM" or encoded[2:3] in (b" ", b"\t", b"\n", b"\r", b"#")
        ):
            if kind == "TIFF" and (maker := tiff.raw_kind(encoded)):
                raise ImageError(f"is {_raw(maker)}")
            return kind
    raise ImageError(f"is not a picture in a known format ({', '.join(FORMATS)})")


def boxes(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes at the top of a file of the ISO base media format or JPEG 2000.

    Args:
        encoded: The bytes of the file, complete or cut.

    Yields:
        Type and content of each box that is complete.
    """
    position = 0
    while position + 8 <= len(encoded):
        size, kind = struct.unpack_from(">I4s", encoded, position)
        start = position + 8
        if size == 1 and start + 8 <= len(encoded):
            (size,) = struct.unpack_from(">Q", encoded, start)
            start += 8
        end = position + size if size else len(encoded)
        if end < start or end > len(encoded):
            return
        yield kind, encoded[start:end]
        position = end


def _of_brands(encoded: bytes) -> str:
    """HEIC or AVIF, by the brands that the file declares to follow."""
    size = min(int.from_bytes(encoded[:4], "big"), len(encoded), 1024)
    # The major brand, the number of its version, then compatible brands.
    brands = {encoded[at : at + 4] for at in (8, *range(16, size - 3, 4))}
    if b"crx " in brands:
        raise ImageError(f"is {_raw('CR3')}")
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    raise ImageError(f"is {_VIDEO}")


def _raw(maker: str) -> str:
    return (
        f"a raw photograph ({maker}), of which only a preview could be read; develop "
        "it and save it as JPEG, PNG or TIFF"
    )


_VIDEO = "a video, not a picture; give it the suffix of a video, such as .mp4"
_JPEG_XL = "a JPEG XL picture, which is not read; convert it to PNG"

_NOT_READ = (
    (b"\xff\x0a", _JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JPEG_XL),
    (b"FUJIFILMCCD-RAW", _raw("RAF")),
    (b"IIRO", _raw("ORF")),
    (b"IIRS", _raw("ORF")),
    (b"MMOR", _raw("ORF")),
    (b"IIU\0", _raw("RW2")),
    (b"FOVb", _raw("X3F")),
    (b"\0MRM", _raw("MRW")),
    (b"II\x1a\0\0\0HEAPCCDR", _raw("CRW")),
    (b"\x1aE\xdf\xa3", _VIDEO),  # Matroska.
    (b"FLV\x01", _VIDEO),
    (b"\0\0\x01\xba", _VIDEO),  # MPEG.
    (b"8BPS", "a Photoshop document; save it as PNG or TIFF"),
    (b"%PDF", "a PDF document; save its pictures as PNG"),
)

_HEIC_BRANDS = frozenset(
    [
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
        *(b"mif1", b"mif2", b"msf1"),
    ]
)

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    *((magic, "TIFF") for magic in tiff.MAGIC),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    *((b"P%d" % digit, "PPM") for digit in range(1, 7)),
)
