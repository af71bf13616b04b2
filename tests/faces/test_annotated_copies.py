# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the copies with boxes and scores."""

import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ImageColor

from fakedet_jax.errors import RequestError
from fakedet_jax.faces import annotated_copies
from fakedet_jax.faces.annotated_copies import AnnotatedCopies, plan_targets
from fakedet_jax.faces.annotation import Mark, MovingMark, draw
from fakedet_jax.faces.extraction import WRITTEN, Row
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media import video
from fakedet_jax.media.decode import decode
from tests.data.pictures import colourful, encode
from tests.media.media_files import write_video

MARK = Mark((80, 100, 200, 220), 0.9, "fake")


def face_file(path, name=None):
    return FaceFile(Path(path), name or Path(path).name)


def planned(folder, *names):
    files = [
        face_file(f"/in/{number}/{name}", name) for number, name in enumerate(names)
    ]
    targets = plan_targets(folder, files)
    return [str(target.relative_to(folder)) for target in targets]


def test_copies_keep_their_names_below_the_folder_that_was_searched(tmp_path):
    names = planned(tmp_path, "a/x.jpg", "b/x.jpg", "b/y.MOV", "z")
    assert names == ["a/x.png", "b/x.png", "b/y.mp4", "z.png"]


def test_no_two_copies_have_the_same_name(tmp_path):
    names = planned(tmp_path, "x.jpg", "x.png", "X.jpg", "x-2.jpg", "x.mp4", "x.avi")
    assert names == ["x.png", "x-2.png", "X-3.png", "x-2-2.png", "x.mp4", "x-2.mp4"]


def test_a_folder_named_like_a_copy_is_no_hindrance(tmp_path):
    assert planned(tmp_path, "x.jpg", "x.png/y.jpg") == ["x-2.png", "x.png/y.png"]


def test_thousands_of_equal_names_are_no_hindrance(tmp_path):
    assert len(set(planned(tmp_path, *["x.jpg"] * 3000))) == 3000


def test_names_of_any_bytes_and_lengths_can_be_written(tmp_path):
    (name,) = planned(tmp_path, os.fsdecode(b"\xff" * 255))
    (tmp_path / f".{name}.1234567.tmp").touch()


@pytest.mark.parametrize("through_link", [False, True])
def test_a_scored_file_is_never_overwritten(tmp_path, through_link):
    photo = tmp_path / "a.png"
    photo.touch()
    folder = tmp_path
    if through_link:
        folder = tmp_path / "link"
        folder.symlink_to(tmp_path)
    (target,) = plan_targets(folder, [face_file(photo)])
    assert target == folder / "a-2.png"


@pytest.mark.parametrize("name", ["..", "a\0b.jpg"])
def test_odd_names_stay_within_the_folder(tmp_path, name):
    (target,) = plan_targets(tmp_path, [FaceFile(Path(name), name)])
    assert target.parent == tmp_path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "copies"


def annotate(folder, path, scored, looked_at=()):
    with AnnotatedCopies(folder, [face_file(path)], 2) as copies:
        copies.add(0, scored, looked_at)
    (target,) = folder.iterdir()
    return target


def test_a_photograph_is_copied_pixel_for_pixel_but_for_the_drawing(tmp_path, folder):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(encode(colourful(300, 400), "JPEG"))
    target = annotate(folder, photo, [(Row(WRITTEN), MARK)])
    assert target.name == "a.png"
    expected = draw(decode(photo.read_bytes()), [MARK])
    np.testing.assert_array_equal(decode(target.read_bytes()), expected)


