# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Numbers that say how good a detector is, as pure NumPy functions of arrays.

Label 1 is fake, a score is evidence of being fake, and a score at or above the
threshold is decided fake. Everything is counted in integers and divided once, in
float64. A value that the data do not define (the AUC of one class, the precision of
a detector that calls nothing fake) is None: never NaN, never a warning.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINARY_CLASSES = ("real", "fake")
# What is said of every decision between real and fake, in this order.
BINARY_METRICS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "average_precision",
    "auc",
    "fpr",
    "fnr",
)
# Without both classes no threshold is better than another.
SINGLE_CLASS_THRESHOLD = 0.5

_NORMAL_QUANTILE_975 = 1.959963984540054


class RocCurve(NamedTuple):
    """Points of a ROC curve, from "nothing is fake" to "everything is fake".

    Attributes:
        false_positive_rate: float64 `[k]`, rising from 0 to 1.
        true_positive_rate: float64 `[k]`, rising from 0 to 1.
        thresholds: float64 `[k]`, falling: infinity, then every distinct score.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, in the order of scikit-learn.

    Attributes:
        precision: float64 `[k + 1]`; the last is 1 by convention.
        recall: float64 `[k + 1]`, falling from 1 to 0.
        thresholds: float64 `[k]`, every distinct score, rising.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def decide(scores: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Decides which scores mean fake: those at or above the threshold.

    The comparison is made in float64. Every decision of the project goes through here,
    so that a table and a figure cannot disagree about a score that sits on the border.

    >>> decide([0.1, 0.5, 0.9], 0.5)
    array([False,  True,  True])
    """
    return np.asarray(scores, np.float64) >= float(threshold)


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve | None:
    """Computes the false and true positive rate at every distinct score.

    Args:
        labels: `[n]`, 1 (or True) for fake and 0 for real.
        scores: `[n]`, finite; higher means more likely fake.

    Returns:
        The curve, or None when either class is missing.

    Raises:
        ValueError: for labels that are not 0 or 1, scores that are not finite, or
            lengths that differ.
    """
    groups = _group_by_score(labels, scores)
    if not groups.num_fake or not groups.num_real:
        return None
    return RocCurve(
        np.append(0, np.cumsum(groups.real[::-1])) / groups.num_real,
        np.append(0, np.cumsum(groups.fake[::-1])) / groups.num_fake,
        np.append(np.inf, groups.scores[::-1]),
    )


def auc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Computes the area under the ROC curve, as the Mann-Whitney statistic.

    It is the chance that a random fake scores above a random real picture; a tie
    counts half.

    Args:
        labels: `[n]`, 1 for fake and 0 for real.
        scores: `[n]`, finite.

    Returns:
        A number in [0, 1], or None when either class is missing.

    Raises:
        ValueError: as in `roc_curve`.

    >>> auc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    groups = _group_by_score(labels, scores)
    if not groups.num_fake or not groups.num_real:
        return None
    real_below = np.cumsum(groups.real) - groups.real
    # Twice the statistic is an integer, which keeps the sum exact.
    doubled = int(np.sum(groups.fake * (2 * real_below + groups.real)))
    return doubled / (2 * groups.num_fake * groups.num_real)


def precision_recall_curve(
    labels: ArrayLike, scores: ArrayLike
) -> PrecisionRecallCurve | None:
    """Computes precision and recall at every distinct score.

    Args:
        labels: `[n]`, 1 for fake and 0 for real.
        scores: `[n]`, finite.

    Returns:
        The curve, or None when there is no fake.

    Raises:
        ValueError: as in `roc_curve`.
    """
    groups = _group_by_score(labels, scores)
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
    """Computes the step-wise area under the precision-recall curve.

    The sum of precision times the gain in recall over the distinct scores, without
    interpolation, as scikit-learn does.

    Args:
        labels: `[n]`, 1 for fake and 0 for real.
        scores: `[n]`, finite.

    Returns:
        A number in [0, 1], or None when there is no fake.

    Raises:
        ValueError: as in `roc_curve`.

    >>> average_precision([0, 1, 1], [0.2, 0.1, 0.9])
    0.8333333333333333
    """
    curve = precision_recall_curve(labels, scores)
    if curve is None:
        return None
    return float(np.sum(-np.diff(curve.recall) * curve.precision[:-1]))


