# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the panels and the map of embeddings of exif_anomaly."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from fakedet_jax import report
from fakedet_jax.report import canvas, figures
from fakedet_jax.systems.exif_anomaly import embedding_map
from fakedet_jax.systems.exif_anomaly import panels as anomaly

CLASSES = ("real", "stylegan2", "ldm")
IS_FAKE = (False, True, True)
FAR = -1e6


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, as matplotlib's objects."""
    kept, render = [], canvas.render

    def keep(figure):
        kept.append(figure)
        return render(figure)

    monkeypatch.setattr(canvas, "render", keep)
    return kept


def _open_png(content):
    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert picture.format == "PNG"
    return picture


def _data(size=90, dimensions=5):
    rng = np.random.default_rng(0)
    labels = np.arange(size) % 3
    embeddings = rng.normal(size=(size, dimensions)) * np.arange(dimensions, 0, -1)
    return embeddings.astype(np.float32), rng.normal(-1000, 50, size), labels


def _histogram(values, labels, threshold=-1050.0):
    return anomaly.log_likelihood_histogram(
        np.array(values), np.array(labels), threshold, CLASSES, IS_FAKE
    )


def _map(embeddings, labels):
    return embedding_map.draw(embeddings, np.array(labels), CLASSES, IS_FAKE)


def _points(figure, markers=None, colour=None):
    """The points of a map, `[n, 2]`."""
    lines = [
        line.get_xydata()
        for line in figure.axes[0].lines
        if (markers is None or line.get_marker() in markers)
        and (colour is None or line.get_color() == colour)
    ]
    return np.concatenate([np.zeros((0, 2)), *lines])


def _shares(axes):
    """The heights of all bars of one row, which add up to 100 %."""
    return np.array([bar.get_height() for bar in axes.patches[1:]])


def test_the_panels_are_pictures_with_words():
    embeddings, values, labels = _data()
    panels = [
        report.likelihood_panel(values, labels, -1050.0, CLASSES, IS_FAKE),
        report.embedding_panel(embeddings, labels, CLASSES, IS_FAKE),
    ]
    assert len({panel.title for panel in panels}) == 2
    for panel in panels:
        _open_png(panel.png)
        assert panel.caption.endswith(".")


def test_equal_data_give_equal_bytes():
    embeddings, values, labels = _data()
    first, second = (
        [
            report.likelihood_panel(values, labels, -1050.0, CLASSES, IS_FAKE),
            report.embedding_panel(embeddings, labels, CLASSES, IS_FAKE),
        ]
        for _ in range(2)
    )
    assert first == second


def test_the_likelihoods_of_far_fakes_do_not_hide_those_of_photographs(drawn):
    _, values, labels = _data()
    values[labels == 1] = FAR
    _histogram(values, labels)
    low, high = drawn[0].axes[0].get_xlim()
    reals = values[labels == 0]
    assert low < reals.min() < reals.max() < high
    assert np.ptp(reals) > 0.25 * (high - low)


def test_likelihoods_beyond_the_range_are_gathered_and_counted(drawn):
    _, values, labels = _data()
    values[np.flatnonzero(labels == 1)[:4]] = [FAR, -np.inf, FAR, 2 * FAR]
    _histogram(values, labels)
    _, second, third = drawn[0].axes
    assert second.get_title(loc="left") == "stylegan2  (30; 4 further left)"
    assert _shares(second)[0] >= 100 * 4 / 30
    assert "outermost bars" in third.get_xlabel()


def test_every_picture_is_in_a_bar(drawn):
    _, values, labels = _data()
    values[:2] = FAR, -FAR
    _histogram(values, labels)
    sums = [_shares(axes).sum() for axes in drawn[0].axes]
    assert sums == pytest.approx([100, 100, 100])


def test_nothing_is_said_of_bars_where_all_lies_in_range(drawn):
    _, values, labels = _data()
    _histogram(values, labels)
    assert drawn[0].axes[-1].get_xlabel() == "Log-likelihood (nats)"


