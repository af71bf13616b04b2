# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tracks and of their smoothing."""

import numpy as np
import pytest

from fakedet_jax.faces.face import Face
from fakedet_jax.faces.tracking import Track, join, main_track, smooth


def at(x, y=50.0, side=40.0, landmarks=True):
    """A face around a centre; its landmarks lie at the centre and around it."""
    half = side / 2
    points = np.array([(-1, -1), (1, -1), (0, 0), (-1, 1), (1, 1)]) * half / 2 + (x, y)
    box = (x - half, y - half, x + half, y + half)
    return Face.at(box, points if landmarks else None, 0.9)


def boxes_of(track):
    return np.array([face.box for face in track.faces])


def test_a_static_face_is_one_track():
    (track,) = join({frame: [at(100)] for frame in range(9)})
    assert (track.id, track.frames) == (0, tuple(range(9)))
    np.testing.assert_allclose(boxes_of(smooth(track)), boxes_of(track), atol=1e-4)


def test_a_fast_face_is_followed_where_it_is_expected():
    # From the fourth step on a box does not touch the one before.
    places = [0, 10, 30, 60, 100, 145, 190, 235]
    (track,) = join({frame: [at(x)] for frame, x in enumerate(places)})
    assert len(track.frames) == len(places)


def test_crossing_faces_keep_their_tracks():
    right = [at(100 + 10 * frame, 50) for frame in range(21)]
    left = [at(300 - 10 * frame, 56) for frame in range(21)]
    # The order within a frame, by size in practice, must not matter.
    detections = {
        frame: list(pair)[:: 1 if frame % 2 else -1]
        for frame, pair in enumerate(zip(right, left, strict=True))
    }
    tracks = join(detections)
    assert [len(track.frames) for track in tracks] == [21, 21]
    assert list(tracks[0].faces) == left and list(tracks[1].faces) == right


def test_neighbours_stay_apart():
    detections = {frame: [at(100, side=44), at(150)] for frame in range(5)}
    tracks = join(detections)
    assert [track.frames for track in tracks] == [tuple(range(5))] * 2
    assert {face.box[0] for face in tracks[1].faces} == {130.0}


def test_flicker_and_gaps_do_not_end_a_track():
    detections = {
        frame: [] if frame in (2, 5, 6, 7) else [at(99)] for frame in range(9)
    }
    (track,) = join(detections)
    assert track.frames == (0, 1, 3, 4, 8)


def test_a_false_face_of_one_frame_is_a_track_of_its_own():
    detections = {frame: [at(100)] for frame in range(5)}
    detections[2] = [at(300, side=60), at(100)]
    tracks = join(detections)
    assert [track.frames for track in tracks] == [(0, 1, 2, 3, 4), (2,)]
    assert main_track(tracks) is tracks[0]


@pytest.mark.parametrize(("missing", "num_tracks"), [(3, 1), (4, 2)])
def test_a_long_gap_ends_a_track(missing, num_tracks):
    detections = {frame: [] for frame in range(missing + 2)}
    detections[0] = detections[missing + 1] = [at(100)]
    assert len(join(detections, max_missing=3)) == num_tracks


def test_gaps_count_frames_that_were_looked_at():
    detections = {0: [at(100)], 30: [], 60: [at(102)], 90: [at(104)]}
    (track,) = join(detections, max_missing=1)
    assert track.frames == (0, 60, 90)


def test_a_face_that_jumps_away_is_another():
    tracks = join({0: [at(100)], 1: [at(100)], 2: [at(300)]})
    assert [track.frames for track in tracks] == [(0, 1), (2,)]


def test_frames_in_any_order_and_no_faces():
    assert join({}) == [] and join({0: [], 1: []}) == []
    (track,) = join({2: [at(102)], 0: [at(100)], 1: [at(101)]})
    assert track.frames == (0, 1, 2)
    assert main_track([]) is None


