# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.base."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.media.framing import Framing
from fakedet_jax.settings import Settings, option
from fakedet_jax.systems.base import refuse

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
)


def _facts(**changes):
    """As they are stored; None leaves one out."""
    facts = json.loads(json.dumps(dataclasses.asdict(_INFO)))
    return {name: v for name, v in {**facts, **changes}.items() if v is not None}


def test_what_a_detector_says_survives_json():
    assert DetectorInfo.from_json(_facts()) == _INFO


def test_a_detector_of_an_earlier_version_has_no_details():
    info = DetectorInfo.from_json(_facts(details=None, face_detector="none"))
    assert info == dataclasses.replace(_INFO, details={})


@pytest.mark.parametrize("changes", [{"step": None}, {"more": 1}], ids=str)
def test_a_detector_of_another_version_is_refused(changes):
    with pytest.raises(RequestError, match="is of another version"):
        DetectorInfo.from_json(_facts(**changes))


def test_the_score_is_the_probability_of_all_fakes():
    scores = _INFO.scores(np.float32([[0.5, 0.25, 0.25], [1, 0, 0]]))
    assert scores.tolist() == [0.5, 0]


@dataclasses.dataclass(frozen=True)
class _Options(Settings):
    covariance: str = option("full", "A text.")
    num_components: tuple[int, ...] = option((12,), "Numbers.")
    pretrained: Path | None = option(None, "A path.")
    paired: bool = option(False, "A switch.")


_FIELDS = ("covariance", "num_components", "pretrained", "paired")


def test_settings_with_their_defaults_are_not_refused():
    refuse(_Options(), _FIELDS, "not used")


@pytest.mark.parametrize(
    "change",
    [
        {"covariance": "tied"},
        {"num_components": (3, 4)},
        {"pretrained": Path("elsewhere")},
        {"paired": True},
    ],
    ids=str,
)
def test_a_setting_that_would_be_ignored_is_refused_by_its_name(change):
    (name,) = change
    with pytest.raises(RequestError, match=f"^`{name}`: not used; leave it out$"):
        refuse(_Options(**change), _FIELDS, "not used")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 2])
def test_a_probability_that_is_not_finite_gives_no_score(value, column):
    probabilities = np.full((2, 3), 0.25, np.float32)
    probabilities[1, column] = value
    np.testing.assert_array_equal(_INFO.scores(probabilities), [0.5, np.nan])
