# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of evaluation.metrics against scikit-learn, SciPy and hand calculation."""

import json
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.calibration
import sklearn.metrics

from fakedet_jax.evaluation import metrics

NUMBERS = {
    *(*metrics.BINARY_METRICS, "equal_error_rate", "calibration_error"),
    *("threshold", "num_examples", "num_skipped"),
}


def _random_task(seed, levels):
    """Returns labels and scores; few levels make many ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 200)
    labels[:2] = 0, 1
    scores = np.round(np.clip(rng.normal(0.4 + 0.2 * labels, 0.3), 0, 1) * levels)
    return labels, scores / levels


TASKS = [(seed, levels) for seed in range(3) for levels in (3, 20, 10**9)]


@pytest.mark.parametrize(("seed", "levels"), TASKS)
def test_auc_equals_scikit_learn(seed, levels):
    labels, scores = _random_task(seed, levels)
    expected = sklearn.metrics.roc_auc_score(labels, scores)
    assert metrics.auc(labels, scores) == pytest.approx(expected, abs=1e-12)


def test_auc_equals_the_mann_whitney_statistic():
    labels, scores = _random_task(5, 7)
    statistic = scipy.stats.mannwhitneyu(scores[labels == 1], scores[labels == 0])
    pairs = labels.sum() * (1 - labels).sum()
    assert metrics.auc(labels, scores) == pytest.approx(statistic.statistic / pairs)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5)],
)
def test_auc_by_hand(scores, expected):
    assert metrics.auc([0, 0, 1, 1], scores) == expected


@pytest.mark.parametrize(("seed", "levels"), TASKS)
def test_roc_curve_equals_scikit_learn(seed, levels):
    labels, scores = _random_task(seed, levels)
    expected = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    for ours, theirs in zip(metrics.roc_curve(labels, scores), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("seed", "levels"), TASKS)
def test_precision_recall_curve_equals_scikit_learn(seed, levels):
    labels, scores = _random_task(seed, levels)
    expected = sklearn.metrics.precision_recall_curve(labels, scores)
    ours = metrics.precision_recall_curve(labels, scores)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("seed", "levels"), TASKS)
def test_average_precision_equals_scikit_learn(seed, levels):
    labels, scores = _random_task(seed, levels)
    expected = sklearn.metrics.average_precision_score(labels, scores)
    assert metrics.average_precision(labels, scores) == pytest.approx(expected)


def test_confusion_matrix_equals_scikit_learn():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, (2, 100))
    expected = sklearn.metrics.confusion_matrix(labels, predicted, labels=range(5))
    np.testing.assert_array_equal(
        metrics.confusion_matrix(labels, predicted, 5), expected
    )


@pytest.mark.parametrize(("seed", "levels"), TASKS)
def test_best_threshold_has_the_highest_balanced_accuracy(seed, levels):
    labels, scores = _random_task(seed, levels)
    candidates = np.append(np.unique(scores[scores > 0]), 1.0)
    best = max(
        sklearn.metrics.balanced_accuracy_score(labels, scores >= candidate)
        for candidate in candidates
    )
    chosen = metrics.best_threshold(labels, scores)
    reached = sklearn.metrics.balanced_accuracy_score(labels, scores >= chosen)
    assert reached == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        # One best interval, (0.25, 0.75].
        ([0, 0, 1, 1], [0.0, 0.25, 0.75, 1.0], 0.5),
        # J is 1/2 in (0.125, 0.25] and in (0.5, 1.0]: the wider one.
        ([0, 1, 0, 1], [0.125, 0.25, 0.5, 1.0], 0.75),
        # J is 1/2 in (0, 0.25] and in (0.5, 0.75], equally wide: the lower one.
        ([0, 1, 0, 1], [0.0, 0.25, 0.5, 0.75], 0.125),
        # Nothing beats calling everything the same: (0, 0.25] or (0.75, 1].
        ([1, 0], [0.25, 0.5], 0.75),
        # All alike: only "all fake" in (0, 0.25] or "none" in (0.25, 1] is possible.
        ([0, 1], [0.25, 0.25], 0.625),
        # All 0, or all 1: one possible interval.
        ([0, 1], [0.0, 0.0], 0.5),
        ([0, 1], [1.0, 1.0], 0.5),
        # Wrong way round at the ends: no other interval exists.
        ([1, 0], [0.0, 1.0], 0.5),
    ],
)
def test_best_threshold_by_hand(labels, scores, expected):
    assert metrics.best_threshold(labels, scores) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_best_threshold_separates_neighbouring_numbers(dtype):
    lower = dtype(0.3)
    scores = np.array([lower, np.nextafter(lower, dtype(1))], dtype)
    threshold = metrics.best_threshold([0, 1], scores)
    # NumPy compares a float32 array with a Python float in float32.
    assert (scores >= threshold).tolist() == [False, True]


def test_best_threshold_separates_zero_from_the_smallest_number():
    scores = np.array([0.0, 5e-324])
    threshold = metrics.best_threshold([0, 1], scores)
    assert metrics.decide(scores, threshold).tolist() == [False, True]


def test_best_threshold_does_not_depend_on_the_order():
    labels, scores = _random_task(1, 20)
    order = np.random.default_rng(0).permutation(labels.size)
    assert metrics.best_threshold(labels, scores) == metrics.best_threshold(
        labels[order], scores[order]
    )


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_best_threshold_of_one_class_is_a_half(labels):
    assert metrics.best_threshold(labels, [0.9] * len(labels)) == 0.5


def test_best_threshold_refuses_scores_out_of_range():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        metrics.best_threshold([0, 1], [0.5, 1.5])


@pytest.mark.parametrize("levels", [3, 20, 10**9])
def test_both_errors_are_the_same_at_the_equal_error_rate(levels):
    rng = np.random.default_rng(levels)
    fake = rng.random(300) < 0.4
    scores = np.round(levels * np.clip(rng.normal(0.4 + 0.2 * fake, 0.3), 0, 1))
    found = metrics.equal_error_rate(fake, scores)
    alarms, hits, _ = sklearn.metrics.roc_curve(fake, scores, drop_intermediate=False)
    # The misses where there are as many false alarms, on the curve's straight pieces.
    assert 1 - np.interp(found, alarms, hits) == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize(
    ("fake_scores", "rate"), [([0.7, 0.8], 0), ([0.1, 0.2], 1), ([0.5, 0.5], 0.5)]
)
def test_the_equal_error_rate_of_clear_cases(fake_scores, rate):
    scores = [0.5, 0.5, *fake_scores]
    assert metrics.equal_error_rate([0, 0, 1, 1], scores) == rate


def test_bins_of_the_calibration_error_hold_equally_many():
    rng = np.random.default_rng(0)
    scores = rng.random(1000)
    fake = rng.random(1000) < scores**2
    found = metrics.reliability(fake, scores)
    assert found.counts.tolist() == [100] * 10
    shares, means = sklearn.calibration.calibration_curve(
        fake, scores, n_bins=10, strategy="quantile"
    )
    np.testing.assert_allclose(found.mean_scores, means, atol=2e-3)
    np.testing.assert_allclose(found.shares_fake, shares, atol=0.02)
    assert found.error == pytest.approx(np.mean(np.abs(means - shares)), abs=5e-3)


def test_scores_that_are_shares_have_no_calibration_error():
    scores = np.repeat([0.2, 0.5, 0.8], 20)
    fake = np.tile(np.arange(20), 3) < 20 * scores
    assert metrics.reliability(fake, scores).error == pytest.approx(0)
    assert metrics.reliability(fake, 1 - scores).error == pytest.approx(0.4)


def test_equal_scores_are_in_one_bin():
    scores = np.repeat([0.0, 1.0], [70, 30])
    assert metrics.reliability(scores == 1, scores).counts.tolist() == [70, 30]


def test_summarize_by_hand():
    result = metrics.summarize(
        [0, 0, 0, 1, 1], [0.1, 0.5, 0.7, 0.4, 0.9], 0.5, num_skipped=2
    )
    assert result == {
        "accuracy": 2 / 5,
        "precision": 1 / 3,
        "recall": 1 / 2,
        "f1": 2 / 5,
        "average_precision": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 4),
        "auc": 4 / 6,
        "fpr": 2 / 3,
        "fnr": 1 / 2,
        # Between 1/3 and 2/3 of false alarms, half of the fakes are missed.
        "equal_error_rate": pytest.approx(1 / 2),
        # One bin: a mean score of 0.52, and two fakes of five.
        "calibration_error": pytest.approx(0.52 - 2 / 5),
        "threshold": 0.5,
        "num_examples": 5,
        "num_skipped": 2,
        "confusion_matrix": [[1, 2], [1, 1]],
        "classes": ["real", "fake"],
    }


def test_summarize_of_several_classes():
    result = metrics.summarize(
        [0, 1, 2, 2],
        [0.1, 0.8, 0.4, 0.9],
        0.5,
        classes=("real", "gan", "diffusion"),
        is_fake=(False, True, True),
        predicted=[0, 2, 0, 2],
    )
    assert set(result) == NUMBERS | {
        "multiclass_accuracy",
        "confusion_matrix",
        "classes",
    }
    assert result["multiclass_accuracy"] == 2 / 4
    assert result["accuracy"] == 3 / 4
    assert result["confusion_matrix"] == [[1, 0, 0], [0, 0, 1], [1, 0, 1]]
    assert result["classes"] == ["real", "gan", "diffusion"]


def test_summarize_without_predicted_classes_is_binary():
    result = metrics.summarize(
        [0, 1, 2],
        [0.1, 0.8, 0.4],
        0.5,
        classes=("real", "gan", "diffusion"),
        is_fake=(False, True, True),
    )
    assert "multiclass_accuracy" not in result
    assert result["confusion_matrix"] == [[1, 0], [1, 1]]
    assert result["classes"] == ["real", "fake"]


_OF_FAKES = {"recall", "average_precision", "auc", "equal_error_rate", "fnr"}


@pytest.mark.parametrize(
    ("labels", "scores", "undefined"),
    [
        ([], [], NUMBERS - {"threshold", "num_examples", "num_skipped"}),
        ([0], [0.1], {"precision", "f1", *_OF_FAKES}),
        ([0], [0.9], _OF_FAKES),
        ([1], [0.9], {"auc", "equal_error_rate", "fpr"}),
        ([0, 1], [0.1, 0.1], {"precision"}),
    ],
)
def test_what_is_undefined_is_none(labels, scores, undefined):
    result = metrics.summarize(labels, scores, 0.5)
    assert {name for name, value in result.items() if value is None} == undefined


def test_summarize_is_strict_json():
    result = metrics.summarize(
        np.array([0, 1], np.int32), np.array([0.2, 0.7], np.float32), np.float32(0.5)
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_score_at_the_threshold_is_fake():
    assert metrics.decide(np.float32([0.5]), 0.5).tolist() == [True]


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5], "2 labels"),
        ([0, 2], [0.5, 0.5], r"\[0, 1\]"),
        ([0, 1], [0.5, float("nan")], "1 scores are not finite"),
        ([[0, 1]], [[0.5, 0.5]], "one dimension"),
        ([0.5, 1], [0.5, 0.5], "whole numbers"),
    ],
)
def test_wrong_arrays_are_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        metrics.auc(labels, scores)


def test_a_threshold_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="threshold"):
        metrics.summarize([0, 1], [0.1, 0.2], float("nan"))


@pytest.mark.parametrize(("count", "total"), [(0, 1), (0, 9), (9, 9), (3, 7), (50, 99)])
def test_wilson_interval_equals_scipy(count, total):
    expected = scipy.stats.binomtest(count, total).proportion_ci(method="wilson")
    assert metrics.wilson_interval(count, total) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


def test_wilson_interval_of_nothing_is_none():
    assert metrics.wilson_interval(0, 0) is None


def _real_scores(seed, size=60, levels=None):
    """Scores of real pictures; with `levels` there are ties."""
    rng = np.random.default_rng(seed)
    scores = np.clip(0.4 + 0.2 * rng.normal(size=size), 0, 1)
    return scores if levels is None else np.round(scores * levels) / levels


@pytest.mark.parametrize("levels", [None, 2, 7])
@pytest.mark.parametrize("size", [1, 2, 13, 40])
@pytest.mark.parametrize("seed", range(10))
def test_threshold_gives_the_highest_rate_that_is_allowed(seed, size, levels):
    scores = _real_scores(seed, size, levels)
    rate = np.random.default_rng(seed).choice([0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.95])
    threshold = metrics.threshold_at_false_alarm_rate(scores, rate)
    # Every decision that some threshold makes, by trying all of them.
    rates = [np.mean(scores >= candidate) for candidate in [*scores, math.inf]]
    expected = max(found for found in rates if found <= rate)
    assert np.mean(metrics.decide(scores, threshold)) == expected


@pytest.mark.parametrize("seed", range(10))
def test_threshold_decides_alike_in_float32(seed):
    scores = _real_scores(seed)
    for rate in (0.0, 0.05, 0.5):
        threshold = metrics.threshold_at_false_alarm_rate(scores, rate)
        assert np.array_equal(
            scores.astype(np.float32) >= np.float32(threshold), scores >= threshold
        )


def test_threshold_is_the_midpoint_between_neighbours():
    assert metrics.threshold_at_false_alarm_rate([0.5, 0.25, 0.0, 0.75], 0.25) == 0.625


def test_a_rate_that_rounding_would_miss_is_met():
    # 0.29 * 100 is less than 29 in float64.
    scores = np.arange(100) / 100
    threshold = metrics.threshold_at_false_alarm_rate(scores, 0.29)
    assert np.sum(scores >= threshold) == 29


@pytest.mark.parametrize("highest", [0.0, 0.1, 0.7, 1 - 1e-12])
def test_threshold_without_false_alarms_is_just_above_the_highest(highest):
    threshold = metrics.threshold_at_false_alarm_rate([0.0, highest], 0.4)
    assert highest < threshold <= min(1, highest + 2e-7)


def test_threshold_lies_above_1_only_where_a_real_picture_scores_1():
    assert 1 < metrics.threshold_at_false_alarm_rate([0.5, 1.0], 0.0) < 1 + 2e-7


@pytest.mark.parametrize("rate", [-0.1, 1.0, 5, math.nan])
def test_threshold_refuses_other_rates(rate):
    with pytest.raises(ValueError, match="rate must be in"):
        metrics.threshold_at_false_alarm_rate([0.1, 0.2], rate)


@pytest.mark.parametrize("scores", [[0.1, math.nan], [0.1, math.inf], [-0.1], [1.1]])
def test_threshold_refuses_other_scores(scores):
    with pytest.raises(ValueError, match="finite and in"):
        metrics.threshold_at_false_alarm_rate(scores, 0.1)


@pytest.mark.parametrize("scores", [[], [[0.1, 0.2]], 0.1])
def test_threshold_refuses_other_shapes(scores):
    with pytest.raises(ValueError, match="at least one real picture"):
        metrics.threshold_at_false_alarm_rate(scores, 0.1)


@pytest.mark.parametrize(("seed", "levels"), TASKS)
def test_fakes_found_agree_with_the_roc_curve_of_scikit_learn(seed, levels):
    labels, scores = _random_task(seed, levels)
    rates = (0.0, 0.001, 0.01, 0.05, 0.1, 0.5, 0.99)
    false, true, _ = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    num_real = int(np.sum(labels == 0))
    for rate, row in zip(rates, metrics.found_at(labels, scores, rates), strict=True):
        assert row.rate == rate
        assert row.num_allowed == int(rate * num_real + 1e-9)
        assert row.found == pytest.approx(max(true[false <= rate + 1e-12]))


def test_fakes_found_by_hand():
    labels = [0] * 4 + [1] * 4
    scores = [0.1, 0.2, 0.6, 0.9, 0.5, 0.6, 0.7, 0.95]
    found = metrics.found_at(labels, scores, (0.0, 0.25, 0.5))
    # Nothing above 0.9; above 0.6, where a fake ties; above 0.2.
    assert [(row.num_allowed, row.found) for row in found] == [
        (0, 0.25),
        (1, 0.5),
        (2, 1.0),
    ]


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_without_both_classes_nothing_is_found(labels):
    assert metrics.found_at(labels, [0.5] * len(labels), (0.1,)) == []