def test_smoothing_takes_out_tremble():
    rng = np.random.default_rng(0)
    true = np.stack([100 + 0.5 * np.arange(60), np.full(60, 80.0)], axis=1)
    noisy = true + rng.normal(0, 2, true.shape)
    track = Track(0, tuple(range(60)), tuple(at(x, y) for x, y in noisy))
    smoothed = boxes_of(smooth(track)).reshape(60, 2, 2).mean(1)
    assert np.abs(smoothed - true).mean() < 0.5 * np.abs(noisy - true).mean()
    steps = np.abs(np.diff(smoothed, axis=0)).mean()
    assert steps < 0.3 * np.abs(np.diff(noisy, axis=0)).mean()


@pytest.mark.parametrize("frames", [range(30), [0, 1, 2, 7, 8, 12, 20, 21, 24]])
def test_even_motion_stays_where_it_is(frames):
    faces = tuple(
        at(100 + 3 * frame, 50 - frame, side=40 * 1.02**frame) for frame in frames
    )
    track = Track(0, tuple(frames), faces)
    smoothed = smooth(track)
    np.testing.assert_allclose(boxes_of(smoothed), boxes_of(track), atol=1e-3)
    assert (smoothed.id, smoothed.frames) == (track.id, track.frames)


def test_landmarks_are_smoothed_with_the_box():
    rng = np.random.default_rng(0)
    faces = tuple(at(100 + x) for x in rng.normal(0, 2, 20))
    smoothed = smooth(Track(0, tuple(range(20)), faces))
    noses = np.array([face.landmarks[2] for face in smoothed.faces])
    centres = boxes_of(smoothed).reshape(20, 2, 2).mean(1)
    np.testing.assert_allclose(noses, centres, atol=1e-3)


def test_unknown_landmarks_stay_unknown_and_spoil_no_others():
    faces = tuple(at(100, landmarks=frame != 2) for frame in range(5))
    smoothed = smooth(Track(0, tuple(range(5)), faces))
    assert [face.has_landmarks for face in smoothed.faces] == [
        frame != 2 for frame in range(5)
    ]
    np.testing.assert_allclose(smoothed.faces[1].landmarks, faces[1].landmarks, 1e-5)


def test_boxes_keep_an_area_and_scores_stay():
    sides = [1, 1, 100, 1, 400, 1]
    faces = tuple(at(200, 200, side=side) for side in sides)
    smoothed = smooth(Track(0, tuple(range(6)), faces))
    assert all(face.area > 0 for face in smoothed.faces)
    assert {face.score for face in smoothed.faces} == {0.9}


def test_scattered_frames_do_not_touch_each_other():
    faces = tuple(at(x) for x in (100, 130, 90))
    track = Track(0, (0, 10, 20), faces)
    np.testing.assert_allclose(boxes_of(smooth(track)), boxes_of(track), atol=1e-4)


def test_one_frame():
    track = Track(0, (4,), (at(100),))
    np.testing.assert_allclose(boxes_of(smooth(track)), boxes_of(track), atol=1e-4)


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(ValueError, match="radius"):
        smooth(Track(0, (0,), (at(100),)), radius=0)


def test_no_track_reaches_over_a_cut():
    box = [0, 0, 20, 20]
    detections = {frame: [Face.at(box)] for frame in range(10)}
    assert [track.frames for track in join(detections)] == [tuple(range(10))]
    found = join(detections, cuts=[4])
    assert [track.frames for track in found] == [(0, 1, 2, 3), (4, 5, 6, 7, 8, 9)]
    assert [track.id for track in found] == [0, 1]


def test_a_cut_at_a_frame_that_was_not_searched_counts():
    detections = {frame: [Face.at([0, 0, 20, 20])] for frame in (0, 2, 6, 8)}
    found = join(detections, cuts=[5])
    assert [track.frames for track in found] == [(0, 2), (6, 8)]
