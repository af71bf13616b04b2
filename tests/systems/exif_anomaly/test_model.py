# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.model."""

import logging

import numpy as np
import pytest

from fakedet_jax import mixture
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.exif_anomaly import model as anomaly_model
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions

# Of a standard normal distribution of three features.
_AT_CENTRE = -1.5 * np.log(2 * np.pi)


def _config(**changes):
    settings = {"num_components": (1,), "covariance": "diagonal", **changes}
    return ExifAnomalyOptions(**settings)


def _rows(num, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((num, 3)).astype(np.float32)


def _fit(photographs, held_out, **changes):
    config = _config(**changes)
    return anomaly_model.fit(photographs, held_out, config, 0, parallel.data_mesh())


def _at(*log_likelihoods):
    """Rows with these log-likelihoods under the normal distribution."""
    rows = np.zeros((len(log_likelihoods), 3), np.float32)
    rows[:, 0] = np.sqrt(2 * (_AT_CENTRE - np.array(log_likelihoods)))
    return rows


def _score(threshold, spread, *log_likelihoods):
    normal = mixture.from_parameters([1.0], np.zeros((1, 3)), np.eye(3)[None])
    rows = _at(*log_likelihoods)
    return _scores_of(normal, threshold, spread, rows)


def _log_odds_of(*arguments):
    real, fake = np.asarray(anomaly_model.log_probabilities(*arguments)).T
    np.testing.assert_allclose(np.exp(real) + np.exp(fake), 1, rtol=1e-6)
    return fake.astype(np.float64) - real


def _scores_of(*arguments):
    return log_odds.scores(_log_odds_of(*arguments))


def test_the_score_is_one_half_at_the_threshold_and_three_quarters_a_spread_below():
    scores = _score(-20.0, 4.0, -20.0, -24.0, -16.0)
    np.testing.assert_allclose(scores, [0.5, 0.75, 0.25], atol=1e-5)


def test_the_score_falls_with_the_likelihood():
    likelihoods = -np.geomspace(3, 1e6, 500)
    scores = _score(-20.0, 4.0, *likelihoods)
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    # None of these is so far out that two of them are the same.
    near = likelihoods > -4000
    assert (np.diff(scores[near]) > 0).all()


def test_faces_a_thousand_spreads_below_are_still_told_apart():
    scores = _score(-20.0, 4.0, -20 - 4 * 1000.0, -20 - 4 * 1002.0)
    assert scores[0] < scores[1] < 1


def test_likelihoods_come_back_from_scores():
    likelihoods = np.array([-4.0, -10.0, -20.0, -30.0, -200.0])
    odds = log_odds.of_scores(_score(-20.0, 4.0, *likelihoods))
    found = anomaly_model.log_likelihoods(odds, -20.0, 4.0)
    np.testing.assert_allclose(found, likelihoods, rtol=1e-4)
    assert found.dtype == np.float64


def test_the_ends_of_the_scale_have_finite_likelihoods():
    low, high = anomaly_model.log_likelihoods(np.array([1e30, -1e30]), -20.0, 4.0)
    assert np.isfinite([low, high]).all()
    assert low < -20 < high


def test_the_threshold_lies_between_the_photographs_that_it_parts():
    photographs, held_out = _rows(100), _rows(30, seed=1)
    model = _fit(photographs, held_out, false_alarm_rate=0.1)
    # The mixture of one component is known, so all follows by hand.
    mean, variance = photographs.mean(0, dtype=np.float64), photographs.var(0)
    variance = variance + 1e-3 * variance.mean()
    distances = np.square(held_out - mean) / variance
    likelihoods = np.sort(
        -0.5 * (distances + np.log(2 * np.pi * variance)).sum(-1, dtype=np.float64)
    )
    assert likelihoods[2] < model.threshold < likelihoods[3]
    assert model.false_alarm_rate == 0.1
    assert model.num_held_out == 30
    lower, upper = np.quantile(likelihoods, [0.25, 0.75])
    assert model.spread == pytest.approx(upper - lower, rel=1e-4)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3, 0.99])
