# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of evaluation.bootstrap against scikit-learn and resampling by hand."""

import numpy as np
import pytest
import sklearn.metrics

from fakedet_jax.evaluation import bootstrap, metrics


def _task(levels, num_groups=30, seed=0):
    """Fakes, scores (few levels make many ties) and groups of 200 examples."""
    rng = np.random.default_rng(seed)
    fake = rng.random(200) < 0.6
    scores = np.round(levels * np.clip(rng.normal(0.4 + 0.2 * fake, 0.3), 0, 1))
    groups = np.append(np.arange(num_groups), rng.integers(0, num_groups, 200))[:200]
    return fake, scores / levels, groups


@pytest.mark.parametrize("levels", [1, 5, 10**9])
def test_weighted_metrics_equal_scikit_learn(levels):
    fake, scores, groups = _task(levels)
    weights = np.random.default_rng(1).integers(0, 4, (20, 30)).astype(float)
    found = bootstrap.Ranking(fake, scores, groups).metrics(weights)
    for place, row in enumerate(weights):
        sample = {"sample_weight": row[groups]}
        assert found.auc[place] == pytest.approx(
            sklearn.metrics.roc_auc_score(fake, scores, **sample), abs=1e-12
        )
        assert found.average_precision[place] == pytest.approx(
            sklearn.metrics.average_precision_score(fake, scores, **sample), abs=1e-12
        )
        repeated = np.repeat(np.arange(fake.size), row[groups].astype(int))
        assert found.equal_error_rate[place] == pytest.approx(
            metrics.equal_error_rate(fake[repeated], scores[repeated]), abs=1e-12
        )


