# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Intervals of the AUC, and of the difference of two AUCs on the same pictures.

No resamples are drawn, so an interval takes as long as a sort. Examples count as
independent of each other; for frames of videos, which are alike, use `bootstrap`.

References:
    E. DeLong, D. DeLong and D. Clarke-Pearson, Comparing the areas under two or more
    correlated receiver operating characteristic curves, Biometrics 44, 1988.
    X. Sun and W. Xu, Fast implementation of DeLong's algorithm for comparing the areas
    under correlated receiver operating characteristic curves, IEEE Signal Processing
    Letters 21(11), 2014: the same in the time of a sort, by mean ranks.
"""

import math
import statistics

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation.bootstrap import LEVEL, Interval


def auc_interval(
    fake: ArrayLike, evidence: ArrayLike, level: float = LEVEL
) -> Interval | None:
    """Confidence interval of an AUC.

    It is symmetric in the log-odds of the AUC, and so within [0, 1].

    Args:
        fake: Bool `[n]`, whether each example is fake.
        evidence: Float `[n]`, finite; only their order matters.
        level: Of confidence, in (0, 1).

    Returns:
        Both ends; None with fewer than two real or two fake examples. An AUC of 0 or 1
        is its own interval, as no example contradicts it.
    """
    components = _components(np.asarray(fake, bool), [np.asarray(evidence, np.float64)])
    if components is None:
        return None
    (auc,), covariance = components
    if auc in (0.0, 1.0):
        return auc, auc
    middle = math.log(auc / (1 - auc))
    half = _normal(level) * math.sqrt(covariance[0, 0]) / (auc * (1 - auc))
    low, high = (1 / (1 + math.exp(-end)) for end in (middle - half, middle + half))
    return low, high


def difference_interval(
    fake: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = LEVEL
) -> tuple[float, Interval] | None:
    """How much higher the second AUC is than the first, on the same examples.

    Both err on the same difficult examples, so that the difference is known better than
    either AUC: intervals of the AUCs may overlap where that of the difference lies
    apart from 0.

    Args:
        fake: Bool `[n]`, whether each example is fake.
        first: Float `[n]`, finite; evidence of one detector.
        second: Float `[n]`, finite; evidence of the other.
        level: Of confidence, in (0, 1).

    Returns:
        The difference and both ends of its interval, in [-1, 1]; None with fewer than
        two real or two fake examples.
    """
    both = [np.asarray(first, np.float64), np.asarray(second, np.float64)]
    components = _components(np.asarray(fake, bool), both)
    if components is None:
        return None
    aucs, covariance = components
    difference = float(aucs[1] - aucs[0])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    half = _normal(level) * math.sqrt(max(variance, 0.0))
    return difference, (max(difference - half, -1.0), min(difference + half, 1.0))


def _normal(level: float) -> float:
    """How many standard deviations the middle `level` of a normal distribution has."""
    return statistics.NormalDist().inv_cdf((1 + level) / 2)


def _components(
    fake: NDArray[np.bool_], evidence: list[NDArray[np.float64]]
) -> tuple[list[float], NDArray[np.float64]] | None:
    """The AUC of each kind of evidence, and the covariances of these AUCs."""
    num_fake, num_real = int(fake.sum()), int((~fake).sum())
    if min(num_fake, num_real) < 2:
        return None
    # For each fake the share of real ones below it, for each real one that of fakes
    # above it; ties count one half.
    of_fakes, of_real = [], []
    for own in evidence:
        ranks = _mean_ranks(own)
        within_fakes, within_real = _mean_ranks(own[fake]), _mean_ranks(own[~fake])
        of_fakes.append((ranks[fake] - within_fakes) / num_real)
        of_real.append(1 - (ranks[~fake] - within_real) / num_fake)
    aucs = [float(np.mean(shares)) for shares in of_fakes]
    covariance = (
        np.atleast_2d(np.cov(of_fakes)) / num_fake
        + np.atleast_2d(np.cov(of_real)) / num_real
    )
    return aucs, covariance


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = (ends - (counts - 1) / 2)[inverse]
    return means
