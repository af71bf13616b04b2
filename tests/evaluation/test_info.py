# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.info."""

import dataclasses
import json

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
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
    [(None, False), ((100, 100), False), ((100, 99), True), ((3, 500), True)],
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
    assert scores.tolist() == [0.5, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 2])
def test_a_probability_that_is_not_finite_gives_no_score(value, column):
    probabilities = np.full((2, 3), 0.25, np.float32)
    probabilities[1, column] = value
    np.testing.assert_array_equal(_INFO.scores(probabilities), [0.5, np.nan])
