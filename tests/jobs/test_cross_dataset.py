# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.cross_dataset."""

import csv
import json
import logging

import numpy as np
import pytest
import sklearn.metrics

from fakedet_jax.config import CrossDatasetConfig, DataConfig, EvaluateConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import cross_dataset, evaluate
from tests import tiny
from tests.data import pictures
from tests.jobs import videos


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Holds everything. Not to be changed."""
    return tmp_path_factory.mktemp("cross_dataset")


@pytest.fixture(scope="module")
def trained_folder(root):
    return tiny.write_pictures(root / "home")


@pytest.fixture(scope="module")
def workdir(root, trained_folder):
    return tiny.fit(trained_folder, root / "workdir", recipe={"num_epochs": 1})


@pytest.fixture(scope="module")
def folders(root, trained_folder):
    """The pictures of the training, others, and prepared videos."""
    counts = {"test/real_photos": 4, "test/glow": 3, "test/gan": 3}
    other = pictures.write_folder(root / "other faces", counts, 16)
    return trained_folder, other, videos.prepare_videos(root / "faces")


def _evaluate(workdir, *datasets, **settings):
    with tiny.registered():
        return cross_dataset.evaluate_datasets(
            CrossDatasetConfig(
                workdir=workdir,
                datasets=tuple(map(str, datasets)),
                **{"num_resamples": 20, "report": False, **settings},
            )
        )


@pytest.fixture(scope="module")
def done(workdir, folders):
    """The summary of an evaluation on three datasets."""
    home, other, prepared = folders
    return _evaluate(workdir, home, other, f"films={prepared}", "/no/such/folder")


def _rows(summary):
    return {row["name"]: row for row in summary["rows"]}


def test_rows_are_named_as_given_or_after_the_folders(done):
    assert list(_rows(done)) == ["home", "other_faces", "films", "folder"]


def test_the_numbers_are_those_of_the_evaluations(done, workdir):
    for name in ("home", "other_faces", "films"):
        path = workdir / "evaluations" / f"{name}_test" / "metrics.json"
        expected = json.loads(path.read_text())
        row = _rows(done)[name]
        for key in ("accuracy", "auc", "auc_interval", "num_examples"):
            assert row[key] == expected[key], (name, key)


def test_all_datasets_together_have_one_auc_and_one_threshold(done, workdir):
    scores, fake = [], []
    for name in ("home", "other_faces", "films"):
        folder = workdir / "evaluations" / f"{name}_test"
        fakes = json.loads((folder / "metrics.json").read_text())["fake_classes"]
        with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        scores += [float(row["log_odds"]) for row in rows]
        fake += [row["label"] in fakes for row in rows]
        called = [
            row["decision"] == "fake" for row in rows if row["label"] not in fakes
        ]
        found = _rows(done)[name]
        assert found["fpr"] == pytest.approx(np.mean(called))
        # Of photographs Wilson's; of videos of which all or none are called fake, none.
        if found["num_videos"] is None:
            low, high = found["fpr_interval"]
            assert low <= found["fpr"] <= high
            assert low < high
    pooled = done["pooled"]
    assert pooled["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(fake, scores))
    assert pooled["num_examples"] == len(scores)
    low, high = pooled["auc_interval"]
    assert low <= pooled["auc"] <= high


def test_one_dataset_is_not_pooled(workdir, folders):
    assert _evaluate(workdir, folders[0], name="one")["pooled"] is None


def test_a_dataset_is_scored_as_by_an_evaluation_of_its_own(done, workdir, folders):
    with tiny.registered():
        expected = evaluate.evaluate(
            EvaluateConfig(
                workdir=workdir,
                data=DataConfig("folder", folders[1], task="binary"),
                name="alone",
                num_resamples=20,
            )
        )
    own = workdir / "evaluations" / "other_faces_test"
    scores = (workdir / "evaluations" / "alone" / "scores.csv").read_bytes()
    assert (own / "scores.csv").read_bytes() == scores
    assert json.loads((own / "metrics.json").read_text()) == expected


def test_videos_are_counted_where_there_are_some(done):
    rows = _rows(done)
    assert rows["films"]["num_videos"] == sum(videos.VIDEOS.values())
    assert rows["films"]["video_auc"] is not None
    assert rows["home"]["num_videos"] is rows["home"]["video_auc"] is None


def test_the_dataset_of_the_training_is_marked(done):
    marked = [name for name, row in _rows(done).items() if row["in_domain"]]
    assert marked == ["home"]
    assert {row["trained_on"] for row in done["rows"]} == {"home"}


def test_what_fails_has_its_reason_and_stops_nothing(done):
    row = _rows(done)["folder"]
    assert "/no/such/folder" in row["reason"]
    assert row["auc"] is None
    assert [row["reason"] for row in done["rows"]].count(None) == 3


def test_the_files_tell_what_is_returned(done, workdir):
    folder = workdir / "evaluations" / "cross_dataset_test"
    assert json.loads((folder / "cross_dataset.json").read_text()) == done
    with (folder / "cross_dataset.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row, expected in zip(rows[:-1], done["rows"], strict=True):
        assert row["name"] == expected["name"]
        assert row["auc"] == str("" if expected["auc"] is None else expected["auc"])
    for name in ("cross_dataset.md", "cross_dataset.png"):
        assert (folder / name).is_file()


def test_real_classes_of_the_training_are_real_everywhere(tmp_path):
    counts = {
        f"{split}/{name}": 4
        for split in ("train", "validation", "test")
        for name in ("photos", "gan")
    }
    home = pictures.write_folder(tmp_path / "home", counts, 16)
    data = DataConfig("folder", home, real_classes=("photos",))
    workdir = tiny.fit(home, tmp_path / "workdir", data=data, recipe={"num_epochs": 1})
    (row,) = _evaluate(workdir, home)["rows"]
    assert row["auc"] is not None


def test_names_that_meet_get_numbers(workdir, folders):
    home, *_ = folders
    summary = _evaluate(workdir, home, "home_2=/no/such", "/no/home")
    assert list(_rows(summary)) == ["home", "home_2", "home_3"]


def test_a_perturbed_evaluation_has_a_folder_of_its_own(workdir, folders):
    home, *_ = folders
    _evaluate(workdir, home, perturb="median_filter:5")
    for name in ("home_test", "cross_dataset_test"):
        assert (workdir / "evaluations" / f"{name}_median_filter_5").is_dir()


def test_a_threshold_of_its_own_has_folders_of_its_own(workdir, folders):
    home, *_ = folders
    _evaluate(workdir, home, threshold=0.25)
    for name in ("home_test", "cross_dataset_test"):
        assert (workdir / "evaluations" / f"{name}_threshold_0.25").is_dir()


def test_folders_of_one_name_do_not_replace_each_other(workdir, tmp_path):
    counts = {"test/real": 2, "test/fake": 2}
    first, second = (
        pictures.write_folder(tmp_path / place / "twins", counts, 16)
        for place in ("one", "two")
    )
    (row,) = _evaluate(workdir, first)["rows"]
    assert row["reason"] is None and row["data_dir"] == str(first)
    with pytest.raises(RequestError, match=r"twins_test.*holds the evaluation of"):
        _evaluate(workdir, second)
    (row,) = _evaluate(workdir, f"twins={second}")["rows"]
    assert row["reason"] is None


def test_a_name_is_that_of_all_folders(workdir, folders):
    home, *_ = folders
    _evaluate(workdir, home, name="mine", split="all")
    for name in ("mine", "mine_home"):
        assert (workdir / "evaluations" / name).is_dir()


def test_a_dataset_without_numbers_is_a_failure_in_the_end(done):
    with pytest.raises(
        RequestError, match=r"1 of 4 could not be .*, folder: `data_dir`"
    ):
        cross_dataset.check_complete(done)


def test_the_sign_may_be_in_the_name_of_a_folder(workdir, tmp_path):
    folder = pictures.write_folder(
        tmp_path / "a=b", {"test/real": 2, "test/fake": 2}, 16
    )
    (row,) = _evaluate(workdir, folder)["rows"]
    assert (row["name"], row["num_examples"]) == ("a_b", 4)


@pytest.mark.parametrize(
    ("datasets", "settings", "message"),
    [
        ((), {}, "`datasets`: expected at least one folder"),
        (("",), {}, "`datasets`: expected folders, or NAME=FOLDER"),
        (("x=",), {}, "`datasets`: expected folders, or NAME=FOLDER"),
        (("=x",), {}, "`datasets`: expected folders, or NAME=FOLDER"),
        (("..=x",), {}, "`datasets`: expected folders, or NAME=FOLDER"),
        (("a=x", "a=y"), {}, "`datasets`: expected different names, found 'a' twice"),
        (("a=x",), {"name": "../a"}, "`name`: expected a plain folder name"),
        (("cross_dataset=x",), {}, "`name`: expected another name"),
        (("a=x", "b=y"), {}, "`datasets`: none of 2 could be evaluated; the first, a"),
    ],
)
def test_what_cannot_be_meant_is_refused(workdir, datasets, settings, message, caplog):
    caplog.set_level(logging.ERROR)
    with pytest.raises(RequestError, match=message):
        _evaluate(workdir, *datasets, **settings)
