# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Warns of a detector that is sure of nearly everything."""

import logging

import numpy as np
from numpy.typing import ArrayLike

from fakedet_jax.evaluation import log_odds
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.runtime import text

_LOGGER = logging.getLogger(__name__)

# Scores that read as 0 or 1 to this many digits.
_DIGITS = 6
# Of fewer pictures, some may all be clear.
_FEWEST = 10


class Saturation:
    """Counts scores that are 0 or 1 but for rounding."""

    def __init__(self) -> None:
        """Starts without scores."""
        self._num_scores = self._num_extreme = 0

    def add(self, scores: ArrayLike) -> None:
        """Counts scores, `[n]`; NaN counts as none."""
        values = np.asarray(scores, np.float64)
        values = values[np.isfinite(values)]
        rounded = values.round(_DIGITS)
        self._num_scores += values.size
        self._num_extreme += int(np.sum((rounded == 0) | (rounded == 1)))

    def read(self, info: DetectorInfo, values: np.ndarray) -> list[list[float]]:
        """Turns what a detector gives for pictures into log-odds, and counts them.

        Args:
            info: The detector.
            values: See `DetectorInfo.log_odds_of_all`.

        Returns:
            For each picture its log-odds, as it is and after changes if there are any.
        """
        odds = info.log_odds_of_all(values)
        self.add(log_odds.scores(odds[:, 0]))
        found: list[list[float]] = odds.tolist()
        return found

    def tell(self) -> None:
        """Logs a warning of one line if most scores are 0 or 1."""
        if self._num_scores >= _FEWEST and 2 * self._num_extreme > self._num_scores:
            _LOGGER.warning(
                "%s of %s are 0 or 1 when rounded to %d digits: the detector is sure "
                "of nearly everything, right or wrong; `log_odds` tells these pictures "
                "apart",
                f"{self._num_extreme:,}",
                text.counted(self._num_scores, "score"),
                _DIGITS,
            )
