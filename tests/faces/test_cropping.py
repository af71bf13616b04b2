# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what may be asked for."""

import functools
import json
import logging
import sys

import pytest

from fakedet_jax.config import FaceConfig, FrameConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import cropping, detection, expected
from fakedet_jax.faces.detector import WholePicture
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.media.video import Evenly, EveryNth


def create(detector="none", **settings):
    of_frames = ("frames_per_video", "frame_step")
    frames = {name: settings.pop(name) for name in of_frames if name in settings}
    return cropping.create(FaceConfig(detector, **settings), FrameConfig(**frames))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detector": ""}, r"`face_detector`: expected one of .*; say how"),
        ({"detector": "mtcnn"}, "`face_detector`: expected none, haar"),
        ({"scale": 1.5}, "`face_scale` is for face detectors that find boxes"),
        ({"detector": "haar", "scale": 0.0}, "`face_scale`: expected a number above 0"),
        (
            {"detector": "haar", "scale": float("nan")},
            "`face_scale`: expected a number above 0",
        ),
        ({"size": 15}, "`size`: expected a number from 16 to 4096, found 15"),
        ({"align": True}, "`align` needs `size`"),
        ({"align": True, "size": 64}, "`align` needs landmarks"),
        ({"frames_per_video": 0}, "`frames_per_video`: expected at least 1, found 0"),
        ({"frame_step": 0}, "`frame_step`: expected at least 1, found 0"),
    ],
)
def test_wrong_settings_are_request_errors(settings, message):
    with pytest.raises(RequestError, match=message):
        create(**settings)


def test_frames_are_evenly_spaced_unless_a_step_is_given():
    assert create(frames_per_video=7).selection == Evenly(7)
    assert create(frame_step=3).selection == EveryNth(3)


def test_whole_pictures_are_taken_without_a_scale():
    assert create().scale is None


def test_the_record_can_be_json():
    record = create(size=64, frame_step=2).record
    assert json.loads(json.dumps(record)) == record
    assert record["frames"] == {"every": 2}


WHOLE = {
    "detector": {"name": "none"},
    "scale": None,
    "size": None,
    "align": False,
    "all_faces": False,
    "frames": {"evenly": 32},
}
YUNET = {
    "name": "yunet",
    "model_sha256": "ab",
    "min_score": 0.6,
    "longest_side": 320,
    "opencv": "4.10.0",
}
HAAR = {"name": "haar", "longest_side": 320}


def from_record(record, model=None, all_faces=False, frames=None):
    return cropping.from_record(record, model=model, all_faces=all_faces, frames=frames)


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 64, "frames_per_video": 7},
        {"detector": "haar", "scale": 1.5, "frame_step": 3},
    ],
)
def test_a_record_makes_the_same_detector(settings):
    record = json.loads(json.dumps(create(**settings).record))
    assert from_record(record).record == record


def test_all_faces_and_frames_may_differ_from_the_record():
    how = from_record(WHOLE, all_faces=True, frames=FrameConfig(frame_step=2))
    assert how.all_faces and how.selection == EveryNth(2)


class _Fake(WholePicture):
    name = "yunet"
    settings = YUNET


def test_yunet_gets_its_model_and_the_settings_of_the_record(monkeypatch, tmp_path):
    given = {}

    def create_detector(name, **options):
        given.update(options, name=name)
        return _Fake()

    monkeypatch.setattr(detection, "create", create_detector)
    record = {**WHOLE, "detector": YUNET, "scale": 1.2, "align": True, "size": 64}
    how = from_record(record, model=tmp_path / "y.onnx")
    assert given == {
        "name": "yunet",
        "model": tmp_path / "y.onnx",
        "min_score": 0.6,
        "longest_side": 320,
    }
    assert (how.scale, how.size, how.align) == (1.2, 64, True)


