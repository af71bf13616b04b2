# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from fakedet_jax.errors import ImageError
from fakedet_jax.media.decode import (
    MAX_PIXELS,
    decode,
    decode_with_header,
    read_file,
    read_picture,
    read_size,
    to_input,
)
from fakedet_jax.media.files import find_pictures
from fakedet_jax.media.framing import Framing
from tests.data.pictures import colourful, encode


@pytest.mark.parametrize(
    "kind, options",
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG2000", {}),
    ],
)
def test_lossless_formats_give_the_exact_pixels(kind, options):
    picture = colourful()
    np.testing.assert_array_equal(decode(encode(picture, kind, **options)), picture)


def test_jpeg_agrees_with_opencv():
    encoded = encode(colourful(64, 48), "JPEG", quality=90)
    expected = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    difference = np.abs(decode(encoded).astype(int) - expected)
    assert difference.max() <= 3  # Two IDCT implementations.


def test_first_picture_of_a_multi_picture_file_is_taken():
    first, second = (Image.fromarray(colourful(seed=seed)) for seed in (1, 2))
    encoded = encode(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode(encoded), decode(encode(first, "JPEG")))


def test_grey_is_repeated_in_all_channels():
    grey = colourful()[..., 0]
    np.testing.assert_array_equal(
        decode(encode(grey)), np.repeat(grey[..., None], 3, axis=2)
    )


def test_one_bit_becomes_black_and_white():
    bits = np.eye(20, dtype=bool)
    decoded = decode(encode(Image.fromarray(bits)))
    np.testing.assert_array_equal(decoded[..., 1], bits * np.uint8(255))


def test_palette_gives_its_colours():
    image = Image.fromarray(colourful()).quantize(16)
    np.testing.assert_array_equal(
        decode(encode(image, "GIF")), np.asarray(image.convert("RGB"))
    )


def test_transparent_pixels_are_laid_on_white():
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[:8] = (200, 100, 0, 0)
    picture[8:] = (200, 100, 0, 128)
    decoded = decode(encode(picture))
    np.testing.assert_array_equal(decoded[0, 0], (255, 255, 255))
    # 128/255 of the colour and the rest of white.
    np.testing.assert_allclose(decoded[-1, -1], (227.4, 177.2, 127), atol=1)


