# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.evaluation."""

import csv
import json

import numpy as np
import pytest

from fakedet_jax import report
from fakedet_jax.evaluation import metrics
from fakedet_jax.runtime import storage
from tests.report import samples
from tests.report.samples import HOSTILE, evaluation


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with an evaluation and everything that can be added to it."""
    folder = tmp_path_factory.mktemp("report") / "evaluations" / "test"
    samples.write(folder)
    return folder


def test_all_files_are_written_and_no_temporary_one_stays(written):
    assert {path.name for path in written.iterdir()} == {
        "metrics.json",
        "scores.csv",
        "skipped.csv",
        "roc.png",
        "precision_recall.png",
        "confusion_matrix.png",
        "scores.png",
        "reliability.png",
        "drawn.png",
        "report.html",
    }


def test_metrics_are_strict_json_of_the_summary(written):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    read = json.loads((written / "metrics.json").read_text(), parse_constant=refuse)
    summary = metrics.summarize(
        [0, 1, 0, 1], np.float32([0.1, 0.9, 0.7, 0.2]), 0.5, num_skipped=2
    )
    facts = {"tau": 0.123456789, HOSTILE: None}
    facts |= {"num_left_out": 0, "without_score": {}}
    facts |= {"fake_classes": ["fake"], "reading": "real: real; fake: fake"}
    found = read.pop("found_at_false_alarms")
    assert read == {**summary, **facts}
    # One fake of two scores above both real pictures.
    assert [
        (row["false_alarms"], row["num_allowed"], row["found"]) for row in found
    ] == [(rate, 0, 0.5) for rate in (0.001, 0.01, 0.05, 0.1)]


def test_scores_are_rfc_4180(written):
    assert (written / "scores.csv").read_bytes() == (
        b"path,label,score,predicted,decision,note,log_odds\r\n"
        b"a.png,real,0.10000000149011612,real,real,,\r\n"
        b'"b,c.png",fake,0.8999999761581421,fake,fake,,\r\n'
        b'"d""e.png",real,0.699999988079071,fake,fake,,\r\n'
        b"f\\udcff.png,fake,0.20000000298023224,real,real,,\r\n"
    )


def test_skipped_files_are_listed_with_their_reasons(written):
    with (written / "skipped.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "reason", "class"],
            [HOSTILE, HOSTILE, ""],
            ["x\\udcff\u202e", "empty", ""],
        ]


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        report.write_evaluation(tmp_path / name, evaluation(), title="t")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_an_evaluation_that_fails_is_not_complete(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    storage.write_text(tmp_path / "metrics.json", "{}")
    monkeypatch.setattr(storage, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write_evaluation(tmp_path, evaluation(), title="t")
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"names": [], "labels": np.zeros(0, int), "scores": np.zeros(0)},
        {"names": ["a"], "labels": np.array([0]), "scores": np.array([0.0])},
        {"names": ["a"], "labels": np.array([1]), "scores": np.array([1.0])},
        {"scores": np.full(4, 0.5), "skipped": ()},
    ],
    ids=["nothing", "one real", "one fake", "all alike"],
)
@pytest.mark.slow
def test_degenerate_evaluations_are_written(tmp_path, changes):
    result = report.write_evaluation(tmp_path, evaluation(**changes), title="t")
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    assert "nan" not in samples.read(tmp_path).content.lower()


def test_predicted_classes_are_named_in_the_scores(tmp_path):
    found = evaluation(
        labels=np.array([0, 1, 2, 1]),
        classes=("real", "gan", "diffusion"),
        is_fake=(False, True, True),
        predicted=np.array([0, 2, 2, 0]),
    )
    report.write_evaluation(tmp_path, found, title="t", has_page=False)
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["real", "gan", "diffusion", "gan"]
    predicted = [row["predicted"] for row in rows]
    assert predicted == ["real", "diffusion", "diffusion", "real"]


def test_scores_of_videos_are_means(tmp_path):
    found = evaluation(
        labels=np.array([0, 0, 1, 1]),
        scores=np.array([0.25, 0.75, 0.75, 0.125]),
        facts=samples.facts(["a\udcff", "a\udcff", "b", "c"]),
    )
    report.write_evaluation(tmp_path, found, title="t", has_page=False)
    assert (tmp_path / "video_scores.csv").read_bytes() == (
        b"path,label,score,predicted,num_frames,log_odds\r\n"
        b"a\\udcff,real,0.5,fake,2,\r\n"
        b"b,fake,0.75,fake,1,\r\n"
        b"c,fake,0.125,real,1,\r\n"
    )


def test_photographs_have_no_scores_of_videos(tmp_path):
    facts = samples.facts("abcd", is_video=False)
    result = report.write_evaluation(
        tmp_path, evaluation(facts=facts), title="t", has_page=False
    )
    assert not (tmp_path / "video_scores.csv").exists()
    assert "num_videos" not in result


@pytest.mark.parametrize(
    ("is_video", "told"),
    [
        (False, "The vertical lines are 95 % intervals of the share."),
        (True, "Frames of a video are alike, so that no intervals are drawn."),
    ],
)
def test_the_page_says_what_the_reliability_diagram_shows(tmp_path, is_video, told):
    found = evaluation(facts=samples.facts("abcd", is_video=is_video))
    report.write_evaluation(tmp_path, found, title="t")
    page = (tmp_path / "report.html").read_text()
    assert "Across is the mean of their scores, upwards the share of fakes" in page
    assert told in page


def test_facts_of_other_pictures_are_refused():
    with pytest.raises(ValueError, match="4 names but 3 facts"):
        evaluation(facts=samples.facts("abc"))


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="4 names but 3 scores"):
        evaluation(scores=np.zeros(3))


def test_telling_indices_put_confident_mistakes_first():
    found = evaluation(
        names=list("abcdefg"),
        labels=np.array([0, 0, 1, 1, 1, 0, 0]),
        scores=np.array([0.6, 0.95, 0.1, 0.99, 0.7, 0.01, 0.3]),
    )
    chosen = report.telling_indices(found, num_mistakes=3, num_correct=3)
    assert chosen == [1, 0, 2, 3, 4, 5]


def test_telling_indices_of_nothing():
    empty = evaluation(names=[], labels=np.zeros(0, int), scores=np.zeros(0))
    assert report.telling_indices(empty) == []


def test_the_table_aligns_numbers_and_intervals():
    summary = {
        "auc": 0.5,
        "auc_interval": [0.4, 0.6],
        "precision": None,
        "num_examples": 4,
        "classes": ["real"],
    }
    assert report.evaluation_table(summary).splitlines() == [
        "auc           0.5000     [0.4000, 0.6000]",
        "precision     undefined",
        "num_examples  4",
    ]