def test_no_more_photographs_are_called_fake_than_asked_for(rate):
    held_out = _rows(30, seed=1)
    model = _fit(_rows(100), held_out, false_alarm_rate=rate)
    odds = _log_odds_of(model.mixture, model.threshold, model.spread, held_out)
    scores = log_odds.scores(odds)
    found = np.mean(scores >= anomaly_model.THRESHOLD)
    assert found == pytest.approx(model.false_alarm_rate)
    assert rate - 1 / 30 < found <= rate
    np.testing.assert_allclose(model.held_out_log_odds, odds, atol=1e-4)


def test_a_tie_is_called_fake_as_a_whole_or_not_at_all():
    held_out = np.repeat(_rows(2, seed=1), 15, axis=0)
    assert _fit(_rows(100), held_out, false_alarm_rate=0.4).false_alarm_rate == 0
    assert _fit(_rows(100), held_out, false_alarm_rate=0.5).false_alarm_rate == 0.5


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_identical_photographs_stay_photographs_however_they_are_rounded(scale, caplog):
    row = _rows(1, scale=scale)
    with caplog.at_level(logging.WARNING, logger="fakedet_jax"):
        model = _fit(np.repeat(row, 9, axis=0), np.repeat(row, 4, axis=0))
    assert "identical" in caplog.text
    assert np.isfinite(model.threshold)
    assert model.spread > 0
    likelihood = float(mixture.log_likelihoods(model.mixture, row)[0])
    assert model.threshold < likelihood - 1e-6 * abs(likelihood)
    assert model.false_alarm_rate == 0
    other = _scores_of(model.mixture, model.threshold, model.spread, row + scale)
    assert other[0] > 0.9


def test_the_only_held_out_photograph_sets_the_threshold():
    model = _fit(_rows(100), _rows(1, seed=1))
    assert np.isfinite(model.threshold)
    assert (model.num_held_out, model.false_alarm_rate) == (1, 0)


def test_regularisation_is_a_share_of_the_variance():
    photographs = _rows(100)
    held_out = _rows(30, seed=1)
    small = _fit(photographs, held_out, reg_covar=0.5)
    large = _fit(1000 * photographs, 1000 * held_out, reg_covar=0.5)
    np.testing.assert_allclose(
        1000 * small.mixture.scale / large.mixture.scale, 1, rtol=1e-4
    )
    np.testing.assert_allclose(
        small.mixture.whitening, large.mixture.whitening, rtol=1e-4
    )


def test_the_number_of_components_with_the_least_bic_is_taken(caplog):
    far = np.float32([100, 0, 0])
    photographs = np.concatenate([_rows(50), _rows(50, seed=1) + far])
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        model = _fit(photographs, _rows(30, seed=2), num_components=(1, 2))
    assert model.mixture.num_components == 2
    lines = [line for line in caplog.messages if "BIC" in line]
    assert [line.split(":")[0] for line in lines] == ["1 components", "2 components"]
    assert [line.endswith(", chosen") for line in lines] == [False, True]


def test_one_number_of_components_is_no_choice(caplog):
    with caplog.at_level(logging.INFO, logger="fakedet_jax"):
        _fit(_rows(100), _rows(30, seed=1))
    assert "BIC" not in caplog.text


@pytest.mark.parametrize("place", ["training", "validation"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(place, value):
    rows = {"training": _rows(20), "validation": _rows(10)}
    rows[place][3, 1] = value
    message = f"embeddings of 1 of {len(rows[place])} {place} photographs are not finit"
    with pytest.raises(RequestError, match=message):
        _fit(rows["training"], rows["validation"])


def test_fewer_photographs_than_components_are_refused():
    with pytest.raises(RequestError, match=r"`num_components`: 4 .* found 3"):
        _fit(_rows(3), _rows(9), num_components=(1, 4))
