# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.figures."""

import numpy as np
import pytest
from matplotlib import colors

from fakedet_jax.faces import colours
from fakedet_jax.report import canvas, figures
from tests.report import samples

MATRIX = np.array([[8, 2, 0], [0, 0, 0], [1, 1, 2]])
CLASSES = ("real", "gan", "$_glow")


def test_the_matrix_shows_the_shares_of_each_class():
    figure = figures.confusion(MATRIX, CLASSES)
    (axes,) = figure.axes
    expected = [[0.8, 0.2, 0], [0, 0, 0], [0.25, 0.25, 0.5]]
    np.testing.assert_allclose(axes.images[0].get_array(), expected)
    assert axes.images[0].get_clim() == (0, 1)
    assert samples.ticks(axes.xaxis) == samples.ticks(axes.yaxis)
    assert samples.ticks(axes.xaxis) == ["real", "gan", r"\$_glow"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted", "True class")
    canvas.render(figure)


def test_the_cells_of_the_matrix_have_shares_and_counts():
    (axes,) = figures.confusion(MATRIX, CLASSES).axes
    cells = {text.xy: text for text in axes.texts}
    assert len(cells) == 9
    # Columns come first.
    assert cells[1, 0].get_text() == "20.0 %\n2"
    assert cells[0, 1].get_text() == "none\n0"
    assert cells[0, 0].get_color() == "white"
    assert cells[1, 0].get_color() == canvas.INK


@pytest.mark.parametrize(("num_classes", "num_texts"), [(16, 256), (17, 0)])
def test_a_large_matrix_has_no_numbers(num_classes, num_texts):
    names = [f"class_{index}" for index in range(num_classes)]
    figure = figures.confusion(np.eye(num_classes, dtype=np.int64), names)
    assert len(figure.axes[0].texts) == num_texts


def _histogram(num_classes, size=60):
    rng = np.random.default_rng(0)
    labels, scores = np.arange(size) % num_classes, rng.random(size)
    names = [f"class_{index}" for index in range(num_classes)]
    is_fake = [index > 0 for index in range(num_classes)]
    return figures.score_histogram(labels, scores, 0.3, names, is_fake), labels, scores


def test_each_class_has_a_histogram():
    figure, labels, scores = _histogram(3)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["class_0  (20)", "class_1  (20)", "class_2  (20)"]
    for label, axes in enumerate(figure.axes):
        shade, *bars = axes.patches
        counts, _ = np.histogram(scores[labels == label], bins=40, range=(0, 1))
        heights = [bar.get_height() for bar in bars]
        np.testing.assert_allclose(heights, 100 * counts / 20)
        colour = colours.FAKE if label else colours.REAL
        assert bars[0].get_facecolor() == colors.to_rgba(colour)
        assert axes.get_xlim() == (0, 1)
        assert (shade.get_x(), shade.get_width()) == pytest.approx((0.3, 0.7))
        assert list(axes.lines[0].get_xdata()) == [0.3, 0.3]
    assert figure.axes[-1].get_xlabel() == "Score (evidence of being fake)"
    assert "decided fake at 0.300 and above" in figure.get_suptitle()


@pytest.mark.parametrize(("num_classes", "num_rows"), [(12, 12), (13, 2)])
def test_many_classes_are_pooled(num_classes, num_rows):
    figure, labels, _ = _histogram(num_classes)
    assert len(figure.axes) == num_rows
    if num_rows == 2:
        num_real = np.sum(labels == 0)
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert titles == [f"real  ({num_real})", f"fake  ({60 - num_real})"]


def test_up_to_12_classes_are_not_pooled():
    labels, is_fake = np.arange(12), [label > 0 for label in range(12)]
    classes = [str(label) for label in labels]
    assert figures.pool_classes(labels, classes, is_fake) == (labels, classes, is_fake)


def test_no_pictures_have_empty_histograms():
    empty = np.zeros(0)
    figure = figures.score_histogram(
        empty.astype(np.int64), empty, 0.5, ("real", "fake"), (False, True)
    )
    for axes in figure.axes:
        assert not any(bar.get_height() for bar in axes.patches[1:])
        assert axes.get_ylim() == (0, 5)


def test_an_outlier_does_not_stretch_the_axis():
    core = np.linspace(0, 1, 1000)
    low, high = figures.robust_range(np.append(core, 1e6), np.ones(1001, np.bool_))
    assert low < 0
    assert 1 < high < 2


def test_the_axis_shows_what_it_must():
    low, high = figures.robust_range(np.zeros(3), np.ones(3, np.bool_), (-5.0, 2.0))
    assert low < -5 < 2 < high
