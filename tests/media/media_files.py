# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small videos for the tests of this package, and what decoding all of one gives."""

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)
X264 = {"g": "8", "x264-params": "scenecut=0"}


def moving(num_frames: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Pictures that all differ: a pattern of blocks that wanders."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    pattern = blocks.repeat(8, 0).repeat(8, 1)
    return [
        np.ascontiguousarray(
            np.roll(pattern, (number, 2 * number), (0, 1))[:height, :width]
        )
        for number in range(num_frames)
    ]


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray] | int = 20,
    codec: str = "libx264",
    *,
    options: Mapping[str, str] = X264,
    pixel_format: str = "yuv420p",
    times: Sequence[int] | None = None,
    container_options: Mapping[str, str] | None = None,
    display: Mapping[str, Any] | None = None,
    colour: Mapping[str, int] | None = None,
) -> Path:
    """Writes a video.

    Args:
        path: Its extension chooses the container.
        pictures: uint8 RGB, or how many moving ones.
        codec: Name of an encoder.
        options: Of the encoder.
        pixel_format: That is stored.
        times: Of the frames, in milliseconds; every 40 where `None`.
        container_options: Of the container.
        display: Arguments of PyAV's `set_display_rotation`.
        colour: Attributes of the stream, such as `colorspace`.
    """
    if isinstance(pictures, int):
        pictures = moving(pictures)
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", container_options=dict(container_options or {})) as c:
        stream = c.add_stream(codec, rate=25, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if times is not None:
            stream.codec_context.time_base = MILLISECOND
        for name, value in (colour or {}).items():
            setattr(stream.codec_context, name, value)
        if display:
            stream.set_display_rotation(**display)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            matrix = {"dst_colorspace": colour["colorspace"]} if colour else {}
            frame = frame.reformat(format=pixel_format, **matrix)
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 25) if times is None else MILLISECOND
            c.mux(stream.encode(frame))
        c.mux(stream.encode())
    return path


def write_audio(path: Path) -> Path:
    """Writes a tenth of a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        samples = np.zeros((1, 1024), np.float32)
        for number in range(2):
            frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_all(path: Path) -> list[np.ndarray]:
    """Decodes a video from its beginning, as upright RGB pictures."""
    pictures = []
    with av.open(str(path)) as container:
        # How lost parts are patched up depends on the number of threads.
        container.streams.video[0].thread_count = 1
        for packet in container.demux(container.streams.video[0]):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                picture = frame.to_ndarray(format="rgb24", interpolation="BICUBIC")
                pictures.append(np.rot90(picture, frame.rotation // 90))
    return pictures


def cut(path: Path, share: float) -> Path:
    """Keeps only the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def overwrite(path: Path, start: float, end: float) -> Path:
    """Fills a part of a file with zeros."""
    content = bytearray(path.read_bytes())
    first, last = int(start * len(content)), int(end * len(content))
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    return path


def trim_edit_list(path: Path, start: int) -> Path:
    """Lets the edit list of an MP4 skip a start, in units of its time base."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12
    (media_time,) = struct.unpack_from(">i", content, entry + 4)
    struct.pack_into(">i", content, entry + 4, media_time + start)
    path.write_bytes(content)
    return path


def announce_frames(path: Path, num_frames: int) -> Path:
    """Changes how many frames the headers of an AVI announce."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"avih") + 8 + 16, num_frames)
    struct.pack_into("<I", content, content.index(b"strh") + 8 + 32, num_frames)
    path.write_bytes(content)
    return path