@pytest.mark.parametrize("threshold", [-5000.0, -1050.0, 300.0])
def test_the_threshold_is_drawn_and_what_lies_below_is_shaded(drawn, threshold):
    _, values, labels = _data()
    _histogram(values, labels, threshold)
    axes = drawn[0].axes[0]
    low, high = axes.get_xlim()
    assert low < threshold < high
    assert list(axes.lines[0].get_xdata()) == [threshold, threshold]
    shade = axes.patches[0]
    assert [shade.get_x(), shade.get_width()] == pytest.approx([low, threshold - low])


def test_the_heading_says_which_side_is_fake(drawn):
    _histogram([-1000.0, -1200.0], [0, 1], -1050.25)
    text = "decided fake at \N{MINUS SIGN}1,050.2 and below (shaded)"
    assert text in drawn[0].get_suptitle()


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
def test_histograms_of_few_values(values, labels):
    _open_png(_histogram(np.array(values, np.float64), np.array(labels, np.int64)))


@pytest.mark.parametrize(
    ("values", "threshold"), [([0.0, math.nan], 0.0), ([0.0, 1.0], math.inf)]
)
def test_histogram_refuses(values, threshold):
    with pytest.raises(ValueError, match="must not be NaN"):
        _histogram(values, [0, 1], threshold)


def test_the_map_shows_principal_components_of_the_real_pictures(drawn):
    embeddings, _, labels = _data()
    _map(embeddings, labels)
    real = embeddings[labels == 0].astype(np.float64)
    variances, directions = np.linalg.eigh(np.cov(real.T))
    expected = (real - real.mean(axis=0)) @ directions[:, [-1, -2]]
    found = _points(drawn[0], colour=canvas.REAL_COLOUR)
    # The sign of a component is free; the points come in turns.
    for column in range(2):
        np.testing.assert_allclose(
            np.sort(np.abs(found[:, column])),
            np.sort(np.abs(expected[:, column])),
            atol=1e-9,
        )
    share = f"{100 * variances[-1] / variances.sum():.1f} % of the variance"
    assert share in drawn[0].axes[0].get_xlabel()


def test_fakes_do_not_move_the_components(drawn):
    embeddings, _, labels = _data()
    _map(embeddings, labels)
    moved = embeddings.copy()
    moved[labels > 0] += 2.0
    _map(moved, labels)
    one, other = (_points(figure, colour=canvas.REAL_COLOUR) for figure in drawn)
    np.testing.assert_array_equal(one, other)


def test_far_outliers_become_triangles_at_the_border(drawn):
    embeddings, _, labels = _data(dimensions=2)
    outliers = np.flatnonzero(labels == 1)[:4]
    embeddings[outliers] = [(1e5, 0), (-1e5, 0), (0, 1e5), (0, -1e5)]
    _map(embeddings, labels)
    axes = drawn[0].axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert _points(drawn[0], "<")[:, 0] == pytest.approx([left])
    assert _points(drawn[0], ">")[:, 0] == pytest.approx([right])
    assert _points(drawn[0], "v")[:, 1] == pytest.approx([bottom])
    assert _points(drawn[0], "^")[:, 1] == pytest.approx([top])
    assert "4 pictures beyond the frame" in axes.get_xlabel()


def test_far_fakes_do_not_squeeze_the_real_pictures(drawn):
    embeddings, _, labels = _data()
    embeddings[labels == 1] *= 1e4
    _map(embeddings, labels)
    reals = _points(drawn[0], colour=canvas.REAL_COLOUR)
    limits = drawn[0].axes[0].get_xlim(), drawn[0].axes[0].get_ylim()
    assert np.all(np.ptp(reals, axis=0) > 0.25 * np.ptp(limits, axis=1))


def test_every_picture_is_drawn_once(drawn):
    embeddings, _, labels = _data()
    embeddings[:5] *= 1e4
    _map(embeddings, labels)
    assert len(_points(drawn[0])) == len(labels)


def test_of_many_pictures_a_part_is_drawn(drawn):
    embeddings, _, labels = _data(30_000)
    labels[labels == 2] = 1
    labels[:50] = 2
    _map(embeddings, labels)
    inside = "osD"
    assert 2000 < len(_points(drawn[0], inside)) <= 3000
    assert len(_points(drawn[0], "D")) == 50


def test_of_a_single_cloud_nothing_is_beyond_the_frame(drawn):
    embeddings, _, labels = _data(900)
    _map(embeddings, labels)
    assert "beyond" not in drawn[0].axes[0].get_xlabel()


