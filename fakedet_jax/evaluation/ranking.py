# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How well scores rank fakes above real pictures: curves and their areas.

Label 1 is fake. `metrics` offers these functions and tells what they have in common.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class RocCurve(NamedTuple):
    """Points of a ROC curve, from "nothing is fake" to "everything is fake".

    Attributes:
        false_positive_rate: Float64 `[k]`, rising from 0 to 1.
        true_positive_rate: Float64 `[k]`, rising from 0 to 1.
        thresholds: Float64 `[k]`, falling: infinity, then every distinct score.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, in the order of scikit-learn.

    Attributes:
        precision: Float64 `[k + 1]`, in [0, 1]; the last is 1 by convention.
        recall: Float64 `[k + 1]`, falling from 1 to 0.
        thresholds: Float64 `[k]`, every distinct score, rising.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve | None:
    """False and true positive rate at every distinct score.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite; higher means more likely fake.

    Returns:
        The curve, or None when either class is missing.

    Raises:
        ValueError: A label is not 0 or 1, a score is not finite, or the arrays are not
            of one dimension and the same length.
    """
    groups = group_by_score(labels, scores)
    if not groups.num_fake or not groups.num_real:
        return None
    return RocCurve(
        np.append(0, np.cumsum(groups.real[::-1])) / groups.num_real,
        np.append(0, np.cumsum(groups.fake[::-1])) / groups.num_fake,
        np.append(np.inf, groups.scores[::-1]),
    )


def auc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Area under the ROC curve, computed as the Mann-Whitney statistic.

    `P(s_fake > s_real) + ½ P(s_fake = s_real)` for a random fake and a random real
    picture.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.

    Returns:
        A number in [0, 1], or None when either class is missing.

    Raises:
        ValueError: See `roc_curve`.

    >>> auc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    groups = group_by_score(labels, scores)
    if not groups.num_fake or not groups.num_real:
        return None
    real_below = np.cumsum(groups.real) - groups.real
    # Twice the statistic is an integer, which keeps the sum exact.
    doubled = int(np.sum(groups.fake * (2 * real_below + groups.real)))
    return doubled / (2 * groups.num_fake * groups.num_real)


def precision_recall_curve(
    labels: ArrayLike, scores: ArrayLike
) -> PrecisionRecallCurve | None:
    """Precision and recall at every distinct score.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.

    Returns:
        The curve, or None when there is no fake.

    Raises:
        ValueError: See `roc_curve`.
    """
    groups = group_by_score(labels, scores)
    if not groups.num_fake:
        return None
    hits = np.cumsum(groups.fake[::-1])[::-1]
    alarms = hits + np.cumsum(groups.real[::-1])[::-1]
    return PrecisionRecallCurve(
        np.append(hits / alarms, 1.0),
        np.append(hits / groups.num_fake, 0.0),
        groups.scores,
    )


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Area under the precision-recall curve, by steps as in scikit-learn.

    `Σ_k (R_k − R_{k−1}) P_k` over the distinct scores from the highest down, with
    recall R and precision P, without interpolation.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.

    Returns:
        A number in [0, 1], or None when there is no fake.

    Raises:
        ValueError: See `roc_curve`.

    >>> average_precision([0, 1, 1], [0.2, 0.1, 0.9])
    0.8333333333333333
    """
    curve = precision_recall_curve(labels, scores)
    if curve is None:
        return None
    return float(np.sum(-np.diff(curve.recall) * curve.precision[:-1]))


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """The rate of both errors at the threshold where they are the same.

    Between two thresholds of the ROC curve, it lies on the line that joins them.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.

    Returns:
        A number in [0, 1], or None when either class is missing.

    Raises:
        ValueError: See `roc_curve`.

    >>> equal_error_rate([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.4, 0.7, 0.8])
    0.3333333333333333
    """
    curve = roc_curve(labels, scores)
    if curve is None:
        return None
    rates = curve.false_positive_rate[None], curve.true_positive_rate[None]
    return float(crossing(*rates)[0])


