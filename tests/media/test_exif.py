# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""EXIF blocks are written here byte by byte, so that any damage can be written too."""

import collections
import math
import pickle
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from fakedet_jax.errors import ImageError
from fakedet_jax.media import exif
from fakedet_jax.media.decode import read_file
from fakedet_jax.media.exif import TAGS, ExifTags, read_tags, to_array
from tests.data.pictures import colourful, encode

EXPOSURE_TIME, F_NUMBER, ISO = 0x829A, 0x829D, 0x8827
RECOMMENDED_EXPOSURE_INDEX, ISO_SPEED = 0x8832, 0x8833
SHUTTER_SPEED, APERTURE, MAX_APERTURE = 0x9201, 0x9202, 0x9205
FOCAL_LENGTH, FOCAL_LENGTH_35MM = 0x920A, 0xA405
SETTINGS = {
    "iso": 200,
    "aperture": 2.8,
    "exposure_time": 1 / 250,
    "focal_length": 50.0,
}


REASONS = {
    exif.NO_EXIF,
    exif.UNREADABLE,
    exif.UNSUPPORTED,
    exif.ABSENT,
    exif.DAMAGED,
    exif.ZERO_DENOMINATOR,
    exif.NOT_A_NUMBER,
    exif.SEVERAL_VALUES,
    exif.NOT_FINITE,
    exif.IMPLAUSIBLE,
}


def kind_of(reason):
    return reason.partition(":")[0]


def byte(tag, payload):
    return tag, 1, len(payload), payload


def text(tag, value):
    payload = value.encode("latin-1") + b"\0"
    return tag, 2, len(payload), payload


def short(tag, *values):
    return tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)


def long(tag, *values):
    return tag, 4, len(values), struct.pack(f"<{len(values)}I", *values)


def rational(tag, *values):
    return tag, 5, len(values) // 2, struct.pack(f"<{len(values)}I", *values)


def signed_rational(tag, *values):
    return tag, 10, len(values) // 2, struct.pack(f"<{len(values)}i", *values)


def double(tag, *values):
    return tag, 12, len(values), struct.pack(f"<{len(values)}d", *values)


def exif_block(*entries):
    """The EXIF data with these entries in its directory of details."""
    directory = 8 + 2 + 12 + 4
    main = struct.pack("<HHHIII", 1, 0x8769, 4, 1, directory, 0)
    data = directory + 2 + 12 * len(entries) + 4
    table, values = struct.pack("<H", len(entries)), b""
    for tag, field_type, count, payload in entries:
        place = payload.ljust(4, b"\0")
        if len(payload) > 4:
            place = struct.pack("<I", data + len(values))
            values += payload
        table += struct.pack("<HHI", tag, field_type, count) + place
    return b"Exif\0\0II*\0\x08\0\0\0" + main + table + b"\0\0\0\0" + values


def jpeg(*entries):
    return encode(colourful(), "JPEG", exif=exif_block(*entries))


def assert_complete(tags):
    """Every tag is a plausible number or has a reason of a known kind."""
    for name in TAGS:
        value = getattr(tags, name)
        if value is None:
            assert kind_of(tags.reasons[name]) in REASONS
            assert len(tags.reasons[name].splitlines()) == 1
        else:
            assert exif.PLAUSIBLE[name][0] <= value <= exif.PLAUSIBLE[name][1]
            assert name not in tags.reasons


FULL = (
    rational(EXPOSURE_TIME, 1, 250),
    rational(F_NUMBER, 28, 10),
    short(ISO, 200),
    rational(FOCAL_LENGTH, 50, 1),
)


def png_with_chunk_behind_the_pixels(name, payload):
    chunk = struct.pack(">I", len(payload)) + name + payload
    chunk += struct.pack(">I", zlib.crc32(name + payload))
    encoded = encode(colourful())
    return encoded[:-12] + chunk + encoded[-12:]


def raw_profile():
    block = exif_block(*FULL)
    info = PngImagePlugin.PngInfo()
    profile = f"\nexif\n{len(block):8}\n{block.hex()}\n"
    info.add_text("Raw profile type exif", profile, zip=True)
    return info


def tiff(tags):
    return encode(colourful(), "TIFF", tiffinfo=tags)


