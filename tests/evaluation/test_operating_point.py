# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.operating_point."""

import numpy as np
import pytest

from fakedet_jax.evaluation import log_odds, metrics, operating_point
from fakedet_jax.evaluation.calibration import Calibration

_NONE = Calibration()
_LINES = [_NONE, Calibration("temperature", 0.1), Calibration("platt", 2.0, -3.0)]


def _pictures(scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    fake = rng.random(300) < 0.5
    return scale * rng.normal(2.0 * fake - 1, 1.5), fake


def _decided(values, threshold, line):
    return metrics.decide(log_odds.scores(line(values)), threshold)


def test_without_calibration_the_threshold_is_that_of_the_scores():
    values, fake = _pictures()
    scores = log_odds.scores(values)
    best = operating_point.best(values, fake, _NONE)
    assert best == metrics.best_threshold(fake, scores)
    rate = operating_point.at_false_alarm_rate(values[~fake], 0.1, _NONE)
    assert rate == metrics.threshold_at_false_alarm_rate(scores[~fake], 0.1)


@pytest.mark.parametrize("line", _LINES, ids=lambda line: line.kind)
@pytest.mark.parametrize("scale", [0.01, 1, 10])
def test_calibration_changes_no_decision(line, scale):
    values, fake = _pictures(scale)
    expected = _decided(values, operating_point.best(values, fake, _NONE), _NONE)
    found = _decided(values, operating_point.best(values, fake, line), line)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("scale", [1, 300, 1e6])
def test_calibrated_thresholds_do_not_depend_on_the_scale_of_logits(scale):
    values, fake = _pictures()
    found, expected = (
        operating_point.best(own * values, fake, Calibration("temperature", 1 / own))
        for own in (scale, 1)
    )
    decided = _decided(values, found, _NONE)
    # Of equally good thresholds, another one may be chosen.
    assert np.mean(decided == fake) == pytest.approx(
        np.mean(_decided(values, expected, _NONE) == fake), abs=0.02
    )


@pytest.mark.parametrize("line", _LINES, ids=lambda line: line.kind)
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5])
def test_rates_of_both_errors_are_kept(line, rate):
    values, fake = _pictures()
    upper = operating_point.at_false_alarm_rate(values[~fake], rate, line)
    lower = operating_point.at_miss_rate(values[fake], rate, line)
    alarms = _decided(values[~fake], upper, line).mean()
    misses = (~_decided(values[fake], lower, line)).mean()
    for found, number in ((alarms, (~fake).sum()), (misses, fake.sum())):
        assert rate - 1 / number < found <= rate


def test_ties_are_missed_together_or_not_at_all():
    values = np.repeat([-1.0, 2.0], [30, 70])
    lower = operating_point.at_miss_rate(values, 0.2, _NONE)
    assert 0 < lower < log_odds.scores(-1.0)
    lower = operating_point.at_miss_rate(values, 0.3, _NONE)
    assert log_odds.scores(-1.0) < lower <= log_odds.scores(2.0)


def test_a_change_that_leads_between_the_thresholds_is_a_reason():
    point = operating_point.OperatingPoint(0.5, (0.4, 0.8))
    found = point.why_unsure([0.9, 0.6, 0.3, 0.95], ["one", "two", "three"])
    assert found == "unsure: between the thresholds after one, real after two"
    assert point.why_unsure([0.9, 0.85], ["one"]) == ""
