# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.saturation."""

import math

import pytest

from fakedet_jax.jobs.saturation import Saturation


def _tell(caplog, *parts):
    saturation = Saturation()
    for part in parts:
        saturation.add(part)
    saturation.tell()
    return caplog.messages


def test_most_scores_at_the_ends_are_one_warning(caplog):
    sure = [1, 0, 1 - 1e-9, 1e-8, 0.9999996]
    (message,) = _tell(caplog, sure, [0.5, 0.2, 0.7, math.nan], sure[:2])
    assert message.startswith("7 of 10 scores are 0 or 1 when rounded to 6 digits")
    assert "`log_odds`" in message


@pytest.mark.parametrize("scores", [[1.0] * 9, [1.0] * 10 + [0.5] * 10, [0.99999] * 99])
def test_a_few_clear_pictures_are_no_warning(caplog, scores):
    assert not _tell(caplog, scores)
