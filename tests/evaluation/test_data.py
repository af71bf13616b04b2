# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.data."""

import numpy as np
import pytest

from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import data as evaluation_data
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored
from tests import tiny

NAMES = ["a frame 0", "a frame 1", "b frame 0"]
INFO = DetectorInfo(
    detector="tiny",
    classes=("real", "fake"),
    is_fake=(False, True),
    task="binary",
    framing=tiny.PREPROCESSING.framing,
    threshold=0.5,
    threshold_origin="",
    step=1,
)


@pytest.fixture
def dataset():
    rows = [
        (
            *(name, name[0] == "b", "test", name[0], name[0], int(name[-1]), 0),
            *("", "", "", *tiny.UNKNOWN_PORTRAIT),
        )
        for name in NAMES
    ]
    facts = Facts.from_rows(rows)
    classes, is_fake = INFO.classes, INFO.is_fake
    return Dataset("films", "test", classes, is_fake, NAMES, NAMES, facts.labels, facts)


def _to_evaluation(dataset, valid, reasons):
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    scored = Scored(np.log(probabilities), np.array(valid))
    return evaluation_data.to_evaluation(
        INFO, dataset, scored, reasons, manipulations=["", "", "swap"]
    )


def test_what_is_known_of_a_picture_is_skipped_with_it(dataset):
    found = _to_evaluation(dataset, [True, False, True], {1: "is empty"})
    assert found.skipped == [("a frame 1", "is empty")]
    assert found.facts.names == found.names == ["a frame 0", "b frame 0"]
    assert found.manipulations == ["", "swap"]
    assert found.videos.scores == pytest.approx([0.2, 0.9])
    assert found.videos.evidence == pytest.approx(np.log([0.25, 9]))


def test_what_is_whole_is_not_copied(dataset):
    assert _to_evaluation(dataset, [True] * 3, {}).facts is dataset.facts


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_names_that_lead_elsewhere_are_not_plain(name):
    assert not evaluation_data.is_plain(name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(dataset, value):
    values = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, value]], np.float32)
    scored = Scored(values, np.array([True, False, True]))
    with pytest.raises(RequestError) as caught:
        evaluation_data.to_evaluation(INFO, dataset, scored, {1: "is empty"})
    message = str(caught.value)
    assert "1 of 2 pictures a score that is not a finite number" in message
    assert "'b frame 0'" in message


def test_a_value_that_is_not_finite_is_no_score_of_a_skipped_picture(dataset):
    values = np.array([[0.5, 0.5], [0.5, np.nan], [0.5, 0.5]], np.float32)
    scored = Scored(values, np.array([True, False, True]))
    found = evaluation_data.to_evaluation(INFO, dataset, scored, {1: "is empty"})
    assert found.scores.tolist() == [0.5, 0.5]
