# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.comparison."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics as reference

from fakedet_jax import report
from fakedet_jax.evaluation import delong
from fakedet_jax.report import comparison
from tests.report import samples

RUNS = {"one": samples.run(0), "two, second try": samples.run(1, 0.3, threshold=0.4)}


def _rows(folder):
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(runs):
    return comparison.comparison_table(comparison.summarize(runs))


def test_files_of_a_comparison(tmp_path):
    comparison.write_comparison(tmp_path / "new", RUNS)
    found = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert found == [
        "comparison.csv",
        "comparison.json",
        "precision_recall.png",
        "report.html",
        "roc.png",
    ]


def test_columns_of_the_table(tmp_path):
    comparison.write_comparison(tmp_path, RUNS)
    assert list(_rows(tmp_path)[0]) == [
        "name",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "average_precision",
        "auc",
        "fpr",
        "fnr",
        "threshold",
        "num_examples",
        "num_real",
        "num_fake",
        "auc_low",
        "auc_high",
        "fpr_low",
        "fpr_high",
        "fnr_low",
        "fnr_high",
        "auc_change",
        "auc_change_low",
        "auc_change_high",
        "note",
    ]


def test_runs_on_the_same_pictures_have_the_interval_of_their_difference(tmp_path):
    first, other = samples.run(0), samples.run(0, 4.0)
    order = np.random.default_rng(0).permutation(len(other.names))
    shuffled = dataclasses.replace(
        other,
        names=[other.names[place] for place in order],
        labels=other.labels[order],
        scores=other.scores[order],
    )
    runs = {"first": first, "other": shuffled, "elsewhere": samples.run(1)}
    comparison.write_comparison(tmp_path, runs)
    rows = {row["name"]: row for row in _rows(tmp_path)}
    change, ends = delong.difference_interval(first.fake, first.scores, other.scores)
    found = rows["other"]
    assert float(found["auc_change"]) == pytest.approx(change)
    assert (
        float(found["auc_change_low"]),
        float(found["auc_change_high"]),
    ) == pytest.approx(ends)
    assert rows["first"]["auc_change"] == rows["elsewhere"]["auc_change"] == ""
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<td>better</td>") == 1
    assert "disagree on what is real" in page


def test_runs_of_frames_have_the_intervals_of_their_evaluation(tmp_path):
    runs = {"first": samples.run(0), "frames": samples.run(0, 4.0)}
    known = {"auc": (0.75, 1.0), "fpr": (0.0, 0.25), "fnr": None}
    comparison.write_comparison(tmp_path, runs, of_frames={"frames": known})
    _, row = _rows(tmp_path)
    found = [row[f"{name}_{end}"] for name in known for end in ("low", "high")]
    assert found == ["0.75", "1.0", "0.0", "0.25", "", ""]
    # Which frames are alike, their scores do not tell.
    assert row["auc_change"] == ""


def _of_counts(called_fake, real, missed, fake, threshold=0.25):
    """A run of which so many pictures of each kind are on the wrong side."""
    scores = [
        # A score that equals the threshold is decided fake.
        *([threshold] * called_fake + [0.0] * (real - called_fake)),
        *([0.125] * missed + [1.0] * (fake - missed)),
    ]
    names = [str(number) for number in range(real + fake)]
    return report.Evaluation(names, [0] * real + [1] * fake, scores, threshold)


# 2 of 10: (0.2 + 1.9208 / 10) / 1.38415 ± 1.96 √(0.016 + 0.0096) / 1.38415
# 1 of 8: (0.125 + 1.9208 / 8) / 1.48018 ± 1.96 √(0.013672 + 0.015006) / 1.48018
COUNTED = _of_counts(2, 10, 1, 8)
OF_2_IN_10, OF_1_IN_8 = (0.05668, 0.50984), (0.02242, 0.47089)


def test_false_alarms_and_misses_at_the_stored_threshold_have_their_intervals(tmp_path):
    other = _of_counts(0, 10, 8, 8)
    comparison.write_comparison(tmp_path, {"one": COUNTED, "other": other})
    summary = json.loads((tmp_path / "comparison.json").read_text())
    one, two = summary["rows"]
    assert summary["interval_level"] == 0.95
    assert (one["threshold"], one["num_real"], one["num_fake"]) == (0.25, 10, 8)
    assert (one["fpr"], one["fnr"]) == (0.2, 0.125)
    assert one["fpr_interval"] == pytest.approx(OF_2_IN_10, abs=1e-5)
    assert one["fnr_interval"] == pytest.approx(OF_1_IN_8, abs=1e-5)
    # Where none or all are wrong, others still may differ: z² / (n + z²).
    assert two["fpr_interval"] == pytest.approx([0, 0.27753], abs=1e-5)
    assert two["fnr_interval"] == pytest.approx([1 - 0.32441, 1], abs=1e-5)
    row = _rows(tmp_path)[0]
    ends = [row[f"{rate}_{end}"] for rate in ("fpr", "fnr") for end in ("low", "high")]
    expected = [*OF_2_IN_10, *OF_1_IN_8]
    assert list(map(float, ends)) == pytest.approx(expected, abs=1e-5)


