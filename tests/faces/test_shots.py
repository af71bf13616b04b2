# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest

from fakedet_jax.faces import shots
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import WRITTEN, extract
from fakedet_jax.media.video import EveryNth, read_frames
from tests.data.pictures import colourful
from tests.media.media_files import moving, write_video
from tests.prepare.detectors import Scripted


def test_unrelated_pictures_are_of_different_shots():
    small = [shots.shrink(colourful(120, 160, seed)) for seed in range(12)]
    found = [shots.is_cut(a, b) for a, b in itertools.combinations(small, 2)]
    assert np.mean(found) > 0.95


def test_motion_light_and_noise_are_no_cuts():
    picture = colourful(120, 160)
    moved = np.roll(picture, (6, 12), (0, 1))
    brighter = np.clip(picture.astype(int) + 15, 0, 255).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 12, picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    before = shots.shrink(picture)
    for after in (picture, moved, brighter, noisy):
        assert not shots.is_cut(before, shots.shrink(after))


def _two_shots(path):
    """Two scenes of ten frames, with a face at nearly the same place in both."""
    scenes = [colourful(96, 128, seed) for seed in (1, 2)]
    return write_video(path, [scene for scene in scenes for _ in range(10)])


@pytest.mark.parametrize("all_faces", [False, True])
def test_a_video_with_two_shots_is_two_tracks(tmp_path, all_faces):
    path = _two_shots(tmp_path / "v.mp4")
    boxes = {frame: [(20, 20, 60, 60)] for frame in range(10)}
    boxes |= {frame: [(24, 24, 64, 64)] for frame in range(10, 20)}
    detector = Scripted(boxes)
    how = Cropping(detector, all_faces=all_faces, selection=EveryNth(1))
    rows = [row for row, _ in extract(path, "v.mp4", "video", how)]
    assert all(row.status == WRITTEN for row in rows) and len(rows) == 20
    for row in rows:
        is_second = row.frame >= 10
        # Smoothed with those of the other shot, boxes near the cut would move.
        assert row.box == pytest.approx(boxes[row.frame][0], abs=1e-3)
        assert row.face == (1 if is_second and all_faces else 0)


@pytest.mark.shared_data
def test_a_real_video_of_one_shot_has_no_cut(shared_data):
    path = shared_data / "videos" / "two_people.mp4"
    small = [
        shots.shrink(frame.picture)
        for frame in read_frames(path, selection=EveryNth(5))
    ]
    assert not any(shots.is_cut(a, b) for a, b in itertools.pairwise(small))


def test_the_videos_of_other_tests_have_no_cut():
    small = [shots.shrink(picture) for picture in moving(20)]
    assert not any(shots.is_cut(a, b) for a, b in itertools.pairwise(small))
