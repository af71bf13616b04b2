# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of reading between pixels."""

import numpy as np
import pytest

from fakedet_jax.media.resampling import bilinear


@pytest.fixture
def plane():
    return np.random.default_rng(0).uniform(0, 255, (5, 7)).astype(np.float32)


def test_pixels_are_at_whole_numbers(plane):
    y, x = np.indices((4, 6), np.float32)
    np.testing.assert_array_equal(bilinear(plane, x, y), plane[:4, :6])


def test_a_slope_is_read_exactly():
    y, x = np.indices((5, 7), np.float32)
    places = np.float32([0.3, 1.5, 4.9]), np.float32([3.7, 0.5, 2.2])
    read = bilinear(2 * x - 3 * y, *places)
    np.testing.assert_allclose(read, 2 * places[0] - 3 * places[1], rtol=1e-5)


def test_places_outside_read_the_border(plane):
    x, y = np.float32([-3, 99]), np.float32([-1, 99])
    expected = [plane[0, 0], plane[-1, -1]]
    np.testing.assert_allclose(bilinear(plane, x, y), expected, atol=0.5)


def test_columns_and_rows_are_crossed(plane):
    x, y = np.float32([[0.5, 2.5]]), np.float32([[1.5], [0.5], [3.0]])
    everywhere = bilinear(plane, *np.broadcast_arrays(x, y))
    np.testing.assert_array_equal(bilinear(plane, x, y), everywhere)
