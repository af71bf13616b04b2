# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.suite."""

import csv
import json
import shutil
from unittest import mock

import jax
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.config import DataConfig, EvaluateConfig, SuiteConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import perturbed
from fakedet_jax.evaluation.condition_scores import ConditionScores
from fakedet_jax.evaluation.metrics import BINARY_METRICS
from fakedet_jax.jobs import evaluate
from fakedet_jax.jobs import suite as suite_job
from fakedet_jax.media.decode import decode
from fakedet_jax.perturb import apply, suites
from tests import tiny
from tests.data import pictures
from tests.perturb import samples

SUITE = suites.create("fakespotter")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("robustness") / "pictures")


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("robustness") / "workdir"
    return tiny.fit(data_dir, folder, recipe={"num_epochs": 1})


@pytest.fixture(scope="module")
def measured(workdir):
    """A run that no test changes: the summary and the folder."""
    return _measure(workdir, name="reference")


def _measure(workdir, name="result", suite=SUITE.name, **settings):
    config = SuiteConfig(workdir=workdir, name=name, suite=suite, **settings)
    with tiny.registered(), samples.small_suite():
        summary = suite_job.evaluate_suite(config)
    return summary, workdir / "evaluations" / f"{name}_{suite}"


def _evaluate(workdir, **settings):
    with tiny.registered():
        return evaluate.evaluate(
            EvaluateConfig(workdir=workdir, name="plain", **settings)
        )


def _folder(path, **settings):
    return DataConfig(dataset="folder", data_dir=path, **settings)


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_tell_what_is_returned(measured):
    summary, folder = measured
    assert json.loads((folder / "robustness.json").read_text()) == summary
    first, *rows = _rows(folder / "robustness.csv")
    assert (first["operation"], first["strength"]) == ("none", "")
    assert [(row["operation"], float(row["strength"])) for row in rows] == [
        (condition.operation, condition.strength) for condition in SUITE.conditions
    ]
    expected = [summary["baseline"], *summary["conditions"]]
    for row, values in zip([first, *rows], expected, strict=True):
        for name in BINARY_METRICS:
            found = row[name]
            assert (float(found) if found else None) == values[name]
        assert (row["num_examples"], row["num_skipped"]) == ("11", "0")
    with Image.open(folder / "robustness.png") as figure:
        assert min(figure.size) > 500


def test_the_summary_names_the_suite(measured):
    summary, _ = measured
    found = {name: summary[name] for name in ("suite", "version", "seed")}
    assert found == {"suite": SUITE.name, "version": 1, "seed": 0}


def test_the_drop_is_the_mean_over_all_conditions(measured):
    summary, _ = measured
    baseline = summary["baseline"]["auc"]
    drops = np.array([baseline - row["auc"] for row in summary["conditions"]])
    assert summary["mean_auc_drop"] == pytest.approx(drops.mean())
    assert list(summary["mean_auc_drop_by_operation"].values()) == pytest.approx(
        drops.reshape(4, 5).mean(1)
    )


def test_the_baseline_is_what_evaluate_gives(workdir, measured):
    summary, _ = measured
    evaluated = _evaluate(workdir)
    assert {name: summary["baseline"][name] for name in BINARY_METRICS} == {
        name: evaluated[name] for name in BINARY_METRICS
    }
    assert summary["threshold"] == evaluated["threshold"]


@pytest.mark.few(1)
@pytest.mark.parametrize("index", [4, 9, 14, 19])
def test_a_condition_is_an_evaluation_of_perturbed_files(
    workdir, data_dir, measured, tmp_path, index
):
    paths = sorted(data_dir.glob("test/*/*"))
    perturbed = apply.apply(
        SUITE.conditions[index],
        (decode(path.read_bytes()) for path in paths),
        key=SUITE.key(index),
    )
    for path, picture in zip(paths, perturbed, strict=True):
        target = tmp_path / path.relative_to(data_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pictures.encode(picture))
    expected = _evaluate(workdir, data=_folder(tmp_path))
    condition = measured[0]["conditions"][index]
    assert {name: condition[name] for name in BINARY_METRICS} == {
        name: expected[name] for name in BINARY_METRICS
    }


@pytest.mark.slow
def test_a_repetition_gives_the_same_bytes(workdir, measured):
    _, folder = _measure(workdir)
    assert _contents(folder) == _contents(measured[1])


def test_pictures_that_are_not_kept_are_decoded_again(workdir, measured, monkeypatch):
    monkeypatch.setattr(perturbed, "MAX_KEPT_BYTES", 2000)
    summary, _ = _measure(workdir)
    assert summary == measured[0]


@pytest.mark.slow
def test_the_batch_size_does_not_matter(workdir, measured):
    summary, _ = _measure(workdir, batch_size=8)
    for found, expected in zip(
        summary["conditions"], measured[0]["conditions"], strict=True
    ):
        assert found["auc"] == expected["auc"]


@pytest.mark.slow
def test_a_mix_of_other_conditions_is_not_scored_again(workdir, monkeypatch):
    scored = []
    run = apply.apply
    monkeypatch.setattr(
        apply,
        "apply",
        lambda one, *rest, **more: scored.append(one) or run(one, *rest, **more),
    )
    summary, _ = _measure(workdir, suite="small")
    *others, overall = samples.SMALL_SUITE.conditions
    assert scored == [*others[:-1], overall]
    # It would give the same.
    monkeypatch.setattr(suite_job, "_repeats_others", lambda *_: False)
    assert _measure(workdir, suite="small")[0] == summary


