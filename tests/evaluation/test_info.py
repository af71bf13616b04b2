# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.info."""

import dataclasses
import json

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.evaluation.calibration import Calibration
from fakedet_jax.evaluation.info import MAX_KEPT, DetectorInfo, kept_log_odds
from fakedet_jax.media.framing import Framing

_INFO = DetectorInfo(
    detector="tiny",
    classes=("real", "glow", "gan"),
    is_fake=(False, True, True),
    task="multiclass",
    framing=Framing.square(16),
    threshold=0.25,
    threshold_origin="By hand.",
    step=3,
    validation={"auc": 0.75},
    details={"num_held_out": 12, "embedding": "abc"},
    threshold_pictures=(120, 99),
)


def _facts(**changes):
    """As they are stored; None leaves one out."""
    facts = json.loads(json.dumps(dataclasses.asdict(_INFO)))
    return {name: v for name, v in {**facts, **changes}.items() if v is not None}


def test_what_a_detector_says_survives_json():
    assert DetectorInfo.from_json(_facts()) == _INFO


def test_a_detector_of_an_earlier_version_has_no_details():
    facts = _facts(details=None, threshold_pictures=None, face_detector="none")
    info = DetectorInfo.from_json(facts)
    assert info == dataclasses.replace(_INFO, details={}, threshold_pictures=None)


@pytest.mark.parametrize(
    ("counts", "is_doubtful"),
    [
        *((None, False), ((100, 100), False), ((100, 99), True), ((3, 500), True)),
        ((8, 0), True),
    ],
)
def test_a_threshold_of_few_pictures_is_doubtful(counts, is_doubtful):
    info = dataclasses.replace(_INFO, threshold_pictures=counts)
    assert bool(info.doubt) == is_doubtful
    if is_doubtful:
        assert f"{counts[0]} real and {counts[1]} fake" in info.doubt


@pytest.mark.parametrize("changes", [{"step": None}, {"more": 1}], ids=str)
def test_a_detector_of_another_version_is_refused(changes):
    with pytest.raises(RequestError, match="is of another version"):
        DetectorInfo.from_json(_facts(**changes))


def test_the_score_is_the_probability_of_all_fakes():
    scores = _INFO.scores(np.float32([[0.5, 0.25, 0.25], [1, 0, 0]]))
    np.testing.assert_allclose(scores, [0.5, 0], rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 2])
def test_a_probability_that_is_not_finite_gives_no_score(value, column):
    probabilities = np.full((2, 3), 0.25, np.float32)
    probabilities[1, column] = value
    np.testing.assert_allclose(_INFO.scores(probabilities), [2 / 3, np.nan])


def test_log_odds_tell_scores_apart_that_are_rounded_to_one():
    log_probabilities = np.float32([[-100, -1, -0.5], [-200, -1, -0.5]])
    odds = _INFO.log_odds(log_probabilities)
    assert odds[1] - odds[0] == pytest.approx(100)
    assert log_odds.scores(odds).tolist() == [1, 1]


def _with_scores(num_real, **changes):
    kept = kept_log_odds(log_odds.of_scores((np.arange(num_real) + 0.5) / num_real))
    return dataclasses.replace(_INFO, **kept, **changes)


def _num_alarms(info):
    return metrics.decide(log_odds.scores(info.real_log_odds), info.threshold).sum()


def test_a_detector_of_an_earlier_version_keeps_its_threshold_and_its_scores():
    facts = _facts(real_scores=[0.0, 0.25, 1.0], num_real=3, threshold=0.5)
    del facts["real_log_odds"]
    info = DetectorInfo.from_json(facts)
    assert log_odds.scores(info.real_log_odds).tolist() == [0, 0.25, 1]
    assert info.threshold == 0.5
    assert info.at_false_alarms(0.34).threshold > 0.25


@pytest.mark.parametrize("odds", [17.2, 17.32, 17.33, 17.4, 40.0])
def test_a_threshold_of_one_decides_as_when_scores_were_float32(odds):
    facts = _facts(threshold=1.0)
    del facts["real_log_odds"]
    info = DetectorInfo.from_json(facts)
    score = log_odds.scores(odds)
    assert metrics.decide(score, info.threshold) == (np.float32(score) >= 1)


