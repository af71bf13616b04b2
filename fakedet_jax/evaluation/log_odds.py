# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Log-odds of being fake: evidence that keeps its order however sure a detector is.

A score is the sigmoid of log-odds. In float64 it is exactly 1 from log-odds of about 37
on, and in float32 of 17, so that pictures beyond are no longer told apart; their
log-odds are. What ranks pictures ranks log-odds. Pure functions of arrays, in float64.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

# Where probabilities are 0 in float32, log-odds would be infinite; no table or JSON
# file takes that.
LARGEST = 1e30


def of_classes(
    log_probabilities: ArrayLike, is_fake: Sequence[bool]
) -> NDArray[np.float64]:
    """Log-odds of the fake classes together against the real ones.

    Args:
        log_probabilities: Float `[n, classes]`, at most 0; −∞ is a probability of 0.
        is_fake: Whether each class is fake.

    Returns:
        `[n]`, within ± `LARGEST`; NaN where a value is NaN or +∞.

    >>> of_classes(np.log([[0.5, 0.25, 0.25]]), [False, False, True]).round(4)
    array([-1.0986])
    """
    values = np.asarray(log_probabilities, np.float64)
    fake = np.asarray(is_fake, np.bool_)
    with np.errstate(invalid="ignore"):
        odds = special.logsumexp(values[:, fake], axis=-1) - special.logsumexp(
            values[:, ~fake], axis=-1
        )
    unknown = np.isnan(values).any(-1) | np.isposinf(values).any(-1)
    return np.where(unknown, np.nan, np.clip(odds, -LARGEST, LARGEST))


def scores(log_odds: ArrayLike) -> NDArray[np.float64]:
    """The scores of log-odds, in [0, 1]; NaN stays.

    >>> scores([0.0, 1000.0])
    array([0.5, 1. ])
    """
    found: NDArray[np.float64] = special.expit(np.asarray(log_odds, np.float64))
    return found


def of_scores(values: ArrayLike) -> NDArray[np.float64]:
    """The log-odds of scores in [0, 1], infinite at the ends.

    >>> of_scores([0.5, 1.0])
    array([ 0., inf])
    """
    found: NDArray[np.float64] = special.logit(np.asarray(values, np.float64))
    return found


def means(
    log_odds: ArrayLike, groups: ArrayLike, num_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean score of each group, and the log-odds of that mean.

    Scores are averaged and not log-odds, so that one frame of which a detector is sure
    beyond measure does not decide for a whole video.

    Args:
        log_odds: `[n]`, finite.
        groups: Int `[n]`, in [0, num_groups).
        num_groups: Number of groups, each with at least one member.

    Returns:
        Scores and log-odds, `[num_groups]`. Of a group of one they are its own.

    >>> score, odds = means([2.0, -2.0, 50.0], [0, 0, 1], 2)
    >>> score.round(4), odds.round(4)
    (array([0.5, 1. ]), array([ 0., 50.]))
    """
    values = np.asarray(log_odds, np.float64)
    group = np.asarray(groups, np.int64)
    sizes = np.bincount(group, minlength=num_groups)
    score = np.bincount(group, scores(values), num_groups) / sizes
    # The logarithms of the sums of scores and of what they lack of 1: both exact, also
    # where the mean itself is rounded to 0 or 1.
    sums = np.full((2, num_groups), -np.inf)
    for row, sign in zip(sums, (1, -1), strict=True):
        np.logaddexp.at(row, group, special.log_expit(sign * values))
    odds = sums[0] - sums[1]
    odds[group] = np.where(sizes[group] == 1, values, odds[group])
    return np.clip(score, 0, 1), odds
