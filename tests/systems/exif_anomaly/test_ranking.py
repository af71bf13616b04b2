# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the ranking losses against a loop over pairs in float64."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.runtime import parallel
from fakedet_jax.systems.exif_anomaly import ranking

EPSILON = 1e-8
RANKING, MANIPULATED, TOTAL = (
    jax.jit(jax.value_and_grad(loss))
    for loss in (ranking.ranking_loss, ranking.manipulated_loss, ranking.total_loss)
)


def fidelity(probability, target):
    """The loss and its slope along the probability."""
    agreed = math.sqrt(probability * target + EPSILON)
    denied = math.sqrt((1 - probability) * (1 - target) + EPSILON)
    slope = -0.5 * target / agreed + 0.5 * (1 - target) / denied
    return 1 - agreed - denied, slope


def loop_over_pairs(scores, values, mask):
    """The loss and its gradient `[n]`, pair by pair."""
    scores = np.asarray(scores, np.float64)
    total, gradient, count = 0.0, np.zeros(len(scores)), 0
    for i, j in itertools.combinations(range(len(scores)), 2):
        if not (mask[i] and mask[j]) or math.isnan(values[i] + values[j]):
            continue
        target = (np.sign(values[i] - values[j]) + 1) / 2
        distance = scores[i] - scores[j]
        probability = (1 + math.erf(distance / (math.sqrt(2) / 2))) / 2
        loss, slope = fidelity(probability, target)
        slope *= 2 * math.exp(-((2 * distance) ** 2) / 2) / math.sqrt(2 * math.pi)
        total += loss
        gradient[i] += slope
        gradient[j] -= slope
        count += 1
    return total / max(count, 1), gradient / max(count, 1)


def loop_over_rows(logits, is_manipulated, mask):
    total, gradient = 0.0, np.zeros(len(logits))
    for i in np.flatnonzero(mask):
        probability = 1 / (1 + math.exp(-float(logits[i])))
        loss, slope = fidelity(probability, float(is_manipulated[i]))
        total += loss
        gradient[i] = slope * probability * (1 - probability)
    return total / max(mask.sum(), 1), gradient / max(mask.sum(), 1)


def batch(seed, n=24):
    """Outputs, tags with ties and gaps, labels, and a mask."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0, 0.8, (n, 5)).astype(np.float32)
    tags = rng.choice([100, 200, 400, 800], (n, 4)).astype(np.float32)
    tags[rng.random((n, 4)) < 0.2] = np.nan
    return outputs, tags, rng.random(n) < 0.5, rng.random(n) < 0.85


@pytest.mark.parametrize("seed", range(3))
def test_ranking_loss_is_that_of_a_loop(seed):
    outputs, tags, _, mask = batch(seed)
    loss, gradient = RANKING(outputs[:, 0], tags[:, 0], mask)
    expected, expected_gradient = loop_over_pairs(outputs[:, 0], tags[:, 0], mask)
    np.testing.assert_allclose(loss, expected, atol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_manipulated_loss_is_that_of_a_loop(seed):
    outputs, _, labels, mask = batch(seed)
    loss, gradient = MANIPULATED(outputs[:, 4], labels, mask)
    expected, expected_gradient = loop_over_rows(outputs[:, 4], labels, mask)
    np.testing.assert_allclose(loss, expected, atol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


@pytest.mark.parametrize("num_devices", [1, 8])
@pytest.mark.slow
def test_total_is_the_sum_over_the_whole_batch_on_any_devices(num_devices):
    outputs, tags, labels, mask = batch(7)
    mesh = parallel.data_mesh(jax.devices()[:num_devices])
    names = ("outputs", "tags", "labels", "mask")
    rows = parallel.put_batch(mesh, dict(zip(names, batch(7), strict=True)))
    loss, gradient = TOTAL(*(rows[name] for name in names))
    parts = [loop_over_pairs(outputs[:, k], tags[:, k], mask) for k in range(4)]
    parts.append(loop_over_rows(outputs[:, 4], labels, mask))
    np.testing.assert_allclose(loss, sum(part[0] for part in parts), atol=5e-6)
    expected = np.stack([part[1] for part in parts], 1)
    np.testing.assert_allclose(gradient, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.slow
def test_mask_is_the_same_as_fewer_rows():
    outputs, tags, labels, mask = batch(3)
    outputs[~mask] = np.nan  # What fills a batch may be anything.
    whole = TOTAL(outputs, tags, labels, mask)
    rows = TOTAL(outputs[mask], tags[mask], labels[mask])
    np.testing.assert_allclose(whole[0], rows[0], rtol=1e-5)
    np.testing.assert_allclose(whole[1][mask], rows[1], atol=1e-6)
    np.testing.assert_array_equal(whole[1][~mask], 0)


def test_equal_values_want_equal_scores():
    values = jnp.array([5.0, 5.0])
    loss, gradient = RANKING(jnp.array([0.7, 0.7]), values)
    assert loss == pytest.approx(1 - 2 * math.sqrt(0.25 + EPSILON), abs=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    loss, gradient = RANKING(jnp.array([1.7, 0.7]), values)
    assert loss > 0.1 and gradient[0] > 0 > gradient[1]


@pytest.mark.parametrize(
    "values", [[np.nan] * 4, [np.nan, 3, np.nan, np.nan]], ids=["none", "one"]
)
def test_without_a_pair_loss_and_gradient_are_zero(values):
    loss, gradient = RANKING(jnp.arange(4.0), jnp.array(values, jnp.float32))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_without_a_row_manipulated_loss_and_gradient_are_zero():
    loss, gradient = MANIPULATED(jnp.arange(4.0), jnp.ones(4), jnp.zeros(4, bool))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("size", [1.0, 5.0, 20.0, 1e4, 1e30])
def test_gradients_stay_finite_where_probabilities_saturate(size):
    outputs = size * jnp.array([[1.0] * 5, [-1.0] * 5, [1.0] * 5, [0.0] * 5])
    tags = jnp.tile(jnp.array([[1.0], [2.0], [2.0], [3.0]]), (1, 4))
    labels = jnp.array([0, 1, 1, 0])
    loss, gradient = TOTAL(outputs, tags, labels)
    assert jnp.isfinite(loss) and jnp.isfinite(gradient).all()


def test_a_wrong_order_of_far_scores_still_has_a_slope():
    # Where 1 − erf is 0 in float32, erfc is not.
    _, slope = RANKING(jnp.array([3.0, 0.0]), jnp.array([1.0, 2.0]))
    assert slope[0] > 0 > slope[1]


def test_low_precision_outputs_are_ranked_in_float32():
    outputs, tags, labels, mask = batch(5)
    low = jnp.asarray(outputs, jnp.bfloat16)
    loss, _ = TOTAL(low, tags, labels, mask)
    assert loss.dtype == jnp.float32
    same, _ = TOTAL(low.astype(jnp.float32), tags, labels, mask)
    np.testing.assert_array_equal(loss, same)
