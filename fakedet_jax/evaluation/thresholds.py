# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which scores are decided fake, and how a threshold is chosen.

`metrics` offers these functions and tells what they have in common.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation.ranking import group_by_score

# Used where only one class is there, as no threshold is then better than another.
SINGLE_CLASS_THRESHOLD = 0.5


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
    groups = group_by_score(labels, scores)
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


def _midpoint(lower: float, upper: float) -> float:
    middle = lower + (upper - lower) / 2
    # Detectors may compare in float32, where the midpoint of close scores can be
    # rounded to the lower one, whose decision would change.
    inside = lower < middle <= upper and lower < float(np.float32(middle)) <= upper
    return middle if inside else upper
