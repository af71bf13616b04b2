# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts photographs with a colour profile to sRGB, through Pillow's LittleCMS."""

import functools
import io

from PIL import Image, ImageCms

from fakedet_jax.errors import ImageError

# Modes that profiles describe, by the code of their colour space.
_MODES = {"RGB ": ("RGB", "RGBA"), "GRAY": ("L", "LA"), "CMYK": ("CMYK",)}


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Converts a picture from the colours of its profile to sRGB.

    The intent is relative colorimetric: white stays white, and colours that sRGB does
    not have are clipped.

    Args:
        image: A loaded picture with eight bits per sample.
        profile: Its ICC profile.

    Returns:
        The picture in the same mode, or in RGB if it was grey or CMYK; unchanged if the
        profile is not for pictures of its mode.

    Raises:
        ImageError: The profile is damaged.
    """
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode not in _MODES.get(source.profile.xcolor_space, ()):
            return image
        alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
        opaque = image.convert({"RGBA": "RGB", "LA": "L"}.get(image.mode, image.mode))
        converted = ImageCms.profileToProfile(
            opaque,
            source,
            _srgb(),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ImageError("has a damaged colour profile") from error
    assert converted is not None  # Only `None` where it works in place.
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
