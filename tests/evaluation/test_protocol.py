# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.protocol against hand calculation."""

import json

import numpy as np
import pytest

from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.evaluation import metrics, protocol
from tests import tiny

# Path, whether it is a video, frame, face, manipulation and score of each example.
ROWS = (
    ("real/a.mp4", True, 0, 0, "", 0.1),
    ("real/a.mp4", True, 1, 0, "", 0.3),
    ("real/b.mp4", True, 0, 0, "", 0.6),
    ("fake/a.mp4", True, 0, 0, "swap", 0.9),
    ("fake/a.mp4", True, 1, 0, "swap", 0.1),
    ("fake/a.mp4", True, 2, 0, "swap", 0.8),
    ("fake/two.mp4", True, 0, 0, "gan", 0.4),
    ("fake/two.mp4", True, 0, 1, "gan", 0.8),
    ("fake/two.mp4", True, 1, 1, "gan", 0.9),
    ("real/c.png", False, -1, 0, "", 0.2),
)
FAKE = np.array([path.startswith("fake") for path, *_ in ROWS])
SCORES = np.array([row[-1] for row in ROWS])
MANIPULATIONS = [row[4] for row in ROWS]


def _facts(rows=ROWS):
    return Facts.from_rows(
        (
            f"{path} {frame} {face}",
            path.startswith("fake"),
            "test",
            path,
            path if is_video else "",
            frame,
            face,
            "",
            manipulation,
            "",
            *tiny.UNKNOWN_PORTRAIT,
        )
        for path, is_video, frame, face, manipulation, _ in rows
    )


@pytest.fixture
def videos():
    return protocol.video_scores(FAKE, SCORES, _facts())


def test_every_photograph_and_every_video_is_a_file():
    assert protocol.file_numbers(_facts()).tolist() == [0, 0, 1, 2, 2, 2, 3, 3, 3, 4]


def test_a_video_has_the_mean_score_of_its_frames(videos):
    assert videos.names[:3] == ["real/a.mp4", "real/b.mp4", "fake/a.mp4"]
    assert videos.scores[:3] == pytest.approx([0.2, 0.6, 0.6])
    assert videos.num_frames.tolist() == [2, 1, 3, 1, 2]


def test_faces_of_one_video_have_a_score_each(videos):
    assert videos.names[3:] == ["fake/two.mp4 face 0", "fake/two.mp4 face 1"]
    assert videos.scores[3:] == pytest.approx([0.4, 0.85])
    assert videos.files.tolist() == [0, 1, 2, 3, 3]


def test_the_order_of_frames_does_not_matter(videos):
    order = [3, 0, 8, 1, 6, 2, 4, 7, 5]
    rows = [ROWS[index] for index in order]
    found = protocol.video_scores(FAKE[order], SCORES[order], _facts(rows))
    own = dict(zip(found.names, found.scores, strict=True))
    for name, score in zip(videos.names, videos.scores, strict=True):
        assert own[name] == pytest.approx(score)
    assert [rows[place][0] for place in found.first] == [
        name.split(" ")[0] for name in found.names
    ]


def test_video_auc_by_hand(videos):
    # Real 0.2 and 0.6; fake 0.6, 0.4 and 0.85: of 6 pairs 4 are right and 1 is a tie.
    found = protocol.summarize(FAKE, SCORES, 0.5, videos=videos)
    assert found["video_auc"] == 4.5 / 6


def test_a_face_that_is_real_and_fake_is_refused():
    with pytest.raises(ValueError, match=r"'fake/a.mp4' has real and fake frames"):
        protocol.video_scores(SCORES > 0.5, SCORES, _facts(ROWS[3:6]))


def test_each_manipulation_stands_against_all_real_pictures(videos):
    gan, swap = protocol.manipulation_rows(FAKE, SCORES, 0.5, MANIPULATIONS, videos)
    assert gan == {
        "name": "gan",
        "num_fake": 3,
        "num_examples": 7,
        "auc": 11 / 12,
        "average_precision": pytest.approx(1 / 3 + 1 / 3 + 1 / 3 * 3 / 4),
        "accuracy": 5 / 7,
        "recall": 2 / 3,
        "num_fake_videos": 2,
        "num_videos": 4,
        "video_auc": 3 / 4,
    }
    assert (swap["name"], swap["num_fake"], swap["video_auc"]) == ("swap", 3, 1.5 / 2)


