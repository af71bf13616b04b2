# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.comparison."""

import csv
import dataclasses
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


def _ink(png):
    """The first and last columns and rows that are not white, and the size."""
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    rows, columns = np.nonzero(picture < 250)
    ends = columns.min(), columns.max(), rows.min(), rows.max()
    return np.array(ends), picture.shape[::-1]


def _named(*names):
    """Runs on the same pictures."""
    return {name: make_run(7, 0.2 * number) for number, name in enumerate(names, 1)}


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
        "note",
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
    assert len({len(line) for line in lines[: 1 + len(RUNS)]}) == 1


def _moved(run, name="elsewhere.png"):
    """The same run but for the name of its last picture."""
    return dataclasses.replace(run, names=[*run.names[:-1], name])


def test_runs_on_the_same_pictures_have_no_differences():
    runs = _named("one", "two")
    assert comparison.differences(runs) == {}
    assert comparison.comparison_table(runs).count("\n") == 2


def test_different_pictures_are_counted_and_one_is_named():
    one = make_run(0)
    runs = {"one": one, "same": one, "two": _moved(one)}
    assert comparison.differences(runs) == {
        "two": (
            "one and two were measured on different pictures: 1 only in one, 1 only in "
            "two, such as '59.png'",
        )
    }


def test_contrary_labels_are_counted_and_one_is_named():
    one = make_run(0)
    labels = np.where(np.arange(60) == 5, 1 - one.labels, one.labels)
    runs = {"one": one, "two": dataclasses.replace(one, labels=labels)}
    assert comparison.differences(runs) == {
        "two": (
            "one and two disagree on what is real and what is fake for 1 picture, such "
            "as '5.png'",
        )
    }


def test_rows_that_do_not_compare_are_marked_and_explained_below_the_table():
    one = make_run(0)
    runs = {"one": one, "two": _moved(one), "three": one}
    head, *rows, note = comparison.comparison_table(runs).splitlines()
    assert [row.split()[0] for row in rows] == ["one", "two*", "three"]
    assert {len(row) for row in rows} == {len(head)}
    assert note == f"* {comparison.differences(runs)['two'][0]}"


def test_rows_that_do_not_compare_have_a_note_in_the_file(tmp_path):
    one = make_run(0)
    runs = {"one": one, "two": _moved(one)}
    comparison.write_comparison(tmp_path, runs)
    first, second = (row["note"] for row in _rows(tmp_path))
    assert first == ""
    assert second == comparison.differences(runs)["two"][0]


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_equal_runs_give_equal_pictures(draw):
    assert draw(RUNS) == draw(dict(RUNS))


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_figures_hold_as_many_runs_as_are_allowed(draw):
    runs = {f"run {n}": make_run(n) for n in range(comparison.MAX_RUNS)}
    assert _size(draw(runs))[1] > _size(draw(RUNS))[1]


_LONG = "FakeSpotter on MobileFaceNet, synthetic faces, activations, seed"


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
@pytest.mark.parametrize(
    "names",
    [
        ("one",),
        ("one", "two"),
        tuple("abcdefgh"),
        tuple(f"{_LONG} {number}" for number in range(8)),
        ("W" * 60, "i" * 60),
    ],
    ids=["one", "two", "eight", "long", "wide"],
)
def test_figures_fill_their_canvas_and_no_more(draw, names):
    (left, right, top, bottom), (width, height) = _ink(draw(_named(*names)))
    margin = 0.4 * 144  # inches
    assert 0 < left < margin
    assert 0 < top < margin
    assert 0 < width - right < margin
    assert 0 < height - bottom < margin


def test_both_figures_have_the_same_frame():
    runs = _named("one", "two")
    roc, precision_recall = comparison.roc(runs), comparison.precision_recall(runs)
    assert _size(roc) == _size(precision_recall)
    np.testing.assert_allclose(_ink(roc)[0], _ink(precision_recall)[0], atol=3)


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_ends_of_long_names_can_be_told_apart(draw):
    assert draw(_named(_LONG + " 1")) != draw(_named(_LONG + " 2"))


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_figures_mark_runs_that_do_not_compare(draw):
    one = make_run(0)
    marked = draw({"one": one, "two": _moved(one)})
    assert _size(marked)[1] > _size(draw({"one": one, "two": one}))[1]


@pytest.mark.parametrize("draw", [comparison.precision_recall, comparison.roc])
def test_hostile_names_are_drawn_without_warnings(draw):
    names = ("$x^2$", "_hidden", "\N{PILE OF POO} f\udcff", "n" * 300, "a\nb")
    _size(draw({name: make_run(0) for name in names}))


def test_every_allowed_run_looks_different():
    looks = [str(look) for look in comparison._looks()]
    assert len(set(looks)) == len(looks) == comparison.MAX_RUNS
