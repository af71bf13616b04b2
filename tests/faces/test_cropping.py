# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what may be asked for."""

import json

import pytest

from fakedet_jax.config import FaceConfig, FrameConfig
from fakedet_jax.data.video import Evenly, EveryNth
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import cropping


def create(detector="none", **settings):
    of_frames = ("frames_per_video", "frame_step")
    frames = {name: settings.pop(name) for name in of_frames if name in settings}
    return cropping.create(FaceConfig(detector, **settings), FrameConfig(**frames))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detector": ""}, r"--face_detector: expected how .* none was given"),
        ({"detector": "mtcnn"}, "--face_detector: expected one of"),
        ({"scale": 1.5}, "--face_scale is for detectors that give boxes"),
        ({"detector": "haar", "scale": 0.0}, "--face_scale: expected a number above 0"),
        (
            {"detector": "haar", "scale": float("nan")},
            "--face_scale: expected a number above 0",
        ),
        ({"size": 15}, "--size: expected 16 to 4096 pixels, found 15"),
        ({"align": True}, "--align needs --size"),
        ({"align": True, "size": 64}, "--align needs landmarks"),
        ({"frames_per_video": 0}, "--frames_per_video: expected at least 1, found 0"),
        ({"frame_step": 0}, "--frame_step: expected at least 1, found 0"),
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
