# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Encodes JPEG files with the EXIF tags that cameras write (Exif 2.32)."""

import io

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from fakedet_jax.synthetic_faces.camera import Body, Settings

QUALITIES = (90, 92, 94, 96, 98)
"""JPEG qualities, drawn in the same way for photographs and fakes."""


def encode(
    picture: npt.NDArray[np.uint8], quality: int, body: Body, settings: Settings
) -> bytes:
    """Encodes a picture as JPEG with tags, without chroma subsampling.

    Args:
        picture: uint8 `[h, w, 3]`, RGB.
        quality: Quality setting of the JPEG, 1 to 100.
        body: Camera model, for the tags.
        settings: Camera settings, for the tags.

    Returns:
        The bytes of the file.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(
        buffer,
        format="JPEG",
        quality=quality,
        subsampling=0,
        exif=exif_bytes(body, settings),
    )
    return buffer.getvalue()


def exif_bytes(body: Body, settings: Settings) -> bytes:
    """Encodes maker, model and camera settings as an EXIF block."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = body.make
    exif[ExifTags.Base.Model] = body.model
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    tags[ExifTags.Base.ISOSpeedRatings] = settings.iso
    tags[ExifTags.Base.FNumber] = IFDRational(round(settings.f_number * 10), 10)
    tags[ExifTags.Base.ExposureTime] = IFDRational(1, settings.shutter)
    tags[ExifTags.Base.FocalLength] = IFDRational(settings.focal_length, 1)
    return exif.tobytes()
