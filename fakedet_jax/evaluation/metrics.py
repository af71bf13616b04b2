# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics of the detection of fakes, as pure NumPy functions of arrays.

Label 1 is fake, a score is evidence of being fake, and a score at or above the
threshold is decided fake. Counts are integers and are divided once, in float64. A value
that the data do not define, such as the AUC of one class or the precision of a detector
that calls nothing fake, is None: never NaN, never a warning.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation.ranking import (
    FoundAt,
    PrecisionRecallCurve,
    RocCurve,
    auc,
    average_precision,
    class_indices,
    crossing,
    equal_error_rate,
    found_at,
    num_allowed,
    precision_recall_curve,
    roc_curve,
)
from fakedet_jax.evaluation.reliability import Reliability, equal_mass_bins, reliability
from fakedet_jax.evaluation.thresholds import (
    SINGLE_CLASS_THRESHOLD,
    best_threshold,
    decide,
    threshold_at_false_alarm_rate,
)

__all__ = [
    "BINARY_CLASSES",
    "BINARY_METRICS",
    "SINGLE_CLASS_THRESHOLD",
    "FoundAt",
    "PrecisionRecallCurve",
    "Reliability",
    "RocCurve",
    "auc",
    "average_precision",
    "best_threshold",
    "confusion_matrix",
    "crossing",
    "decide",
    "decision_classes",
    "equal_error_rate",
    "equal_mass_bins",
    "found_at",
    "num_allowed",
    "precision_recall_curve",
    "reliability",
    "roc_curve",
    "summarize",
    "threshold_at_false_alarm_rate",
    "wilson_interval",
]

BINARY_CLASSES = ("real", "fake")
# Metrics of every decision between real and fake, in the order of tables.
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

_NORMAL_QUANTILE_975 = 1.959963984540054


def confusion_matrix(
    labels: ArrayLike, predicted: ArrayLike, num_classes: int
) -> NDArray[np.int64]:
    """Counts the examples of each class by their predicted class.

    Args:
        labels: Int or bool `[n]`, in [0, num_classes).
        predicted: Int or bool `[n]`, in [0, num_classes).
        num_classes: Number of classes, whether they occur or not.

    Returns:
        Int64 `[num_classes, num_classes]`; rows are labels, columns predictions.

    Raises:
        ValueError: A class is out of range, or the lengths differ.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    true = class_indices(labels, num_classes, "labels")
    given = class_indices(predicted, num_classes, "predicted")
    if true.shape != given.shape:
        raise ValueError(f"{true.size} labels but {given.size} predictions")
    counts = np.bincount(true * num_classes + given, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def summarize(
    labels: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    classes: Sequence[str] = BINARY_CLASSES,
    is_fake: Sequence[bool] = (False, True),
    predicted: ArrayLike | None = None,
    num_skipped: int = 0,
    evidence: ArrayLike | None = None,
) -> dict[str, Any]:
    """Computes every metric of an evaluation, ready for JSON.

    All but `multiclass_accuracy` are about real against fake, whatever the classes.

    Args:
        labels: Int or bool `[n]`, indices into `classes`.
        scores: Float `[n]`, finite; evidence of being fake.
        threshold: Scores at or above it are decided fake; finite.
        classes: Name of every class.
        is_fake: Whether each class is fake.
        predicted: Int `[n]`, the class that a multi-class detector chose, for the
            confusion matrix; None for the decision between real and fake.
        num_skipped: Number of inputs without a score.
        evidence: Float `[n]`, finite: ranks the examples for `auc` and
            `average_precision`, such as log-odds, which differ where scores are rounded
            to 1; by default the scores do.

    Returns:
        The `BINARY_METRICS`, `equal_error_rate` and `calibration_error` (each a number
        in [0, 1], or None where undefined),
        `threshold`, `num_examples`, `num_skipped`, `confusion_matrix` (rows are labels)
        and its `classes`; with `predicted` and more than two classes also
        `multiclass_accuracy`.

    Raises:
        ValueError: Lengths differ, an index is out of range, or a score or the
            threshold is not finite.
    """
    if not math.isfinite(threshold):
        raise ValueError(f"the threshold must be finite, not {threshold}")
    if len(classes) != len(is_fake):
        raise ValueError(f"{len(classes)} classes but {len(is_fake)} values of is_fake")
    indices = class_indices(labels, len(classes), "labels")
    fake = np.asarray(is_fake, np.bool_)[indices]
    decided = decide(scores, threshold)
    ranks = scores if evidence is None else evidence
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
        "average_precision": average_precision(fake, ranks),
        "auc": auc(fake, ranks),
        "fpr": _ratio(false_positives, num_real),
        "fnr": _ratio(false_negatives, num_fake),
        "equal_error_rate": equal_error_rate(fake, ranks),
        "calibration_error": reliability(fake, scores).error,
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

    Args:
        classes: Name of every class.
        is_fake: Whether each class is fake.

    Returns:
        The two classes themselves if they are one real and then one fake class,
        otherwise `real` and `fake`.

    >>> decision_classes(["real_ffhq", "stylegan2"], [False, True])
    ('real_ffhq', 'stylegan2')
    """
    if tuple(is_fake) == (False, True):
        return classes[0], classes[1]
    return BINARY_CLASSES


def wilson_interval(count: int, total: int) -> tuple[float, float] | None:
    """95% confidence interval of a proportion, by Wilson's score.

    `(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)` with p = count / n, n = total
    and z = 1.96.

    Args:
        count: Number of cases with the property, in [0, total].
        total: Number of cases.

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
    # At 0% and 100% one end is exact; rounding must not move it.
    lower = 0.0 if count == 0 else max(0.0, centre - half)
    upper = 1.0 if count == total else min(1.0, centre + half)
    return lower, upper


def _ratio(count: int, total: int) -> float | None:
    return count / total if total else None
