# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the comparison with the workdir."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.deployment import checking
from fakedet_jax.media.framing import Framing
from tests.deployment.test_program import _fitted


@dataclasses.dataclass
class Opened:
    """What the comparison asks of a workdir."""

    matmul_precision: str = "float32"


def _by_brightness(variables, crops):
    score = crops.astype(jnp.float32).mean((1, 2, 3)) / 255
    return jnp.log(jnp.stack([1 - score, score], -1))


def _outputs(scores):
    with np.errstate(divide="ignore"):
        evidence = np.log(scores) - np.log(1 - scores)
    return {"scores": scores, "log_odds": np.clip(evidence, -1e30, 1e30)}


CROPS = np.arange(0, 250, 10, np.uint8)[:, None, None, None].repeat(3, -1)


def _compared(deployed, batch_size=None):
    fitted = _fitted((False, True), _by_brightness)
    return checking.largest_difference(fitted, Opened(), deployed, CROPS, batch_size)


@pytest.mark.parametrize("batch_size", [None, 4, 25, 40])
def test_all_pictures_are_compared_in_batches_of_the_size(batch_size):
    seen = []

    def deployed(crops):
        seen.append(len(crops))
        return _outputs(crops.mean((1, 2, 3), np.float32) / 255)

    assert _compared(deployed, batch_size).largest < 1e-5
    assert seen == {None: [24, 1], 4: [4] * 7, 25: [25], 40: [40]}[batch_size]


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_one_wrong_score_is_found(value):
    def deployed(crops):
        scores = crops.mean((1, 2, 3), np.float32) / 255
        outputs = _outputs(scores.copy())
        outputs["scores"][crops[:, 0, 0, 0] == 20] = value
        return outputs

    expected = np.inf if np.isnan(value) else 0.5 - 20 / 255
    found = _compared(deployed)
    assert found.scores == pytest.approx(expected, abs=1e-6)
    assert found.log_odds < 1e-5


@pytest.mark.parametrize("batch_size", [None, 4, 40])
def test_other_decisions_are_counted_once(batch_size):
    def deployed(crops):
        scores = crops.mean((1, 2, 3), np.float32) / 255
        scores[np.isin(crops[:, 0, 0, 0], (0, 120))] = 0.6
        return _outputs(scores)

    assert _compared(deployed, batch_size).num_decisions == 2


def test_scores_that_are_rounded_to_one_hide_nothing():
    def certain(variables, crops):
        evidence = crops[:, 0, 0, 0].astype(jnp.float32) + 100
        return jnp.stack([-evidence, jnp.zeros_like(evidence)], -1)

    def deployed(crops):
        evidence = crops[:, 0, 0, 0].astype(np.float32) + 100
        evidence[evidence == 120] += 1
        return {"scores": np.ones(len(crops)), "log_odds": evidence}

    found = checking.largest_difference(
        _fitted((False, True), certain), Opened(), deployed, CROPS, None
    )
    assert found.scores == 0
    assert found.log_odds == found.largest == pytest.approx(1 / 121)


def test_generated_pictures_are_of_the_size_and_differ():
    noise = checking._noise(Framing(18, 16))
    assert noise.shape == (50, 18, 16, 3) and noise.dtype == np.uint8
    assert len(np.unique(noise.reshape(50, -1), axis=0)) == 50
