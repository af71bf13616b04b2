# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Thresholds from the log-odds of validation pictures.

A rule chooses a threshold among the scores of a network as it was trained. The
threshold then moves with the calibration, so that all calibrations decide alike. Pure
functions.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.calibration import NONE, Calibration
from fakedet_jax.evaluation.log_odds import of_scores, scores

UNSURE = "unsure"

# Scores of larger log-odds are hardly apart from 1 in float64.
_LARGEST_APART = 30.0

# From scores float64 `[n]`, in [0, 1], to a threshold among them.
Rule = Callable[[NDArray[np.float64]], float]


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """Which scores are decided fake, and which are not decided.

    Attributes:
        threshold: Scores at or above it are decided fake, without a zone.
        unsure_between: The zone: scores below its first end are decided real, at or
            above its second fake, and others are `unsure`. None to decide all.
    """

    threshold: float
    unsure_between: tuple[float, float] | None = None

    def decide(self, values: ArrayLike) -> list[str]:
        """Decides scores, float `[n]`: `real`, `fake` or `unsure`.

        >>> OperatingPoint(0.5, (0.4, 0.8)).decide([0.3, 0.4, 0.8])
        ['real', 'unsure', 'fake']
        >>> OperatingPoint(0.5).decide([0.3, 0.5])
        ['real', 'fake']
        """
        low, high = self.unsure_between or (self.threshold, self.threshold)
        names = (metrics.BINARY_CLASSES[0], UNSURE, metrics.BINARY_CLASSES[1])
        places = metrics.decide(values, low).astype(int) + metrics.decide(values, high)
        return [names[place] for place in places.tolist()]

    def decide_together(self, values: ArrayLike) -> str:
        """One decision on several scores of the same picture, `unsure` if they differ.

        >>> OperatingPoint(0.5).decide_together([0.6, 0.4])
        'unsure'
        """
        found = set(self.decide(values))
        return found.pop() if len(found) == 1 else UNSURE

    def why_unsure(self, values: Sequence[float], changes: Sequence[str]) -> str:
        """Says why scores of a picture are `unsure` together.

        Args:
            values: Its score, and those after each of `changes`.
            changes: What was done, in words.

        Returns:
            The reasons in a few words; empty where there is a decision.

        >>> OperatingPoint(0.5, (0.4, 0.8)).why_unsure([0.6], [])
        'unsure: score between the thresholds 0.4 and 0.8'
        >>> OperatingPoint(0.5).why_unsure([0.6, 0.7, 0.4], ["JPEG 75", "shift"])
        'unsure: real after shift'
        """
        decision, *others = self.decide(values)
        if decision == UNSURE and self.unsure_between is not None:
            low, high = self.unsure_between
            return f"{UNSURE}: score between the thresholds {low:.4g} and {high:.4g}"
        reasons = [
            f"{'between the thresholds' if other == UNSURE else other} after {name}"
            for name, other in zip(changes, others, strict=True)
            if other != decision
        ]
        return f"{UNSURE}: {', '.join(reasons)}" if reasons else ""


def choose(log_odds: ArrayLike, rule: Rule, calibration: Calibration) -> float:
    """Chooses a threshold, and moves it with the calibration.

    Args:
        log_odds: Float `[n]`, of the network; infinite ones are scores of 0 and 1.
        rule: See `Rule`. Log-odds beyond all measure are divided by a number first, so
            that their scores stay apart.
        calibration: The calibration.

    Returns:
        The threshold: calibrated scores at or above it are those that the rule chose.
    """
    values = np.asarray(log_odds, np.float64)
    finite = np.abs(values[np.isfinite(values)])
    divisor = max(1.0, float(finite.max(initial=0.0)) / _LARGEST_APART)
    given = scores(values / divisor)
    threshold = rule(given)
    if divisor == 1 and calibration.kind == NONE:
        return threshold
    moved = float(scores(calibration(divisor * of_scores(min(threshold, 1.0)))))
    shown, decided = scores(calibration(values)), metrics.decide(given, threshold)
    # Rounding must change no decision.
    moved = min(moved, float(shown[decided].min(initial=np.inf)))
    highest = float(shown[~decided].max(initial=-np.inf))
    return moved if moved > highest else float(np.nextafter(highest, np.inf))


def best(log_odds: ArrayLike, fake: ArrayLike, calibration: Calibration) -> float:
    """The threshold of `metrics.best_threshold`."""
    return choose(log_odds, lambda own: metrics.best_threshold(fake, own), calibration)


def at_false_alarm_rate(
    log_odds: ArrayLike, rate: float, calibration: Calibration
) -> float:
    """The lowest threshold that calls few real pictures fake.

    Args:
        log_odds: Float `[n]`, of real pictures.
        rate: Share of them that may be called fake, in [0, 1).
        calibration: The calibration.
    """
    return choose(
        log_odds,
        lambda own: metrics.threshold_at_false_alarm_rate(own, rate),
        calibration,
    )


def at_miss_rate(log_odds: ArrayLike, rate: float, calibration: Calibration) -> float:
    """The highest threshold that misses few fakes: the same, seen from the other side.

    Args:
        log_odds: Float `[n]`, of fakes.
        rate: Share of them that may score below it, in [0, 1).
        calibration: The calibration.
    """
    values = np.asarray(log_odds, np.float64)

    def rule(own: NDArray[np.float64]) -> float:
        missed = metrics.threshold_at_false_alarm_rate(1 - own, rate)
        passed = own[1 - own < missed]
        # The midpoint again, from the side of the fakes that are found.
        below = own[1 - own >= missed]
        low = float(below.max(initial=0.0))
        return low + (float(passed.min()) - low) / 2

    return choose(values, rule, calibration)