TIFF_TAGS = {EXPOSURE_TIME: 0.004, F_NUMBER: 2.8, ISO: 200, FOCAL_LENGTH: 50.0}
FILES = {
    "JPEG": jpeg(*FULL),
    "WebP": encode(colourful(), "WEBP", exif=exif_block(*FULL)),
    "TIFF": tiff({0x8769: TIFF_TAGS}),
    "TIFF/EP": tiff(TIFF_TAGS),
    "BigTIFF": encode(colourful(), "TIFF", tiffinfo={0x8769: TIFF_TAGS}, big_tiff=True),
    "PNG": encode(colourful(), exif=exif_block(*FULL)),
    "PNG, behind the pixels": png_with_chunk_behind_the_pixels(
        b"eXIf", exif_block(*FULL)[6:]
    ),
    "PNG, as text": encode(colourful(), pnginfo=raw_profile()),
}


@pytest.mark.parametrize("encoded", FILES.values(), ids=FILES)
def test_settings_are_read_from_every_format(encoded):
    tags = read_tags(encoded)
    assert tags.reasons == {}
    for name, value in SETTINGS.items():
        assert getattr(tags, name) == pytest.approx(value)


@pytest.mark.parametrize("encoded", FILES.values(), ids=FILES)
def test_pixels_are_not_decoded(encoded, monkeypatch):
    def refuse(*_):
        raise AssertionError("pixels are asked for")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    assert read_tags(encoded).reasons == {}


def test_settings_are_read_from_a_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(*FULL))
    assert read_tags(read_file(tmp_path / "a.jpg")).iso == 200


def test_big_endian_data():
    image = Image.Exif()
    image.endian = ">"
    image[0x8769] = {ISO: 200}
    block = image.tobytes()
    assert block[6:8] == b"MM"
    assert read_tags(encode(colourful(), "JPEG", exif=block)).iso == 200


HEIC = b"\0\0\0\x18ftypheic" + bytes(12)