def crossing(
    false_positive_rates: NDArray[np.float64], true_positive_rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where curves have as many misses as false alarms.

    Args:
        false_positive_rates: Float64 `[m, k]`, each row rising from 0 to 1.
        true_positive_rates: Float64 `[m, k]`, likewise.

    Returns:
        Float64 `[m]`: the equal error rate of each row.
    """
    excess = false_positive_rates + true_positive_rates - 1
    after = np.maximum(np.argmax(excess >= 0, axis=1), 1)
    rows = np.arange(len(excess))
    low, high = excess[rows, after - 1], excess[rows, after]
    step = -low / (high - low)
    start = false_positive_rates[rows, after - 1]
    return start + step * (false_positive_rates[rows, after] - start)


class FoundAt(NamedTuple):
    """Fakes found where a share of false alarms is allowed.

    Attributes:
        rate: The share of real pictures that may be called fake.
        num_allowed: The number of real pictures that this is, rounded down.
        found: The share of fakes that the lowest such threshold finds.
    """

    rate: float
    num_allowed: int
    found: float


def num_allowed(rate: float, num_real: int) -> int:
    """The number of false alarms that a rate allows, rounded down.

    >>> num_allowed(0.01, 250), num_allowed(0.1, 30)
    (2, 3)
    """
    # 0.1 × 30 is a little less than 3 as a float.
    return math.floor(rate * num_real + 1e-9)


def found_at(
    labels: ArrayLike, scores: ArrayLike, rates: Sequence[float]
) -> list[FoundAt]:
    """Fakes found at the lowest threshold with few enough false alarms.

    The threshold follows from the given pictures themselves, so this is a property of
    the ROC curve and not of a threshold that was chosen before.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.
        rates: Shares of the real pictures that may be called fake, in [0, 1).

    Returns:
        One for each rate; empty when either class is missing.

    Raises:
        ValueError: See `roc_curve`.

    >>> found_at([0, 0, 1, 1, 1], [0.1, 0.6, 0.5, 0.7, 0.8], [0.0, 0.5])[0].found
    0.6666666666666666
    """
    groups = group_by_score(labels, scores)
    if not groups.num_fake or not groups.num_real:
        return []
    alarms = np.append(np.cumsum(groups.real[::-1])[::-1], 0)
    hits = np.append(np.cumsum(groups.fake[::-1])[::-1], 0)
    result = []
    for rate in rates:
        allowed = num_allowed(rate, groups.num_real)
        # Alarms fall as the threshold rises.
        first = int(np.argmax(alarms <= allowed))
        result.append(FoundAt(rate, allowed, int(hits[first]) / groups.num_fake))
    return result


class Groups(NamedTuple):
    """Distinct scores in rising order, with the number of examples of each class."""

    scores: NDArray[np.float64]
    fake: NDArray[np.int64]
    real: NDArray[np.int64]
    num_fake: int
    num_real: int


def group_by_score(labels: ArrayLike, scores: ArrayLike) -> Groups:
    """Counts the fake and the real examples of each score.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.

    Raises:
        ValueError: See `roc_curve`.
    """
    fake = class_indices(labels, 2, "labels")
    values = np.asarray(scores, np.float64)
    if values.shape != fake.shape:
        raise ValueError(f"{fake.size} labels but scores of shape {values.shape}")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{np.sum(~np.isfinite(values))} scores are not finite")
    distinct, group = np.unique(values, return_inverse=True)
    totals = np.bincount(group, minlength=distinct.size).astype(np.int64)
    fakes = np.bincount(group[fake == 1], minlength=distinct.size).astype(np.int64)
    num_fake = int(fakes.sum())
    return Groups(distinct, fakes, totals - fakes, num_fake, values.size - num_fake)


def class_indices(values: ArrayLike, num_classes: int, name: str) -> NDArray[np.int64]:
    """Checks indices of classes.

    Args:
        values: Int or bool `[n]`.
        num_classes: Number of classes.
        name: Of the values, for messages.

    Returns:
        Int64 `[n]`.

    Raises:
        ValueError: They are not whole numbers in [0, num_classes), in one dimension.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not shape {array.shape}")
    indices = array.astype(np.int64)
    if not np.array_equal(indices, array):
        raise ValueError(f"{name} must be whole numbers")
    if np.any((indices < 0) | (indices >= num_classes)):
        raise ValueError(f"{name} must lie in [0, {num_classes - 1}]")
    return indices