@pytest.mark.parametrize(
    ("recorded", "warning"),
    [
        ({"model_sha256": "cd"}, "is not the file that found the faces"),
        ({"opencv": "4.9"}, ""),
    ],
)
def test_another_model_file_is_warned_of(monkeypatch, caplog, recorded, warning):
    monkeypatch.setattr(detection, "create", lambda *_, **__: _Fake())
    with caplog.at_level(logging.WARNING):
        from_record({**WHOLE, "detector": {**YUNET, **recorded}}, model="y.onnx")
    assert len(caplog.messages) == bool(warning)
    assert warning in caplog.text


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "config.json: faces: expected an object, found 3"),
        ({}, "faces: detector: expected a value"),
        ({**WHOLE, "detector": "yunet"}, "faces: detector: expected an object"),
        ({**WHOLE, "detector": {"name": "x"}}, "faces: detector.name: expected yunet"),
        (
            {**WHOLE, "detector": {"name": ["x"]}},
            "faces: detector.name: expected a tex",
        ),
        (
            {**WHOLE, "detector": {"name": "haar"}},
            "faces: detector.longest_side: expected a value",
        ),
        ({**WHOLE, "detector": {"name": "boxes"}}, "bring their boxes with `face_box"),
        ({**WHOLE, "detector": YUNET}, "name its model file with `face_detector_mo"),
        (
            {**WHOLE, "detector": {**YUNET, "min_score": 1}},
            "faces: detector.min_score: expected a number < 1.0, found 1",
        ),
        (
            {**WHOLE, "detector": {**HAAR, "longest_side": True}},
            "faces: detector.longest_side: expected a whole number or null, found True",
        ),
        ({**WHOLE, "scale": "1.3"}, "faces: scale: expected a number or null, found"),
        ({**WHOLE, "scale": float("nan")}, "faces: scale: expected a number"),
        ({**WHOLE, "size": 1e3}, "faces: size: expected a whole number or null"),
        ({**WHOLE, "align": None}, "faces: align: expected true or false, found None"),
        ({**WHOLE, "align": True}, "faces: align: expected true only with yunet"),
        ({**WHOLE, "frames": {}}, "faces: frames.evenly: expected a value"),
        ({**WHOLE, "frames": {"every": 0}}, "faces: frames.every: expected a whole"),
        ({**WHOLE, "size": "long\n" * 1000}, "found 'long.*; say how to find faces"),
    ],
)
def test_a_wrong_record_is_one_line(record, message):
    with pytest.raises(RequestError, match=message) as caught:
        from_record(record)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("detector", [{"name": "none"}, HAAR])
def test_a_model_that_is_not_needed_is_refused(detector):
    with pytest.raises(RequestError, match="`face_detector_model` is for yunet"):
        from_record({**WHOLE, "detector": detector}, model="y.onnx")


def choose(record=None, **settings):
    nothing = {"faces": None, "model": None, "all_faces": False, "frames": None}
    return cropping.choose(record, **{**nothing, **settings})


def test_without_a_record_pictures_are_taken_whole():
    how = choose()
    assert isinstance(how.detector, WholePicture) and how.scale is None
    assert how.selection == Evenly(32)
    assert choose(frames=FrameConfig(4)).selection == Evenly(4)


def test_a_record_is_followed():
    how = choose({**WHOLE, "detector": HAAR, "scale": 1.5}, all_faces=True)
    assert (how.detector.name, how.scale, how.all_faces) == ("haar", 1.5, True)
    assert choose(WHOLE, frames=FrameConfig(4)).selection == Evenly(4)


def test_given_faces_come_before_the_record_which_still_tells_the_frames():
    record = {**WHOLE, "detector": HAAR, "frames": {"evenly": 3}}
    how = choose(record, faces=FaceConfig("none", size=64), all_faces=True)
    assert (how.detector.name, how.size, how.all_faces) == ("none", 64, True)
    assert how.selection == Evenly(3)


@pytest.mark.parametrize(
    ("field", "settings"),
    [("face_detector_model", {"model": "y.onnx"}), ("all_faces", {"all_faces": True})],
)
def test_settings_of_a_search_are_refused_where_pictures_are_whole(field, settings):
    with pytest.raises(RequestError, match=f"`{field}`: pictures are taken whole"):
        choose(**settings)


def _sides(monkeypatch, how):
    """The sides that a face detector is created with."""
    given = {}

    def create_detector(name, **options):
        given.update(options)
        return _Fake()

    monkeypatch.setattr(detection, "create", create_detector)
    how()
    return given.get("longest_side"), given.get("wide_side")


@pytest.mark.parametrize(
    ("settings", "sides"),
    [
        ({}, (640, None)),
        ({"all_faces": True}, (640, 1440)),
        ({"search_size": 1000}, (1000, None)),
        ({"search_size": 3000, "all_faces": True}, (640, 3000)),
        ({"search_size": 500, "all_faces": True}, (500, None)),
        ({"detector": "haar", "all_faces": True}, (640, None)),
        ({"detector": "haar", "search_size": 900}, (900, None)),
    ],
)
def test_sides_of_the_search(monkeypatch, settings, sides):
    faces = FaceConfig(**{"detector": "yunet", **settings})
    found = _sides(monkeypatch, lambda: cropping.create(faces, FrameConfig()))
    assert found == sides


