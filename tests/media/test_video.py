# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames that are reached by seeking must be those of decoding from the beginning."""

import gc
import multiprocessing
import os
import socket
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media import video, video_stream
from fakedet_jax.media.files import PICTURE_EXTENSIONS
from fakedet_jax.media.video import (
    VIDEO_EXTENSIONS,
    Evenly,
    EveryNth,
    Numbers,
    is_video,
    probe,
    read_frames,
)
from tests.data.pictures import colourful
from tests.media import media_files as media

_B_FRAMES = "bframes=3:b-pyramid=normal:scenecut=0:keyint=8:min-keyint=8"
_UNEVEN = [0, 10, 90, 100, 101, 300, 340, 345, 400, 700, 701, 702, 900, 950, 1000]

# Name of the file, and what `write_video` gets.
_VIDEOS = {
    "cfr.mp4": {},
    "vfr.mp4": {"pictures": 15, "times": _UNEVEN},
    "vfr.mkv": {"pictures": 15, "times": _UNEVEN},
    "open_gop.mp4": {"options": {"x264-params": f"open-gop=1:{_B_FRAMES}"}},
    "open_gop.mkv": {"options": {"x264-params": f"open-gop=1:{_B_FRAMES}"}},
    "hevc.mp4": {
        "codec": "libx265",
        "options": {"x265-params": f"log-level=none:open-gop=1:{_B_FRAMES}"},
    },
    "intra_refresh.mp4": {
        "pictures": 40,
        "options": {"g": "10", "x264-params": "intra-refresh=1:bframes=0"},
    },
    "keyframes_only.mp4": {"options": {"g": "1"}},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "8", "bf": "2"}},
    "b_frames.avi": {},
    "mjpeg.avi": {"codec": "mjpeg", "options": {}, "pixel_format": "yuvj420p"},
    "stream.ts": {},
    "raw.h264": {},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "8", "cpu-used": "8"}},
    "lossless.mkv": {"codec": "ffv1", "options": {}, "pixel_format": "bgr0"},
    "one_frame.mp4": {"pictures": 1},
    "odd_444.mp4": {
        "pictures": media.moving(12, 45, 61),
        "pixel_format": "yuv444p",
    },
    "odd_420.webm": {
        "pictures": media.moving(12, 45, 61),
        "codec": "libvpx-vp9",
        "options": {"g": "5", "cpu-used": "8"},
    },
    "turned_90.mp4": {"display": {"degrees": 90}},
    "turned_180.mp4": {"display": {"degrees": 180}},
    "turned_270.mp4": {"display": {"degrees": -90}},
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, arguments in _VIDEOS.items():
        media.write_video(folder / name, **arguments)
    media.write_video(folder / "edited.mp4", options={"g": "8", "bf": "2"})
    media.trim_edit_list(folder / "edited.mp4", 5 * 512)
    media.write_video(folder / "misnumbered.avi", codec="mpeg4", options={"g": "8"})
    media.announce_frames(folder / "misnumbered.avi", 300)
    return folder


