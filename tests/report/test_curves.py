# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.curves."""

import numpy as np
import pytest
from sklearn import metrics as reference

from fakedet_jax.report import canvas, curves
from tests.report import samples

BOTH = pytest.mark.parametrize("curve", [curves.ROC, curves.PRECISION_RECALL])
FAKE = np.array([False, True, False, True, True])
SCORES = np.array([0.1, 0.9, 0.7, 0.2, 0.8])


def _points(line):
    return np.array([line.get_xdata(), line.get_ydata()])


@BOTH
def test_axes_go_from_0_to_1_and_say_what_they_show(curve):
    axes = curves.draw(curve, FAKE, SCORES, 0.5).axes[0]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1))
    assert axes.get_title(loc="left") == curve.title
    assert (axes.get_xlabel(), axes.get_ylabel()) == (curve.x_label, curve.y_label)


def test_the_roc_curve_equals_scikit_learn():
    figure = curves.draw(curves.ROC, FAKE, SCORES, 0.5)
    curve, chance, mark = figure.axes[0].lines
    expected = reference.roc_curve(FAKE, SCORES, drop_intermediate=False)[:2]
    np.testing.assert_allclose(_points(curve), expected)
    np.testing.assert_array_equal(_points(chance), [[0, 1], [0, 1]])
    # One of two real pictures, and two of three fakes, are at or above 0.5.
    np.testing.assert_allclose(_points(mark), [[1 / 2], [2 / 3]])
    area = reference.roc_auc_score(FAKE, SCORES)
    expected = [f"AUC {area:.3f}", "chance", "at the threshold 0.500"]
    assert samples.legend(figure) == expected


def test_the_precision_recall_curve_equals_scikit_learn():
    figure = curves.draw(curves.PRECISION_RECALL, FAKE, SCORES, 0.15)
    curve, chance, mark = figure.axes[0].lines
    precision, recall, _ = reference.precision_recall_curve(FAKE, SCORES)
    np.testing.assert_allclose(_points(curve), [recall, precision])
    assert curve.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(_points(chance), [[0, 1], [0.6, 0.6]])
    np.testing.assert_allclose(_points(mark), [[1], [3 / 4]])
    area = reference.average_precision_score(FAKE, SCORES)
    assert samples.legend(figure)[0] == f"Average precision {area:.3f}"


def test_without_alarms_there_is_no_precision_to_mark():
    figure = curves.draw(curves.PRECISION_RECALL, FAKE, SCORES, 1.0)
    assert len(figure.axes[0].lines) == 2
    assert len(curves.draw(curves.ROC, FAKE, SCORES, 1.0).axes[0].lines) == 3


@BOTH
@pytest.mark.parametrize("size", [0, 3])
def test_a_sentence_replaces_a_curve_that_is_undefined(curve, size):
    fake = np.zeros(size, np.bool_)
    figure = curves.draw(curve, fake, np.zeros(size), 0.5)
    assert samples.texts(figure.axes[0]) == [curve.missing]
    assert not figure.axes[0].lines and not figure.legends


@BOTH
def test_of_many_scores_a_part_is_drawn(curve):
    rng = np.random.default_rng(0)
    fake, scores = rng.random(200_000) < 0.5, rng.random(200_000)
    figure = curves.draw(curve, fake, scores, 0.5)
    drawn = _points(figure.axes[0].lines[0])
    assert drawn.shape == (2, 4000)
    assert sorted(drawn[0, [0, -1]]) == [0, 1]
    canvas.render(figure)
