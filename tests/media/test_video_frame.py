# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames whose stored pixels are not the picture that is meant."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from fakedet_jax.media import hdr
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.media.video import EveryNth, Numbers, probe, read_frames
from tests.data.pictures import colourful
from tests.media import media_files as media

_BT2020 = 9
_PQ, _HLG = 16, 18


def _read(path, **settings):
    reading = read_frames(path, selection=EveryNth(1), how=MediaConfig(**settings))
    return [frame.picture for frame in reading], reading


def _encode_hdr(picture, transfer):
    """Codes an SDR picture as broadcasters do, white at 203 cd/m² (BT.2408)."""
    linear = (picture / 255.0) ** 2.4
    # BT.2087: linear BT.709 to linear BT.2020.
    matrix = [
        [0.6274, 0.3293, 0.0433],
        [0.0691, 0.9195, 0.0114],
        [0.0164, 0.088, 0.8956],
    ]
    light = 203 * np.clip(linear @ np.array(matrix).T, 0, None)
    if transfer == _PQ:
        y = (light / 10000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    luminance = light @ [0.2627, 0.678, 0.0593]
    scene = (
        light / 1000 * np.maximum(luminance / 1000, 1e-9)[..., None] ** (1 / 1.2 - 1)
    )
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def _write_hdr(path, coded, transfer):
    """A lossless video of 10 bits in BT.2020, two frames of one picture."""
    height, width = coded.shape[:2]
    luma = coded @ [0.2627, 0.678, 0.0593]
    blue, red = (coded[..., 2] - luma) / 1.8814, (coded[..., 0] - luma) / 1.4746
    planes = [876 * luma + 64, 896 * blue + 512, 896 * red + 512]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries = transfer, _BT2020
        context.colorspace, context.color_range = _BT2020, 1
        for number in range(2):
            frame = av.VideoFrame(width, height, "yuv444p10le")
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((height, plane.line_size // 2), "<u2")
                rows[:, :width] = np.rint(values)
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.color_trc, frame.color_primaries = transfer, _BT2020
            frame.colorspace, frame.color_range = _BT2020, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("transfer, name", [(_PQ, "PQ"), (_HLG, "HLG")])
def test_hdr_comes_back_as_the_picture_that_was_meant(tmp_path, transfer, name):
    picture = colourful(64, 96)
    path = _write_hdr(tmp_path / "a.mkv", _encode_hdr(picture, transfer), transfer)
    pictures, reading = _read(path)
    difference = np.abs(pictures[0].astype(int) - picture)
    # Rounding to 10 bits is coarse in the dark, above all in saturated colours.
    assert difference.mean() < 0.8 and difference[picture >= 48].max() <= 6
    assert reading.notes == [f"has HDR colour ({name}), which was converted to SDR"]


@pytest.mark.parametrize("transfer, name", [(_PQ, "PQ"), (_HLG, "HLG")])
def test_hdr_is_left_as_it_is_on_request(tmp_path, transfer, name):
    coded = _encode_hdr(colourful(64, 96), transfer)
    path = _write_hdr(tmp_path / "a.mkv", coded, transfer)
    pictures, reading = _read(path, hdr="raw")
    np.testing.assert_allclose(pictures[0], 255 * coded, atol=2.5)
    assert reading.notes == [f"has HDR colour ({name}), which was left as it is"]


def test_light_above_white_is_clipped():
    bright = np.full((1, 1, 3), 0.9)
    assert hdr.to_bt709(bright, "PQ", _BT2020).tolist() == [[[255, 255, 255]]]
    assert hdr.to_bt709(bright, "HLG", _BT2020).tolist() == [[[255, 255, 255]]]


def test_reference_levels_of_the_recommendation():
    # BT.2408, Table 1: reference white is 58 % of PQ and 75 % of HLG.
    for name, level in (("PQ", 0.58), ("HLG", 0.75)):
        white = hdr.to_bt709(np.full((1, 1, 3), level), name, _BT2020)
        assert white.min() >= 254
        darker = hdr.to_bt709(np.full((1, 1, 3), level - 0.03), name, _BT2020)
        assert 215 < darker.max() < 250
        assert hdr.to_bt709(np.zeros((1, 1, 3)), name, _BT2020).max() == 0


@pytest.mark.parametrize("bits, name", [(10, "yuv420p10le"), (12, "yuv422p12le")])
def test_white_of_many_bits_is_white(tmp_path, bits, name):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, name
        frame = av.VideoFrame(64, 48, name)
        for plane, level in zip(frame.planes, (235, 128, 128), strict=True):
            values = np.full(plane.buffer_size // 2, level << (bits - 8), "<u2")
            plane.update(values.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    pictures, reading = _read(path)
    assert (pictures[0] == 255).all()
    assert reading.notes == []


def _write_wide(path, aspect, pictures, **settings):
    """A video whose pixels have an aspect ratio."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        stream.codec_context.sample_aspect_ratio = aspect
        if settings:
            stream.set_display_rotation(**settings)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(format="yuv444p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    "aspect, height, width",
    [(Fraction(64, 45), 144, 256), (Fraction(8, 9), 162, 180)],
)
def test_pixels_become_square(tmp_path, aspect, height, width):
    path = _write_wide(tmp_path / "a.mkv", aspect, [colourful(144, 180)] * 2)
    pictures, reading = _read(path)
    assert pictures[0].shape == (height, width, 3)
    expected = cv2.resize(
        colourful(144, 180), (width, height), interpolation=cv2.INTER_CUBIC
    )
    assert np.abs(pictures[0].astype(int) - expected).mean() < 1.5
    (note,) = reading.notes
    assert note == (
        f"has pixels that are not square ({aspect.numerator}:{aspect.denominator}); "
        f"frames were stretched from 180×144 to {width}×{height}"
    )
    info = probe(path)
    assert (info.height, info.width) == (height, width)


def test_pixels_become_square_before_the_frame_is_turned(tmp_path):
    display = {"degrees": 90}
    path = tmp_path / "a.mp4"
    _write_wide(path, Fraction(2), [colourful(96, 64)] * 2, **display)
    pictures, _ = _read(path)
    assert pictures[0].shape == (128, 96, 3)
    info = probe(path)
    assert (info.height, info.width) == (128, 96)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(200, 201), Fraction(50)])
def test_nearly_square_and_absurd_pixels_are_left_alone(tmp_path, aspect):
    path = _write_wide(tmp_path / "a.mkv", aspect, [colourful(48, 64)])
    pictures, reading = _read(path)
    assert pictures[0].shape == (48, 64, 3) and reading.notes == []


def _write_interlaced(path, num_frames=6):
    """A bright bar that moves between the fields of a frame."""
    height, width = 96, 128
    with av.open(str(path), "w") as container:
        options = {"flags": "+ildct+ilme", "field_order": "tt", "qscale": "2"}
        stream = container.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 8_000_000
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format="yuv420p", time_base=Fraction(1, 25)
        )
        flag, sink = graph.add("setfield", "tff"), graph.add("buffersink")
        source.link_to(flag)
        flag.link_to(sink)
        graph.configure()
        for number in range(num_frames):
            picture = np.full((height, width, 3), 40, np.uint8)
            picture[::2, 8 * number : 8 * number + 24] = 220
            picture[1::2, 8 * number + 16 : 8 * number + 40] = 220
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            source.push(frame)
            container.mux(stream.encode(sink.pull()))
        container.mux(stream.encode())
    return path


def _combing(picture):
    """How much neighbouring lines differ more than those two apart."""
    grey = picture.astype(int).mean(-1)
    near = np.abs(grey[1:-1] - grey[2:]).mean()
    far = np.abs(grey[:-2] - grey[2:]).mean()
    return near - far


def test_interlaced_frames_have_no_combs(tmp_path):
    path = _write_interlaced(tmp_path / "a.mpg")
    combed = media.decode_all(path)[2]
    pictures, reading = _read(path)
    assert pictures[2].shape == combed.shape == (96, 128, 3)
    assert _combing(combed) > 10
    assert _combing(pictures[2]) < 1
    # The bar of the top field, 16 to 40, in the whole height.
    bright = pictures[2][..., 1].mean(0) > 130
    assert abs(int(np.flatnonzero(bright)[0]) - 16) <= 1
    assert abs(int(np.flatnonzero(bright)[-1]) - 39) <= 1
    assert reading.notes == ["is interlaced; the top field of each such frame was used"]


def test_the_default_of_several_tracks_is_read(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for number in range(2):
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64 + 16 * number, 48, "bgr0"
            streams.append(stream)
        streams[0].disposition = 0
        streams[1].disposition = av.stream.Disposition.default
        for number in range(3):
            for stream in streams:
                picture = colourful(48, stream.width, seed=number)
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame.reformat(format="bgr0")))
        for stream in streams:
            container.mux(stream.encode())
    pictures, reading = _read(path)
    np.testing.assert_array_equal(pictures[1], colourful(48, 80, seed=1))
    assert reading.notes == [
        "has 2 picture tracks, of which number 2, the default one, was read"
    ]


def test_ordinary_videos_have_no_notes_and_the_pixels_they_had(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", 5)
    pictures, reading = _read(path)
    assert reading.notes == []
    for picture, expected in zip(pictures, media.decode_all(path), strict=True):
        np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize(
    "name, codec",
    [("a.flv", "flv1"), ("b.flv", "libx264"), ("a.wmv", "wmv2"), ("b.wmv", "mpeg4")],
)
@pytest.mark.parametrize("num_frames", [1, 2, 5, 25])
def test_short_clips_are_not_called_cut_off(tmp_path, name, codec, num_frames):
    path = media.write_video(tmp_path / name, num_frames, codec, options={})
    pictures, reading = _read(path)
    assert len(pictures) == num_frames
    assert reading.problem is None


@pytest.mark.parametrize(
    "name, codec", [("a.flv", "flv1"), ("b.flv", "libx264"), ("a.wmv", "wmv2")]
)
def test_cut_clips_are_called_cut_off(tmp_path, name, codec):
    path = media.write_video(tmp_path / name, 50, codec, options={})
    pictures, reading = _read(media.cut(path, 0.5))
    lost = float(reading.problem.split("ends too early: ")[1].split("%")[0])
    # Of pictures that are stored in another order some more are lost.
    assert lost == pytest.approx(100 * (1 - len(pictures) / 50), abs=12)


def test_a_clip_of_which_one_picture_is_left_is_called_cut_off(tmp_path):
    path = media.write_video(tmp_path / "a.wmv", 12, "wmv2", options={})
    _, reading = _read(media.cut(path, 0.3))
    assert "ends too early" in reading.problem


def test_a_cut_clip_that_does_not_say_how_long_it_was_is_read(tmp_path):
    path = media.write_video(tmp_path / "a.wmv", 50, "wmv2", options={})
    content = bytearray(path.read_bytes())
    properties = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    content[content.index(properties) + 88] |= 1  # It is a broadcast.
    path.write_bytes(content)
    pictures, reading = _read(media.cut(path, 0.5))
    assert 0 < len(pictures) < 50
    assert "ends too early" not in (reading.problem or "")


_TIMES = [0, 40, 80, 200, 240, 280, 320, 600, 640, 680, 1000, 1040]


def test_times_of_an_avi_with_dropped_frames(tmp_path):
    path = tmp_path / "a.avi"
    media.write_video(path, 12, "mpeg4", options={}, times=_TIMES)
    frames = list(read_frames(path, selection=EveryNth(1)))
    assert [frame.time for frame in frames] == pytest.approx(
        [time / 1000 for time in _TIMES]
    )


@pytest.mark.parametrize(
    "name, codec",
    [("a.h264", "libx264"), ("a.hevc", "libx265"), ("a.m2v", "mpeg2video")],
)
@pytest.mark.parametrize("rate", [24, Fraction(30000, 1001)])
def test_times_of_raw_streams_are_those_that_the_codec_states(
    tmp_path, name, codec, rate
):
    path = tmp_path / name
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=quiet)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, picture in enumerate(media.moving(12)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames = list(read_frames(path, selection=Numbers((0, 5, 11))))
    expected = [float(number / Fraction(rate)) for number in (0, 5, 11)]
    assert [frame.time for frame in frames] == pytest.approx(expected, rel=1e-4)
    assert probe(path).frames_per_second == pytest.approx(float(rate))