def test_a_manipulation_without_real_pictures_has_no_auc():
    (row,) = protocol.manipulation_rows([True], [0.9], 0.5, ["gan"])
    assert row["auc"] is None
    assert row["accuracy"] == 1


def _summarize(**settings):
    return protocol.summarize(FAKE, SCORES, 0.5, **settings)


def test_nothing_is_added_unasked():
    assert set(_summarize()) == {"found_at_false_alarms"}
    one_kind = protocol.summarize(FAKE[3:9], SCORES[3:9], 0.5)
    assert one_kind == {}


def test_pictures_are_drawn_where_there_are_no_videos():
    found = _summarize(num_resamples=50)
    assert found["interval_unit"] == "picture"
    assert found["num_resamples"] == 50
    assert "video_auc_interval" not in found


def test_videos_are_drawn_where_there_are_some(videos):
    found = _summarize(facts=_facts(), videos=videos, num_resamples=50)
    assert found["interval_unit"] == "video"
    for name in ("accuracy", "auc", "average_precision", "video_auc"):
        low, high = found[f"{name}_interval"]
        assert 0 <= low <= high <= 1


def test_the_decision_on_a_video_is_that_on_its_mean(videos):
    found = _summarize(facts=_facts(), videos=videos)
    assert found["num_videos"] == 5
    assert found["num_real_videos"] == 2
    # Wrong are the real 0.6 and the fake 0.4.
    assert found["video_accuracy"] == 3 / 5


@pytest.mark.parametrize("kept", [1, 2])
def test_one_manipulation_needs_no_table(kept):
    names = [name if kept == 2 else name and "gan" for name in MANIPULATIONS]
    assert ("manipulations" in _summarize(manipulations=names)) == (kept == 2)


def test_a_summary_is_strict_json(videos):
    found = _summarize(
        facts=_facts(), videos=videos, manipulations=MANIPULATIONS, num_resamples=20
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_one_class_has_neither_auc_nor_its_interval():
    facts = _facts(ROWS[3:9])
    videos = protocol.video_scores(FAKE[3:9], SCORES[3:9], facts)
    found = protocol.summarize(
        FAKE[3:9], SCORES[3:9], 0.5, facts=facts, videos=videos, num_resamples=20
    )
    assert found["video_auc"] is None
    assert found["auc_interval"] is found["video_auc_interval"] is None
    assert found["accuracy_interval"] is not None


def test_the_interval_is_about_the_metric():
    rng = np.random.default_rng(0)
    fake = rng.random(400) < 0.5
    scores = np.clip(rng.normal(0.4 + 0.2 * fake, 0.3), 0, 1)
    found = protocol.summarize(fake, scores, 0.5, num_resamples=200)
    low, high = found["auc_interval"]
    assert low < metrics.auc(fake, scores) < high


def test_files_that_are_frames_of_a_video_are_one_video():
    rows = [
        (f"{side}/{video}_{frame}.png", side == "fake", f"{video}", frame / 10)
        for side in ("real", "fake")
        for video in ("a", "b")
        for frame in range(4)
    ]
    facts = Facts.from_rows(
        (
            *(path, is_fake, "test", path, video, -1, 0, "", "swap" * is_fake, ""),
            *tiny.UNKNOWN_PORTRAIT,
        )
        for path, is_fake, video, _ in rows
    )
    fake = np.array([row[1] for row in rows])
    found = protocol.video_scores(fake, [row[3] for row in rows], facts)
    assert found.names == ["a", "b", "a", "b"]
    assert found.num_frames.tolist() == [4, 4, 4, 4]
    assert found.fake.tolist() == [False, False, True, True]
    assert found.scores == pytest.approx([0.15] * 4)
    assert protocol.file_numbers(facts).max() == 3