def test_transparent_palette_entry_is_laid_on_white():
    image = Image.new("P", (16, 16), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    decoded = decode(encode(image, transparency=1))
    assert (decoded == 255).all()


def test_grey_with_alpha_is_laid_on_white():
    image = Image.new("LA", (16, 16), (0, 0))
    assert (decode(encode(image)) == 255).all()


def test_cmyk_jpeg_with_inverted_inks():
    # Pillow writes CMYK as Adobe does: inverted, with Adobe's marker.
    image = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    encoded = encode(image, "JPEG", quality=100)
    assert b"Adobe" in encoded
    np.testing.assert_allclose(decode(encoded)[8, 8], (255, 0, 0), atol=3)


def test_cmyk_tiff():
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    np.testing.assert_array_equal(decode(encode(image, "TIFF"))[0, 0], (0, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled(kind):
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    decoded = decode(encode(Image.fromarray(levels), kind))
    np.testing.assert_array_equal(decoded[..., 0].ravel(), np.arange(256))


def test_sixteen_bit_colour_is_scaled_like_grey():
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16, 1)
    _, encoded = cv2.imencode(".png", np.repeat(levels, 3, axis=2))
    decoded = decode(encoded.tobytes())
    np.testing.assert_array_equal(decoded[..., 0].ravel(), np.arange(256))


@pytest.mark.parametrize(
    "image, reason",
    [
        (Image.new("F", (16, 16)), "floating-point"),
        (Image.new("I", (16, 16)), "32-bit integer"),
    ],
)
def test_modes_without_a_meaning_in_eight_bits_are_refused(image, reason):
    with pytest.raises(ImageError, match=reason):
        decode(encode(image, "TIFF"))


def _rotate_by_hand(picture, orientation):
    """What a viewer shows, after the table of the EXIF standard."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }[orientation](picture)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied(kind, orientation):
    options = {"lossless": True} if kind == "WEBP" else {}
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = decode(encode(colourful(), kind, **options))
    turned, header = decode_with_header(encode(colourful(), kind, exif=exif, **options))
    np.testing.assert_array_equal(turned, _rotate_by_hand(plain, orientation))
    assert (header.height, header.width) == turned.shape[:2]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_presence_of_exif_is_told(kind):
    aperture = {0x8769: {0x829D: 2.8}}
    exif = Image.Exif()
    exif.update(aperture)
    options = {"tiffinfo": aperture} if kind == "TIFF" else {"exif": exif}
    _, without = decode_with_header(encode(colourful(), kind))
    _, header = decode_with_header(encode(colourful(), kind, **options))
    assert (without.has_exif, header.has_exif) == (False, True)


def _jpeg_with_exif(payload):
    encoded = encode(colourful(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    return encoded[:2] + segment + encoded[2:]


@pytest.mark.parametrize(
    "payload",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03" * 9,
        b"Exif\0\0" + b"\xa5" * 300,
    ],
)
def test_damaged_exif_does_not_matter(payload):
    plain = decode(encode(colourful(), "JPEG"))
    picture, header = decode_with_header(_jpeg_with_exif(payload))
    np.testing.assert_array_equal(picture, plain)
    assert header.has_exif


def test_doubtful_tiff_tags_cause_no_warning():
    encoded = encode(colourful(), "TIFF", dpi=(72, 72))
    # Makes the resolution point behind the end of the file.
    place = encoded.index(struct.pack("<HHI", 282, 5, 1))
    broken = encoded[: place + 8] + b"\xff\xff\xff\x7f" + encoded[place + 12 :]
    np.testing.assert_array_equal(decode(broken), colourful())


def test_empty_file():
    with pytest.raises(ImageError, match=r"^is empty \(0 bytes\)$"):
        decode(b"")


def test_text_is_no_picture():
    with pytest.raises(ImageError, match=r"^is not a picture in a known format"):
        decode(b"P1easant text, named like a picture")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_truncated_file(kind):
    encoded = encode(colourful(64, 64), kind)
    with pytest.raises(ImageError, match=r"^is truncated"):
        decode(encoded[: len(encoded) // 2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "JPEG2000"])
def test_damage_anywhere_is_a_picture_or_a_reason(kind):
    encoded = encode(colourful(32, 32), kind)
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(encoded)
        for place in rng.integers(0, len(encoded), 3):
            damaged[place] = rng.integers(256)
        cut = bytes(damaged[: rng.integers(1, len(encoded) + 1)])
        try:
            picture = decode(cut)
        except ImageError:
            continue
        assert picture.dtype == np.uint8 and picture.shape[2] == 3


def _png_header_only(width, height):
    def chunk(name, payload):
        check = struct.pack(">I", zlib.crc32(name + payload))
        return struct.pack(">I", len(payload)) + name + payload + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def test_huge_header_is_refused_by_its_size():
    with pytest.raises(ImageError, match=f"^50000×50000 pixels .* of {MAX_PIXELS}"):
        decode(_png_header_only(50000, 50000))


def test_size_over_the_limit_of_warnings_of_pillow_is_no_warning():
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        decode(_png_header_only(10000, 10000))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_frames_are_counted(kind):
    frames = [Image.fromarray(colourful(seed=seed)) for seed in range(12)]
    encoded = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"^holds 12 frames; extract them first$"):
        decode(encoded)


def test_tiny_picture():
    with pytest.raises(ImageError, match="is only 1×1 pixels"):
        decode(encode(np.zeros((1, 1, 3), np.uint8)))


def test_square_of_the_right_size_is_not_resampled():
    picture = colourful(128, 128)
    np.testing.assert_array_equal(to_input(picture, Framing.square(128)), picture)


@pytest.mark.parametrize("shape", [(64, 97), (98, 64)])
def test_centre_of_the_right_size_is_cut_out_exactly(shape):
    picture = colourful(*shape)
    top, left = (shape[0] - 64) // 2, (shape[1] - 64) // 2
    np.testing.assert_array_equal(
        to_input(picture, Framing.square(64)), picture[top : top + 64, left : left + 64]
    )


def test_crop_and_resize_are_one_resampling():
    picture = colourful(120, 200)
    expected = Image.fromarray(picture).resize(
        (48, 48), Image.Resampling.LANCZOS, box=(40, 0, 160, 120)
    )
    np.testing.assert_array_equal(
        to_input(picture, Framing.square(48)), np.asarray(expected)
    )


def test_resizing_is_antialiased():
    # The finest checkerboard is grey from afar; taking single pixels would show it.
    board = (np.indices((128, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = to_input(np.repeat(board[..., None], 3, axis=2), Framing.square(32))
    assert np.abs(small.astype(int) - 127).max() <= 8


def test_resizing_agrees_with_opencv_area_on_smooth_pictures():
    picture = colourful(128, 128)
    expected = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    assert (
        np.abs(to_input(picture, Framing.square(64)).astype(int) - expected).mean() < 1
    )


def test_read_picture_from_a_file(tmp_path):
    path = tmp_path / "a picture\nwith a line break.png"
    path.write_bytes(encode(colourful(32, 32)))
    np.testing.assert_array_equal(
        read_picture(path, Framing.square(32)), colourful(32, 32)
    )


def test_name_that_is_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(encode(colourful(32, 32)))
    (found,) = find_pictures([tmp_path])
    assert read_picture(found.path, Framing.square(16)).shape == (16, 16, 3)


def test_missing_file(tmp_path):
    with pytest.raises(ImageError, match=r"^does not exist$"):
        read_file(tmp_path / "no.png")


def test_an_address_is_told_from_a_missing_file():
    for name in ("gs://bucket/a.jpg", "https://example.org/a.jpg"):
        with pytest.raises(ImageError, match=r"^is an address, of which files are not"):
            read_file(name)


def test_dangling_link(tmp_path):
    (tmp_path / "link.png").symlink_to("nowhere.png")
    with pytest.raises(ImageError, match=r"^is a link to a file that does not exist$"):
        read_file(tmp_path / "link.png")


def test_link_to_itself(tmp_path):
    (tmp_path / "link.png").symlink_to("link.png")
    with pytest.raises(ImageError, match=r"^cannot be read: "):
        read_file(tmp_path / "link.png")


def test_folder_is_no_file(tmp_path):
    with pytest.raises(ImageError, match=r"^is a folder"):
        read_file(tmp_path)


def test_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match=r"^is not a regular file"):
        read_file(tmp_path / "pipe.png")


def test_file_over_the_limit(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(512 * 2**20 + 1)  # Sparse: takes no space.
    with pytest.raises(ImageError, match="larger than the limit of 512 MiB"):
        read_file(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read every file")
def test_unreadable_file(tmp_path):
    path = tmp_path / "locked.png"
    path.write_bytes(encode(colourful()))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"^cannot be read: Permission denied"):
        read_file(path)


@pytest.mark.shared_data
def test_camera_files_agree_with_pillow(shared_data):
    names = sorted((shared_data / "exif/jpg/orientation").glob("*.jpg"))
    assert names
    for path in names:
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes())))
        np.testing.assert_array_equal(decode(read_file(path)), np.asarray(expected))


@pytest.mark.shared_data
def test_camera_files_with_broken_exif_are_read(shared_data):
    for found in find_pictures([shared_data / "exif/jpg/invalid"]):
        assert decode(read_file(found.path)).ndim == 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_size_is_that_of_the_upright_picture(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(colourful(20, 32, 3), kind, exif=exif)
    assert read_size(encoded) == decode(encoded).shape[:2]


def test_the_size_of_what_is_no_picture_is_an_error():
    with pytest.raises(ImageError, match="is empty"):
        read_size(b"")
