# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from fakedet_jax.errors import ImageError
from fakedet_jax.media.decode import (
    decode,
    decode_with_header,
    from_pillow,
    read_file,
    read_picture,
    read_size,
    to_input,
)
from fakedet_jax.media.files import find_pictures
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.options import MediaConfig
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
    with pytest.raises(ImageError, match=r"^50000×50000 pixels .* of 256 megapixels"):
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


def _tiff(samples, photometric, planar=1):
    """An uncompressed TIFF of 16-bit samples `[height, width]` or `[3, height, width]`.

    Written byte by byte: Pillow writes neither planes nor grey where white is zero.
    """
    height, width = samples.shape[-2:]
    pixels = samples.astype("<u2").tobytes()
    count = 1 if samples.ndim == 2 else 3
    entries = [(256, 4, 1, width), (257, 4, 1, height)]
    extra = struct.pack("<3H", 16, 16, 16) + bytes(2)
    plane = len(pixels) // count
    offsets = [8 + len(extra) + plane * number for number in range(count)]
    lists = struct.pack(f"<{count}I", *offsets) + struct.pack(
        f"<{count}I", *[plane] * count
    )
    lists_at = 8 + len(extra) + len(pixels)
    entries += [
        (258, 3, count, 8 if count == 3 else 16),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, count, lists_at if count == 3 else offsets[0]),
        (277, 3, 1, count),
        (278, 4, 1, height),
        (279, 4, count, lists_at + 12 if count == 3 else plane),
        (284, 3, 1, planar),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = lists_at + len(lists)
    head = b"II*\0" + struct.pack("<I", start)
    return head + extra + pixels + lists + directory + bytes(4)


def test_sixteen_bit_grey_where_white_is_zero():
    levels = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    black_is_zero = decode(_tiff(levels, 1))
    np.testing.assert_array_equal(black_is_zero[..., 0].ravel(), np.arange(256))
    white_is_zero = decode(_tiff(levels, 0))
    np.testing.assert_array_equal(white_is_zero[..., 0].ravel(), 255 - np.arange(256))


def test_planes_of_sixteen_bits_are_refused_without_compression():
    planes = colourful(32, 32).transpose(2, 0, 1).astype(np.uint16) * 257
    with pytest.raises(ImageError, match=r"^holds planes of 16 bits without compr"):
        decode(_tiff(planes, 2, planar=2))


def _jpeg_of_size(width, height, progressive=False):
    image = Image.fromarray(colourful(height, width))
    return encode(image, "JPEG", quality=95, progressive=progressive)


def test_large_jpeg_is_decoded_at_a_part_of_its_size():
    encoded = _jpeg_of_size(2400, 1000)
    whole, header = decode_with_header(encoded)
    assert (whole.shape, header.shrink, header.notes()) == ((1000, 2400, 3), 1, [])
    half, header = decode_with_header(encoded, MediaConfig(max_megapixels=1))
    assert (half.shape, header.shrink) == ((500, 1200, 3), 2)
    assert "decoded at 1/2 of its size" in header.notes()[0]
    expected = cv2.resize(whole, (1200, 500), interpolation=cv2.INTER_AREA)
    assert np.abs(half.astype(int) - expected).mean() < 1


def test_the_limit_is_that_of_the_setting():
    assert decode(_jpeg_of_size(1000, 1000), MediaConfig(max_megapixels=1)).ndim == 3
    large = encode(colourful(1001, 1000))
    with pytest.raises(ImageError, match=r"^1000×1001 pixels .* of 1 megapixel; rai"):
        decode(large, MediaConfig(max_megapixels=1))
    progressive = _jpeg_of_size(1200, 1000, progressive=True)
    with pytest.raises(ImageError, match="exceed the limit of 1 megapixel;"):
        decode(progressive, MediaConfig(max_megapixels=1))
    # Beyond an eighth of each side nothing helps.
    with pytest.raises(ImageError, match="exceed the limit of 1 megapixel;"):
        decode(_jpeg_of_size(9000, 8000), MediaConfig(max_megapixels=1))