@pytest.mark.parametrize(
    ("settings", "sides"),
    [
        ({}, (320, None)),
        ({"all_faces": True}, (320, 1440)),
        ({"search_size": 900}, (900, None)),
        ({"search_size": 900, "all_faces": True}, (640, 900)),
    ],
)
def test_sides_of_the_search_beside_a_record(monkeypatch, settings, sides):
    record = {**WHOLE, "detector": YUNET, "scale": 1.2}
    how = functools.partial(choose, record, model="y.onnx", **settings)
    assert _sides(monkeypatch, how) == sides


def test_what_small_faces_may_be_missed_is_said(monkeypatch, caplog):
    faces = FaceConfig("yunet", all_faces=True)
    with caplog.at_level(logging.INFO):
        _sides(monkeypatch, lambda: cropping.create(faces, FrameConfig()))
    (message,) = caplog.messages
    assert "smaller than 1/57 of the longer side" in message


def test_a_search_size_without_a_search_is_refused():
    faces = FaceConfig("none", search_size=900)
    with pytest.raises(RequestError, match="`face_search_size` is for face detectors"):
        cropping.create(faces, FrameConfig())
    with pytest.raises(RequestError, match="`face_search_size`: in the training the p"):
        cropping.from_record(
            WHOLE, model=None, all_faces=False, frames=None, search_size=900
        )
    with pytest.raises(RequestError, match="`face_search_size`: pictures are taken wh"):
        choose(search_size=900)


def test_how_files_become_pixels_follows_the_record():
    media = MediaConfig(icc="srgb", max_megapixels=50)
    how = cropping.create(FaceConfig("none"), FrameConfig(), media=media)
    record = json.loads(json.dumps(how.record))
    assert choose(record).media == media
    assert from_record(record).record == record
    assert choose(record, media=MediaConfig()).media == MediaConfig()
    assert choose(WHOLE).media == MediaConfig()  # Of an older version.
    with pytest.raises(RequestError, match=r"`workdir`.*faces: media"):
        choose({**WHOLE, "media": {"icc": "other"}})


SQUARES = expected.of_pictures([(128, 128)])


@pytest.mark.parametrize("record", [None, WHOLE])
def test_faces_are_searched_for_in_pictures_unlike_those_of_the_training(record):
    how = choose(record, expected=SQUARES)
    same, note = how.of_size(128, 128)
    assert same is how and note == ""
    assert how.detector.name == "none" and how.may_search and not how.is_search
    # Too small for a photograph.
    assert how.of_size(199, 400) == (
        how,
        "is not square like the training pictures: the central square was taken for "
        "the face",
    )
    other, note = how.of_size(1000, 800)
    assert (other.detector.name, other.scale) == ("haar", 1.3)
    assert (
        note == "is not square like the training pictures: haar searched for the face"
    )
    assert how.record["otherwise"]["detector"]["name"] == "haar"
    assert how.record["expected"] == SQUARES.record
    assert not how.may_take_all
    everyone = choose(record, expected=SQUARES, all_faces=True)
    assert everyone.otherwise.all_faces and everyone.may_take_all


@pytest.mark.parametrize("record", [None, WHOLE])
def test_without_opencv_the_central_square_is_taken_and_said_so(record, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    how = choose(record, expected=SQUARES)
    assert how.otherwise is None and not how.may_search
    same, note = how.of_size(1000, 1000)
    assert same is how
    assert note == (
        "is far larger than the training pictures: the central square was taken for "
        "the face"
    )
    with pytest.raises(RequestError, match="need OpenCV"):
        choose(record, expected=SQUARES, all_faces=True)


def test_who_wants_pictures_whole_gets_them_whole():
    how = choose(WHOLE, faces=FaceConfig("none"), expected=SQUARES)
    same, note = how.of_size(1000, 800)
    assert same is how and "central square" in note


@pytest.mark.parametrize(
    "settings",
    [
        {"record": {**WHOLE, "detector": HAAR, "scale": 1.3}},
        {"record": WHOLE, "faces": FaceConfig("haar")},
    ],
)
def test_where_all_pictures_are_searched_there_is_nothing_to_say(settings):
    how = choose(**settings, expected=SQUARES)
    assert how.expected is None
    assert how.of_size(1000, 800) == (how, "")
