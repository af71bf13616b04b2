# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Formats are told by content; what is not read is refused with what it is."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from fakedet_jax.errors import ImageError
from fakedet_jax.media.decode import decode
from fakedet_jax.media.formats import FORMATS, boxes, sniff_format
from tests.data.pictures import colourful, encode
from tests.media.media_files import write_video

_WRITTEN = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WebP": "WEBP",
    "TIFF": "TIFF",
    "BMP": "BMP",
    "GIF": "GIF",
    "JPEG 2000": "JPEG2000",
    "PPM": "PPM",
    "AVIF": "AVIF",
}


def test_every_format_is_told_by_its_content():
    assert set(FORMATS) == {*_WRITTEN, "HEIC"}
    for kind, name in _WRITTEN.items():
        assert sniff_format(encode(colourful(), name)) == kind


def _brands(*brands):
    content = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content


@pytest.mark.parametrize(
    "brands, kind",
    [
        ((b"heic", b"mif1", b"heic"), "HEIC"),
        ((b"mif1", b"mif1", b"heix"), "HEIC"),
        ((b"mif1", b"mif1", b"avif", b"miaf"), "AVIF"),
        ((b"msf1", b"avis"), "AVIF"),
        ((b"hevc", b"msf1"), "HEIC"),
    ],
)
def test_brands_tell_heic_from_avif(brands, kind):
    assert sniff_format(_brands(*brands) + bytes(100)) == kind


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.mkv"])
def test_a_video_named_like_a_picture_is_told_so(tmp_path, name):
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = write_video(tmp_path / name, 3, codec, options={})
    with pytest.raises(ImageError, match=r"^is a video, not a picture; .* \.mp4$"):
        decode(path.read_bytes())


@pytest.mark.parametrize(
    "encoded, reason",
    [
        (b"\xff\x0a" + bytes(20), "is a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "is a JPEG XL picture"),
        (b"8BPS\0\1" + bytes(20), "is a Photoshop document"),
        (b"FUJIFILMCCD-RAW 0201", r"is a raw photograph \(RAF\)"),
        (b"IIRO\x08\0\0\0", r"is a raw photograph \(ORF\)"),
        (b"IIU\0\x08\0\0\0", r"is a raw photograph \(RW2\)"),
        (_brands(b"crx ", b"crx ", b"isom"), r"is a raw photograph \(CR3\)"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(8), r"is a raw photograph \(CR2\)"),
    ],
)
def test_other_formats_are_refused_with_their_names(encoded, reason):
    with pytest.raises(ImageError, match=f"^{reason}"):
        decode(encoded)


def _tiff_with(tags, sub_tags=None):
    """A TIFF with a readable preview and further tags, like those of cameras."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in tags:
        directory.tagtype[tag] = kind
        directory[tag] = value
    encoded = encode(colourful(32, 48), "TIFF", tiffinfo=directory)
    if sub_tags is None:
        return encoded
    # The directory within stands at the end; its offset replaces a placeholder.
    place = encoded.index(struct.pack("<HHI", 330, 4, 1)) + 8
    entries = b"".join(struct.pack("<HHII", *entry) for entry in sub_tags)
    inner = struct.pack("<H", len(sub_tags)) + entries + bytes(4)
    offset = struct.pack("<I", len(encoded))
    return encoded[:place] + offset + encoded[place + 4 :] + inner


@pytest.mark.parametrize(
    "encoded, what",
    [
        (_tiff_with([(50706, 1, b"\1\4\0\0")]), "DNG"),
        (
            _tiff_with(
                [(271, 2, "NIKON CORPORATION"), (330, 4, 7)], [(262, 3, 1, 32803)]
            ),
            "of NIKON CORPORATION",
        ),
        (
            _tiff_with([(271, 2, "SONY"), (330, 4, 7)], [(262, 3, 1, 34892)]),
            "of SONY",
        ),
    ],
)
def test_raw_photographs_are_refused_instead_of_their_previews(encoded, what):
    # The preview itself is a picture that Pillow reads.
    assert Image.open(io.BytesIO(encoded)).size == (48, 32)
    with pytest.raises(ImageError, match=rf"^is a raw photograph \({what}\).*develop"):
        decode(encoded)


def test_a_tiff_with_a_directory_within_is_no_raw_photograph():
    encoded = _tiff_with([(271, 2, "SCANNER"), (330, 4, 7)], [(262, 3, 1, 2)])
    np.testing.assert_array_equal(decode(encoded), colourful(32, 48))


def test_directories_that_refer_to_each_other_end():
    encoded = bytearray(encode(colourful(), "TIFF"))
    (first,) = struct.unpack_from("<I", encoded, 4)
    (count,) = struct.unpack_from("<H", encoded, first)
    struct.pack_into("<I", encoded, first + 2 + 12 * count, first)
    assert sniff_format(bytes(encoded)) == "TIFF"


def test_boxes_end_where_the_file_is_cut():
    assert list(boxes(_brands(b"heic") + b"\0\0\0\x20meta")) == [
        (b"ftyp", b"heic" + bytes(4))
    ]
    assert list(boxes(struct.pack(">I4sQ", 1, b"meta", 2**63))) == []