def test_the_page_and_the_terminal_tell_both_errors_with_intervals(tmp_path):
    summary = comparison.write_comparison(tmp_path, {"one": COUNTED})
    content = samples.read(tmp_path).content.replace("\N{NO-BREAK SPACE}", " ")
    assert "20.0 % 5.7 % to 51.0 %" in content
    assert "12.5 % 2.2 % to 47.1 %" in content
    *_, head, row = comparison.comparison_table(summary).splitlines()
    assert " ".join(head.split()) == "run threshold real false alarms fake misses"
    assert row.split() == [
        *("one", "0.2500"),
        *("10", "0.200", "[0.057,", "0.510]"),
        *("8", "0.125", "[0.022,", "0.471]"),
    ]


@pytest.mark.parametrize("name", RUNS)
def test_metrics_equal_scikit_learn(tmp_path, name):
    comparison.write_comparison(tmp_path, RUNS)
    row = next(row for row in _rows(tmp_path) if row["name"] == name)
    run = RUNS[name]
    decided = run.scores >= run.threshold
    recall = reference.recall_score(run.labels, decided)
    expected = {
        "precision": reference.precision_score(run.labels, decided),
        "recall": recall,
        "f1": reference.f1_score(run.labels, decided),
        "accuracy": reference.accuracy_score(run.labels, decided),
        "average_precision": reference.average_precision_score(run.labels, run.scores),
        "auc": reference.roc_auc_score(run.labels, run.scores),
        "fpr": 1 - reference.recall_score(run.labels, decided, pos_label=0),
        "fnr": 1 - recall,
        "threshold": run.threshold,
        "num_examples": 60,
        "num_fake": run.labels.sum(),
    }
    found = {key: float(row[key]) for key in expected}
    assert found == pytest.approx(expected, rel=1e-12)


def test_undefined_precision_is_an_empty_cell(tmp_path):
    comparison.write_comparison(tmp_path, {"silent": samples.run(0, threshold=1.0)})
    assert _rows(tmp_path)[0]["precision"] == ""


def test_undefined_precision_is_a_dash_in_the_terminal():
    table = _table({"silent": samples.run(0, threshold=1.0)})
    assert table.splitlines()[1].split()[2] == "—"


def test_terminal_table_is_aligned():
    lines = _table(RUNS).splitlines()
    height = 1 + len(RUNS)
    for table in lines[:height], lines[height + 1 : 2 * height + 1]:
        assert len({len(line) for line in table}) == 1


def test_runs_on_the_same_pictures_have_no_differences():
    runs = samples.named_runs("one", "two")
    assert comparison.differences(runs) == {}
    assert "*" not in _table(runs)


def test_different_pictures_are_counted_and_one_is_named():
    one = samples.run(0)
    runs = {"one": one, "same": one, "two": samples.moved(one)}
    assert comparison.differences(runs) == {
        "two": (
            "one and two were measured on different pictures: 1 only in one, 1 only in "
            "two, such as '59.png'",
        )
    }


def test_contrary_labels_are_counted_and_one_is_named():
    one = samples.run(0)
    labels = np.where(np.arange(60) == 5, 1 - one.labels, one.labels)
    runs = {"one": one, "two": dataclasses.replace(one, labels=labels)}
    assert comparison.differences(runs) == {
        "two": (
            "one and two disagree on what is real and what is fake for 1 picture, such "
            "as '5.png'",
        )
    }


def test_rows_that_do_not_compare_are_marked_and_explained_below_the_table():
    one = samples.run(0)
    runs = {"one": one, "two": samples.moved(one), "three": one}
    *lines, note = _table(runs).splitlines()
    for rows in lines[1:4], lines[6:]:
        assert [row.split()[0] for row in rows] == ["one", "two*", "three"]
    assert note == f"* {comparison.differences(runs)['two'][0]}"


def test_rows_that_do_not_compare_have_a_note_in_the_file(tmp_path):
    one = samples.run(0)
    runs = {"one": one, "two": samples.moved(one)}
    comparison.write_comparison(tmp_path, runs)
    first, second = (row["note"] for row in _rows(tmp_path))
    assert first == ""
    assert second == comparison.differences(runs)["two"][0]
