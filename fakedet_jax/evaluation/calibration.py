# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Calibration: scores that are about as high as the share of fakes among them.

A network that was trained for long is surer than it is right. A straight line from its
log-odds to better ones, fitted to validation pictures, corrects that. The line rises,
so that the order of pictures, their AUC and, as thresholds move along, all decisions
stay.

References:
    J. Platt, Probabilistic outputs for support vector machines, 1999: slope and offset,
    fitted to targets that are a little less than certain.
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks,
    ICML 2017: temperature scaling, a slope alone.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from fakedet_jax.evaluation.log_odds import LARGEST

NONE, TEMPERATURE, PLATT = "none", "temperature", "platt"
AUTO = "auto"
# From the least that is fitted to the most.
KINDS = (NONE, TEMPERATURE, PLATT)

# Of fewer real or fewer fake pictures, nothing is fitted.
FEWEST = 20
_NUM_FOLDS = 5
# Slopes for log-odds of unit deviation. At the lower end the evidence tells nothing.
_MIN_SLOPE, _MAX_SLOPE = 1e-3, 1e3


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A line from the log-odds of a network to those that are shown.

    Attributes:
        kind: One of `KINDS`.
        slope: Of the line, positive.
        offset: Of the line.
        log_losses: Mean log loss of each kind on validation pictures that it was not
            fitted to, in nats; empty where there were too few.
        reason: Why it is this one, a sentence.
    """

    kind: str = NONE
    slope: float = 1.0
    offset: float = 0.0
    log_losses: Mapping[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""

    def __call__(self, log_odds: ArrayLike) -> NDArray[np.float64]:
        """Calibrates log-odds, float64 of any shape.

        >>> Calibration("platt", 0.5, 1.0)([-2.0, 4.0])
        array([0., 3.])
        """
        values = np.asarray(log_odds, np.float64)
        if self.kind == NONE:
            return values
        return np.clip(self.slope * values + self.offset, -LARGEST, LARGEST)


def fit(log_odds: ArrayLike, fake: ArrayLike, wanted: str = AUTO) -> Calibration:
    """Fits a calibration to validation pictures.

    Args:
        log_odds: Float `[n]`, finite, of the network.
        fake: Bool `[n]`, whether each picture is fake.
        wanted: One of `KINDS`, or `auto`: the one of least log loss in a five-fold
            cross-validation, of equals the simpler one.

    Returns:
        The calibration; `none` where there are fewer than `FEWEST` real or fake
        pictures, or fakes do not get the higher log-odds.
    """
    values = np.asarray(log_odds, np.float64)
    is_fake = np.asarray(fake, np.bool_)
    # Sorted, so that the order of the pictures decides nothing.
    order = np.lexsort((values, is_fake))
    values, is_fake = values[order], is_fake[order]
    num_fake = int(is_fake.sum())
    num_real = is_fake.size - num_fake
    pictures = f"{num_real} real and {num_fake} fake validation pictures"
    if wanted == NONE:
        return Calibration(reason="Scores are not calibrated, as was asked for.")
    if min(num_real, num_fake) < FEWEST:
        return Calibration(
            reason=(
                f"Scores are not calibrated: there are {pictures}, and at least "
                f"{FEWEST} of each are needed."
            )
        )
    losses = {
        kind: loss
        for kind in KINDS
        if (loss := _cross_validated(values, is_fake, kind)) is not None
    }
    kind = min(losses, key=losses.__getitem__) if wanted == AUTO else wanted
    line = _fit_line(values, is_fake, kind)
    if line is None:
        return Calibration(
            log_losses=losses,
            reason=(
                f"Scores are not calibrated: of {pictures}, the fakes do not score "
                "higher."
            ),
        )
    if kind == NONE:
        return Calibration(
            log_losses=losses,
            reason=(
                f"Scores are not calibrated: on {pictures}, no calibration gives a "
                f"lower log loss than {losses[NONE]:.3f}."
            ),
        )
    method = {TEMPERATURE: "temperature scaling", PLATT: "Platt scaling"}[kind]
    change = ""
    if kind in losses:
        change = (
            f": cross-validated, the log loss is {losses[kind]:.3f} instead of "
            f"{losses[NONE]:.3f}"
        )
    reason = f"Scores are calibrated by {method} on {pictures}{change}."
    return Calibration(kind, *line, losses, reason)


def _cross_validated(
    log_odds: NDArray[np.float64], fake: NDArray[np.bool_], kind: str
) -> float | None:
    """Mean log loss of pictures that the kind was not fitted to; None if it fails."""
    folds = np.zeros(fake.size, np.int64)
    rng = np.random.default_rng(0)
    for side in (False, True):
        own = np.flatnonzero(fake == side)
        folds[rng.permutation(own)] = np.arange(own.size) % _NUM_FOLDS
    total = 0.0
    for fold in range(_NUM_FOLDS):
        held_out = folds == fold
        line = _fit_line(log_odds[~held_out], fake[~held_out], kind)
        if line is None:
            return None
        own = line[0] * log_odds[held_out] + line[1]
        total += -special.log_expit(np.where(fake[held_out], own, -own)).sum()
    return float(total / fake.size)


def _fit_line(
    log_odds: NDArray[np.float64], fake: NDArray[np.bool_], kind: str
) -> tuple[float, float] | None:
    """Slope and offset; None where the slope would not be positive."""
    if kind == NONE:
        return 1.0, 0.0
    # Imported here because it is slow, and only trainings fit.
    from scipy import optimize

    scale = float(log_odds.std()) or 1.0
    num_fake = fake.sum()
    num_real = fake.size - num_fake
    # Platt's targets: without them, classes that are apart have no best slope.
    targets = np.where(fake, (num_fake + 1) / (num_fake + 2), 1 / (num_real + 2))
    has_offset = kind == PLATT
    loss = functools.partial(_loss, log_odds / scale, targets, has_offset=has_offset)
    found = optimize.minimize(
        loss,
        np.zeros(1 + has_offset),
        jac=True,
        method="L-BFGS-B",
        bounds=[np.log((_MIN_SLOPE, _MAX_SLOPE)), (None, None)][: 1 + has_offset],
    )
    slope = float(np.exp(found.x[0]))
    if slope <= 2 * _MIN_SLOPE:
        return None
    return slope / scale, float(found.x[1]) if has_offset else 0.0


def _loss(
    values: NDArray[np.float64],
    targets: NDArray[np.float64],
    parameters: NDArray[np.float64],
    *,
    has_offset: bool,
) -> tuple[float, NDArray[np.float64]]:
    """Mean cross-entropy and its gradient by the logarithm of the slope, and offset."""
    slope = np.exp(parameters[0])
    odds = slope * values + (parameters[1] if has_offset else 0.0)
    loss = -targets * special.log_expit(odds) - (1 - targets) * special.log_expit(-odds)
    wrong = special.expit(odds) - targets
    gradient = [np.mean(wrong * values) * slope, np.mean(wrong)]
    return float(loss.mean()), np.array(gradient[: 1 + has_offset])
