# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals by resampling groups of pictures, such as those of a video.

Frames of one video are alike, so a set of 100,000 frames of 3,000 videos says no more
than 3,000 videos can: what is drawn again and again is the group. Drawing a group so
many times is giving its pictures that weight, so the scores are sorted only once, and
the metrics of every resample are sums along that order. Pure NumPy functions.

References:
    B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: the
    percentile interval.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation import metrics

LEVEL = 0.95

# Weights that are held at once: a few arrays of this size fit a processor's cache.
_BLOCK_SIZE = 2**17

Interval = tuple[float, float]


class RankingMetrics(NamedTuple):
    """Metrics of every resample, float64 `[num_resamples]`; NaN where undefined."""

    auc: NDArray[np.float64]
    average_precision: NDArray[np.float64]


class Ranking:
    """Scored examples in order, for metrics under any weights of their groups."""

    def __init__(self, fake: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> None:
        """Sorts the examples.

        Args:
            fake: bool `[n]`.
            scores: float `[n]`, finite.
            groups: int `[n]`, the group of each example, from 0.
        """
        is_fake = np.asarray(fake, np.bool_)
        group = np.asarray(groups, np.int64)
        # Lowest first is highest score first.
        values = -np.asarray(scores, np.float64)
        order = np.argsort(values, kind="stable")
        fakes, reals = order[is_fake[order]], order[~is_fake[order]]
        self._fake_groups, self._real_groups = group[fakes], group[reals]
        found, passed = values[fakes], values[reals]
        # How many fakes score higher than each real example, and at least as high.
        self._above = np.searchsorted(found, passed, "left")
        self._beside = np.searchsorted(found, passed, "right")
        # How many of each side score at least as high as each fake.
        self._found = np.searchsorted(found, found, "right")
        self._false = np.searchsorted(passed, found, "right")
        self.has_ties = bool(np.any(self._above != self._beside))
        self.has_tied_fakes = self._found.size != np.unique(self._found).size
        self.has_both = bool(fakes.size and reals.size)

    def counts(self, num_groups: int) -> NDArray[np.float64]:
        """How many fake and real examples each group has, float64 `[2, num_groups]`."""
        sides = self._fake_groups, self._real_groups
        counts = [np.bincount(side, minlength=num_groups) for side in sides]
        return np.array(counts, np.float64)

    def metrics(self, weights: NDArray[np.float64]) -> RankingMetrics:
        """Computes metrics of examples that count as often as their group was drawn.

        Args:
            weights: float64 `[num_resamples, num_groups]`, whole numbers.

        Returns:
            The metrics of every row of weights, as `metrics.auc` and
            `metrics.average_precision` define them.

        >>> ranking = Ranking([False, True, True], [0.2, 0.1, 0.9], groups=[0, 1, 2])
        >>> ranking.metrics(np.array([[1.0, 1, 1], [2, 0, 1]])).auc
        array([0.5, 1. ])
        """
        fakes = np.take(weights, self._fake_groups, axis=1)
        reals = np.take(weights, self._real_groups, axis=1)
        found, false = _cumulated(fakes), _cumulated(reals)
        above = np.take(found, self._above, axis=1)
        if self.has_ties:
            # A tie counts half.
            above = (above + np.take(found, self._beside, axis=1)) / 2
        hits = found[:, 1:]
        if self.has_tied_fakes:
            # Equal scores are called fake together.
            hits = np.take(found, self._found, axis=1)
        alarms = np.take(false, self._false, axis=1)
        alarms += hits
        # Fakes that were not drawn may come before all others, where 0 is 0 / 0.
        precision = np.divide(hits, np.maximum(alarms, 1, out=alarms), out=alarms)
        num_fake, num_real = found[:, -1], false[:, -1]
        with np.errstate(invalid="ignore"):
            return RankingMetrics(
                np.einsum("ij,ij->i", reals, above) / (num_fake * num_real),
                np.einsum("ij,ij->i", fakes, precision) / num_fake,
            )


def intervals(
    fake: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    groups: ArrayLike,
    *,
    num_resamples: int,
    seed: int = 0,
    level: float = LEVEL,
    videos: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> dict[str, Interval | None]:
    """Computes percentile intervals by drawing whole groups with replacement.

    A resample has as many groups as there are, of any kind: how many of them are real
    varies as it would in another collection. One that lacks real or fake examples, of
    pictures or of videos, has no AUC and is drawn again. Groups are taken for
    independent; where several of them show one person, as videos of one actor or a
    fake and its original do, the intervals are somewhat too narrow.

    Args:
        fake: bool `[n]`.
        scores: float `[n]`, finite.
        threshold: Scores at or above it are decided fake.
        groups: int `[n]`, the group of each example; all from 0 on are in use.
        num_resamples: How many resamples, at least 1.
        seed: Of the draws.
        level: How often the true value should lie inside, in (0, 1).
        videos: `fake`, `scores` and `groups` of whole videos, which are drawn together
            with the examples of their groups.

    Returns:
        The ends by the name of the metric: `accuracy`, `auc`, `average_precision` and,
        with videos, `video_auc`. None where the metric is undefined; that of `auc` and
        `average_precision` where a class is missing, and all of fewer than two groups.

    >>> found = intervals([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9], 0.5, [0, 1, 2, 3],
    ...     num_resamples=100)
    >>> found["auc"]
    (1.0, 1.0)
    """
    group = np.asarray(groups, np.int64)
    num_groups = int(np.max(group)) + 1 if group.size else 0
    rankings = {"": Ranking(fake, scores, group)}
    if videos is not None:
        rankings["video_"] = Ranking(*videos)
    names = ["accuracy", "auc", "average_precision"]
    names += ["video_auc"] if videos is not None else []
    result: dict[str, Interval | None] = dict.fromkeys(names)
    if num_groups < 2:
        return result
    # What has one class only has no AUC in any resample.
    rankings = {name: own for name, own in rankings.items() if own.has_both}
    needed = [row for own in rankings.values() for row in own.counts(num_groups)]
    right = metrics.decide(scores, threshold) == np.asarray(fake, np.bool_)
    sizes = np.bincount(group, minlength=num_groups).astype(np.float64)
    num_right = np.bincount(group[right], minlength=num_groups).astype(np.float64)
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    rng = np.random.default_rng(seed)
    num_rows = min(num_resamples, max(1, _BLOCK_SIZE // max(group.size, num_groups)))
    left = num_resamples
    while left:
        weights = _draw(rng, num_rows, num_groups)
        for row in needed:
            weights = weights[_totals(weights, row) > 0]
        weights = weights[:left]
        left -= len(weights)
        accuracy = _totals(weights, num_right) / _totals(weights, sizes)
        values["accuracy"].append(accuracy)
        for prefix, ranking in rankings.items():
            found = ranking.metrics(weights)
            values[f"{prefix}auc"].append(found.auc)
            if not prefix:
                values["average_precision"].append(found.average_precision)
    ends = (1 - level) / 2, (1 + level) / 2
    for name, parts in values.items():
        if parts:
            low, high = np.quantile(np.concatenate(parts), ends).tolist()
            result[name] = low, high
    return result


def _draw(
    rng: np.random.Generator, num_rows: int, num_groups: int
) -> NDArray[np.float64]:
    """How often each group was drawn: float64 `[num_rows, num_groups]`."""
    drawn = rng.integers(num_groups, size=(num_rows, num_groups))
    drawn += num_groups * np.arange(num_rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=num_rows * num_groups)
    return counts.reshape(num_rows, num_groups).astype(np.float64)


def _totals(
    weights: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums over the groups; for few and long rows much faster than a product."""
    return np.einsum("ij,j->i", weights, counts)


def _cumulated(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums along the rows, with a 0 before the first."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
