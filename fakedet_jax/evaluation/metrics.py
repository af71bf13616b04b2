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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
# Used where only one class is there, as no threshold is then better than another.
SINGLE_CLASS_THRESHOLD = 0.5

# Bins of a reliability diagram, and how few examples one may hold.
_MAX_BINS, _FEWEST_IN_BIN = 10, 10

_NORMAL_QUANTILE_975 = 1.959963984540054


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


def decide(scores: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Decides which scores mean fake: those at or above the threshold.

    Every decision is made by this function, in float64, so that a table and a figure
    agree about a score that equals the threshold.

    Args:
        scores: Float array of any shape; NaN is not fake.
        threshold: Any number.

    Returns:
        Bool array of the same shape, True for fake.

    >>> decide([0.1, 0.5, 0.9], 0.5)
    array([False,  True,  True])
    """
    return np.asarray(scores, np.float64) >= float(threshold)


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
    groups = _group_by_score(labels, scores)
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
    """Precision and recall at every distinct score.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite.

    Returns:
        The curve, or None when there is no fake.

    Raises:
        ValueError: See `roc_curve`.
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
    true = _class_indices(labels, num_classes, "labels")
    given = _class_indices(predicted, num_classes, "predicted")
    if true.shape != given.shape:
        raise ValueError(f"{true.size} labels but {given.size} predictions")
    counts = np.bincount(true * num_classes + given, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def best_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """Chooses the threshold of highest balanced accuracy (Youden's J).

    The rule has one outcome for every input:

    1. All thresholds in `(a, b]`, for neighbouring distinct scores `a < b`, decide the
       same. So do those in `(0, lowest]` (everything is fake) and in `(highest, 1]`
       (nothing is). These intervals are the candidates.
    2. The candidates with the highest J = recall − false positive rate remain. J is
       compared in integers, so rounding neither breaks nor makes a tie.
    3. Of these the widest is chosen, and of equally wide ones the lowest. Its midpoint
       is the threshold, as far as possible from the scores on both sides; its upper
       end where the midpoint, rounded to float32, is not inside the interval.

    With one class only, or no example, J is undefined and the threshold is 0.5.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real; of the validation split,
            never of a split whose metrics are reported.
        scores: Float `[n]`, in [0, 1].

    Returns:
        A threshold in (0, 1]; scores at or above it are decided fake.

    Raises:
        ValueError: A score is outside [0, 1]; see also `roc_curve`.

    >>> best_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9])
    0.4
    """
    groups = _group_by_score(labels, scores)
    if groups.scores.size and (groups.scores[0] < 0 or groups.scores[-1] > 1):
        raise ValueError("scores must lie in [0, 1] to choose a threshold")
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


def threshold_at_false_alarm_rate(scores_of_real: ArrayLike, rate: float) -> float:
    """Chooses the threshold at which a share of real pictures is called fake.

    At most `rate` of the given pictures score at or above it, and as many as ties
    allow. It is the midpoint between the two neighbouring scores that it separates, as
    in `best_threshold`, so rounding changes no decision. If not even one
    picture may be called fake, it is the first or second float32 above the highest
    score: at most 1, unless a picture scores 1.

    Args:
        scores_of_real: Float `[n]`, in [0, 1]: scores of real pictures that the
            detector was not fitted to.
        rate: Share that may be called fake, in [0, 1).

    Returns:
        The threshold; scores at or above it are decided fake.

    Raises:
        ValueError: There is no score, a score is not in [0, 1], or the rate is not in
            [0, 1).

    >>> threshold_at_false_alarm_rate([0.1, 0.2, 0.3, 0.5, 0.7], 0.2)
    0.6
    """
    scores = np.asarray(scores_of_real, np.float64)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(
            "the threshold needs the scores of at least one real picture, [n], not "
            f"shape {scores.shape}"
        )
    if not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError("scores must be finite and in [0, 1] for a threshold")
    if not 0 <= rate < 1:
        raise ValueError(f"the false alarm rate must be in [0, 1), not {rate}")
    distinct, counts = np.unique(scores, return_counts=True)
    false_alarms = np.cumsum(counts[::-1])[::-1]
    allowed = false_alarms / scores.size <= rate
    if not allowed.any():
        highest = distinct[-1]
        above = float(np.nextafter(np.float32(highest), np.float32(np.inf)))
        return min(above, 1.0) if highest < 1 else above
    # With the pictures to call fake as the positive class, this gives the midpoint of
    # the only interval that separates them from the others without an error.
    return best_threshold(scores >= distinct[allowed][0], scores)


class Reliability(NamedTuple):
    """Scores in bins of about equally many examples, each with its share of fakes.

    Attributes:
        counts: Int64 `[bins]`, examples in each bin, at least 1.
        mean_scores: Float64 `[bins]`, rising.
        shares_fake: Float64 `[bins]`.
    """

    counts: NDArray[np.int64]
    mean_scores: NDArray[np.float64]
    shares_fake: NDArray[np.float64]

    @property
    def error(self) -> float | None:
        """The expected calibration error: `Σ_b n_b / n |mean score − share of fakes|`.

        None without examples.
        """
        if not self.counts.size:
            return None
        gaps = np.abs(self.mean_scores - self.shares_fake)
        return float(np.sum(self.counts * gaps) / self.counts.sum())


def equal_mass_bins(scores: ArrayLike) -> NDArray[np.int64]:
    """Puts scores into bins of about equally many, equal ones into one bin.

    Args:
        scores: Float `[n]`, finite.

    Returns:
        Int64 `[n]`, the number of each score's bin: up to 10 bins, and fewer where
        they would hold fewer than 10 scores each.

    >>> equal_mass_bins(np.arange(20) // 11).tolist()[9:13]
    [0, 0, 1, 1]
    """
    values = np.asarray(scores, np.float64)
    number = max(1, min(_MAX_BINS, values.size // _FEWEST_IN_BIN))
    if not values.size:
        return np.zeros(0, np.int64)
    # The place of the first of equal scores decides for all of them.
    places = np.searchsorted(np.sort(values), values)
    edges = np.ceil(np.arange(1, number) / number * (values.size - 1))
    _, bins = np.unique(
        np.searchsorted(edges, places, side="right"), return_inverse=True
    )
    return bins.astype(np.int64)


def reliability(labels: ArrayLike, scores: ArrayLike) -> Reliability:
    """Compares scores with the shares of fakes among examples that score alike.

    Args:
        labels: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite, in [0, 1].

    Returns:
        The bins of `equal_mass_bins`.

    References:
        M. Naeini, G. Cooper, M. Hauskrecht, Obtaining well calibrated probabilities
        using Bayesian binning, AAAI 2015: the expected calibration error.

    >>> reliability([0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9]).error
    0.0
    """
    bins = equal_mass_bins(scores)
    counts = np.bincount(bins)
    return Reliability(
        counts.astype(np.int64),
        np.bincount(bins, np.asarray(scores, np.float64)) / counts,
        np.bincount(bins, np.asarray(labels, np.float64)) / counts,
    )


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
    groups = _group_by_score(labels, scores)
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
    indices = _class_indices(labels, len(classes), "labels")
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


class _Groups(NamedTuple):
    """Distinct scores in rising order, with the number of examples of each class."""

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
    # Detectors may compare in float32, where the midpoint of close scores can be
    # rounded to the lower one, whose decision would change.
    inside = lower < middle <= upper and lower < float(np.float32(middle)) <= upper
    return middle if inside else upper


def _ratio(count: int, total: int) -> float | None:
    return count / total if total else None