def test_heic_without_its_reader(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    reasons = read_tags(HEIC).reasons
    assert set(reasons) == set(TAGS)
    assert "pip install 'fakedet-jax[heic]'" in reasons["iso"]


def test_heic_file():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    encoded = encode(colourful(64, 64), "HEIF", exif=exif_block(*FULL))
    assert read_tags(encoded).reasons == {}


def test_avif_file():
    encoded = encode(colourful(64, 64), "AVIF", exif=exif_block(*FULL))
    assert read_tags(encoded).reasons == {}
    assert read_tags(encode(colourful(64, 64), "AVIF")).reasons["iso"] == exif.NO_EXIF


def test_jpeg_2000_file():
    block = exif_block(*FULL)
    content = b"JpgTiffExif->JP2" + block.removeprefix(b"Exif\0\0")
    box = struct.pack(">I", 8 + len(content)) + b"uuid" + content
    assert read_tags(encode(colourful(), "JPEG2000") + box).reasons == {}


def test_apex_values_stand_in_for_absent_tags():
    # Av 5 is f/5.657 and Tv 7 is 1/128 s: 2^(5/2) and 2^-7.
    tags = read_tags(
        jpeg(rational(APERTURE, 5, 1), signed_rational(SHUTTER_SPEED, 7, 1))
    )
    assert tags.aperture == pytest.approx(5.656854)
    assert tags.exposure_time == 0.0078125


def test_negative_shutter_speed_is_a_long_exposure():
    assert read_tags(jpeg(signed_rational(SHUTTER_SPEED, -3, 1))).exposure_time == 8


def test_tag_wins_over_its_apex_value():
    tags = read_tags(
        jpeg(*FULL, rational(APERTURE, 8, 1), rational(SHUTTER_SPEED, 1, 1))
    )
    assert (tags.aperture, tags.exposure_time) == (2.8, 0.004)


def test_unusable_tag_is_not_replaced_by_its_apex_value():
    tags = read_tags(jpeg(rational(F_NUMBER, 0, 1), rational(APERTURE, 0, 1)))
    assert kind_of(tags.reasons["aperture"]) == exif.IMPLAUSIBLE


@pytest.mark.parametrize(
    "name, entry",
    [
        ("aperture", rational(MAX_APERTURE, 3, 1)),
        ("focal_length", short(FOCAL_LENGTH_35MM, 75)),
        ("iso", long(RECOMMENDED_EXPOSURE_INDEX, 100)),
    ],
)
def test_what_is_no_substitute(name, entry):
    assert read_tags(jpeg(entry)).reasons[name] == exif.ABSENT


@pytest.mark.parametrize("tag", [RECOMMENDED_EXPOSURE_INDEX, ISO_SPEED])
def test_large_iso_is_found_in_another_tag(tag):
    assert read_tags(jpeg(short(ISO, 65535), long(tag, 102400))).iso == 102400


def test_large_iso_that_is_not_told():
    reason = read_tags(jpeg(short(ISO, 65535))).reasons["iso"]
    assert reason.startswith("absent: 65535 stands for a larger number")


def test_first_of_several_iso_numbers():
    assert read_tags(jpeg(short(ISO, 400, 100))).iso == 400


@pytest.mark.parametrize(
    "name, tag, written, expected",
    [
        ("exposure_time", EXPOSURE_TIME, "1/250 sec", 0.004),
        ("exposure_time", EXPOSURE_TIME, "2 sec", 2),
        ("exposure_time", EXPOSURE_TIME, "0.5s", 0.5),
        ("exposure_time", EXPOSURE_TIME, '30"', 30),
        ("exposure_time", EXPOSURE_TIME, " 1.25e-3 Seconds ", 0.00125),
        ("exposure_time", SHUTTER_SPEED, "7", 0.0078125),
        ("aperture", F_NUMBER, "f/2.8", 2.8),
        ("aperture", F_NUMBER, "F 11", 11),
        ("aperture", F_NUMBER, "28/10", 2.8),
        ("focal_length", FOCAL_LENGTH, "50 mm", 50),
        ("focal_length", FOCAL_LENGTH, "35.5mm", 35.5),
        ("iso", ISO, "ISO 100", 100),
        ("iso", ISO, "1600", 1600),
    ],
)
def test_numbers_written_as_text(name, tag, written, expected):
    assert getattr(read_tags(jpeg(text(tag, written))), name) == pytest.approx(expected)


@pytest.mark.parametrize(
    "name, entry, reason",
    [
        ("exposure_time", rational(EXPOSURE_TIME, 1, 0), "zero denominator: 1/0"),
        ("exposure_time", text(EXPOSURE_TIME, "1/0 sec"), "zero denominator: 1/0"),
        ("aperture", rational(APERTURE, 0, 0), "zero denominator: 0/0"),
        ("iso", text(ISO, "unknown"), "not a number: 'unknown'"),
        ("iso", byte(ISO, b"\x64\0"), "not a number: b'd\\x00'"),
        ("focal_length", text(FOCAL_LENGTH, "2,8 mm"), "not a number: '2,8 mm'"),
        ("focal_length", text(FOCAL_LENGTH, "9 sec"), "not a number: '9 sec'"),
        ("exposure_time", text(SHUTTER_SPEED, "1/9 s"), "not a number: '1/9 s'"),
        ("aperture", rational(F_NUMBER, 2, 1, 4, 1), "several values: (2.0, 4.0)"),
        ("iso", short(ISO, 100, 0), "several values: (100, 0)"),
        ("aperture", double(F_NUMBER, math.nan), "not finite: nan"),
        ("focal_length", double(FOCAL_LENGTH, math.inf), "not finite: inf"),
        ("aperture", double(APERTURE, 1e9), "not finite: inf"),
        ("iso", short(ISO, 0), "implausible: 0 is not in [1, 1e+07]"),
        (
            "aperture",
            rational(F_NUMBER, 1, 4),
            "implausible: 0.25 is not in [0.5, 128]",
        ),
        (
            "exposure_time",
            rational(EXPOSURE_TIME, 7200, 1),
            "implausible: 7200 is not in [1e-06, 3600]",
        ),
        (
            "focal_length",
            text(FOCAL_LENGTH, "-50 mm"),
            "implausible: -50 is not in [0.5, 5000]",
        ),
    ],
)
def test_reason_of_an_unusable_value(name, entry, reason):
    tags = read_tags(jpeg(entry))
    assert getattr(tags, name) is None
    assert tags.reasons[name] == reason


@pytest.mark.parametrize("name", TAGS)
@pytest.mark.parametrize("end", [0, 1])
def test_ends_of_the_plausible_ranges_are_plausible(name, end):
    tag = {
        "iso": ISO,
        "aperture": F_NUMBER,
        "exposure_time": EXPOSURE_TIME,
        "focal_length": FOCAL_LENGTH,
    }[name]
    value = exif.PLAUSIBLE[name][end]
    assert getattr(read_tags(jpeg(double(tag, value))), name) == value


def test_every_missing_tag_has_its_own_reason():
    tags = read_tags(jpeg(short(ISO, 100), rational(F_NUMBER, 0, 0)))
    assert tags == ExifTags(
        iso=100,
        reasons={
            "aperture": "zero denominator: 0/0",
            "exposure_time": "absent",
            "focal_length": "absent",
        },
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_picture_without_exif(kind):
    assert read_tags(encode(colourful(), kind)) == ExifTags(
        reasons=dict.fromkeys(TAGS, "no EXIF data")
    )


def test_orientation_in_xmp_is_no_exif():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    assert read_tags(encode(colourful(), pnginfo=info)).reasons["iso"] == exif.NO_EXIF


def test_exif_without_camera_settings():
    plain = Image.Exif()
    plain[0x0112] = 6
    encoded = encode(colourful(), "JPEG", exif=plain)
    assert read_tags(encoded).reasons == dict.fromkeys(TAGS, exif.ABSENT)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "PPM"])
