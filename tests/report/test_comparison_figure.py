# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.comparison_figure."""

import numpy as np
import pytest
from sklearn import metrics as reference

from fakedet_jax.report import canvas, curves
from fakedet_jax.report.comparison_figure import MAX_RUNS, comparison_figure
from tests.report import samples

RUNS = {"one": samples.run(0), "two, second try": samples.run(1, 0.3, threshold=0.4)}

BOTH = pytest.mark.parametrize("curve", [curves.PRECISION_RECALL, curves.ROC])


def _boxes(figure):
    """The corners of the axes and of the legend, in inches."""
    canvas.render(figure)
    (axes,) = figure.axes
    boxes = [part.get_window_extent() for part in (axes, axes.get_legend())]
    return [box.extents / figure.dpi for box in boxes]


@BOTH
def test_equal_runs_give_equal_pictures(curve):
    one, other = (comparison_figure(curve, dict(RUNS)) for _ in range(2))
    assert canvas.render(one) == canvas.render(other)


def test_each_run_has_its_curve_and_its_area():
    figure = comparison_figure(curves.ROC, RUNS, ["two, second try"])
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
    runs = samples.named_runs("one", "two")
    share = runs["one"].fake.mean()
    figure = comparison_figure(curves.PRECISION_RECALL, runs)
    assert list(figure.axes[0].lines[-1].get_ydata()) == [share, share]
    assert samples.legend(figure)[-1] == f"{share:.3f}  chance"
    figure = comparison_figure(curves.PRECISION_RECALL, RUNS)
    assert len(figure.axes[0].lines) == len(samples.legend(figure)) == 2


@BOTH
def test_figures_hold_as_many_runs_as_are_allowed(curve):
    runs = {f"run {n}": samples.run(n) for n in range(MAX_RUNS)}
    figure = comparison_figure(curve, runs)
    looks = {
        (line.get_color(), str(line.get_linestyle()), str(line._dash_pattern))
        for line in figure.axes[0].lines[: len(runs)]
    }
    assert len(looks) == MAX_RUNS
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
    figure = comparison_figure(curve, samples.named_runs(*names))
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
    runs = samples.named_runs("one", "two")
    (first, *_), (second, *_) = (
        _boxes(comparison_figure(curve, runs))
        for curve in (curves.ROC, curves.PRECISION_RECALL)
    )
    np.testing.assert_allclose(first, second)


def test_both_ends_of_long_names_are_shown():
    names = [f"{'x' * 100} {'y' * 100} {number}" for number in (1, 2)]
    figure = comparison_figure(curves.ROC, samples.named_runs(*names))
    for name, text in zip(names, samples.legend(figure), strict=False):
        assert text.split("  ")[1].startswith("x")
        assert text.endswith(name[-10:])


@BOTH
def test_figures_mark_runs_that_do_not_compare(curve):
    one = samples.run(0)
    figure = comparison_figure(curve, {"one": one, "two": one}, ["two"])
    marked = [text.endswith("*") for text in samples.legend(figure)]
    assert marked[:2] == [False, True]
    (note,) = [text.get_text() for text in figure.texts]
    assert note.startswith("* not the same pictures")
    same = comparison_figure(curve, {"one": one, "two": one})
    assert not same.texts
    assert same.get_figheight() < figure.get_figheight()


@BOTH
def test_hostile_names_are_drawn_without_warnings(curve):
    names = ("$x^2$", "_hidden", "\N{PILE OF POO} f\udcff", "n" * 300, "a\nb")
    runs = {name: samples.run(0) for name in names}
    figure = comparison_figure(curve, runs)
    assert canvas.render(figure)
    assert len(samples.legend(figure)) == len(names) + 1
