# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics of a detector of anomalies, as pure NumPy functions of arrays.

Such a detector learns from photographs alone. Its threshold therefore follows from the
rate of false alarms among photographs, its results are published with real pictures as
the positive class, and its network is measured by how it ranks camera settings. As in
`fakedet_jax.evaluation.metrics`, a value that the data do not define is None.

References:
    Zou, Yu, Zhan, Ma: "Self-Supervised Learning for Detecting AI-Generated Faces as
    Anomalies", ICASSP 2025.
    M. Kendall: "The Treatment of Ties in Ranking Problems", Biometrika 1945.
    B. Efron, C. Stein: "The Jackknife Estimate of Variance", Annals of Statistics 1981.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.bootstrap import LEVEL, Interval


def summarize_real_positive(
    fake: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    evidence: ArrayLike | None = None,
) -> dict[str, float | None]:
    """Computes the metrics of a decision with real pictures as the positive class.

    A picture is predicted positive if its score is below the threshold. The recall is
    thus the share of real pictures that pass, and `fpr` the share of fakes that pass.
    The AUC is the same whichever class is positive.

    Args:
        fake: Int or bool `[n]`, 1 for fake and 0 for real.
        scores: Float `[n]`, finite; evidence of being fake.
        threshold: Scores at or above it are decided fake; finite.
        evidence: Float `[n]`, finite: ranks the examples, such as log-odds; by default
            the scores do.

    Returns:
        A number in [0, 1] for each of `metrics.BINARY_METRICS`, or None where it is
        undefined.

    Raises:
        ValueError: A label is not 0 or 1, the lengths differ, or a score or the
            threshold is not finite.

    >>> summary = summarize_real_positive([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.9], 0.5)
    >>> summary["precision"], round(summary["recall"], 3), summary["fpr"]
    (1.0, 0.667, 0.0)
    """
    if not math.isfinite(threshold):
        raise ValueError(f"the threshold must be finite, not {threshold}")
    real = 1 - np.asarray(fake)
    ranks = -np.asarray(scores if evidence is None else evidence, np.float64)
    called_real = ~metrics.decide(scores, threshold)
    # Decisions as scores of 0 and 1: a score that equals the threshold must stay fake,
    # but would be called real if the scores were negated.
    summary = metrics.summarize(real, called_real, 0.5)
    ranked = {
        "average_precision": metrics.average_precision(real, ranks),
        "auc": metrics.auc(real, ranks),
    }
    return {name: summary[name] for name in metrics.BINARY_METRICS} | ranked


def kendall_tau_interval(predicted: ArrayLike, true: ArrayLike) -> Interval | None:
    """95 % interval of Kendall's τ-b for other pictures like these, by the jackknife.

    The standard error is that of the values of τ without each of the n pictures,
    `√((n − 1) / n · Σ (τ₋ᵢ − mean)²)`, and the ends are 1.96 of it away from τ, within
    [−1, 1]. For fewer than some 20 pictures it is a rough one.

    Args:
        predicted: See `kendall_tau`.
        true: See `kendall_tau`.

    Returns:
        The two ends. None where τ is undefined, or becomes so without one picture.

    Raises:
        ValueError: See `kendall_tau`.
    """
    # Imported here because it is slow and few commands need it.
    from scipy import stats

    tau = kendall_tau(predicted, true)
    if tau is None:
        return None
    known = ~np.isnan(np.asarray(true, np.float64))
    ranks, values = (np.asarray(side, np.float64)[known] for side in (predicted, true))
    # Of each picture with all others: pairs in the same order less those in opposite
    # order, pairs with different predictions, and with different values.
    counts = np.zeros((3, ranks.size))
    for place in range(ranks.size):  # A row at a time: all pairs may not fit in memory.
        order, expected = np.sign(ranks - ranks[place]), np.sign(values - values[place])
        counts[:, place] = order @ expected, np.abs(order).sum(), np.abs(expected).sum()
    # Every pair counts for both of its pictures.
    agreement, untied, distinct = counts.sum(1, keepdims=True) / 2 - counts
    if not (untied > 0).all() or not (distinct > 0).all():
        return None
    without_one = agreement / np.sqrt(untied * distinct)
    spread = np.sum((without_one - without_one.mean()) ** 2)
    error = math.sqrt((ranks.size - 1) / ranks.size * spread)
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return max(-1.0, tau - half), min(1.0, tau + half)


def kendall_tau(predicted: ArrayLike, true: ArrayLike) -> float | None:
    """Kendall's τ-b: how well the order of predictions agrees with that of the truth.

    `(C − D) / √((P − T_p)(P − T_t))` over the P pairs of rows, with C in the same
    order, D in opposite order, T_p tied in the predictions and T_t in the truth.

    Args:
        predicted: Float `[n]`, finite; only their order counts.
        true: Float `[n]`, NaN where the value is not known; such rows are left out.

    Returns:
        A number from −1 (reversed) over 0 (unrelated) to 1 (the same order). None where
        fewer than two rows remain, or all their predictions or all their values are
        equal.

    Raises:
        ValueError: The lengths differ, or a prediction is not finite.

    >>> round(kendall_tau([0.1, 0.2, 0.3, 0.9], [100, 400, 200, float("nan")]), 3)
    0.333
    """
    # Imported here because it is slow and few commands need it.
    from scipy import stats

    ranks, values = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if ranks.ndim != 1 or ranks.shape != values.shape:
        raise ValueError(
            f"predictions of shape {ranks.shape} for values of shape {values.shape}"
        )
    if not np.all(np.isfinite(ranks)):
        raise ValueError(f"{np.sum(~np.isfinite(ranks))} predictions are not finite")
    known = ~np.isnan(values)
    if _all_equal(ranks[known]) or _all_equal(values[known]):
        return None
    return float(stats.kendalltau(ranks[known], values[known]).statistic)


def _all_equal(values: NDArray[np.float64]) -> bool:
    return np.unique(values).size < 2
