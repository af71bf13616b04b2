# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.delong."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fakedet_jax.evaluation import bootstrap, delong


def _draw(num_real, num_fake, gain, seed=0, *, decimals=None):
    """Labels, and the evidence of two detectors that err on the same examples."""
    rng = np.random.default_rng(seed)
    fake = np.repeat([False, True], [num_real, num_fake])
    common = fake + rng.normal(size=fake.size)
    first = common + 0.5 * rng.normal(size=fake.size)
    second = common + gain * fake + 0.5 * rng.normal(size=fake.size)
    if decimals is not None:
        return fake, first.round(decimals), second.round(decimals)
    return fake, first, second


def _by_definition(fake, evidence):
    """Structural components of DeLong's paper, Equation 4, pair by pair."""
    psi = (evidence[fake][:, None] > evidence[~fake]) + 0.5 * (
        evidence[fake][:, None] == evidence[~fake]
    )
    return psi.mean(), psi.mean(1), psi.mean(0)


@pytest.mark.parametrize("decimals", [None, 0])
def test_components_are_those_of_the_paper(decimals):
    fake, *both = _draw(23, 31, 0.3, decimals=decimals)
    aucs, covariance = delong._components(fake, both)
    parts = [_by_definition(fake, own) for own in both]
    assert aucs == pytest.approx([auc for auc, *_ in parts])
    assert aucs == pytest.approx([roc_auc_score(fake, own) for own in both])
    expected = (
        np.cov([own for _, own, _ in parts]) / 31
        + np.cov([own for *_, own in parts]) / 23
    )
    np.testing.assert_allclose(covariance, expected, rtol=1e-12)


def test_intervals_are_near_those_of_the_bootstrap():
    fake, first, _ = _draw(150, 200, 0)
    found = delong.auc_interval(fake, first)
    drawn = bootstrap.intervals(
        fake, first, 0.5, np.arange(fake.size), num_resamples=4000
    )["auc"]
    assert found == pytest.approx(drawn, abs=0.01)


def test_the_difference_is_covered_as_often_as_promised():
    truth = np.subtract(
        *(
            roc_auc_score(own[0], own[place])
            for own in [_draw(200_000, 200_000, 0.3)]
            for place in (2, 1)
        )
    )
    covered = 0
    for seed in range(400):
        _, (low, high) = delong.difference_interval(*_draw(60, 60, 0.3, seed + 1))
        covered += low <= truth <= high
    # Of 400 with 95 %, three deviations to each side.
    assert 0.917 <= covered / 400 <= 0.983


def test_a_difference_is_known_better_than_the_areas():
    fake, first, second = _draw(150, 150, 0.3)
    _, high = delong.auc_interval(fake, first)
    low, _ = delong.auc_interval(fake, second)
    assert low < high
    difference, (least, most) = delong.difference_interval(fake, first, second)
    assert 0 < least < difference < most


def test_the_same_detector_differs_by_nothing():
    fake, first, _ = _draw(20, 20, 0)
    assert delong.difference_interval(fake, first, 3 * first) == (0, (0, 0))


def test_a_perfect_order_is_its_own_interval():
    assert delong.auc_interval([0, 0, 1, 1], [1, 2, 3, 4]) == (1, 1)
    assert delong.auc_interval([1, 1, 0, 0], [1, 2, 3, 4]) == (0, 0)


def test_one_example_has_no_interval():
    assert delong.auc_interval([0, 1, 1], [1, 2, 3]) is None
    assert delong.difference_interval([0, 0, 1], [1, 2, 3], [1, 2, 3]) is None
