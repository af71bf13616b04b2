# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether scores are as high as the share of fakes among pictures that score alike."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Bins of a reliability diagram, and how few examples one may hold.
_MAX_BINS, _FEWEST_IN_BIN = 10, 10


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
