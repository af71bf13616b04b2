# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.metrics."""

import itertools
import math

import numpy as np
import pytest
import sklearn.metrics

from fakedet_jax.evaluation import metrics
from fakedet_jax.systems.exif_anomaly.metrics import (
    kendall_tau,
    kendall_tau_interval,
    summarize_real_positive,
)


def _random_scores(seed, size=60, levels=None):
    """Fake or not, and scores; with `levels` there are ties."""
    rng = np.random.default_rng(seed)
    fake = rng.random(size) < 0.4
    scores = np.clip(0.3 + 0.2 * fake + 0.2 * rng.normal(size=size), 0, 1)
    return fake, scores if levels is None else np.round(scores * levels) / levels


@pytest.mark.parametrize("seed", range(5))
def test_real_positive_agrees_with_scikit_learn(seed):
    fake, scores = _random_scores(seed, levels=8)
    real, called_real = ~fake, scores < 0.5
    passed_fakes = np.mean(called_real[fake])
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(real, called_real),
        "precision": sklearn.metrics.precision_score(real, called_real),
        "recall": sklearn.metrics.recall_score(real, called_real),
        "f1": sklearn.metrics.f1_score(real, called_real),
        "average_precision": sklearn.metrics.average_precision_score(real, -scores),
        "auc": sklearn.metrics.roc_auc_score(real, -scores),
        "fpr": passed_fakes,
        "fnr": 1 - np.mean(called_real[real]),
    }
    assert summarize_real_positive(fake, scores, 0.5) == pytest.approx(expected)


def test_real_positive_has_every_binary_metric_in_order():
    summary = summarize_real_positive([0, 1], [0.1, 0.9], 0.5)
    assert tuple(summary) == metrics.BINARY_METRICS


def test_a_score_on_the_threshold_is_not_called_real():
    summary = summarize_real_positive([0, 1], [0.5, 0.5], 0.5)
    assert (summary["recall"], summary["fpr"]) == (0.0, 0.0)


def test_accuracy_and_auc_do_not_depend_on_the_positive_class():
    fake, scores = _random_scores(0, levels=8)
    one, other = (
        summarize_real_positive(fake, scores, 0.5),
        metrics.summarize(fake, scores, 0.5),
    )
    assert (one["accuracy"], one["auc"]) == (other["accuracy"], other["auc"])


def test_real_positive_of_fakes_alone_leaves_the_rest_undefined():
    assert summarize_real_positive([1, 1], [0.2, 0.9], 0.5) == {
        "accuracy": 0.5,
        "precision": 0.0,
        "recall": None,
        "f1": 0.0,
        "average_precision": None,
        "auc": None,
        "fpr": 0.5,
        "fnr": None,
    }


@pytest.mark.parametrize(
    ("fake", "scores", "threshold"),
    [
        ([0, 2], [0.1, 0.2], 0.5),
        ([0, 0.5], [0.1, 0.2], 0.5),
        ([0, 1], [0.1], 0.5),
        ([0, 1], [0.1, math.nan], 0.5),
        ([0, 1], [0.1, 0.2], math.nan),
        ([0, 1], [0.1, 0.2], math.inf),
    ],
)
def test_real_positive_refuses(fake, scores, threshold):
    with pytest.raises(ValueError, match=r"labels|scores|threshold"):
        summarize_real_positive(fake, scores, threshold)


@pytest.mark.parametrize("seed", range(5))
def test_kendall_tau_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    predicted, true = rng.integers(0, 6, 25), rng.integers(0, 6, 25)
    signs = np.array(
        [
            (np.sign(predicted[i] - predicted[j]), np.sign(true[i] - true[j]))
            for i, j in itertools.combinations(range(25), 2)
        ]
    )
    untied = np.sum(signs != 0, axis=0)
    expected = np.sum(signs[:, 0] * signs[:, 1]) / math.sqrt(np.prod(untied))
    assert kendall_tau(predicted, true) == pytest.approx(expected)


def test_kendall_tau_leaves_unknown_values_out():
    with_unknown = kendall_tau([1, 9, 2, 3, -5], [1, math.nan, 3, 2, math.nan])
    assert with_unknown == kendall_tau([1, 2, 3], [1, 3, 2])


@pytest.mark.parametrize("levels", [4, 1000])
def test_the_interval_of_kendall_tau_is_that_of_a_jackknife(levels):
    rng = np.random.default_rng(levels)
    true = rng.integers(0, levels, 25).astype(np.float64)
    predicted = true + rng.integers(0, levels, 25)
    true[3] = math.nan
    known = np.flatnonzero(~np.isnan(true))
    tau = kendall_tau(predicted, true)
    without_one = [
        kendall_tau(predicted[known[known != place]], true[known[known != place]])
        for place in known
    ]
    # The mean of n values, each n − 1 times as far away, has the variance of τ.
    error = math.sqrt(23 / 24 * 24 * np.var(without_one))
    expected = tau - 1.96 * error, tau + 1.96 * error
    found = kendall_tau_interval(predicted, true)
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_interval_of_kendall_tau_by_hand():
    # Of four pictures one pair is reversed: τ = 4 / 6. Without one of that pair it is
    # 1, without another 1 / 3, twice each: √(3 / 4 · 4 / 9) = √(1 / 3).
    found = kendall_tau_interval([1, 2, 4, 3], [1, 2, 3, 4])
    assert found == pytest.approx((2 / 3 - 1.95996 / math.sqrt(3), 1.0), abs=1e-5)


def test_the_interval_of_kendall_tau_covers_that_of_many_samples():
    # Of a normal distribution, τ is 2 / π times the arcsine of the correlation.
    rng = np.random.default_rng(0)
    correlation, covered = 0.6, 0
    for _ in range(200):
        true, noise = rng.normal(size=(2, 60))
        predicted = correlation * true + math.sqrt(1 - correlation**2) * noise
        low, high = kendall_tau_interval(predicted, true)
        covered += low <= 2 / math.pi * math.asin(correlation) <= high
    assert 0.9 < covered / 200 < 0.99


@pytest.mark.parametrize(
    ("predicted", "true"),
    [
        ([1, 1, 1], [1, 2, 3]),
        ([1, 2], [1, 2]),
        # Without the last one, all values are equal.
        ([1, 2, 3], [4, 4, 5]),
    ],
)
def test_the_interval_of_kendall_tau_is_none_where_undefined(predicted, true):
    assert kendall_tau_interval(predicted, true) is None


@pytest.mark.parametrize(
    ("predicted", "true"),
    [
        ([], []),
        ([1], [1]),
        ([1, 2], [3, math.nan]),
        ([1, 1, 1], [1, 2, 3]),
        ([1, 2, 3], [4, 4, 4]),
        ([1, 1, 2], [1, 2, math.nan]),
    ],
)
def test_kendall_tau_is_none_where_undefined(predicted, true):
    assert kendall_tau(predicted, true) is None


@pytest.mark.parametrize(
    ("predicted", "true"),
    [([1, 2], [1]), ([[1, 2]], [[1, 2]]), ([1, math.nan], [1, 2])],
)
def test_kendall_tau_refuses(predicted, true):
    with pytest.raises(ValueError, match=r"shape|not finite"):
        kendall_tau(predicted, true)