def test_processes_share_a_suite(workdir, measured, monkeypatch):
    done = []
    run = apply.apply
    monkeypatch.setattr(
        apply,
        "apply",
        lambda one, *rest, **more: done.append(one) or run(one, *rest, **more),
    )
    assert _measure(workdir, name="shared", shard="1/2") == ({}, mock.ANY)
    assert done == list(SUITE.conditions[1::2])
    folder = workdir / "evaluations" / "shared_fakespotter"
    assert not folder.exists()
    # The number of processes may change: one does what is missing.
    assert _measure(workdir, name="shared")[0] == measured[0]
    assert done[10:] == list(SUITE.conditions[::2])
    assert _contents(folder) == _contents(measured[1])
    assert not list(folder.parent.glob(".shared*"))


def test_a_suite_that_was_stopped_goes_on(workdir, measured, monkeypatch):
    keep = ConditionScores.write

    def stop_at_the_third(self, number, scored):
        if number == 2:
            raise KeyboardInterrupt
        keep(self, number, scored)

    monkeypatch.setattr(ConditionScores, "write", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        _measure(workdir, name="stopped")
    written = []
    monkeypatch.setattr(
        ConditionScores,
        "write",
        lambda self, number, scored: (
            written.append(number) or keep(self, number, scored)
        ),
    )
    assert _measure(workdir, name="stopped")[0] == measured[0]
    assert written == list(range(2, len(SUITE.conditions)))


@pytest.mark.slow
def test_scores_of_other_pictures_are_not_taken_over(workdir, tmp_path):
    counts = {"fake": 3, "real": 3}
    for name in ("one", "other"):
        root = pictures.write_folder(tmp_path / name, counts, 16)
        settings = {"data": _folder(root), "split": "all", "name": "moved"}
        assert _measure(workdir, shard="0/2", **settings)[0] == {}
    assert len(list((workdir / "evaluations").glob(".moved*"))) == 2


def test_a_wrong_shard_is_refused(workdir):
    _assert_refused(workdir, "`shard`: expected NUMBER/PROCESSES", shard="2/2")


@pytest.mark.slow
def test_skipped_files_are_counted_and_named(workdir, data_dir, tmp_path):
    root = shutil.copytree(data_dir, tmp_path / "data")
    bad = root / "test" / "real" / "001.png"
    bad.write_bytes(b"")
    summary, folder = _measure(workdir, data=_folder(root))
    assert (summary["num_examples"], summary["num_skipped"]) == (10, 1)
    assert _rows(folder / "skipped.csv") == [
        {"path": str(bad), "reason": "is empty (0 bytes)"}
    ]
    evaluated = _evaluate(workdir, data=_folder(root))
    assert {name: summary["baseline"][name] for name in BINARY_METRICS} == {
        name: evaluated[name] for name in BINARY_METRICS
    }


def test_classes_of_several_fakes_are_measured_real_against_fake(workdir, tmp_path):
    counts = {"real_photos": 4, "glow": 3, "stylegan": 3}
    root = pictures.write_folder(tmp_path / "data", counts, 33)
    summary, _ = _measure(workdir, data=_folder(root), split="all")
    assert summary["num_examples"] == 10
    assert summary["baseline"]["auc"] is not None


def _assert_refused(workdir, match, **settings):
    with pytest.raises(RequestError, match=match) as info:
        _measure(workdir, name="refused", **settings)
    assert "\n" not in str(info.value)
    assert not list(workdir.glob("evaluations/refused*"))


def test_an_unknown_suite_is_refused(workdir):
    _assert_refused(workdir, "`suite`: expected amten, fakespotter", suite="x")


def test_several_processes_are_refused(workdir, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    _assert_refused(workdir, "`mode=suite`: expected one process, found 2")


def test_an_unknown_split_is_refused(workdir):
    _assert_refused(workdir, "`split`: expected train", split="dev")


@pytest.mark.parametrize("name", ["a/b", ".."])
def test_a_name_that_leads_elsewhere_is_refused(workdir, name):
    with pytest.raises(RequestError, match="`name`: expected a plain folder name"):
        _measure(workdir, name=name)


def test_a_single_class_is_refused(workdir, tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"fake": 4}, 16)
    _assert_refused(workdir, "found only fake", data=_folder(root), split="all")


def test_a_class_without_a_readable_picture_is_refused(workdir, tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"fake": 2, "real": 2}, 16)
    for path in root.glob("fake/*"):
        path.write_bytes(b"")
    _assert_refused(workdir, "found only real", data=_folder(root), split="all")


def test_nothing_readable_is_refused(workdir, tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"fake": 2, "real": 2}, 16)
    for path in root.glob("*/*"):
        path.write_bytes(b"")
    _assert_refused(
        workdir, "none of the 4 pictures can be read", data=_folder(root), split="all"
    )


def test_a_picture_that_breaks_on_the_way_is_refused(
    workdir, data_dir, tmp_path, monkeypatch
):
    root = shutil.copytree(data_dir, tmp_path / "data")
    monkeypatch.setattr(perturbed, "MAX_KEPT_BYTES", 0)
    run = apply.apply

    def run_and_break(condition, *arguments, **settings):
        (root / "test" / "fake" / "000.png").write_bytes(b"")
        return run(condition, *arguments, **settings)

    monkeypatch.setattr(apply, "apply", run_and_break)
    _assert_refused(
        workdir,
        r"000.png' could be read at first and then is empty",
        data=_folder(root),
    )


def test_what_is_taken_ahead_keeps_its_order_and_its_errors():
    def numbers():
        yield from range(10)
        raise RequestError("no more")

    found = []
    with pytest.raises(RequestError, match="no more"):
        for number in suite_job._ahead(numbers(), 3):
            found.append(number)
    assert found == list(range(10))


def test_little_is_taken_ahead():
    taken = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    ahead = suite_job._ahead(numbers(), 3)
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()
    assert len(taken) <= 2 + 3
