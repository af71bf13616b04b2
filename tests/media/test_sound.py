# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.media.sound, in copies of videos."""

import threading

import av
import numpy as np
import pytest

from fakedet_jax.faces.annotated_copies import write_video

RATE = 16_000
# The tone starts with this picture of 25 per second, and lasts to the end.
FIRST_LOUD, NUM_PICTURES = 20, 40


def _write(path, codec, *, start=0, layout="mono"):
    """A video whose tone starts with a bright picture; `start` is in seconds."""
    time = np.arange(NUM_PICTURES * RATE // 25) / RATE
    wave = np.where(time >= FIRST_LOUD / 25, 0.5 * np.sin(2 * np.pi * 440 * time), 0)
    samples = (wave * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 160, 120, "yuv420p"
        track = container.add_stream(codec, rate=RATE)
        track.layout = layout
        for number in range(NUM_PICTURES):
            grey = 230 if number >= FIRST_LOUD else 20
            picture = np.full((120, 160, 3), grey, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number + 25 * start
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        resampler = av.AudioResampler(
            track.codec_context.format,
            track.layout,
            RATE,
            track.codec_context.frame_size or 1000,
        )
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.rate, frame.pts = RATE, start * RATE
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(piece))
        container.mux(track.encode())
    return path


def _copy(path, tmp_path):
    target = tmp_path / "copies" / "copy.mp4"
    target.parent.mkdir()
    write_video(path, [], target, threading.Event())
    return target


def _start_of_tone(path):
    """Seconds from the first picture to the tone."""
    times, levels = [], []
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            wave = frame.to_ndarray()[0].astype(float)
            start = float(frame.pts * frame.time_base)
            times.append(start + np.arange(wave.size) / frame.sample_rate)
            levels.append(abs(wave))
    loud = np.concatenate(levels) > 0.1
    return np.concatenate(times)[loud][0] - float(first.pts * first.time_base)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("plain.mp4", "aac", {}),
        ("late.mkv", "aac", {"start": 7}),
        ("uncompressed.mkv", "pcm_s16le", {}),
        ("uncompressed.avi", "pcm_s16le", {}),
        ("late and uncompressed.mov", "pcm_s16le", {"start": 3, "layout": "stereo"}),
        ("lossless.mkv", "flac", {"layout": "stereo"}),
    ],
)
def test_a_copy_has_the_sound_beside_its_pictures(tmp_path, name, codec, settings):
    copy = _copy(_write(tmp_path / name, codec, **settings), tmp_path)
    with av.open(str(copy)) as container:
        (track,) = container.streams.audio
        assert track.codec_context.name == "aac"
        assert float(track.duration * track.time_base) == pytest.approx(1.6, abs=0.1)
    assert _start_of_tone(copy) == pytest.approx(FIRST_LOUD / 25, abs=0.06)


def test_sound_that_mp4_holds_is_copied_to_the_byte(tmp_path):
    path = _write(tmp_path / "a.mp4", "aac")
    packets = []
    for one in (path, _copy(path, tmp_path)):
        with av.open(str(one)) as container:
            found = container.demux(container.streams.audio[0])
            packets.append([bytes(packet) for packet in found if packet.size])
    original, copied = packets
    # What precedes the first picture is left out.
    assert copied == original[-len(copied) :]
    assert len(original) - len(copied) <= 1
