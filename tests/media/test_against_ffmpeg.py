# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames are those of the program ffmpeg, over codecs, pixel formats and containers.

Eight bits are compared with its default conversion and more bits with its accurate one;
`experiments/FORMATS.md` says why they differ.
"""

import importlib
import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from fakedet_jax.media.video import EveryNth, read_frames
from tests.data.pictures import colourful

_DEFAULT = "bicubic"
_ACCURATE = "bicubic+accurate_rnd+full_chroma_int"
_X265 = {"x265-params": "log-level=none"}
_VP9 = {"cpu-used": "8"}
_NTSC = Fraction(30000, 1001)

# Container, encoder, pixel format, rate, clockwise turn, options.
_CLIPS = [
    ("mp4", "libx264", "yuv420p", 25, 0, {}),
    ("mp4", "libx264", "yuv420p", 25, 90, {}),
    ("mp4", "libx264", "yuv420p", 25, 180, {}),
    ("mov", "libx264", "yuv420p", 60, 270, {}),
    ("mov", "libx264", "yuv420p", _NTSC, 0, {}),
    ("mkv", "libx264", "yuv420p", 12, 0, {"bf": "3"}),
    ("flv", "libx264", "yuv420p", 25, 0, {}),
    ("ts", "libx264", "yuv420p", 50, 0, {}),
    ("avi", "libx264", "yuv420p", 25, 0, {}),
    ("mkv", "libx264", "yuv422p", 25, 0, {}),
    ("mp4", "libx264", "yuv444p", 25, 0, {}),
    ("mp4", "libx264", "yuvj420p", 25, 0, {}),
    ("mp4", "libx264", "gray", 25, 0, {}),
    ("mp4", "libx264", "yuv420p10le", 25, 90, {}),
    ("mov", "libx264", "yuv422p10le", 25, 0, {}),
    ("mkv", "libx264", "yuv444p10le", 24, 0, {}),
    ("mp4", "libx265", "yuv420p", 25, 0, _X265),
    ("mp4", "libx265", "yuv420p10le", 25, 0, _X265),
    ("mp4", "libx265", "yuv420p12le", 25, 0, _X265),
    ("webm", "libvpx-vp9", "yuv420p", 25, 0, _VP9),
    ("webm", "libvpx", "yuv420p", 25, 0, {}),
    ("mp4", "mpeg4", "yuv420p", 25, 90, {}),
    ("avi", "mpeg4", "yuv420p", 15, 0, {}),
    ("mpg", "mpeg2video", "yuv420p", 25, 0, {}),
    ("ts", "mpeg2video", "yuv422p", 25, 0, {}),
    ("avi", "mjpeg", "yuvj420p", 25, 0, {}),
    ("mov", "mjpeg", "yuvj422p", 25, 0, {}),
    ("mov", "mjpeg", "yuvj444p", 25, 0, {}),
    ("mkv", "ffv1", "yuv420p", 25, 0, {}),
    ("mkv", "ffv1", "yuv420p10le", 25, 0, {}),
    ("mkv", "ffv1", "yuv444p12le", 25, 0, {}),
    ("mkv", "ffv1", "gbrp10le", 25, 0, {}),
    ("mkv", "ffv1", "gray10le", 25, 0, {}),
    ("avi", "ffv1", "yuv411p", 25, 0, {}),
    ("mov", "prores_ks", "yuv422p10le", 25, 0, {}),
    ("avi", "huffyuv", "yuv422p", 25, 0, {}),
    ("flv", "flv1", "yuv420p", 25, 0, {}),
    ("wmv", "wmv2", "yuv420p", 25, 0, {}),
    ("avi", "rawvideo", "yuyv422", 25, 0, {}),
    ("mov", "png", "rgb24", 25, 0, {}),
]


@pytest.fixture(scope="module")
def ffmpeg():
    """The program, from the package imageio-ffmpeg or of this machine."""
    try:
        return importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
        if found is None:
            pytest.skip("the program ffmpeg is not here; pip install imageio-ffmpeg")
        return found


def _write(path, codec, pixel_format, rate, turn, options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = 128, 96, pixel_format
        if turn:
            stream.set_display_rotation(degrees=turn)
        for number in range(5):
            picture = np.roll(colourful(96, 128, 5), (number, 2 * number), (0, 1))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = number, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _decode(ffmpeg, path, flags, shape):
    command = [ffmpeg, "-v", "error", "-i", path, "-fps_mode", "passthrough"]
    command += ["-sws_flags", flags, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, *shape)


@pytest.mark.few(12)
@pytest.mark.parametrize(
    "clip", _CLIPS, ids=lambda clip: "-".join(map(str, clip[:5])).replace("/", ":")
)
def test_frames_are_those_of_ffmpeg(ffmpeg, tmp_path, clip):
    container, codec, pixel_format, rate, turn, options = clip
    path = tmp_path / f"clip.{container}"
    _write(path, codec, pixel_format, rate, turn, options)
    frames = list(read_frames(path, selection=EveryNth(1)))
    shape = frames[0].picture.shape
    assert shape == ((128, 96, 3) if turn % 180 else (96, 128, 3))
    is_deep = pixel_format.endswith(("10le", "12le"))
    expected = _decode(ffmpeg, path, _ACCURATE if is_deep else _DEFAULT, shape)
    assert len(frames) == len(expected) == 5
    found = np.stack([frame.picture for frame in frames])
    # ffmpeg turns before it interpolates chroma, whose samples then lie elsewhere.
    tolerance = 6 if is_deep and turn else 1
    assert np.abs(found.astype(int) - expected).max() <= tolerance
    times = [frame.time for frame in frames]
    # Matroska, FLV, WMV and AVI of ours count in milliseconds or frames.
    assert times == pytest.approx([n / float(rate) for n in range(5)], abs=1.1e-3)


def test_what_the_two_conversions_of_eight_bits_differ_by(ffmpeg, tmp_path):
    path = tmp_path / "clip.mkv"
    _write(path, "ffv1", "yuv420p", 25, 0, {})
    picture = list(read_frames(path, selection=EveryNth(1)))[4].picture.astype(int)
    accurate = _decode(ffmpeg, path, _ACCURATE, picture.shape)[4]
    difference = np.abs(picture - accurate)
    # At edges between colours, because we repeat chroma samples as OpenCV does.
    assert 30 < difference.max() <= 100
    assert difference.mean() < 4
