# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""HEIC pictures, through the optional package pillow-heif, and colours of AVIF too.

libheif joins the tiles of a grid, and turns and mirrors the picture as its properties
say. The orientation in the EXIF data repeats them and is not applied a second time.

References:
    ISO/IEC 23008-12: items and their properties. ITU-T H.273: numbers of colours.
"""

import io
import struct
from types import ModuleType

from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.media import formats

INSTALL = "run: pip install 'fakedet-jax[heic]'"


def open_picture(encoded: bytes) -> Image.Image:
    """Opens the primary picture of a file, whose pixels are decoded when needed.

    Args:
        encoded: The bytes of a HEIC file.

    Returns:
        An image with the upright size, and in `info` the EXIF data (`exif`) and the
        colour profile (`icc_profile`) if there are any.

    Raises:
        ImageError: pillow-heif is not installed, or the file is a sequence.
    """
    pillow_heif = _import()
    if not any(kind == b"meta" for kind, _ in formats.boxes(encoded)) and any(
        kind == b"moov" for kind, _ in formats.boxes(encoded)
    ):
        raise ImageError("is a sequence of pictures (HEIC); extract them first")
    return pillow_heif.HeifImageFile(io.BytesIO(encoded))


def read_exif(encoded: bytes) -> bytes:
    """The EXIF data of a HEIC file; empty if there are none.

    Raises:
        ImageError: pillow-heif is not installed.
    """
    return open_picture(encoded).info.get("exif") or b""


def primary_colours(encoded: bytes) -> tuple[int, int] | None:
    """Reads what the colours of the primary picture of a HEIC or AVIF file mean.

    Args:
        encoded: The bytes of the file.

    Returns:
        Numbers of the primaries and of the transfer characteristics in H.273; `None` if
        the file does not state them.
    """
    meta = dict(formats.boxes(encoded)).get(b"meta", b"")
    parts = dict(formats.boxes(meta[4:]))
    properties = dict(formats.boxes(parts.get(b"iprp", b"")))
    known = list(formats.boxes(properties.get(b"ipco", b"")))
    try:
        numbers = _properties_of_primary(
            parts.get(b"pitm", b""), properties.get(b"ipma", b"")
        )
        for number in numbers:
            kind, content = (
                known[number - 1] if 0 < number <= len(known) else (b"", b"")
            )
            if kind == b"colr" and content.startswith(b"nclx"):
                primaries, transfer = struct.unpack_from(">HH", content, 4)
                return primaries, transfer
    except struct.error:  # The file is damaged.
        pass
    return None


def _properties_of_primary(pitm: bytes, ipma: bytes) -> list[int]:
    """Numbers, from 1, of the properties of the primary item."""
    (primary,) = struct.unpack_from(">I" if pitm[:1] != b"\0" else ">H", pitm, 4)
    version, is_wide = ipma[:1] != b"\0", bool(ipma[3:4] and ipma[3] & 1)
    (count,) = struct.unpack_from(">I", ipma, 4)
    place = 8
    for _ in range(min(count, len(ipma))):
        form = ">IB" if version else ">HB"
        item, num_properties = struct.unpack_from(form, ipma, place)
        place += struct.calcsize(form)
        code, mask = ("H", 0x7FFF) if is_wide else ("B", 0x7F)
        form = f">{num_properties}{code}"
        numbers = struct.unpack_from(form, ipma, place)
        place += struct.calcsize(form)
        if item == primary:
            return [number & mask for number in numbers]
    return []


def _import() -> ModuleType:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"is a HEIC picture, which needs pillow-heif; {INSTALL}"
        ) from (error)
    return pillow_heif