def test_what_a_resample_does_not_define_is_nan():
    ranking = bootstrap.Ranking([False, True], [0.2, 0.3], [0, 1])
    found = ranking.metrics(np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(found.auc, [np.nan, np.nan, 1])
    np.testing.assert_array_equal(found.average_precision, [np.nan, 1, 1])


def _drawn(fake, groups, num_resamples, seed):
    """Indices of resamples with both classes, drawn one by one."""
    rng = np.random.default_rng(seed)
    num_groups = groups.max() + 1
    members = [np.flatnonzero(groups == group) for group in range(num_groups)]
    while num_resamples:
        chosen = rng.integers(num_groups, size=num_groups)
        indices = np.concatenate([members[group] for group in chosen])
        if 0 < fake[indices].sum() < indices.size:
            num_resamples -= 1
            yield indices


@pytest.mark.parametrize("num_groups", [3, 30])
def test_intervals_equal_those_of_resamples_that_are_written_out(num_groups):
    fake, scores, groups = _task(20, num_groups)
    # A class of one group is often missing from a resample.
    fake = groups > 0
    values = {"accuracy": [], "auc": [], "average_precision": [], "found": []}
    values["calibration_error"] = []
    bins = metrics.equal_mass_bins(scores)
    for indices in _drawn(fake, groups, 50, seed=4):
        labels, own = fake[indices], scores[indices]
        values["accuracy"].append(np.mean((own >= 0.5) == labels))
        values["auc"].append(sklearn.metrics.roc_auc_score(labels, own))
        ap = sklearn.metrics.average_precision_score(labels, own)
        values["average_precision"].append(ap)
        values["found"].append(np.mean(own[labels] >= 0.3))
        error = [
            abs(np.sum((own - labels)[bins[indices] == number])) for number in range(10)
        ]
        values["calibration_error"].append(sum(error) / len(own))
    found = bootstrap.intervals(
        *(fake, scores, 0.5, groups),
        num_resamples=50,
        seed=4,
        shares={"found": (fake & (scores >= 0.3), fake)},
    )
    for name, own in values.items():
        expected = np.percentile(own, [2.5, 97.5])
        if name == "calibration_error":
            estimate = metrics.reliability(fake, scores).error
            added = max(0, np.mean(own) - estimate)
            low = max(0, expected[0] - (2 + np.sqrt(2)) * added)
            expected = [min(low, estimate), max(expected[1], estimate)]
        assert found[name] == pytest.approx(expected, abs=1e-12), name


def test_a_calibration_error_lies_in_its_interval_and_may_be_chance():
    """Of scores that are probabilities, whose true error is 0."""
    holds_truth = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scores = 1 / (1 + np.exp(-rng.normal(0, 2, 200)))
        fake = rng.random(200) < scores
        found = bootstrap.intervals(
            *(fake, scores, 0.5, np.arange(200)), num_resamples=200, seed=seed
        )
        low, high = found["calibration_error"]
        assert low <= metrics.reliability(fake, scores).error <= high
        holds_truth.append(low == 0)
    # Percentiles alone hold it never.
    assert np.mean(holds_truth) > 0.75


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    task = _task(20)
    expected = bootstrap.intervals(*task[:2], 0.5, task[2], num_resamples=40)
    monkeypatch.setattr(bootstrap, "_BLOCK_SIZE", 900)
    assert bootstrap.intervals(*task[:2], 0.5, task[2], num_resamples=40) == expected


def test_the_seed_decides():
    fake, scores, groups = _task(20)
    found = [
        bootstrap.intervals(fake, scores, 0.5, groups, num_resamples=40, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


def test_videos_are_drawn_with_their_frames():
    # One score for all frames of a video: frames and videos have the same AUC.
    fake = np.array([False, False, True, True, True])
    scores = np.array([0.1, 0.6, 0.5, 0.2, 0.9])
    groups = np.repeat(np.arange(5), 3)
    found = bootstrap.intervals(
        fake[groups],
        scores[groups],
        0.5,
        groups,
        num_resamples=60,
        videos=(fake, scores, np.arange(5)),
    )
    assert found["video_auc"] == found["auc"]


def test_a_resample_without_a_real_video_is_drawn_again():
    # The first is a photograph, which makes a resample real but no video of it.
    fake = np.array([False, False, True, True, True])
    scores = np.array([0.1, 0.6, 0.5, 0.2, 0.9])
    videos = (fake[1:], scores[1:], np.arange(1, 5))
    found = bootstrap.intervals(
        fake, scores, 0.5, np.arange(5), num_resamples=200, videos=videos
    )
    assert np.isfinite(found["video_auc"]).all()


def test_frames_of_one_video_are_no_independent_pictures():
    rng = np.random.default_rng(0)
    fake = np.arange(40) % 2 == 0
    groups = np.repeat(np.arange(40), 50)
    scores = np.clip(rng.normal(0.4 + 0.2 * fake, 0.3), 0, 1)[groups]
    widths = [
        np.diff(
            bootstrap.intervals(fake[groups], scores, 0.5, own, num_resamples=200)[
                "auc"
            ]
        )
        for own in (groups, np.arange(2000))
    ]
    assert widths[0] > 4 * widths[1]


def test_an_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    fake = np.arange(80) % 2 == 0
    # Of two normal distributions one deviation apart.
    truth = 0.7602499389065233
    num_inside = 0
    for seed in range(100):
        scores = rng.normal(fake * 1.0)
        low, high = bootstrap.intervals(
            fake, scores, 0.5, np.arange(80), num_resamples=200, seed=seed
        )["auc"]
        num_inside += low <= truth <= high
    assert 88 <= num_inside <= 99


@pytest.mark.parametrize("fake", [[True] * 4, [False] * 4])
def test_one_class_has_an_interval_of_accuracy_alone(fake):
    found = bootstrap.intervals(
        fake, [0.2, 0.4, 0.6, 0.8], 0.5, [0, 1, 2, 3], num_resamples=50
    )
    assert found["auc"] is found["average_precision"] is None
    low, high = found["accuracy"]
    assert 0 <= low < 0.5 < high <= 1


@pytest.mark.parametrize("groups", [[], [0, 0]])
def test_fewer_than_two_groups_have_no_interval(groups):
    fake = [True, False][: len(groups)]
    found = bootstrap.intervals(
        fake, [0.2, 0.4][: len(groups)], 0.5, groups, num_resamples=5
    )
    assert set(found.values()) == {None}


@pytest.mark.parametrize("levels", [1, 5, 10**9])
def test_fakes_found_equal_those_of_resamples_that_are_written_out(levels):
    fake, scores, groups = _task(levels)
    rates = (0.0, 0.05, 0.3)
    expected = {rate: [] for rate in rates}
    for indices in _drawn(fake, groups, 50, seed=4):
        for row in metrics.found_at(fake[indices], scores[indices], rates):
            expected[row.rate].append(row.found)
    found = bootstrap.intervals(
        fake, scores, 0.5, groups, num_resamples=50, seed=4, rates=rates
    )
    for rate, own in expected.items():
        ends = np.percentile(own, [2.5, 97.5])
        assert found[bootstrap.found_name(rate)] == pytest.approx(ends, abs=1e-12)


def test_rates_change_no_other_interval():
    fake, scores, groups = _task(20)
    plain = bootstrap.intervals(fake, scores, 0.5, groups, num_resamples=30)
    more = bootstrap.intervals(
        fake, scores, 0.5, groups, num_resamples=30, rates=(0.1,)
    )
    assert {name: more[name] for name in plain} == plain
    assert set(more) - set(plain) == {"found_at_0.1"}
