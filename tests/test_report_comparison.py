# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.comparison."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as reference

from fakedet_jax import report
from fakedet_jax.report import comparison


def make_run(seed, separation=1.0, size=60, threshold=0.5):
    """An evaluation whose classes overlap the less, the larger `separation` is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    scores = 1 / (1 + np.exp(-rng.normal(separation * (2 * labels - 1), 1)))
    names = [f"{number}.png" for number in range(size)]
    return report.Evaluation(names, labels, scores, threshold)


RUNS = {"amtennet": make_run(0), "autogan, second try": make_run(1, 0.3, threshold=0.4)}


def _rows(folder):
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _size(png):
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture.size


def test_files_of_a_comparison(tmp_path):
    comparison.write_comparison(tmp_path / "new", RUNS)
    found = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert found == ["comparison.csv", "precision_recall.png", "roc.png"]


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
        "num_fake",
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
    comparison.write_comparison(tmp_path, {"silent": make_run(0, threshold=1.0)})
    assert _rows(tmp_path)[0]["precision"] == ""


def test_undefined_precision_is_a_dash_in_the_terminal():
    table = comparison.comparison_table({"silent": make_run(0, threshold=1.0)})
    assert table.splitlines()[1].split()[2] == "-"


def test_terminal_table_is_aligned():
    lines = comparison.comparison_table(RUNS).splitlines()
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_equal_runs_give_equal_pictures(draw):
    assert draw(RUNS) == draw(dict(RUNS))


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_figures_hold_as_many_runs_as_are_allowed(draw):
    runs = {f"run {n}": make_run(n) for n in range(comparison.MAX_RUNS)}
    assert _size(draw(runs))[1] > _size(draw(RUNS))[1]


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_hostile_names_are_drawn_without_warnings(draw):
    names = ("$x^2$", "_hidden", "\N{PILE OF POO} f\udcff", "n" * 300, "a\nb")
    _size(draw({name: make_run(0) for name in names}))


def test_every_allowed_run_looks_different():
    looks = [str(look) for look in comparison._looks()]
    assert len(set(looks)) == len(looks) == comparison.MAX_RUNS