@pytest.mark.slow
def test_two_hundred_megapixels_are_within_the_default_limit():
    # A JPEG of one colour, so that it is quick to write and read.
    encoded = encode(Image.new("L", (16320, 12240), 90), "JPEG")
    assert decode(encoded).shape == (12240, 16320, 3)


def _display_p3():
    """The ICC profile of a display with the primaries of P3 and the curve of sRGB."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)

    def fixed(values):
        numbers = (round(value * 65536) for value in values)
        return b"XYZ " + bytes(4) + struct.pack(">3i", *numbers)

    tags = {
        b"rXYZ": fixed((0.51512, 0.24120, -0.00105)),
        b"gXYZ": fixed((0.29198, 0.69225, 0.04189)),
        b"bXYZ": fixed((0.15710, 0.06657, 0.78407)),
        b"wtpt": fixed((0.96420, 1.0, 0.82491)),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 3) + b"P3\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0" + bytes(3),
    }
    place = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", place + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    size = place + len(content)
    header = struct.pack(
        ">I4sI4s4s4s", size, bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + content


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colour_profiles_are_ignored_unless_asked_for(kind):
    picture = np.full((32, 32, 3), (180, 120, 100), np.uint8)
    options = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}.get(kind, {})
    encoded = encode(picture, kind, icc_profile=_display_p3(), **options)
    np.testing.assert_allclose(decode(encoded)[5, 5], (180, 120, 100), atol=1)
    # By hand: linear light by 2.2, P3 to XYZ, XYZ to linear sRGB (D50), sRGB's curve.
    to_xyz = [
        [0.51512, 0.29198, 0.15710],
        [0.24120, 0.69225, 0.06657],
        [-0.00105, 0.04189, 0.78407],
    ]
    srgb = [
        [0.43607, 0.38515, 0.14307],
        [0.22249, 0.71687, 0.06061],
        [0.01392, 0.09708, 0.71410],
    ]
    linear = np.linalg.solve(srgb, to_xyz @ (np.array((180, 120, 100)) / 255) ** 2.2)
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    converted = decode(encoded, MediaConfig(icc="srgb"))[5, 5]
    np.testing.assert_allclose(converted, expected, atol=2)
    assert converted[0] > 184  # P3's red is redder.


def test_a_damaged_profile_is_a_reason_only_where_it_matters():
    encoded = encode(colourful(), icc_profile=b"no profile" * 20)
    np.testing.assert_array_equal(decode(encoded), colourful())
    with pytest.raises(ImageError, match=r"^has a damaged colour profile$"):
        decode(encoded, MediaConfig(icc="srgb"))


def test_pictures_without_a_profile_stay_as_they_are():
    for kind in ("PNG", "JPEG", "BMP"):
        encoded = encode(colourful(), kind)
        srgb = decode(encoded, MediaConfig(icc="srgb"))
        np.testing.assert_array_equal(srgb, decode(encoded))


def test_orientation_hidden_in_the_text_of_a_png_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    info = PngImagePlugin.PngInfo()
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n"
    info.add_text("Raw profile type exif", text, zip=True)
    encoded = encode(colourful(), pnginfo=info)
    np.testing.assert_array_equal(decode(encoded), np.rot90(colourful(), -1))


def test_orientation_of_a_jpeg_2000_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 3
    content = b"JpgTiffExif->JP2" + exif.tobytes().removeprefix(b"Exif\0\0")
    box = struct.pack(">I", 8 + len(content)) + b"uuid" + content
    encoded = encode(colourful(), "JPEG2000") + box
    np.testing.assert_array_equal(decode(encoded), colourful()[::-1, ::-1])


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


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("icc", ["ignore", "srgb"])
def test_colour_profiles_of_a_pillow_image_are_those_of_its_file(kind, icc):
    encoded = encode(colourful(), kind, icc_profile=_display_p3())
    how = MediaConfig(icc=icc)
    with Image.open(io.BytesIO(encoded)) as image:
        np.testing.assert_array_equal(from_pillow(image, how), decode(encoded, how))