def test_a_rate_of_false_alarms_chooses_the_threshold():
    info = _with_scores(200).at_false_alarms(0.05)
    assert _num_alarms(info) == 10
    assert info.max_false_alarms == 0.05
    assert info.threshold_pictures is None
    low, high = metrics.wilson_interval(10, 200)
    assert "at most 5 % false alarms: 10 of the 200 real" in info.threshold_origin
    assert f"{low:.1%} to {high:.1%}" in info.threshold_origin
    assert not info.doubt
    assert DetectorInfo.from_json(json.loads(json.dumps(dataclasses.asdict(info)))) == (
        info
    )


def test_a_rate_that_the_pictures_are_too_few_for_is_doubtful():
    info = _with_scores(99).at_false_alarms(0.01)
    assert not _num_alarms(info)
    assert "need at least 100 real validation pictures, there are 99" in info.doubt
    assert not _with_scores(100).at_false_alarms(0.01).doubt


def test_a_rate_without_scores_is_refused():
    with pytest.raises(
        RequestError, match=r"`max_false_alarms`: .*or give `threshold`"
    ):
        _INFO.at_false_alarms(0.01)


def test_of_very_many_scores_evenly_spaced_ones_are_kept():
    number = 5 * MAX_KEPT + 3
    scores = (np.random.default_rng(0).permutation(number) + 0.5) / number
    kept = kept_log_odds(log_odds.of_scores(scores))
    assert kept["num_real"] == number
    assert len(kept["real_log_odds"]) == MAX_KEPT
    info = dataclasses.replace(_INFO, **kept).at_false_alarms(0.001)
    assert np.mean(scores >= info.threshold) == pytest.approx(0.001, rel=0.05)
    assert f"of the {number:,} real" in info.threshold_origin


def _with_both(num_real=200, num_fake=100, gap=1.0, **changes):
    rng = np.random.default_rng(0)
    kept = kept_log_odds(rng.normal(-gap, 1, num_real), rng.normal(gap, 1, num_fake))
    return dataclasses.replace(_INFO, **kept, **changes)


@pytest.mark.parametrize(
    "line", [Calibration(), Calibration("platt", 0.2, 0.5)], ids=lambda line: line.kind
)
def test_what_may_be_wrong_too_often_is_unsure(line):
    info = _with_both(calibration=line).unsure_at(0.05, 0.1)
    low, high = info.unsure_between
    assert low < high
    real, fake = (
        info.point.decide(log_odds.scores(line(kept)))
        for kept in (info.real_log_odds, info.fake_log_odds)
    )
    assert (real.count("fake"), fake.count("real")) == (10, 10)
    assert real.count("unsure") > 0 < fake.count("unsure")
    assert "10 of 200 and 10 of 100" in info.unsure_origin
    assert not info.doubt


def test_where_both_rates_are_kept_by_one_threshold_nothing_is_unsure():
    info = _with_both(gap=9.0).unsure_at(0.05, 0.05)
    low, high = info.unsure_between
    assert low == high
    assert set(info.point.decide([0.0, low, 1.0])) == {"real", "fake"}


@pytest.mark.parametrize(
    ("false_alarms", "misses", "doubts"),
    [
        (0.001, 0.1, ["false alarms need at least 1,000 real", "there are 200"]),
        (0.1, 0.001, ["misses need at least 1,000 fake", "there are 100"]),
        (0.001, 0.001, ["1,000 real", "; at most 0.1 % misses need"]),
    ],
)
def test_rates_that_the_pictures_are_too_few_for_are_doubtful(
    false_alarms, misses, doubts
):
    doubt = _with_both().unsure_at(false_alarms, misses).doubt
    assert all(part in doubt for part in doubts)


def test_without_scores_of_fakes_nothing_can_be_unsure():
    with pytest.raises(RequestError, match=r"`miss_rate`: .* fake validation pictures"):
        _with_scores(200).unsure_at(0.05, 0.05)
    with pytest.raises(RequestError, match="`false_alarm_rate`: "):
        _INFO.unsure_at(0.05, 0.05)
