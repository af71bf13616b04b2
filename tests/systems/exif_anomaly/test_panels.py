# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.panels."""

import math

import numpy as np
import pytest

from fakedet_jax.report import canvas
from fakedet_jax.systems.exif_anomaly import panels

CLASSES = ("real", "stylegan2", "ldm")
IS_FAKE = (False, True, True)
FAR = -1e6


def _data(size=90, dimensions=5):
    rng = np.random.default_rng(0)
    labels = np.arange(size) % 3
    embeddings = rng.normal(size=(size, dimensions)) * np.arange(dimensions, 0, -1)
    return embeddings.astype(np.float32), rng.normal(-1000, 50, size), labels


def _histogram(values, labels, threshold=-1050.0):
    return panels.likelihood_panel(
        np.array(values), np.array(labels), threshold, CLASSES, IS_FAKE
    ).figure


def _shares(axes):
    """The heights of all bars of one row, which add up to 100 %."""
    return np.array([bar.get_height() for bar in axes.patches[1:]])


def test_the_panels_are_figures_with_words():
    embeddings, values, labels = _data()
    drawn = [
        panels.likelihood_panel(values, labels, -1050.0, CLASSES, IS_FAKE),
        panels.embedding_panel(embeddings, labels, CLASSES, IS_FAKE),
        panels.ranking_panel({"ISO": 0.4}),
    ]
    assert [len(panel.figure.axes) for panel in drawn] == [3, 1, 1]
    assert len({panel.title for panel in drawn}) == 3
    for panel in drawn:
        assert canvas.render(panel.figure)
        assert panel.caption.endswith(".")


def test_equal_data_give_equal_bytes():
    _, values, labels = _data()
    one, other = (canvas.render(_histogram(values, labels)) for _ in range(2))
    assert one == other


def test_the_likelihoods_of_far_fakes_do_not_hide_those_of_photographs():
    _, values, labels = _data()
    values[labels == 1] = FAR
    figure = _histogram(values, labels)
    low, high = figure.axes[0].get_xlim()
    reals = values[labels == 0]
    assert low < reals.min() < reals.max() < high
    assert np.ptp(reals) > 0.25 * (high - low)


def test_likelihoods_beyond_the_range_are_gathered_and_counted():
    _, values, labels = _data()
    values[np.flatnonzero(labels == 1)[:4]] = [FAR, -np.inf, FAR, 2 * FAR]
    figure = _histogram(values, labels)
    _, second, third = figure.axes
    assert second.get_title(loc="left") == "stylegan2  (30; 4 further left)"
    assert _shares(second)[0] >= 100 * 4 / 30
    assert "outermost bars" in third.get_xlabel()


def test_every_picture_is_in_a_bar():
    _, values, labels = _data()
    values[:2] = FAR, -FAR
    figure = _histogram(values, labels)
    sums = [_shares(axes).sum() for axes in figure.axes]
    assert sums == pytest.approx([100, 100, 100])


def test_nothing_is_said_of_bars_where_all_lies_in_range():
    _, values, labels = _data()
    figure = _histogram(values, labels)
    assert figure.axes[-1].get_xlabel() == "Log-likelihood (nats)"


@pytest.mark.parametrize("threshold", [-5000.0, -1050.0, 300.0])
def test_the_threshold_is_drawn_and_what_lies_below_is_shaded(threshold):
    _, values, labels = _data()
    figure = _histogram(values, labels, threshold)
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert low < threshold < high
    assert list(axes.lines[0].get_xdata()) == [threshold, threshold]
    shade = axes.patches[0]
    assert [shade.get_x(), shade.get_width()] == pytest.approx([low, threshold - low])


def test_the_heading_says_which_side_is_fake():
    figure = _histogram([-1000.0, -1200.0], [0, 1], -1050.25)
    text = "decided fake at \N{MINUS SIGN}1,050.2 and below (shaded)"
    assert text in figure.get_suptitle()


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([], []),
        ([-1000.0], [0]),
        ([-1050.0] * 4, [0, 1, 2, 2]),
        ([-1000.0, -1e300], [1, 2]),
        ([-np.inf] * 3, [0, 1, 2]),
    ],
)
@pytest.mark.slow
def test_histograms_of_few_values(values, labels):
    figure = _histogram(np.array(values, np.float64), np.array(labels, np.int64))
    for label, axes in enumerate(figure.axes):
        expected = 100 if label in labels else 0
        assert _shares(axes).sum() == pytest.approx(expected)
    assert canvas.render(figure)


@pytest.mark.parametrize(
    ("values", "threshold"), [([0.0, math.nan], 0.0), ([0.0, 1.0], math.inf)]
)
def test_histogram_refuses(values, threshold):
    with pytest.raises(ValueError, match="must not be NaN"):
        _histogram(values, [0, 1], threshold)


def test_the_bars_are_the_taus():
    taus = {"ISO": 0.4, "aperture": -0.2, "exposure time": None, "focal length": 0.95}
    figure = panels.ranking_panel(taus).figure
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.4, -0.2, 0.0, 0.95]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(taus)
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.400", "\N{MINUS SIGN}0.200", "undefined", "0.950"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((-1, 1), (3.5, -0.5))
    assert canvas.render(figure)


@pytest.mark.parametrize("tau", [-1.0, -0.71, -0.69, -0.0, 0.69, 0.71, 1.0])
def test_the_number_of_a_bar_stays_in_the_axes(tau):
    figure = panels.ranking_panel({"ISO": tau}).figure
    canvas.render(figure)
    axes = figure.axes[0]
    frame, text = axes.get_window_extent(), axes.texts[0].get_window_extent()
    assert frame.x0 < text.x0 < text.x1 < frame.x1


@pytest.mark.parametrize(
    ("taus", "text"),
    [({}, "No camera setting was measured."), ({"ISO": None}, "undefined")],
)
def test_ranking_of_nothing(taus, text):
    (axes,) = panels.ranking_panel(taus).figure.axes
    assert [one.get_text() for one in axes.texts] == [text]
