# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""HEIC pictures, through the optional package pillow-heif (libheif).

libheif joins the tiles of a grid, and turns and mirrors the picture as its properties
say. The orientation in the EXIF data repeats them and is not applied a second time.
"""

import io
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


def _import() -> ModuleType:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"is a HEIC picture, which needs pillow-heif; {INSTALL}"
        ) from (error)
    return pillow_heif