def test_fakes_alone_are_drawn_along_their_own_components(drawn):
    embeddings, _, labels = _data()
    _map(embeddings, labels % 2 + 1)
    axes = drawn[0].axes[0]
    assert axes.get_title(loc="left").endswith("of all pictures")
    assert np.ptp(_points(drawn[0])[:, 0]) > 1


def test_one_dimension_leaves_the_second_component_empty(drawn):
    embeddings, _, labels = _data(dimensions=1)
    _map(embeddings, labels)
    axes = drawn[0].axes[0]
    assert "(100.0 % of the variance)" in axes.get_xlabel()
    assert axes.get_ylabel() == "Second component (0.0 % of the variance)"
    assert not _points(drawn[0])[:, 1].any()


def test_a_component_of_rounding_errors_counts_as_none(drawn):
    line = np.linspace(1, 2, 30)[:, None] * np.array([[0.1, 0.7, 0.3]])
    _map(line, np.zeros(30, np.int64))
    assert not _points(drawn[0])[:, 1].any()


@pytest.mark.parametrize("size", [1, 2, 19])
@pytest.mark.parametrize("dimensions", [1, 4])
@pytest.mark.parametrize("label", [0, 1])
def test_identical_rows_have_no_components(drawn, size, dimensions, label):
    _map(np.full((size, dimensions), 0.1), np.full(size, label))
    axes = drawn[0].axes[0]
    assert "(0.0 % of the variance)" in axes.get_xlabel()
    assert not _points(drawn[0]).any()


def test_a_map_of_nothing_says_so(drawn):
    _open_png(_map(np.zeros((0, 4)), np.zeros(0, np.int64)))
    assert drawn[0].axes[0].texts[0].get_text() == "There is no picture to show."


def test_maps_of_many_classes_pool_them(drawn):
    embeddings, _, _ = _data(120)
    classes = [f"class_{index}" for index in range(40)]
    is_fake = [index > 3 for index in range(40)]
    embedding_map.draw(embeddings, np.arange(120) % 40, classes, is_fake)
    texts = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert texts == ["real  (12)", "fake  (108)"]


def test_every_class_of_a_full_map_has_its_own_look(drawn):
    embeddings, _, _ = _data(120)
    is_fake = [False] * 2 + [True] * 10
    names = [f"$_{'x' * 99}{index}" for index in range(12)]
    embedding_map.draw(embeddings, np.arange(120) % 12, names, is_fake)
    handles = drawn[0].legends[0].legend_handles
    looks = [(line.get_color(), line.get_marker()) for line in handles]
    assert len(set(looks)) == 12
    real = [colour == canvas.REAL_COLOUR for colour, _ in looks]
    assert real == [not fake for fake in is_fake]


@pytest.mark.parametrize("rows", [np.zeros(3), np.full((2, 2), np.nan)])
def test_map_refuses(rows):
    with pytest.raises(ValueError, match="must be finite"):
        _map(rows, np.zeros(len(rows), np.int64))


def test_the_bars_are_the_taus(drawn):
    taus = {"ISO": 0.4, "aperture": -0.2, "exposure time": None, "focal length": 0.95}
    panel = report.ranking_panel(taus)
    _open_png(panel.png)
    axes = drawn[0].axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.4, -0.2, 0.0, 0.95]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(taus)
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.400", "\N{MINUS SIGN}0.200", "undefined", "0.950"]


@pytest.mark.parametrize("tau", [-1.0, -0.71, -0.69, -0.0, 0.69, 0.71, 1.0])
def test_the_number_of_a_bar_stays_in_the_axes(drawn, tau):
    anomaly.ranking_panel({"ISO": tau})
    axes = drawn[0].axes[0]
    frame, text = axes.get_window_extent(), axes.texts[0].get_window_extent()
    assert frame.x0 < text.x0 < text.x1 < frame.x1


@pytest.mark.parametrize("taus", [{}, {"ISO": None}])
def test_ranking_of_nothing(taus):
    _open_png(anomaly.ranking_panel(taus).png)


def test_up_to_12_classes_are_not_pooled():
    labels, is_fake = np.arange(12), [label > 0 for label in range(12)]
    classes = [str(label) for label in labels]
    assert figures.pool_classes(labels, classes, is_fake) == (labels, classes, is_fake)