def test_format_whose_exif_is_not_read(kind):
    reason = read_tags(encode(colourful(), kind)).reasons["iso"]
    assert kind_of(reason) == exif.UNSUPPORTED


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0" + b"\xa5" * 300,
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        exif_block(*FULL)[:20],
        exif_block(*FULL)[:34],
        exif_block()[:26],
        b"Exif\0\0II*\0\x08\0\0\0"
        + struct.pack("<HHHI4s", 1, 0x8769, 2, 4, b"a\0\0\0"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_damaged_exif_is_a_reason(kind, block):
    reasons = read_tags(encode(colourful(), kind, exif=block)).reasons
    assert set(reasons) == set(TAGS)
    assert {kind_of(reason) for reason in reasons.values()} <= {
        exif.UNREADABLE,
        exif.DAMAGED,
    }


def test_what_damage_has_left_is_read():
    # The focal length, the last of all values, lies behind the end.
    block = exif_block(*FULL)[:-4]
    tags = read_tags(encode(colourful(), "JPEG", exif=block))
    assert (tags.iso, tags.aperture, tags.exposure_time) == (200, 2.8, 0.004)
    reason = tags.reasons["focal_length"]
    assert kind_of(reason) == exif.DAMAGED


def test_picture_that_ends_in_its_exif():
    encoded = jpeg(*FULL)
    cut = encoded[: encoded.index(b"Exif") + 20]
    assert kind_of(read_tags(cut).reasons["iso"]) == exif.UNREADABLE


def test_damaged_pixels_do_not_matter():
    encoded = FILES["PNG"]
    cut = encoded[: encoded.index(b"IDAT") + 20]
    assert read_tags(cut).reasons == {}


def test_damaged_metadata_beside_exif_do_not_matter():
    encoded = jpeg(*FULL)
    bad = b"\xff\xe2\0\x10ICC_PROFILE\0\1\1"
    assert read_tags(encoded[:2] + bad + encoded[2:]).reasons == {}


@pytest.mark.parametrize("encoded", FILES.values(), ids=FILES)
def test_damage_anywhere_is_tags_or_a_reason(encoded):
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(encoded)
        for place in rng.integers(0, len(encoded), 4):
            damaged[place] = rng.integers(256)
        cut = bytes(damaged[: rng.integers(1, len(encoded) + 1)])
        try:
            assert_complete(read_tags(cut))
        except ImageError:
            assert cut[:8] != encoded[:8] or cut[8:12] != encoded[8:12]


def test_damage_in_the_directory_is_tags_or_a_reason():
    block = exif_block(*FULL)
    rng = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(block)
        for place in rng.integers(14, len(block), 3):
            damaged[place] = rng.integers(256)
        assert_complete(read_tags(FILES["JPEG"].replace(block, bytes(damaged))))


@pytest.mark.parametrize("encoded", [b"", b"P1easant text", b"\0" * 100])
def test_what_is_no_picture(encoded):
    with pytest.raises(ImageError, match=r"^is (empty|not a picture)"):
        read_tags(encoded)


def test_array_is_in_the_order_of_the_tags():
    array = to_array(ExifTags(100.0, 2.8, None, 50.0))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.float32([100, 2.8, np.nan, 50]))


def test_tags_go_between_processes():
    tags = read_tags(jpeg(short(ISO, 100)))
    assert pickle.loads(pickle.dumps(tags)) == tags


@pytest.mark.shared_data
def test_camera_files_are_tags_or_reasons(shared_data):
    counts = collections.Counter()
    paths = [p for p in (shared_data / "exif/jpg").rglob("*") if p.is_file()]
    for path in paths:
        try:
            tags = read_tags(read_file(path))
        except ImageError:
            assert path.name == "README"
            counts["no picture"] += len(TAGS)
            continue
        assert_complete(tags)
        counts["number"] += len(TAGS) - len(tags.reasons)
        counts.update(map(kind_of, tags.reasons.values()))
    assert paths
    assert sum(counts.values()) == len(TAGS) * len(paths)
    assert counts["number"] > 100
