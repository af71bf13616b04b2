# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures are those that OpenCV reads, over formats, modes and orientations."""

import cv2
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.media.decode import decode
from tests.data.pictures import colourful, encode

_LOSSLESS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}
_DEPTHS = [
    *((kind, np.uint8) for kind in ("png", "tiff", "bmp", "ppm", "jp2", "webp", "jpg")),
    *((kind, np.uint16) for kind in ("png", "tiff", "jp2")),
]


def _read(encoded):
    array = np.frombuffer(encoded, np.uint8)
    return cv2.imdecode(array, cv2.IMREAD_COLOR_RGB)


def _check(encoded, tolerance):
    expected = _read(encoded).astype(int)
    assert np.abs(decode(encoded) - expected).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_oriented_pictures(kind, mode, orientation):
    if kind == "WEBP" and mode == "L":
        mode = "RGBA"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(colourful(40, 56)).convert(mode)
    options = _LOSSLESS.get(kind, {})
    # JPEG: two implementations of the inverse transform.
    _check(encode(image, kind, exif=exif, **options), 3 if kind == "JPEG" else 0)


@pytest.mark.parametrize(("kind", "dtype"), _DEPTHS)
@pytest.mark.parametrize("is_grey", [False, True])
def test_depths_and_modes(kind, dtype, is_grey):
    picture = colourful(40, 56).astype(dtype)
    if dtype == np.uint16:
        # The low byte must not matter.
        picture = picture * 256 + np.arange(56, dtype=np.uint16)[:, None]
    if is_grey:
        picture = picture[..., 0]
    if kind == "ppm" and is_grey:
        kind = "pgm"
    options = {"webp": [cv2.IMWRITE_WEBP_QUALITY, 101]}.get(kind, [])
    if kind == "jp2":
        options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    _, encoded = cv2.imencode(f".{kind}", picture, options)
    _check(encoded.tobytes(), 3 if kind == "jpg" else 1)
