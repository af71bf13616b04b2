# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what a deployed detector computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.deployment import program
from fakedet_jax.evaluation import log_odds
from fakedet_jax.evaluation.calibration import Calibration
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.media.framing import Framing
from fakedet_jax.systems.base import Fitted

_NONE = Calibration()


def _fitted(is_fake, log_probability_fn, variables=None, calibration=_NONE):
    info = DetectorInfo(
        detector="made_up",
        classes=tuple(f"class {number}" for number in range(len(is_fake))),
        is_fake=is_fake,
        task="multiclass",
        framing=Framing.square(16),
        threshold=0.5,
        threshold_origin="",
        step=0,
        calibration=calibration,
    )
    return Fitted(info, variables, log_probability_fn)


@pytest.mark.parametrize("line", [_NONE, Calibration("platt", 0.3, -1.5)], ids=str)
@pytest.mark.parametrize("is_fake", [(False, True), (False, False, True, True, False)])
def test_scores_are_those_of_the_detector(is_fake, line):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 20, (8, len(is_fake))).astype(np.float32)
    values = np.asarray(jax.nn.log_softmax(logits))
    fitted = _fitted(
        is_fake,
        lambda variables, crops: variables[: crops.shape[0]],
        calibration=line,
    )
    made = program.make(
        Fitted(fitted.info, jnp.asarray(values), fitted.log_probability_fn)
    )
    found = jax.jit(made)(np.zeros((8, 16, 16, 3), np.uint8))
    expected = fitted.info.log_odds(values)
    assert set(found) == set(program.OUTPUTS)
    np.testing.assert_allclose(found["log_odds"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["scores"], log_odds.scores(expected), atol=1e-6)


def test_what_is_certain_is_finite_and_what_is_unknown_stays_so():
    values = np.array([[-np.inf, 0], [0, -np.inf], [np.nan, np.nan]], np.float32)
    made = program.make(_fitted((False, True), lambda variables, crops: values))
    found = made(np.zeros((3, 16, 16, 3), np.uint8))
    largest = np.float32(log_odds.LARGEST)
    np.testing.assert_array_equal(found["log_odds"], [largest, -largest, np.nan])
    np.testing.assert_array_equal(found["scores"], [1, 0, np.nan])