def colour_of(picture, mark):
    """Whether the left side of the box is there, as orange or blue."""
    left, top, _, bottom = map(round, mark.box)
    red, _, blue = picture[(top + bottom) // 2, left].astype(int)
    return "fake" if red > 1.5 * blue else "real" if blue > 1.5 * red else ""


def test_a_video_is_copied_with_its_frames_and_times(tmp_path, folder):
    times = [0, 40, 80, 200, 240, 280, 320, 400, 401, 440]
    grey = [np.full((300, 400, 3), 128, np.uint8)] * 10
    path = write_video(tmp_path / "v.mkv", grey, times=times)
    scored = [(Row(WRITTEN, frame=2, face=0), MARK)]
    target = annotate(folder, path, scored, [2, 6])
    assert target.name == "v.mp4"
    with video.read_frames(target, selection=video.EveryNth(1)) as reading:
        frames = list(reading)
    assert [1000 * frame.time for frame in frames] == pytest.approx(times, abs=0.1)
    drawn = [colour_of(frame.picture, MARK) for frame in frames]
    assert drawn == ["fake"] * 5 + [""] * 5


def test_boxes_of_a_video_do_not_glide_over_a_cut(tmp_path, folder):
    # A cut within and one that only the searched frames show, a dissolve.
    first, second, third = (colourful(120, 160, seed) // 2 for seed in (1, 2, 3))
    shares = np.linspace(0, 1, 10)
    dissolve = [((1 - s) * second + s * third).astype(np.uint8) for s in shares]
    path = write_video(
        tmp_path / "v.mp4", [*[first] * 6, *[second] * 6, *dissolve, *[third] * 3]
    )
    marks = [Mark((x, 40, x + 30, 70), 0.9, "fake") for x in (10, 60, 110)]
    scored = [
        (Row(WRITTEN, frame=frame, face=0), mark)
        for frame, mark in zip((0, 10, 22), marks, strict=True)
    ]
    target = annotate(folder, path, scored, [0, 10, 22])
    with video.read_frames(target, selection=video.EveryNth(1)) as reading:
        pictures = [frame.picture for frame in reading]
    times = pictures[0].shape[0] // 120
    colour = ImageColor.getrgb(MARK.colour)
    left_sides = [
        [picture[times * 50 : times * 60, times * int(mark.box[0])] for mark in marks]
        for picture in pictures
    ]
    drawn = np.abs(np.array(left_sides) - np.array(colour)).mean((2, 3)).argmin(1)
    np.testing.assert_array_equal(drawn, [0] * 6 + [1] * 10 + [2] * 9)


def test_a_video_keeps_its_length_and_needs_no_even_sides(tmp_path, folder):
    path = write_video(tmp_path / "v.avi", 25, "ffv1", options={}, pixel_format="bgr0")
    odd = [np.full((301, 401, 3), 128, np.uint8)] * 25
    path = write_video(path, odd, "ffv1", options={}, pixel_format="bgr0")
    target = annotate(folder, path, [(Row(WRITTEN, frame=0, face=0), MARK)], [0])
    with av.open(str(target)) as container:
        (stream,) = container.streams
        assert float(stream.duration * stream.time_base) == pytest.approx(1, abs=0.001)
        assert (stream.frames, stream.width, stream.height) == (25, 402, 302)


def test_without_x264_another_encoder_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    path = write_video(tmp_path / "v.mp4", 3)
    moving = MovingMark([0], [MARK], [0])
    target = tmp_path / "copy.mp4"
    annotated_copies.write_video(path, [moving], target, threading.Event())
    assert video.probe(target).codec == "mpeg4"


def test_a_file_that_has_gone_is_warned_of(tmp_path, folder, caplog):
    with AnnotatedCopies(folder, [face_file(tmp_path / "a.png")], 1) as copies:
        copies.add(0, [(Row(WRITTEN), MARK)], [])
    assert "no copy of" in caplog.text and "does not exist" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"`annotated`: .* cannot be written"):
        AnnotatedCopies(tmp_path / "file", [], 1)


def test_a_full_disk_is_one_line(tmp_path, folder, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    photo = tmp_path / "a.png"
    photo.write_bytes(encode(colourful()))
    with (
        pytest.raises(RequestError, match=r"`annotated`: .*No space left"),
        AnnotatedCopies(folder, [face_file(photo)], 1) as copies,
    ):
        copies.add(0, [(Row(WRITTEN), MARK)], [])
    assert list(folder.iterdir()) == []


def test_an_error_elsewhere_ends_the_copies_without_half_a_file(tmp_path, folder):
    path = write_video(tmp_path / "v.mp4", 200)
    with (
        pytest.raises(KeyboardInterrupt),
        AnnotatedCopies(folder, [face_file(path)], 1) as copies,
    ):
        copies.add(0, [(Row(WRITTEN, frame=0, face=0), MARK)], [0])
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if "fakedet" in thread.name]
