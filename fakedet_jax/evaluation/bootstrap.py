# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals by resampling groups of pictures, such as those of a video.

Frames of one video are similar, so 100,000 frames of 3,000 videos carry no more
evidence than 3,000 videos: a resample draws whole groups. Drawing a group k times gives
each of its pictures the weight k, so the scores are sorted only once and the metrics of
every resample are sums in that order. Pure NumPy functions.

References:
    B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: the
    percentile interval.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation import metrics

LEVEL = 0.95

# The calibration error is a sum of absolute values, which chance raises: in resamples
# by some b over the estimate, and in the estimate by at most b / (√2 - 1) over the
# truth. It is that much where scores are calibrated, so that every gap is chance alone
# and a resample adds as much variance again.
_MOST_BIAS = 1 + math.sqrt(2)

# Number of weights in memory at once; a few such arrays fit a processor's cache.
_BLOCK_SIZE = 2**17

Interval = tuple[float, float]


class RankingMetrics(NamedTuple):
    """Metrics of every resample, float64 `[num_resamples]`; NaN where undefined."""

    auc: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    equal_error_rate: NDArray[np.float64]


class Ranking:
    """Scored examples in order, for metrics with any weights of their groups.

    Attributes:
        has_ties: Whether a fake and a real example have the same score.
        has_tied_fakes: Whether two fakes have the same score.
        has_both: Whether there are fake and real examples.
    """

    def __init__(self, fake: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> None:
        """Sorts the examples.

        Args:
            fake: Bool `[n]`, whether each example is fake.
            scores: Float `[n]`, finite; evidence of being fake.
            groups: Int `[n]`, number of the group of each example, from 0.
        """
        is_fake = np.asarray(fake, np.bool_)
        group = np.asarray(groups, np.int64)
        # Negated, so that the highest score comes first.
        values = -np.asarray(scores, np.float64)
        order = np.argsort(values, kind="stable")
        fakes, reals = order[is_fake[order]], order[~is_fake[order]]
        self._fake_groups, self._real_groups = group[fakes], group[reals]
        found, passed = values[fakes], values[reals]
        # Number of fakes that score higher than each real example, or at least as high.
        self._above = np.searchsorted(found, passed, "left")
        self._beside = np.searchsorted(found, passed, "right")
        # Number of fakes, and of real examples, that score at least as high as each
        # fake.
        self._found = np.searchsorted(found, found, "right")
        self._false = np.searchsorted(passed, found, "right")
        # The numbers of fakes and of real examples from each distinct score up.
        distinct = np.unique(values)
        self._found_from = np.searchsorted(found, distinct, "right")
        self._false_from = np.searchsorted(passed, distinct, "right")
        self.has_ties = bool(np.any(self._above != self._beside))
        self.has_tied_fakes = self._found.size != np.unique(self._found).size
        self.has_both = bool(fakes.size and reals.size)

    def counts(self, num_groups: int) -> NDArray[np.float64]:
        """Number of fake and of real examples in each group.

        Args:
            num_groups: Number of groups, larger than every group number.

        Returns:
            Float64 `[2, num_groups]`, fakes first.
        """
        sides = self._fake_groups, self._real_groups
        counts = [np.bincount(side, minlength=num_groups) for side in sides]
        return np.array(counts, np.float64)

    def metrics(self, weights: NDArray[np.float64]) -> RankingMetrics:
        """Computes metrics in which each example counts as often as its group.

        Args:
            weights: Float64 `[num_resamples, num_groups]`, whole numbers from 0: how
                often each group was drawn.

        Returns:
            The metrics for every row of weights, as `metrics.auc`,
            `metrics.average_precision` and `metrics.equal_error_rate` define them for
            examples repeated that often.

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
            # A threshold calls equal scores fake together.
            hits = np.take(found, self._found, axis=1)
        alarms = np.take(false, self._false, axis=1)
        alarms += hits
        # Fakes that were not drawn may come first, where 0 stands for 0 / 0.
        precision = np.divide(hits, np.maximum(alarms, 1, out=alarms), out=alarms)
        num_fake, num_real = found[:, -1], false[:, -1]
        with np.errstate(invalid="ignore"):
            rates = (
                np.pad(np.take(sums, places, axis=1), ((0, 0), (1, 0)))
                / sums[:, -1][:, None]
                for sums, places in (
                    (false, self._false_from),
                    (found, self._found_from),
                )
            )
            return RankingMetrics(
                np.einsum("ij,ij->i", reals, above) / (num_fake * num_real),
                np.einsum("ij,ij->i", fakes, precision) / num_fake,
                metrics.crossing(*rates),
            )

    def found_at(
        self, weights: NDArray[np.float64], rates: Sequence[float]
    ) -> list[NDArray[np.float64]]:
        """Fakes found where a share of false alarms is allowed; see `metrics.found_at`.

        Args:
            weights: As for `metrics`; fakes and real examples must both be drawn.
            rates: Shares of the real examples that may be called fake, in [0, 1).

        Returns:
            For each rate, float64 `[num_resamples]`.

        >>> ranking = Ranking([0, 0, 1, 1], [0.2, 0.8, 0.5, 0.9], groups=[0, 1, 2, 3])
        >>> ranking.found_at(np.array([[1.0, 1, 1, 1], [2, 0, 1, 1]]), [0.0])
        [array([0.5, 1. ])]
        """
        found = _cumulated(np.take(weights, self._fake_groups, axis=1))
        false = _cumulated(np.take(weights, self._real_groups, axis=1))[:, 1:]
        result = []
        for rate in rates:
            allowed = np.floor(rate * false[:, -1] + 1e-9)
            # The first real example, from the highest score down, that is one too many:
            # only fakes above it are found.
            first = np.argmax(false > allowed[:, None], axis=1)
            hits = found[np.arange(len(found)), self._above[first]]
            result.append(hits / found[:, -1])
        return result


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
    rates: Sequence[float] = (),
    evidence: ArrayLike | None = None,
    shares: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> dict[str, Interval | None]:
    """Computes intervals by drawing whole groups with replacement.

    They are percentile intervals. That of the calibration error goes further down, by
    the most that chance can have added to it, as it would not even hold the estimate.

    A resample has as many groups as there are, real or fake: the share of real ones
    varies as it would in another collection. A resample without real or without fake
    examples, of pictures or of videos, has no AUC and is drawn again. Groups are
    assumed to be independent. Where several of them show one identity, as with videos
    of one actor or a fake and its original, the intervals are somewhat too narrow.

    Args:
        fake: Bool `[n]`, whether each example is fake.
        scores: Float `[n]`, finite; evidence of being fake.
        threshold: Scores at or above it are decided fake.
        groups: Int `[n]`, number of the group of each example; every number from 0 to
            the largest occurs.
        num_resamples: Number of resamples, at least 1.
        seed: Seed of the draws.
        level: Probability that an interval contains the true value, in (0, 1).
        videos: `fake`, evidence and `groups` of whole videos, each `[v]`, which are
            drawn together with the examples of their groups.
        rates: Shares of false alarms at which the fakes that are found are counted.
        evidence: Float `[n]`, finite: ranks the examples, such as log-odds; by default
            the scores do.
        shares: More shares by name: bool `[n]`, the examples that count, and bool
            `[n]`, those of which they are a share.

    Returns:
        Lower and upper end by the name of the metric: `accuracy`, `calibration_error`
        (in the bins of all examples), those of `shares`, `auc`, `average_precision`,
        `equal_error_rate`, with videos `video_auc`, and for each rate the name of
        `found_name`. Those that need both classes are None where one is missing, and
        all where there are fewer than two groups.

    >>> found = intervals([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9], 0.5, [0, 1, 2, 3],
    ...     num_resamples=100)
    >>> found["auc"]
    (1.0, 1.0)
    """
    group = np.asarray(groups, np.int64)
    num_groups = int(np.max(group)) + 1 if group.size else 0
    rankings = {"": Ranking(fake, scores if evidence is None else evidence, group)}
    if videos is not None:
        rankings["video_"] = Ranking(*videos)
    of_ranking = ["auc", "average_precision", "equal_error_rate"]
    names = ["accuracy", "calibration_error", *(shares or {}), *of_ranking]
    names += ["video_auc"] if videos is not None else []
    names += map(found_name, rates)
    result: dict[str, Interval | None] = dict.fromkeys(names)
    if num_groups < 2:
        return result
    # With one class only, no resample has an AUC.
    rankings = {name: own for name, own in rankings.items() if own.has_both}
    needed = [row for own in rankings.values() for row in own.counts(num_groups)]
    is_fake = np.asarray(fake, np.bool_)
    right = metrics.decide(scores, threshold) == is_fake
    everything = np.ones(group.size, np.bool_)
    sizes = np.bincount(group, minlength=num_groups).astype(np.float64)
    counted = {
        name: [_sums(group, np.asarray(side, np.float64), num_groups) for side in sides]
        for name, sides in {"accuracy": (right, everything), **(shares or {})}.items()
    }
    gaps = np.asarray(scores, np.float64) - is_fake
    bins = metrics.equal_mass_bins(scores)
    gaps_of_bins = [
        _sums(group, np.where(bins == number, gaps, 0), num_groups)
        for number in range(int(bins.max()) + 1)
    ]
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
        for name, (part, whole) in counted.items():
            with np.errstate(invalid="ignore"):
                values[name].append(_totals(weights, part) / _totals(weights, whole))
        error = np.sum([np.abs(_totals(weights, own)) for own in gaps_of_bins], axis=0)
        values["calibration_error"].append(error / _totals(weights, sizes))
        for prefix, ranking in rankings.items():
            found = ranking.metrics(weights)
            values[f"{prefix}auc"].append(found.auc)
            if not prefix:
                values["average_precision"].append(found.average_precision)
                values["equal_error_rate"].append(found.equal_error_rate)
                for rate, found_shares in zip(
                    rates, ranking.found_at(weights, rates), strict=True
                ):
                    values[found_name(rate)].append(found_shares)
    ends = (1 - level) / 2, (1 + level) / 2
    for name, parts in values.items():
        drawn = np.concatenate(parts) if parts else np.zeros(0)
        # A share of nothing, in a resample, is no number.
        drawn = drawn[~np.isnan(drawn)]
        if drawn.size:
            low, high = np.quantile(drawn, ends).tolist()
            result[name] = low, high
            if name == "calibration_error":
                estimate = sum(abs(own.sum()) for own in gaps_of_bins) / group.size
                added = max(0.0, float(drawn.mean()) - estimate)
                low = max(0.0, low - (1 + _MOST_BIAS) * added)
                result[name] = min(low, estimate), max(high, estimate)
    return result


def found_name(rate: float) -> str:
    """The name of the share of fakes found at a rate of false alarms.

    >>> found_name(0.01)
    'found_at_0.01'
    """
    return f"found_at_{rate:g}"


def _draw(
    rng: np.random.Generator, num_rows: int, num_groups: int
) -> NDArray[np.float64]:
    """Draws resamples: how often each group, float64 `[num_rows, num_groups]`."""
    drawn = rng.integers(num_groups, size=(num_rows, num_groups))
    drawn += num_groups * np.arange(num_rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=num_rows * num_groups)
    return counts.reshape(num_rows, num_groups).astype(np.float64)


def _sums(
    group: NDArray[np.int64], values: NDArray[np.float64], num_groups: int
) -> NDArray[np.float64]:
    """Sums values, `[n]`, over the members of each group, float64 `[num_groups]`."""
    return np.bincount(group, values, num_groups).astype(np.float64)


def _totals(
    weights: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums over the groups; much faster than a product for few and long rows."""
    return np.einsum("ij,j->i", weights, counts)


def _cumulated(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative sums along the rows, after a 0."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
