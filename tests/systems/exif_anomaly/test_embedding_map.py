# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.embedding_map."""

import numpy as np
import pytest

from fakedet_jax.faces import colours
from fakedet_jax.report import canvas
from fakedet_jax.systems.exif_anomaly import embedding_map

CLASSES = ("real", "stylegan2", "ldm")
IS_FAKE = (False, True, True)


def _data(size=90, dimensions=5):
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(size, dimensions)) * np.arange(dimensions, 0, -1)
    return embeddings.astype(np.float32), np.arange(size) % 3


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


def test_axes_and_legend_say_what_they_show():
    embeddings, labels = _data()
    figure = _map(embeddings, labels)
    (axes,) = figure.axes
    title = "Embeddings, along the principal components of real pictures"
    assert axes.get_title(loc="left") == title
    assert axes.get_xlabel().startswith("First component (")
    assert axes.get_ylabel().startswith("Second component (")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["real  (30)", "stylegan2  (30)", "ldm  (30)"]
    assert canvas.render(figure) == canvas.render(_map(embeddings, labels))


def test_the_map_shows_principal_components_of_the_real_pictures():
    embeddings, labels = _data()
    figure = _map(embeddings, labels)
    real = embeddings[labels == 0].astype(np.float64)
    variances, directions = np.linalg.eigh(np.cov(real.T))
    expected = (real - real.mean(axis=0)) @ directions[:, [-1, -2]]
    found = _points(figure, colour=colours.REAL)
    # The sign of a component is free; the points come in turns.
    for column in range(2):
        np.testing.assert_allclose(
            np.sort(np.abs(found[:, column])),
            np.sort(np.abs(expected[:, column])),
            atol=1e-9,
        )
    share = f"{100 * variances[-1] / variances.sum():.1f} % of the variance"
    assert share in figure.axes[0].get_xlabel()


def test_fakes_do_not_move_the_components():
    embeddings, labels = _data()
    moved = embeddings.copy()
    moved[labels > 0] += 2.0
    one, other = (
        _points(_map(rows, labels), colour=colours.REAL) for rows in (embeddings, moved)
    )
    np.testing.assert_array_equal(one, other)


def test_far_outliers_become_triangles_at_the_border():
    embeddings, labels = _data(dimensions=2)
    outliers = np.flatnonzero(labels == 1)[:4]
    embeddings[outliers] = [(1e5, 0), (-1e5, 0), (0, 1e5), (0, -1e5)]
    figure = _map(embeddings, labels)
    axes = figure.axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert _points(figure, "<")[:, 0] == pytest.approx([left])
    assert _points(figure, ">")[:, 0] == pytest.approx([right])
    assert _points(figure, "v")[:, 1] == pytest.approx([bottom])
    assert _points(figure, "^")[:, 1] == pytest.approx([top])
    assert "4 pictures beyond the frame" in axes.get_xlabel()


def test_far_fakes_do_not_squeeze_the_real_pictures():
    embeddings, labels = _data()
    embeddings[labels == 1] *= 1e4
    figure = _map(embeddings, labels)
    reals = _points(figure, colour=colours.REAL)
    limits = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert np.all(np.ptp(reals, axis=0) > 0.25 * np.ptp(limits, axis=1))


def test_every_picture_is_drawn_once():
    embeddings, labels = _data()
    embeddings[:5] *= 1e4
    figure = _map(embeddings, labels)
    assert len(_points(figure)) == len(labels)


def test_of_many_pictures_a_part_is_drawn():
    embeddings, labels = _data(30_000)
    labels[labels == 2] = 1
    labels[:50] = 2
    figure = _map(embeddings, labels)
    inside = "osD"
    assert 2000 < len(_points(figure, inside)) <= 3000
    assert len(_points(figure, "D")) == 50


def test_of_a_single_cloud_nothing_is_beyond_the_frame():
    embeddings, labels = _data(900)
    figure = _map(embeddings, labels)
    assert "beyond" not in figure.axes[0].get_xlabel()


def test_fakes_alone_are_drawn_along_their_own_components():
    embeddings, labels = _data()
    figure = _map(embeddings, labels % 2 + 1)
    axes = figure.axes[0]
    assert axes.get_title(loc="left").endswith("of all pictures")
    assert np.ptp(_points(figure)[:, 0]) > 1


def test_one_dimension_leaves_the_second_component_empty():
    embeddings, labels = _data(dimensions=1)
    figure = _map(embeddings, labels)
    axes = figure.axes[0]
    assert "(100.0 % of the variance)" in axes.get_xlabel()
    assert axes.get_ylabel() == "Second component (0.0 % of the variance)"
    assert not _points(figure)[:, 1].any()


def test_a_component_of_rounding_errors_counts_as_none():
    line = np.linspace(1, 2, 30)[:, None] * np.array([[0.1, 0.7, 0.3]])
    figure = _map(line, np.zeros(30, np.int64))
    assert not _points(figure)[:, 1].any()


@pytest.mark.parametrize("size", [1, 2, 19])
@pytest.mark.parametrize("dimensions", [1, 4])
@pytest.mark.parametrize("label", [0, 1])
def test_identical_rows_have_no_components(size, dimensions, label):
    figure = _map(np.full((size, dimensions), 0.1), np.full(size, label))
    axes = figure.axes[0]
    assert "(0.0 % of the variance)" in axes.get_xlabel()
    assert not _points(figure).any()


def test_a_map_of_nothing_says_so():
    figure = _map(np.zeros((0, 4)), np.zeros(0, np.int64))
    assert figure.axes[0].texts[0].get_text() == "There is no picture to show."


def test_maps_of_many_classes_pool_them():
    embeddings, _ = _data(120)
    classes = [f"class_{index}" for index in range(40)]
    is_fake = [index > 3 for index in range(40)]
    figure = embedding_map.draw(embeddings, np.arange(120) % 40, classes, is_fake)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["real  (12)", "fake  (108)"]


def test_every_class_of_a_full_map_has_its_own_look():
    embeddings, _ = _data(120)
    is_fake = [False] * 2 + [True] * 10
    names = [f"$_{'x' * 99}{index}" for index in range(12)]
    figure = embedding_map.draw(embeddings, np.arange(120) % 12, names, is_fake)
    handles = figure.legends[0].legend_handles
    looks = [(line.get_color(), line.get_marker()) for line in handles]
    assert len(set(looks)) == 12
    real = [colour == colours.REAL for colour, _ in looks]
    assert real == [not fake for fake in is_fake]


@pytest.mark.parametrize("rows", [np.zeros(3), np.full((2, 2), np.nan)])
def test_map_refuses(rows):
    with pytest.raises(ValueError, match="must be finite"):
        _map(rows, np.zeros(len(rows), np.int64))
