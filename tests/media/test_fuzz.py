# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged files of every kind are read or refused with a reason, in bounded time.

The damage is seeded, so that a failure comes back. `FAKEDET_FUZZ` is the number of
inputs; `make test-fuzz` takes 100,000.
"""

import contextlib
import faulthandler
import importlib.util
import os
import struct
import time

import numpy as np
import pytest
from PIL import Image

from fakedet_jax.data import layouts
from fakedet_jax.data.prepared import left_out
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces.boxes_file import read_boxes
from fakedet_jax.media.decode import decode
from fakedet_jax.media.exif import TAGS, read_tags
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.media.provenance import describe
from fakedet_jax.media.video import Evenly, read_frames
from tests.data.pictures import colourful, encode
from tests.media.media_files import write_video

NUM_INPUTS = int(os.environ.get("FAKEDET_FUZZ") or 2000)
MAX_SECONDS = 10  # For one small file; a hang ends the tests.

_VIDEOS = {
    "a.mp4": ("libx264", {}),
    "a.mkv": ("ffv1", {}),
    "a.avi": ("mpeg4", {}),
    "a.flv": ("flv1", {}),
    "a.ts": ("mpeg2video", {}),
    "a.wmv": ("wmv2", {}),
    "a.h264": ("libx264", {}),
}


def _damage(rng, content):
    """Changes bytes, cuts, repeats or removes a part, or writes a large number."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(len(damaged)))
        kind = rng.integers(5)
        if kind == 0:
            damaged[place] = rng.integers(256)
        elif kind == 1:
            del damaged[max(1, place) :]
        elif kind == 2:
            length = int(rng.integers(1, 64))
            damaged[place:place] = damaged[place : place + length]
        elif kind == 3:
            del damaged[place : place + int(rng.integers(1, 64))]
        else:
            number = rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
            order = rng.choice(["<", ">"])
            damaged[place : place + 4] = struct.pack(f"{order}I", number)
        damaged = damaged or bytearray(b"\0")
    return bytes(damaged)


@contextlib.contextmanager
def _in_time(what):
    faulthandler.dump_traceback_later(6 * MAX_SECONDS, exit=True)
    start = time.monotonic()
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
    seconds = time.monotonic() - start
    assert seconds < MAX_SECONDS, f"{what} took {seconds:.1f} s"


def _pictures():
    exif = Image.Exif()
    settings = {0x0112: 6, 0x8769: {0x829D: 2.8, 0x8827: 200, 0x829A: 0.004}}
    exif.update(settings)
    block = exif.tobytes()
    picture = colourful(24, 32)
    kinds = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "PPM", "AVIF"]
    if importlib.util.find_spec("pillow_heif"):
        from pillow_heif import register_heif_opener

        register_heif_opener()
        kinds.append("HEIF")
    for kind in kinds:
        options = {} if kind in ("BMP", "GIF", "JPEG2000", "PPM") else {"exif": block}
        if kind == "TIFF":
            options = {"tiffinfo": settings}
        yield encode(picture, kind, **options)
    yield encode(picture, "JPEG", exif=block, progressive=True, icc_profile=b"x" * 200)
    yield encode(picture, "TIFF", compression="tiff_lzw")
    yield encode(picture[..., 0], "TIFF")
    yield encode(Image.fromarray(picture).convert("CMYK"), "JPEG")
    yield encode(Image.fromarray(picture).quantize(8), "PNG", transparency=1)


def test_damaged_pictures_and_their_metadata():
    rng = np.random.default_rng(0)
    originals = list(_pictures())
    settings = [MediaConfig(), MediaConfig(icc="srgb"), MediaConfig(max_megapixels=1)]
    num_read = num_refused = 0
    for number in range(NUM_INPUTS * 8 // 10):
        encoded = _damage(rng, originals[number % len(originals)])
        with _in_time(f"picture {number}"):
            try:
                picture = decode(encoded, settings[number % 3])
            except ImageError as error:
                assert str(error) and "\n" not in str(error)
                num_refused += 1
            else:
                assert picture.dtype == np.uint8 and picture.ndim == 3
                num_read += 1
            with contextlib.suppress(ImageError):
                tags = read_tags(encoded)
                missing = {name for name in TAGS if getattr(tags, name) is None}
                assert missing == set(tags.reasons)
                assert describe(encoded).isprintable()
    assert min(num_read, num_refused) > NUM_INPUTS // 20


def test_damaged_videos(tmp_path):
    rng = np.random.default_rng(1)
    originals = {
        name: write_video(tmp_path / name, 6, codec, options=options).read_bytes()
        for name, (codec, options) in _VIDEOS.items()
    }
    names = list(originals)
    for number in range(NUM_INPUTS // 10):
        name = names[number % len(names)]
        path = tmp_path / f"damaged_{name}"
        path.write_bytes(_damage(rng, originals[name]))
        with _in_time(f"video {number}"):
            reading = read_frames(path, selection=Evenly(3))
            try:
                for frame in reading:
                    assert frame.picture.dtype == np.uint8
            except ImageError as error:
                assert str(error) and "\n" not in str(error)


def test_damaged_tables(tmp_path):
    rng = np.random.default_rng(2)
    root = tmp_path / "data"
    root.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (root / name).write_bytes(b"")
    labels = (
        'path,label,split,video\na.png,0.0,train,v1\n"b.png",FAKE,test,\nc.png,x,,\n'
    )
    boxes = "path,left,top,right,bottom\na.png,1,2,30,40\nb.png,1.5,2,3e1,40\n"
    manifest = "path,status,reason,split,class\na.png,left out,none,test,real\n"
    folder = layouts.create("folder")
    table = tmp_path / "table.csv"
    readers = [
        (labels, lambda: folder.list_items(root, labels=table)),
        (boxes, lambda: read_boxes(table, root)),
        (manifest, lambda: left_out.read(tmp_path, "test")),
    ]
    for number in range(NUM_INPUTS // 10):
        text, read = readers[number % len(readers)]
        content = _damage(rng, text.encode())
        table.write_bytes(content)
        (tmp_path / "manifest.csv").write_bytes(content)
        with _in_time(f"table {number}"), contextlib.suppress(RequestError):
            read()


@pytest.mark.parametrize("size", [0, 1, 7, 64])
def test_noise_is_refused(tmp_path, size):
    rng = np.random.default_rng(size)
    for number in range(20):
        noise = rng.bytes(size)
        with pytest.raises(ImageError):
            decode(noise)
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(noise)
        with pytest.raises(ImageError):
            list(read_frames(path, selection=Evenly(2)))