def confusion_matrix(
    labels: ArrayLike, predicted: ArrayLike, num_classes: int
) -> NDArray[np.int64]:
    """Counts the examples of each class by the class they were given.

    Args:
        labels: `[n]`, integers in [0, num_classes).
        predicted: `[n]`, integers in [0, num_classes).
        num_classes: how many classes there are, seen or not.

    Returns:
        int64 `[num_classes, num_classes]`; rows are labels, columns predictions.

    Raises:
        ValueError: for class indices out of range or lengths that differ.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    true = _class_indices(labels, num_classes, "labels")
    given = _class_indices(predicted, num_classes, "predicted")
    if true.shape != given.shape:
        raise ValueError(f"{true.size} labels but {given.size} predictions")
    counts = np.bincount(true * num_classes + given, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def best_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """Chooses the threshold of highest balanced accuracy (Youden's J).

    The rule, which has one outcome for every input:

    1. All thresholds between two neighbouring distinct scores `a < b`, that is in
       `(a, b]`, decide alike. So do those in `(0, lowest]` (everything is fake) and in
       `(highest, 1]` (nothing is). These intervals are the candidates.
    2. The candidates with the highest J = recall - false positive rate stay; J is
       compared in integers, so rounding cannot break or make a tie.
    3. Of those the widest wins, then the lowest, and its midpoint is the threshold:
       as far as possible from the scores on both sides. Where the midpoint, rounded
       to float32, would not lie inside the interval, the upper end is taken.

    With one class only, or no example, J is undefined and the threshold is 0.5.

    Args:
        labels: `[n]`, 1 for fake and 0 for real; from the validation split, never from
            the split that is reported.
        scores: `[n]`, in [0, 1].

    Returns:
        A threshold in (0, 1]; scores at or above it are decided fake.

    Raises:
        ValueError: as in `roc_curve`, and for scores outside [0, 1].

    >>> best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9])
    0.4
    """
    groups = _group_by_score(labels, scores)
    if groups.scores.size and (groups.scores[0] < 0 or groups.scores[-1] > 1):
        raise ValueError("scores must lie in [0, 1] for a threshold to be chosen")
    if not groups.num_fake or not groups.num_real:
        return SINGLE_CLASS_THRESHOLD
    lower = np.append(0.0, groups.scores)
    upper = np.append(groups.scores, 1.0)
    hits = np.append(np.cumsum(groups.fake[::-1])[::-1], 0)
    false_alarms = np.append(np.cumsum(groups.real[::-1])[::-1], 0)
    scaled_j = hits * groups.num_real - false_alarms * groups.num_fake
    # An outer interval is empty when a score is 0 or 1.
    possible = upper > lower
    best = possible & (scaled_j == scaled_j[possible].max())
    widths = np.where(best, upper - lower, -1.0)
    chosen = int(np.argmax(widths))
    return _midpoint(float(lower[chosen]), float(upper[chosen]))


def summarize(
    labels: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    classes: Sequence[str] = BINARY_CLASSES,
    is_fake: Sequence[bool] = (False, True),
    predicted: ArrayLike | None = None,
    num_skipped: int = 0,
) -> dict[str, Any]:
    """Computes every number of an evaluation, ready for JSON.

    The first ten numbers are those of real against fake, whatever the classes.

    Args:
        labels: int `[n]`, indices into `classes`.
        scores: float `[n]`, evidence of being fake.
        threshold: scores at or above it are decided fake.
        classes: the name of every class.
        is_fake: whether each class is fake.
        predicted: int `[n]`, the class that a multi-class detector chose. Without it
            the decision by the threshold is the prediction, and the confusion matrix
            is that of real against fake.
        num_skipped: how many files have a reason in place of a score.

    Returns:
        `accuracy`, `precision`, `recall`, `f1`, `average_precision`, `auc`, `fpr`,
        `fnr` (each a number in [0, 1], or None where undefined), `threshold`,
        `num_examples`, `num_skipped`, `confusion_matrix` (rows are labels) and
        `classes`; with `predicted` and more than two classes also
        `multiclass_accuracy`.

    Raises:
        ValueError: for lengths that differ, indices out of range, or scores or a
            threshold that are not finite.
    """
    if not math.isfinite(threshold):
        raise ValueError(f"the threshold must be finite, not {threshold}")
    if len(classes) != len(is_fake):
        raise ValueError(f"{len(classes)} classes but {len(is_fake)} values of is_fake")
    indices = _class_indices(labels, len(classes), "labels")
    fake = np.asarray(is_fake, np.bool_)[indices]
    decided = decide(scores, threshold)
    (true_negatives, false_positives), (false_negatives, true_positives) = (
        confusion_matrix(fake, decided, 2).tolist()
    )
    num_fake = true_positives + false_negatives
    num_real = true_negatives + false_positives
    num_wrong = false_positives + false_negatives
    result: dict[str, Any] = {
        "accuracy": _ratio(true_positives + true_negatives, indices.size),
        "precision": _ratio(true_positives, true_positives + false_positives),
        "recall": _ratio(true_positives, num_fake),
        "f1": _ratio(2 * true_positives, 2 * true_positives + num_wrong),
        "average_precision": average_precision(fake, scores),
        "auc": auc(fake, scores),
        "fpr": _ratio(false_positives, num_real),
        "fnr": _ratio(false_negatives, num_fake),
        "threshold": float(threshold),
        "num_examples": int(indices.size),
        "num_skipped": int(num_skipped),
    }
    names: tuple[str, ...]
    if predicted is None:
        names = decision_classes(classes, is_fake)
        matrix = confusion_matrix(fake, decided, 2)
    else:
        names = tuple(classes)
        matrix = confusion_matrix(indices, predicted, len(classes))
        if len(classes) > 2:
            result["multiclass_accuracy"] = _ratio(
                int(np.trace(matrix)), int(matrix.sum())
            )
    result["confusion_matrix"] = matrix.tolist()
    result["classes"] = list(names)
    return result


def decision_classes(
    classes: Sequence[str], is_fake: Sequence[bool]
) -> tuple[str, str]:
    """Names the two outcomes of a decision by threshold.

    They are the two classes themselves where there is one real class and then one
    fake class, and `real` and `fake` otherwise.

    >>> decision_classes(["real_ffhq", "stylegan2"], [False, True])
    ('real_ffhq', 'stylegan2')
    """
    if tuple(is_fake) == (False, True):
        return classes[0], classes[1]
    return BINARY_CLASSES


def wilson_interval(count: int, total: int) -> tuple[float, float] | None:
    """Computes the 95 % confidence interval of a proportion (Wilson's score).

    Args:
        count: how many of `total` had the property.
        total: how many there were.

    Returns:
        The two ends, within [0, 1]; None when `total` is 0.

    >>> [round(end, 3) for end in wilson_interval(9, 10)]
    [0.596, 0.982]
    """
    if not total:
        return None
    share, square = count / total, _NORMAL_QUANTILE_975**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    spread = share * (1 - share) / total + square / (4 * total**2)
    half = _NORMAL_QUANTILE_975 * math.sqrt(spread) / (1 + square / total)
    # At 0 % and 100 % one end is exact; rounding must not push it off.
    lower = 0.0 if count == 0 else max(0.0, centre - half)
    upper = 1.0 if count == total else min(1.0, centre + half)
    return lower, upper


class _Groups(NamedTuple):
    """Distinct scores in rising order with the number of examples of each class."""

    scores: NDArray[np.float64]
    fake: NDArray[np.int64]
    real: NDArray[np.int64]
    num_fake: int
    num_real: int


def _group_by_score(labels: ArrayLike, scores: ArrayLike) -> _Groups:
    fake = _class_indices(labels, 2, "labels")
    values = np.asarray(scores, np.float64)
    if values.shape != fake.shape:
        raise ValueError(f"{fake.size} labels but scores of shape {values.shape}")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{np.sum(~np.isfinite(values))} scores are not finite")
    distinct, group = np.unique(values, return_inverse=True)
    totals = np.bincount(group, minlength=distinct.size).astype(np.int64)
    fakes = np.bincount(group[fake == 1], minlength=distinct.size).astype(np.int64)
    num_fake = int(fakes.sum())
    return _Groups(distinct, fakes, totals - fakes, num_fake, values.size - num_fake)


def _class_indices(values: ArrayLike, num_classes: int, name: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not shape {array.shape}")
    indices = array.astype(np.int64)
    if not np.array_equal(indices, array):
        raise ValueError(f"{name} must be whole numbers")
    if np.any((indices < 0) | (indices >= num_classes)):
        raise ValueError(f"{name} must lie in [0, {num_classes - 1}]")
    return indices


def _midpoint(lower: float, upper: float) -> float:
    middle = lower + (upper - lower) / 2
    # Detectors may compare in float32, where a midpoint of close scores can fall back
    # onto the lower one and flip its decision.
    inside = lower < middle <= upper and lower < float(np.float32(middle)) <= upper
    return middle if inside else upper


def _ratio(count: int, total: int) -> float | None:
    return count / total if total else None
