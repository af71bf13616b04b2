# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""HEIC and AVIF photographs; pillow-heif writes the former."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.media.decode import decode, decode_with_header
from fakedet_jax.media.formats import sniff_format
from fakedet_jax.media.heif import primary_colours
from fakedet_jax.media.options import MediaConfig
from tests.data.pictures import colourful, encode

_LOSSLESS = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}


def _heic(picture, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, "HEIF", **_LOSSLESS, **options)
    return buffer.getvalue()


def _oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def test_heic_gives_the_exact_pixels():
    picture = colourful(64, 96)
    decoded, header = decode_with_header(_heic(picture))
    np.testing.assert_array_equal(decoded, picture)
    assert (header.format, header.width, header.height) == ("HEIC", 96, 64)
    assert not header.has_exif


# What a viewer shows, after the table of the EXIF standard.
_UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_upright_exactly_once(orientation):
    picture = colourful(64, 96)
    encoded = _heic(picture, exif=_oriented(orientation))
    decoded, header = decode_with_header(encoded)
    np.testing.assert_array_equal(decoded, _UPRIGHT[orientation](picture))
    assert header.has_exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_upright_exactly_once(orientation):
    options = {"quality": 100, "subsampling": "4:4:4"}
    plain = decode(encode(colourful(64, 96), "AVIF", **options))
    exif = _oriented(orientation)
    turned = decode(encode(colourful(64, 96), "AVIF", exif=exif, **options))
    np.testing.assert_array_equal(turned, _UPRIGHT[orientation](plain))


def test_avif_is_close_to_what_was_written():
    picture = colourful(64, 96)
    encoded = encode(picture, "AVIF", quality=100, subsampling="4:4:4")
    difference = np.abs(decode(encoded).astype(int) - picture)
    assert difference.max() <= 3


def test_a_grid_is_read_as_a_whole(monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = colourful(512, 768)
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 256)
    encoded = _heic(picture)
    assert b"grid" in encoded
    np.testing.assert_array_equal(decode(encoded), picture)


def test_the_primary_picture_of_several_is_taken():
    others = [Image.fromarray(colourful(64, 96, seed)) for seed in (1, 2)]
    encoded = _heic(
        Image.fromarray(colourful(64, 96)),
        save_all=True,
        append_images=others,
        primary_index=1,
    )
    np.testing.assert_array_equal(decode(encoded), colourful(64, 96, 1))


def test_transparent_heic_is_laid_on_white():
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[32:] = (200, 100, 0, 255)
    decoded = decode(_heic(picture))
    assert (decoded[8, 8] == 255).all()
    np.testing.assert_allclose(decoded[-8, 8], (200, 100, 0), atol=1)


def test_sequences_are_refused():
    frames = [Image.fromarray(colourful(64, 64, seed)) for seed in range(3)]
    encoded = encode(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"^holds 3 frames; extract them first$"):
        decode(encoded)
    pytest.importorskip("pillow_heif")
    heics = b"\0\0\0\x10ftyphevc\0\0\0\0" + b"\0\0\0\x08moov"
    with pytest.raises(ImageError, match=r"^is a sequence of pictures"):
        decode(heics)


def test_without_its_reader_the_reason_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    heic = b"\0\0\0\x18ftypheic" + bytes(12)
    assert sniff_format(heic) == "HEIC"
    reason = r"^is a HEIC picture, which needs pillow-heif; .*'fakedet-jax\[heic\]'$"
    with pytest.raises(ImageError, match=reason):
        decode(heic)


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_damage_is_a_picture_or_a_reason(kind):
    picture = colourful(64, 64)
    encoded = _heic(picture) if kind == "HEIC" else encode(picture, "AVIF")
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(encoded)
        for place in rng.integers(0, len(encoded), 3):
            damaged[place] = rng.integers(256)
        try:
            decoded = decode(bytes(damaged[: rng.integers(1, len(encoded) + 1)]))
        except ImageError:
            continue
        assert decoded.dtype == np.uint8 and decoded.shape[2] == 3


def _hdr(picture):
    """Codes a picture in PQ and BT.2020, white at 203 cd/m² (BT.2087, BT.2100)."""
    matrix = [
        [0.6274, 0.3293, 0.0433],
        [0.0691, 0.9195, 0.0114],
        [0.0164, 0.088, 0.8956],
    ]
    light = 203 / 10000 * ((picture / 255) ** 2.4 @ np.array(matrix).T)
    power = light**0.1593017578125
    coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return np.rint(255 * coded).astype(np.uint8)


def test_hdr_photographs_are_converted():
    picture = colourful(64, 96) // 2 + 64
    encoded = _heic(_hdr(picture), color_primaries=9, transfer_characteristics=16)
    assert primary_colours(encoded) == (9, 16)
    decoded, header = decode_with_header(encoded)
    # A level of 8 bits of PQ is several of ours.
    assert np.abs(decoded.astype(int) - picture).mean() < 2
    assert header.notes() == ["has HDR colour (PQ), which was converted to SDR"]
    raw = decode(encoded, MediaConfig(hdr="raw"))
    np.testing.assert_array_equal(raw, _hdr(picture))


def test_hdr_of_an_avif_is_told_by_its_primary_picture():
    encoded = encode(colourful(64, 96), "AVIF", quality=100)
    assert primary_colours(encoded) == (1, 13)
    plain = decode(encoded)
    place = encoded.index(b"colrnclx") + 10
    hlg = encoded[:place] + b"\0\x12" + encoded[place + 2 :]
    assert primary_colours(hlg) == (1, 18)
    decoded, header = decode_with_header(hlg)
    assert header.notes() == ["has HDR colour (HLG), which was converted to SDR"]
    assert np.abs(decoded.astype(int) - plain).mean() > 5


def test_colours_of_damaged_files_are_unknown():
    encoded = encode(colourful(64, 96), "AVIF")
    for end in range(0, len(encoded), 7):
        assert primary_colours(encoded[:end]) in (None, (1, 13))