@pytest.mark.few(30)
@pytest.mark.parametrize(
    "selection",
    [
        EveryNth(1),
        EveryNth(9, start=2),
        Evenly(5),
        Evenly(1000),
        Numbers((14, 3, 11, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [*_VIDEOS, "edited.mp4", "misnumbered.avi"])
def test_frames_are_those_of_decoding_from_the_beginning(videos, name, selection):
    expected = media.decode_all(videos / name)
    frames = list(read_frames(videos / name, selection=selection))
    assert [frame.number for frame in frames] == list(selection.pick(len(expected)))
    for frame in frames:
        np.testing.assert_array_equal(frame.picture, expected[frame.number])


def test_edit_list_hides_frames(videos):
    assert len(media.decode_all(videos / "edited.mp4")) == 15


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_times_are_those_of_presentation(videos, name):
    frames = read_frames(videos / name, selection=Numbers((5, 9)))
    assert [frame.time for frame in frames] == pytest.approx([0.3, 0.7])


def test_times_count_from_the_first_frame(tmp_path):
    path = media.write_video(tmp_path / "a.mkv", 3, times=[500, 600, 800])
    frames = read_frames(path, selection=EveryNth(1))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.3])


@pytest.mark.parametrize("name", ["cfr.mp4", "open_gop.mkv", "vp9.webm"])
def test_only_needed_stretches_are_decoded(videos, name, monkeypatch):
    packets = []
    decode = video_stream.VideoStream._decode_packet
    monkeypatch.setattr(
        video_stream.VideoStream,
        "_decode_packet",
        lambda stream, packet: packets.append(packet) or decode(stream, packet),
    )
    list(read_frames(videos / name, selection=Numbers((17,))))
    assert len(packets) <= 8


def test_frames_held_and_frames_decoded_twice_are_the_same(videos, monkeypatch):
    monkeypatch.setattr(video, "_MAX_HELD_BYTES", 0)
    frames = list(read_frames(videos / "cfr.mp4", selection=Evenly(7)))
    expected = media.decode_all(videos / "cfr.mp4")
    assert len(frames) == 7
    for frame in frames:
        np.testing.assert_array_equal(frame.picture, expected[frame.number])


@pytest.mark.parametrize("count, num_frames", [(32, 751), (3, 4), (5, 5), (1, 9)])
def test_evenly_rounds_equal_steps(count, num_frames):
    expected = np.unique(np.rint(np.linspace(0, num_frames - 1, count)).astype(int))
    assert list(Evenly(count).pick(num_frames)) == expected.tolist()


def test_evenly_takes_each_frame_of_a_short_video_once():
    assert list(Evenly(32).pick(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: Evenly(0), "`count`: expected at least 1, found 0"),
        (lambda: EveryNth(0), "`step`: expected at least 1, found 0"),
        (lambda: EveryNth(1, -1), "`start`: expected at least 0, found -1"),
        (lambda: Numbers((3, -2)), "`numbers`: expected at least 0, found -2"),
    ],
)
def test_impossible_selections_are_refused(make, complaint):
    with pytest.raises(RequestError, match=complaint):
        make()


@pytest.mark.parametrize("name", ["mpeg4.avi", "b_frames.avi", "raw.h264"])
def test_times_without_timestamps_follow_the_rate(videos, name):
    frames = read_frames(videos / name, selection=Numbers((0, 3, 4)))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.12, 0.16])


def test_lossless_pictures_come_back_unchanged(videos):
    frames = read_frames(videos / "lossless.mkv", selection=EveryNth(1))
    for frame, picture in zip(frames, media.moving(20), strict=True):
        np.testing.assert_array_equal(frame.picture, picture)


def test_pictures_are_contiguous_and_not_writable(videos):
    (frame,) = read_frames(videos / "turned_90.mp4", selection=Numbers((3,)))
    assert frame.picture.dtype == np.uint8
    assert frame.picture.flags.c_contiguous
    assert not frame.picture.flags.writeable


@pytest.mark.parametrize("name", ["cfr.mp4", "odd_444.mp4", "odd_420.webm"])
def test_pictures_agree_with_opencv(videos, name):
    frames = list(read_frames(videos / name, selection=EveryNth(1)))
    _check_against_opencv(videos / name, frames)


@pytest.mark.parametrize("name", ["turned_90.mp4", "turned_180.mp4", "turned_270.mp4"])
def test_turned_pictures_agree_with_opencv(videos, name):
    frames = list(read_frames(videos / name, selection=EveryNth(1)))
    _check_against_opencv(videos / name, frames)


def test_mirrored_pictures_are_mirrored_back(tmp_path):
    stored = media.decode_all(media.write_video(tmp_path / "plain.mp4", 1))[0]
    path = media.write_video(
        tmp_path / "mirrored.mp4", 1, display={"degrees": 0, "hflip": True}
    )
    (frame,) = read_frames(path, selection=EveryNth(1))
    np.testing.assert_array_equal(frame.picture, stored[:, ::-1])


