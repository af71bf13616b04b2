# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.log_odds."""

import csv
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference

from fakedet_jax import report
from fakedet_jax.evaluation import log_odds

_NUM_PICTURES = 400


def _logits(seed=0):
    """Two logits of pictures that are hard to tell apart, and their labels."""
    rng = np.random.default_rng(seed)
    fake = rng.random(_NUM_PICTURES) < 0.5
    evidence = rng.normal(fake * 0.8, 1)
    return np.stack([np.zeros_like(evidence), evidence], -1), fake


def _evaluation(logits, fake):
    odds = log_odds.of_classes(jax.nn.log_softmax(jnp.float32(logits)), (False, True))
    return report.Evaluation(
        names=[f"{number}.png" for number in range(len(fake))],
        labels=fake.astype(np.int64),
        scores=log_odds.scores(odds),
        threshold=0.5,
        log_odds=odds,
    )


def _metrics_of(evaluation):
    found = evaluation.summarize() | evaluation.summarize_protocol(50, seed=0)
    # How sure a detector is decides whether it is calibrated.
    return {
        name: value
        for name, value in found.items()
        if name != "reading" and not name.startswith("calibration_error")
    }


@pytest.mark.parametrize("scale", [0.01, 30, 300, 1e6])
def test_metrics_are_the_same_however_large_the_logits_are(scale):
    logits, fake = _logits()
    found = _evaluation(scale * logits, fake)
    assert _metrics_of(found) == _metrics_of(_evaluation(logits, fake))
    auc = reference.roc_auc_score(fake, logits[:, 1])
    assert found.summarize()["auc"] == pytest.approx(auc, rel=1e-12)
    if scale >= 300:  # What the scores alone would tell.
        assert reference.roc_auc_score(fake, found.scores) != pytest.approx(auc)


def test_a_training_that_is_sure_of_everything_ranks_as_a_moderate_one():
    """Logistic regression on separable pictures: its weights only grow."""
    rng = np.random.default_rng(1)
    inputs = jnp.float32(rng.normal(0, 1, (20, 30)))
    labels = jnp.float32(np.arange(20) % 2)

    def loss(weights):
        return jnp.mean(jax.nn.softplus((1 - 2 * labels) * (inputs @ weights)))

    step = jax.jit(lambda weights: weights - 500 * jax.grad(loss)(weights))
    weights = step(jnp.zeros(30))
    for _ in range(20):
        weights = step(weights)
    others = jnp.float32(rng.normal(0, 1, (200, 30)))
    fake = np.asarray(others[:, 0] + 3 * jnp.float32(rng.normal(0, 1, 200))) > 0
    logits = np.stack([np.zeros(200), others @ weights], -1)
    sure, moderate = _evaluation(logits, fake), _evaluation(logits / 100, fake)
    assert np.mean(np.isin(sure.scores.round(6), [0, 1])) > 0.5
    assert sure.summarize()["auc"] == moderate.summarize()["auc"]
    assert sure.summarize()["accuracy"] == moderate.summarize()["accuracy"]


def test_tables_and_curves_tell_saturated_scores_apart(tmp_path):
    logits, fake = _logits()
    found = _evaluation(300 * logits, fake)
    summary = report.write_evaluation(
        tmp_path, found, title="t", num_resamples=20, has_page=False
    )
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = np.array([float(row["log_odds"]) for row in rows])
    np.testing.assert_array_equal(written, found.log_odds)
    assert reference.roc_auc_score(fake, written) == pytest.approx(summary["auc"])
    low, high = summary["auc_interval"]
    assert low < summary["auc"] < high
    assert json.loads((tmp_path / "metrics.json").read_text())["auc"] == summary["auc"]


def test_classes_of_a_side_are_summed():
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    odds = log_odds.of_classes(np.log(probabilities), (False, True, False, True))
    assert log_odds.scores(odds) == pytest.approx([0.6, 0.2])


def test_a_probability_of_zero_has_finite_log_odds():
    odds = log_odds.of_classes([[0, -np.inf], [-np.inf, 0]], (False, True))
    assert odds.tolist() == [-log_odds.LARGEST, log_odds.LARGEST]
    assert log_odds.scores(odds).tolist() == [0, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_probability_has_no_log_odds(value):
    odds = log_odds.of_classes([[-1.0, value], [value, -1.0]], (False, True))
    assert np.isnan(odds).all()
    assert np.isnan(log_odds.scores(odds)).all()


def test_the_mean_of_a_group_is_that_of_its_scores():
    odds, groups = np.array([1.0, -2.0, 0.5, 3.0]), [0, 1, 0, 0]
    score, own = log_odds.means(odds, groups, 2)
    expected = log_odds.scores(odds)[[0, 2, 3]].mean()
    assert score[0] == pytest.approx(expected, rel=1e-15)
    assert own[0] == pytest.approx(math.log(expected / (1 - expected)))
    assert own[1] == -2.0


def test_means_that_are_rounded_to_one_still_differ():
    score, own = log_odds.means([50.0, 52.0, 60.0, 61.0], [0, 0, 1, 1], 2)
    assert score.tolist() == [1, 1]
    # The mean of what the scores lack of one: e^−50 and e^−52, e^−60 and e^−61.
    expected = [
        -math.log((math.exp(-a) + math.exp(-b)) / 2) for a, b in ((50, 52), (60, 61))
    ]
    assert own == pytest.approx(expected)
