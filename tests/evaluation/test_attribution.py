# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.attribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.evaluation import attribution, log_odds, scoring

HEIGHT, WIDTH = 18, 21  # Neither is a multiple of the cells.


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8)


def _linear(variables, images):
    """Log-probabilities whose log-odds are `Σ w · x`."""
    odds = (images.astype(jnp.float32) * variables).sum((1, 2, 3))
    return jnp.stack([jax.nn.log_sigmoid(-odds), jax.nn.log_sigmoid(odds)], -1)


@pytest.fixture(scope="module")
def weights():
    # Small, so that log-probabilities keep their digits.
    rng = np.random.default_rng(1)
    return (rng.standard_normal((HEIGHT, WIDTH, 3)) * 1e-4).astype(np.float32)


@pytest.fixture(scope="module")
def linear():
    return scoring.log_odds_fn(_linear, (False, True))


@pytest.mark.parametrize("is_fake", [(False, True, True), (False, True, False)])
def test_log_odds_are_those_of_the_scores(is_fake):
    values = jax.nn.log_softmax(jnp.array([[1.0, -2.0, 0.5], [90.0, 3.0, -90.0]]))
    found = scoring.log_odds_fn(lambda _, __: values, is_fake)(None, None)
    expected = log_odds.of_classes(np.asarray(values), is_fake)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_gradient_times_input_of_a_linear_network_is_weights_times_pixels(
    linear, weights, images
):
    found = jax.jit(attribution.gradient_times_input, static_argnums=0)(
        linear, weights, images
    )
    expected = (weights.astype(np.float64) * images).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # The log-odds of a black picture are 0, so that the parts add up to the whole.
    odds = linear(weights, images)
    np.testing.assert_allclose(found.sum((1, 2)), odds, rtol=1e-3, atol=1e-4)


def test_occlusion_of_a_linear_network_is_what_each_cell_adds(linear, weights, images):
    found = np.asarray(attribution.occlusion(linear, weights, images, cells=4))
    means = np.round(images.mean((1, 2), keepdims=True, dtype=np.float64))
    parts = (weights.astype(np.float64) * (images - means)).sum(-1)
    expected = np.zeros((3, 4, 4))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            place = row * 4 // HEIGHT, column * 4 // WIDTH
            expected[:, *place] += parts[:, row, column]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-5)


def test_occlusion_finds_the_only_corner_at_which_a_network_looks(images):
    def corner(_, images):
        odds = images[:, -3:, :3].astype(jnp.float32).mean((1, 2, 3)) / 100
        return jnp.stack([jax.nn.log_sigmoid(-odds), jax.nn.log_sigmoid(odds)], -1)

    bright = images.copy()
    bright[:, -3:, :3] = 255
    odds = scoring.log_odds_fn(corner, (False, True))
    found = np.asarray(attribution.occlusion(odds, None, bright))
    # 2 of the 18 rows and 2 of the 21 columns are of the last and the first cell.
    assert (found[:, -1, 0] > 0.1).all()
    elsewhere = np.ones((8, 8), bool)
    elsewhere[-2:, :2] = False
    np.testing.assert_array_equal(found[:, elsewhere], 0)


def test_equal_pictures_have_equal_maps_in_any_batch(linear, weights, images):
    whole = attribution.occlusion(linear, weights, images)
    alone = attribution.occlusion(linear, weights, images[1:2])
    np.testing.assert_allclose(alone[0], whole[1], atol=1e-6)
