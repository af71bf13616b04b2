# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.library.pictures."""

import io
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.library import pictures
from fakedet_jax.media.decode import decode
from tests.data.pictures import colourful, encode

_FLOATS = colourful(20, 24, 1) / np.float32(255)


@pytest.mark.parametrize(
    ("wrong", "expected", "advice"),
    [
        (_FLOATS, "expected uint8, from 0 to 255, found float32", "`scale=True`"),
        (_FLOATS * 255, "found float32 from 0 to 255", "astype(np.uint8)"),
        (_FLOATS * 4 - 2, "found float32 from", "undo the normalisation"),
        (np.full((20, 20, 3), np.nan), "holds NaN", "in 1,200 of 1,200 places"),
        (np.zeros((20, 24), np.uint8), "found [20, 24]", "repeat a grey picture"),
        (np.zeros((20, 24, 1), np.uint8), "found [20, 24, 1]", "repeat a grey"),
        (np.zeros((20, 24, 4), np.uint8), "found [20, 24, 4]", "picture[..., :3]"),
        (np.zeros((3, 20, 24), np.uint8), "found [3, 20, 24]", "channels come last"),
        (np.zeros((2, 3, 20, 24), np.uint8), "found [2, 3, 20, 24]", "come last"),
        (np.zeros((0, 20, 24, 3), np.uint8), "an empty array, [0, 20, 24, 3]", ""),
        (np.zeros((20, 0, 3), np.uint8), "found an empty array, [20, 0, 3]", ""),
        (np.zeros((1, 1, 20, 24, 3), np.uint8), "found [1, 1, 20, 24, 3]", ""),
        (np.zeros((20, 24, 3), np.uint16), "found uint16", "astype(np.uint8)"),
        (np.zeros((20, 24, 3), bool), "found bool", "astype(np.uint8)"),
        ([], "expected at least one picture, found none", ""),
        (7, "found int", ""),
        (b"bytes", "found bytes", ""),
        (None, "found NoneType", ""),
        ("clip.mp4", "'clip.mp4' is a video", "`mode=predict`"),
    ],
    ids=str,
)
def test_what_is_no_picture_gets_one_clear_line(wrong, expected, advice):
    with pytest.raises(RequestError) as caught:
        pictures.split(wrong)
    message = str(caught.value)
    assert message.startswith("`pictures`: ")
    assert expected in message
    assert advice in message
    assert "\n" not in message


def test_a_wrong_element_of_a_sequence_is_named():
    sound = colourful(20, 24, 1)
    with pytest.raises(RequestError, match=r"^`pictures\[1\]`: expected uint8"):
        pictures.split([sound, _FLOATS])
    with pytest.raises(RequestError, match=r"^`pictures\[1\]`: .* found \[2, 20, 24"):
        pictures.split([sound, np.stack([sound] * 2)])
    with pytest.raises(RequestError, match=r"^`pictures\[0\]`: .* found float"):
        pictures.split([3.5])


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(RequestError, match="is a folder; name its files"):
        pictures.split(tmp_path)


def test_floats_are_scaled_on_request():
    ((_, scaled),) = pictures.split(_FLOATS, scale=True)
    np.testing.assert_array_equal(scaled, colourful(20, 24, 1))
    unknown = _FLOATS.copy()
    unknown[3, 4] = np.nan
    with pytest.raises(RequestError, match=r"holds NaN, .* in 3 of 1,440 places"):
        pictures.split(unknown, scale=True)
    for wrong in (_FLOATS * 255, _FLOATS - 0.5):
        with pytest.raises(RequestError, match=r"`scale=True` takes numbers from 0 to"):
            pictures.split(wrong, scale=True)


def test_bytes_are_not_scaled():
    picture = colourful(20, 24, 1)
    ((_, same),) = pictures.split(picture, scale=True)
    np.testing.assert_array_equal(same, picture)


def test_pictures_keep_their_order_and_have_names():
    stack = np.stack([colourful(20, 24, seed) for seed in range(2)])
    image = Image.fromarray(stack[0])
    assert [name for name, _ in pictures.split(stack)] == [
        "`pictures[0]`",
        "`pictures[1]`",
    ]
    found = pictures.split(
        [stack[0], image, "a.jpg", Path("b.jpg"), jnp.array(stack[1])]
    )
    assert [name for name, _ in found] == [
        *("`pictures[0]`", "`pictures[1]`", "'a.jpg'", "'b.jpg'", "`pictures[4]`")
    ]
    np.testing.assert_array_equal(found[4][1], stack[1])


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK"])
def test_an_image_of_pillow_equals_its_file(mode):
    image = Image.fromarray(colourful(20, 24, 3)).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    encoded = encode(image, kind)
    opened = Image.open(io.BytesIO(encoded))
    np.testing.assert_array_equal(pictures.decode(opened), decode(encoded))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_of_pillow_is_turned_like_its_file(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(colourful(20, 24, 3), "JPEG", exif=exif)
    opened = Image.open(io.BytesIO(encoded))
    np.testing.assert_array_equal(pictures.decode(opened), decode(encoded))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_an_image_of_other_numbers_is_refused(mode):
    with pytest.raises(ImageError, match="pixels; convert it to 8 bits first"):
        pictures.decode(Image.new(mode, (20, 20)))


def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(ImageError, match="is only 8×20 pixels"):
        pictures.decode(np.zeros((20, 8, 3), np.uint8))
    with pytest.raises(ImageError, match="is only 8×20 pixels"):
        pictures.decode(Image.new("RGB", (8, 20)))


def test_a_damaged_image_of_pillow_gets_a_reason():
    encoded = encode(colourful(200, 200, 3), "JPEG")
    with pytest.raises(ImageError, match="is truncated"):
        pictures.decode(Image.open(io.BytesIO(encoded[: len(encoded) // 2])))
