# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.comparison."""

import csv
import dataclasses

import numpy as np
import pytest
from sklearn import metrics as reference

from fakedet_jax import report
from fakedet_jax.evaluation import delong
from fakedet_jax.report import canvas, comparison, curves
from tests.report import samples


def make_run(seed, separation=1.0, size=60, threshold=0.5):
    """An evaluation whose classes overlap the less, the larger `separation` is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    scores = 1 / (1 + np.exp(-rng.normal(separation * (2 * labels - 1), 1)))
    names = [f"{number}.png" for number in range(size)]
    return report.Evaluation(names, labels, scores, threshold)


RUNS = {"one": make_run(0), "two, second try": make_run(1, 0.3, threshold=0.4)}


def _rows(folder):
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _named(*names):
    """Runs on the same pictures."""
    return {name: make_run(7, 0.2 * number) for number, name in enumerate(names, 1)}


def test_files_of_a_comparison(tmp_path):
    comparison.write_comparison(tmp_path / "new", RUNS)
    found = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert found == ["comparison.csv", "precision_recall.png", "report.html", "roc.png"]


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
        "auc_low",
        "auc_high",
        "auc_change",
        "auc_change_low",
        "auc_change_high",
        "note",
    ]


def test_runs_on_the_same_pictures_have_the_interval_of_their_difference(tmp_path):
    first, other = make_run(0), make_run(0, 4.0)
    order = np.random.default_rng(0).permutation(len(other.names))
    shuffled = dataclasses.replace(
        other,
        names=[other.names[place] for place in order],
        labels=other.labels[order],
        scores=other.scores[order],
    )
    runs = {"first": first, "other": shuffled, "elsewhere": make_run(1)}
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


def test_runs_of_frames_have_no_intervals(tmp_path):
    runs = {"first": make_run(0), "frames": make_run(0, 4.0)}
    comparison.write_comparison(tmp_path, runs, of_frames=["frames"])
    _, row = _rows(tmp_path)
    assert row["auc_low"] == row["auc_change"] == ""


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
    assert table.splitlines()[1].split()[2] == "—"


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


BOTH = pytest.mark.parametrize("curve", [curves.PRECISION_RECALL, curves.ROC])


def _boxes(figure):
    """The corners of the axes and of the legend, in inches."""
    canvas.render(figure)
    (axes,) = figure.axes
    boxes = [part.get_window_extent() for part in (axes, axes.get_legend())]
    return [box.extents / figure.dpi for box in boxes]


@BOTH
def test_equal_runs_give_equal_pictures(curve):
    one, other = (comparison.comparison_figure(curve, dict(RUNS)) for _ in range(2))
    assert canvas.render(one) == canvas.render(other)


def test_each_run_has_its_curve_and_its_area():
    figure = comparison.comparison_figure(curves.ROC, RUNS)
    (axes,) = figure.axes
    *lines, chance = axes.lines
    areas = []
    for line, run in zip(lines, RUNS.values(), strict=True):
        expected = reference.roc_curve(run.labels, run.scores, drop_intermediate=False)
        found = line.get_xdata(), line.get_ydata()
        np.testing.assert_allclose(found, expected[:2])
        areas.append(reference.roc_auc_score(run.labels, run.scores))
    assert list(chance.get_ydata()) == [0, 1]
    assert samples.legend(figure) == [
        f"{areas[0]:.3f}  one",
        f"{areas[1]:.3f}  two, second try*",
        "0.500  chance",
    ]
    assert axes.get_legend().get_title().get_text() == "AUC"
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1))


def test_chance_is_a_line_where_all_runs_have_the_same_share_of_fakes():
    runs = _named("one", "two")
    share = runs["one"].fake.mean()
    figure = comparison.comparison_figure(curves.PRECISION_RECALL, runs)
    assert list(figure.axes[0].lines[-1].get_ydata()) == [share, share]
    assert samples.legend(figure)[-1] == f"{share:.3f}  chance"
    figure = comparison.comparison_figure(curves.PRECISION_RECALL, RUNS)
    assert len(figure.axes[0].lines) == len(samples.legend(figure)) == 2


@BOTH
def test_figures_hold_as_many_runs_as_are_allowed(curve):
    runs = {f"run {n}": make_run(n) for n in range(comparison.MAX_RUNS)}
    figure = comparison.comparison_figure(curve, runs)
    looks = {
        (line.get_color(), str(line.get_linestyle()), str(line._dash_pattern))
        for line in figure.axes[0].lines[: len(runs)]
    }
    assert len(looks) == comparison.MAX_RUNS
    assert figure.get_figheight() > 7


_LONG = "a detector with a long name on MobileFaceNet, activations, seed"


@pytest.mark.few(3)
@BOTH
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
def test_figures_fill_their_canvas_and_no_more(curve, names):
    figure = comparison.comparison_figure(curve, _named(*names))
    frame, legend = _boxes(figure)
    width, height = figure.get_size_inches()
    np.testing.assert_allclose(frame[2:] - frame[:2], 5.3)
    assert 0 < frame[0] < 1
    assert 0 < width - frame[2] < 0.4
    assert 0 < height - frame[3] < 0.6
    # The legend is beneath the axes, no wider than they are, and at the bottom.
    assert 0 < legend[1] < 0.4
    assert legend[3] < frame[1]
    assert frame[0] - 0.01 <= legend[0] < legend[2] <= frame[2] + 0.01


def test_both_figures_have_the_same_frame():
    runs = _named("one", "two")
    (first, *_), (second, *_) = (
        _boxes(comparison.comparison_figure(curve, runs))
        for curve in (curves.ROC, curves.PRECISION_RECALL)
    )
    np.testing.assert_allclose(first, second)


def test_both_ends_of_long_names_are_shown():
    names = [f"{'x' * 100} {'y' * 100} {number}" for number in (1, 2)]
    figure = comparison.comparison_figure(curves.ROC, _named(*names))
    for name, text in zip(names, samples.legend(figure), strict=False):
        assert text.split("  ")[1].startswith("x")
        assert text.endswith(name[-10:])


@BOTH
def test_figures_mark_runs_that_do_not_compare(curve):
    one = make_run(0)
    figure = comparison.comparison_figure(curve, {"one": one, "two": _moved(one)})
    marked = [text.endswith("*") for text in samples.legend(figure)]
    assert marked[:2] == [False, True]
    (note,) = [text.get_text() for text in figure.texts]
    assert note.startswith("* not the same pictures")
    same = comparison.comparison_figure(curve, {"one": one, "two": one})
    assert not same.texts
    assert same.get_figheight() < figure.get_figheight()


@BOTH
def test_hostile_names_are_drawn_without_warnings(curve):
    names = ("$x^2$", "_hidden", "\N{PILE OF POO} f\udcff", "n" * 300, "a\nb")
    runs = {name: make_run(0) for name in names}
    figure = comparison.comparison_figure(curve, runs)
    assert canvas.render(figure)
    assert len(samples.legend(figure)) == len(names) + 1
