# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.maps."""

import numpy as np
import pytest

from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.report import maps


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)


def test_what_speaks_for_fake_is_orange_and_for_real_blue(picture):
    values = np.zeros((4, 4))
    values[0, 1], values[3, 3] = 2.0, -1.0
    drawn = maps.overlay(picture, values).astype(int)
    assert drawn.shape == picture.shape
    red, _, blue = drawn[0:4, 5:10].reshape(-1, 3).T
    assert (red > blue).all()
    red, _, blue = drawn[12:16, 15:20].reshape(-1, 3).T
    assert (blue > red).all()
    # Elsewhere it is grey.
    np.testing.assert_array_equal(drawn[4:8, :, 0], drawn[4:8, :, 2])


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_a_map_without_numbers_is_a_grey_picture(picture, values):
    drawn = maps.overlay(picture, values)
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 1])


def test_cells_are_sums_of_their_pixels():
    values = np.random.default_rng(0).standard_normal((13, 22))
    expected = np.zeros((5, 5))
    for (row, column), value in np.ndenumerate(values):
        expected[row * 5 // 13, column * 5 // 22] += value
    np.testing.assert_allclose(maps.sum_cells(values, 5), expected, atol=1e-12)
    assert maps.sum_cells(values, 32).shape == (13, 22)


def test_all_that_a_network_has_is_drawn(picture):
    rng = np.random.default_rng(1)
    found = Maps(
        occlusion=np.stack([np.zeros((8, 8)), np.eye(8) * -3]).astype(np.float32),
        gradient=rng.standard_normal((2, 16, 20)).astype(np.float32),
        traces=rng.standard_normal((2, 16, 20, 3)).astype(np.float32),
    )
    drawn = {one.name: one for one in maps.draw(picture, found, 1)}
    assert list(drawn) == ["occlusion", "gradient", "trace"]
    for one in drawn.values():
        assert one.image.shape == picture.shape
        assert one.image.dtype == np.uint8
    assert drawn["occlusion"].caption.endswith("the strongest has −3.")
    plane = found.traces[1].mean(-1)
    assert plane.argmax() in np.flatnonzero(drawn["trace"].image[..., 0] == 255)
    only = Maps(occlusion=found.occlusion)
    assert [one.name for one in maps.draw(picture, only, 0)] == ["occlusion"]
    assert maps.layers_of(only, 0) == []


def test_the_layers_that_differ_most_come_first():
    found = Maps(
        occlusion=np.zeros((1, 8, 8)),
        layers=np.array([[0.5, -4.0, 2.0, *[0.1] * 9]], np.float32),
        layer_names=tuple("abcdefghijkl"),
    )
    listed = maps.layers_of(found, 0)
    assert listed[:3] == [("b", -4.0), ("c", 2.0), ("a", 0.5)]
    assert len(listed) == 8
