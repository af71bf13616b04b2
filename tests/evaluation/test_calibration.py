# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.calibration."""

import numpy as np
import pytest
from sklearn import linear_model
from sklearn import metrics as reference

from fakedet_jax.evaluation import calibration, log_odds, metrics

_NUM_PICTURES = 600


def _pictures(slope=1.0, offset=0.0, seed=0, num_pictures=_NUM_PICTURES):
    """Log-odds that a line makes true ones of, and whether the pictures are fake."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, num_pictures)
    return (true - offset) / slope, rng.random(num_pictures) < log_odds.scores(true)


@pytest.mark.parametrize("slope", [0.01, 0.3, 3.0])
def test_a_detector_that_is_surer_than_right_is_calibrated(slope):
    values, fake = _pictures(slope)
    found = calibration.fit(values, fake)
    assert found.kind in ("temperature", "platt")
    assert found.slope == pytest.approx(slope, rel=0.25)
    others, are_fake = _pictures(slope, seed=1)
    before, after = (
        metrics.reliability(are_fake, log_odds.scores(own)).error
        for own in (others, found(others))
    )
    assert after < 0.5 * before
    assert found.log_losses[found.kind] < found.log_losses["none"]
    assert "instead of" in found.reason


def test_an_offset_takes_platt_scaling():
    found = calibration.fit(*_pictures(offset=2.0))
    assert found.kind == "platt"
    assert found.offset == pytest.approx(2.0, abs=0.4)


def test_what_is_calibrated_stays_as_it_is():
    values, fake = _pictures(num_pictures=20_000)
    found = calibration.fit(values, fake)
    assert found(values) == pytest.approx(values, abs=0.2)


def test_platt_scaling_is_logistic_regression():
    values, fake = _pictures(0.5, 1.0, num_pictures=5000)
    found = calibration.fit(values, fake, "platt")
    other = linear_model.LogisticRegression(C=np.inf).fit(values[:, None], fake)
    assert found.slope == pytest.approx(other.coef_[0, 0], rel=1e-2)
    assert found.offset == pytest.approx(other.intercept_[0], abs=1e-2)
    loss = reference.log_loss(fake, log_odds.scores(found(values)))
    assert found.log_losses["platt"] == pytest.approx(loss, rel=1e-2)


def test_the_order_of_pictures_decides_nothing():
    values, fake = _pictures(0.4)
    order = np.random.default_rng(2).permutation(fake.size)
    assert calibration.fit(values[order], fake[order]) == calibration.fit(values, fake)


@pytest.mark.parametrize("scale", [1e-3, 1, 300, 1e6])
def test_calibrated_scores_do_not_depend_on_the_scale_of_logits(scale):
    values, fake = _pictures()
    found = calibration.fit(scale * values, fake, "temperature")
    expected = calibration.fit(values, fake, "temperature")
    assert found(scale * values) == pytest.approx(expected(values), rel=1e-3)


@pytest.mark.parametrize("wanted", ["auto", "temperature", "platt"])
@pytest.mark.parametrize(("num_real", "num_fake"), [(300, 0), (4, 6), (300, 19)])
def test_too_few_pictures_are_not_calibrated_on(wanted, num_real, num_fake):
    fake = np.arange(num_real + num_fake) >= num_real
    found = calibration.fit(np.where(fake, 2.0, -2.0), fake, wanted)
    assert found.kind == "none"
    assert f"{num_real} real and {num_fake} fake" in found.reason
    assert "at least 20 of each are needed" in found.reason


def test_classes_that_are_apart_keep_finite_scores():
    fake = np.arange(60) % 2 == 1
    found = calibration.fit(np.where(fake, 40.0, -40.0), fake, "temperature")
    assert 0.9 < log_odds.scores(found(40.0)) < 1
    assert found.slope < 1


def test_a_detector_that_is_wrong_is_not_turned_round():
    values, fake = _pictures()
    found = calibration.fit(-values, fake)
    assert found.slope >= 0
    assert calibration.fit(-values, fake, "temperature").kind == "none"


def test_none_is_what_was_asked_for():
    found = calibration.fit(*_pictures(0.3), "none")
    assert (found.kind, found.slope, found.offset) == ("none", 1, 0)
    assert found([3.0, np.inf]).tolist() == [3, np.inf]