@pytest.mark.parametrize("matrix", [1, 5, 9], ids=["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
def test_stated_colours_are_followed(tmp_path, matrix, full_range):
    picture = colourful(48, 64)
    path = media.write_video(
        tmp_path / "a.mp4",
        [picture],
        options={"qp": "0"},
        pixel_format="yuvj444p" if full_range else "yuv444p",
        colour={"colorspace": matrix},
    )
    (frame,) = read_frames(path, selection=EveryNth(1))
    difference = frame.picture.astype(int) - picture
    assert np.abs(difference).max() <= 4


@pytest.mark.parametrize(
    "extension, share", [("mp4", 0.6), ("mkv", 0.6), ("avi", 0.8), ("ts", 0.6)]
)
def test_a_file_that_ends_too_early_gives_what_it_holds(tmp_path, extension, share):
    path = media.write_video(
        tmp_path / f"a.{extension}",
        40,
        container_options={"movflags": "faststart"} if extension == "mp4" else None,
    )
    media.cut(path, share)
    expected = media.decode_all(path)
    reading = read_frames(path, selection=EveryNth(1))
    frames = list(reading)
    assert 8 < len(frames) < 40
    for frame in frames:
        np.testing.assert_array_equal(frame.picture, expected[frame.number])
    if extension != "ts":  # Nothing in it says how long it was.
        lost = float(reading.problem.split("ends too early: ")[1].split("%")[0])
        assert lost == pytest.approx(100 * (1 - len(frames) / 40), abs=10)


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_the_end_of_a_file_is_not_trusted(tmp_path, extension):
    path = media.write_video(tmp_path / f"a.{extension}", 40)
    share = 0.6 if extension == "mkv" else 0.5  # The index at the end stays.
    media.overwrite(path, share, share + 0.2)
    expected = media.decode_all(path)
    reading = read_frames(path, selection=Evenly(4))
    frames = list(reading)
    assert reading.problem
    assert len(frames) >= 3
    for frame in frames:
        np.testing.assert_array_equal(frame.picture, expected[frame.number])


def test_damage_that_is_met_does_not_shift_numbers(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", 40)
    media.overwrite(path, 0.3, 0.4)
    expected = media.decode_all(path)
    assert len(expected) < 40
    reading = read_frames(path, selection=EveryNth(1))
    for frame in reading:
        np.testing.assert_array_equal(frame.picture, expected[frame.number])
    assert reading.num_frames == len(expected)


def test_numbers_beyond_the_end_are_reported(videos):
    reading = read_frames(videos / "cfr.mp4", selection=Numbers((4, 20, 25)))
    assert [frame.number for frame in reading] == [4]
    assert reading.problem == "has no frame 20, only 20"


@pytest.mark.parametrize("name", [*_VIDEOS, "edited.mp4"])
def test_sound_files_have_no_problem(videos, name):
    reading = read_frames(videos / name, selection=Evenly(3))
    list(reading)
    assert reading.problem is None
    assert reading.num_frames == len(media.decode_all(videos / name))


def test_probe_describes_the_upright_video(videos):
    info = probe(videos / "turned_90.mp4")
    assert (info.width, info.height, info.rotation) == (48, 64, 270)
    assert (info.num_frames, info.frames_per_second, info.codec) == (20, 25, "h264")
    assert info.duration == pytest.approx(0.8)


def test_probe_repeats_what_the_header_says(videos):
    assert probe(videos / "misnumbered.avi").num_frames == 300
    assert probe(videos / "cfr.mp4").rotation == 0
    assert probe(videos / "vfr.mkv").num_frames is None


def _write_bytes(content: bytes):
    return lambda path: path.write_bytes(content)


def _write_header(path: Path) -> None:
    media.cut(media.write_video(path, container_options={"movflags": "faststart"}), 0.1)


def _write_headless(path: Path) -> None:
    media.cut(media.write_video(path), 0.5)


_INVALID = "cannot be decoded: Invalid data found when processing input"


@pytest.mark.parametrize(
    "make, reason",
    [
        (_write_bytes(b""), r"is empty \(0 bytes\)"),
        (_write_bytes(b"some text\n" * 50), _INVALID),
        (_write_bytes(bytes(5000)), _INVALID),
        (_write_headless, _INVALID),
        (_write_header, "cannot be decoded: .+"),
        (media.write_audio, "has no video stream"),
        (Path.mkdir, "is a folder, not a video"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels .*"),
        (lambda path: path.symlink_to("none"), "is a link to a file that does not .*"),
        (os.mkfifo, r"is not a regular file \(a pipe, socket or device\)"),
        (lambda path: None, "does not exist"),
    ],
)
def test_unusable_files_have_a_reason(tmp_path, make, reason):
    path = tmp_path / "a.mp4"
    make(path)
    with pytest.raises(ImageError, match=f"^{reason}$"):
        next(read_frames(path, selection=EveryNth(1)))
    with pytest.raises(ImageError, match=f"^{reason}$"):
        probe(path)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "http.ffconcat"])
def test_nothing_that_a_file_refers_to_is_opened(tmp_path, name):
    media.write_video(tmp_path / "other.ts")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        if name.endswith("ffconcat"):
            text = f"ffconcat version 1.0\nfile {address}\nfile other.ts\n"
        else:
            entry = "#EXTINF:1,\n"
            text = (
                f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{entry}{address}\n"
                f"{entry}other.ts\n#EXT-X-ENDLIST\n"
            )
        (tmp_path / name).write_text(text)
        with pytest.raises(ImageError, match="cannot be decoded"):
            probe(tmp_path / name)
        with pytest.raises(TimeoutError):
            server.accept()


def test_local_files_are_not_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    media.write_video(Path("other.mp4"))
    Path("a.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(ImageError, match="its format is not one of those"):
        probe("a.mp4")


def test_large_frames_are_refused(videos, monkeypatch):
    monkeypatch.setattr(video_stream, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(ImageError, match="64×48 pixels exceed the limit of 3071"):
        probe(videos / "cfr.mp4")


def test_endless_files_are_refused(videos, monkeypatch):
    monkeypatch.setattr(video_stream, "MAX_PACKETS", 19)
    with pytest.raises(ImageError, match="has more than 19 packets"):
        list(read_frames(videos / "cfr.mp4", selection=Numbers((0,))))


def test_without_pyav_the_user_learns_what_to_install(videos, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RequestError, match=r"pip install 'fakedet-jax\[video\]'"):
        probe(videos / "cfr.mp4")


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
@pytest.mark.parametrize("name", ["cfr.mp4", "mpeg4.avi"])
def test_an_abandoned_reading_closes_its_file(videos, name):
    gc.collect()
    gc.disable()  # The file must not wait for the collector.
    try:
        before = _open_files()
        reading = read_frames(videos / name, selection=EveryNth(1))
        next(reading)
        assert _open_files() == before + 1
        del reading
        assert _open_files() == before
    finally:
        gc.enable()


def test_a_closed_reading_ends(videos):
    with read_frames(videos / "cfr.mp4", selection=EveryNth(1)) as reading:
        next(reading)
    assert next(reading, None) is None


def _checksum(path: Path) -> list[int]:
    frames = read_frames(path, selection=Evenly(6))
    return [int(frame.picture.astype(int).sum()) for frame in frames]


def test_threads_and_spawned_processes_read_the_same(videos):
    path = videos / "open_gop.mp4"
    expected = [_checksum(path)] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_checksum, [path] * 4)) == expected
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(_checksum, path).result() == expected[0]


@pytest.mark.parametrize("name", ["open_gop.mp4", "hevc.mp4", "mpeg4.avi"])
def test_more_decoding_threads_give_the_same_frames(videos, name):
    expected = media.decode_all(videos / name)
    for frame in read_frames(videos / name, selection=Evenly(6), num_threads=3):
        np.testing.assert_array_equal(frame.picture, expected[frame.number])


def test_damaged_files_are_read_in_silence(tmp_path, capfd):
    path = media.overwrite(media.write_video(tmp_path / "a.mp4", 40), 0.3, 0.4)
    capfd.readouterr()  # What the encoder printed.
    list(read_frames(path, selection=EveryNth(1)))
    assert capfd.readouterr() == ("", "")


def test_names_of_videos():
    assert is_video("a/B.MP4") and is_video(Path("c.webm"))
    assert not is_video("a.png") and not is_video("mp4")
    assert not VIDEO_EXTENSIONS & PICTURE_EXTENSIONS


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name, numbers",
    [
        ("faceforensics/original_sequences/youtube/c23/videos/519.mp4", (3, 260)),
        ("two_people.mp4", (0, 40)),
    ],
)
def test_real_clips_agree_with_opencv(shared_data, name, numbers):
    path = shared_data / "videos" / name
    frames = list(read_frames(path, selection=Numbers(numbers)))
    _check_against_opencv(path, frames)


@pytest.mark.shared_data
def test_decoder_knows_the_encoder_after_seeking(shared_data):
    videos = shared_data / "videos/faceforensics/manipulated_sequences/Deepfakes/c23"
    path = videos / "videos/519_515.mp4"
    (sought,) = read_frames(path, selection=Numbers((251,)))
    decoded = read_frames(path, selection=EveryNth(1))
    frame = next(frame for frame in decoded if frame.number == 251)
    np.testing.assert_array_equal(sought.picture, frame.picture)


def _check_against_opencv(path: Path, frames: list[video.Frame]) -> None:
    assert frames
    capture = cv2.VideoCapture(str(path))
    number = -1
    for frame in frames:
        while number < frame.number:
            assert capture.grab()
            number += 1
        picture = capture.retrieve()[1][..., ::-1].astype(int)
        assert np.abs(picture - frame.picture).max() <= 2
    capture.release()
