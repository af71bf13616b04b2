# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fits a fusion to log-odds of members, and judges it on groups it did not see."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.fusion import folds as group_folds
from fakedet_jax.fusion import model
from fakedet_jax.fusion.folds import Folds
from fakedet_jax.fusion.model import NUM_PIECES, Fusion

# Infinite log-odds count as these. Of scores in float64, none but 0 has more.
MOST = 1000.0


# Of the squares of the weights; from 3 to 30 makes little difference.
_PENALTY = 3.0

# How often groups are dealt out anew; figures are means over these deals.
NUM_DEALS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A fusion, and what it makes of rows that it was not fitted to.

    Attributes:
        fusion: The fusion, fitted to all rows.
        fake: Bool `[n]`, whether each row is fake.
        member_aucs: AUC of each member on the rows where it has log-odds; None where
            it is undefined.
        folds: The folds in which groups were left out, `NUM_DEALS` times.
        left_out: Float64 `[NUM_DEALS, n]`, log-odds of each row from a fusion that was
            fitted without its fold.
    """

    fusion: Fusion
    fake: NDArray[np.bool_]
    member_aucs: tuple[float | None, ...]
    folds: tuple[Folds, ...]
    left_out: NDArray[np.float64]

    @property
    def deal_aucs(self) -> list[float]:
        """AUC of the rows that were left out, of all folds together, by deal."""
        return [metrics.auc(self.fake, found) or 0.0 for found in self.left_out]

    @property
    def auc(self) -> float:
        """Its mean over the deals."""
        return float(np.mean(self.deal_aucs))

    @property
    def summary(self) -> str:
        """How good it is and how that is known, a sentence."""
        dealt = self.folds[0]
        kept = {
            (True, True): "generators and sources of photographs",
            (True, False): "generators",
            (False, True): "sources of photographs",
            (False, False): "nothing but rows",
        }[dealt.fake_groups, dealt.real_groups]
        return (
            f"Fused, the AUC is {self.auc:.3f} and the calibration error "
            f"{self.calibration_error:.3f} on pictures whose fold was left out, where "
            f"{kept} are kept together; the members have "
            f"{', '.join(_shown(area) for area in self.member_aucs)}."
        )

    @property
    def calibration_error(self) -> float:
        """Their expected calibration error."""
        errors = [
            metrics.reliability(self.fake, log_odds.scores(found)).error or 0.0
            for found in self.left_out
        ]
        return float(np.mean(errors))


def fit(
    members: Sequence[str],
    values: ArrayLike,
    fake: ArrayLike,
    groups: Sequence[str],
    *,
    seed: int = 0,
    real_groups: bool = True,
) -> Fitted:
    """Fits a fusion, and judges it by leaving groups out.

    Args:
        members: Their names, at least one.
        values: Float `[n, members]`, log-odds of rows that the members were not trained
            on; NaN where a member has none.
        fake: Bool `[n]`, whether each row is fake.
        groups: `n` names of what is left out as a whole, such as generators and sources
            of photographs.
        seed: Of the folds.
        real_groups: Whether sources of photographs are left out too, because the
            fusion is meant for photographs of others; else generators alone are.

    Returns:
        The fusion and its figures.

    Raises:
        ValueError: Shapes differ, a row is without any member, or a side is missing.
    """
    given, is_fake = _checked(members, values, fake, groups)
    names = np.array(groups, object)
    folds = tuple(
        group_folds.leave_groups_out(
            is_fake, groups, seed + deal, real_groups=real_groups
        )
        for deal in range(NUM_DEALS)
    )
    left_out = np.stack([_left_out(given, is_fake, names, own) for own in folds])
    weights = group_folds.weights(is_fake, groups)
    fusion = _fit(members, given, is_fake, weights)
    known = [~np.isnan(column) for column in given.T]
    member_aucs = tuple(
        metrics.auc(is_fake[own], column[own])
        for own, column in zip(known, given.T, strict=True)
    )
    return Fitted(fusion, is_fake, member_aucs, folds, left_out)


def _checked(
    members: Sequence[str], values: ArrayLike, fake: ArrayLike, groups: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    given = np.asarray(values, np.float64)
    is_fake = np.asarray(fake, np.bool_)
    if given.shape != (len(is_fake), len(members)) or len(groups) != len(is_fake):
        raise ValueError(
            f"{len(members)} members, {len(is_fake)} labels and {len(groups)} groups "
            f"do not fit log-odds of shape {given.shape}"
        )
    if np.isnan(given).all(1).any():
        raise ValueError("a row has no score of any member")
    if is_fake.all() or not is_fake.any():
        raise ValueError("expected real and fake rows, found one kind")
    return np.clip(given, -MOST, MOST), is_fake


def _left_out(
    values: NDArray[np.float64],
    fake: NDArray[np.bool_],
    names: NDArray[np.object_],
    folds: Folds,
) -> NDArray[np.float64]:
    """Log-odds of each row from a fit to the other folds."""
    found = np.zeros(len(fake))
    for fold in np.unique(folds.numbers):
        own = folds.numbers == fold
        weights = group_folds.weights(fake[~own], names[~own].tolist())
        members = [str(number) for number in range(values.shape[1])]
        fusion = _fit(members, values[~own], fake[~own], weights)
        found[own] = fusion(values[own])
    return found


def _fit(
    members: Sequence[str],
    values: NDArray[np.float64],
    fake: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> Fusion:
    """The weights of least weighted log loss plus penalty; unique, as it is convex."""
    # Imported here because it is slow, and only fits need it.
    from scipy import optimize

    knots = np.stack([_knots(column) for column in values.T])
    known = model.curves(knots, values)
    shares = weights[:, None] * ~np.isnan(known)
    # A column that nobody knows has no mean, and no weight either.
    sums = (shares * np.nan_to_num(known)).sum(0)
    means = sums / np.maximum(shares.sum(0), np.finfo(np.float64).tiny)
    rows = model.inputs(knots, means, values)
    # Centred, so that the penalty does not pull on the offset.
    centre = np.append(means, np.zeros(len(members)))
    rows = rows - centre

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        found = rows @ point[:-1] + point[-1]
        wrong = weights * (special.expit(found) - fake)
        total = -np.sum(weights * special.log_expit(np.where(fake, found, -found)))
        penalty = 0.5 * _PENALTY * np.sum(point[:-1] ** 2)
        slope = np.append(rows.T @ wrong + _PENALTY * point[:-1], wrong.sum())
        return float(total + penalty), slope

    num_curves = rows.shape[1] - len(members)
    bounds = [(0, None)] * num_curves + [(None, None)] * (len(members) + 1)
    start = np.zeros(rows.shape[1] + 1)
    point = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Fusion(
        tuple(members),
        tuple(map(tuple, knots.tolist())),
        tuple(means.tolist()),
        tuple(point[:-1].tolist()),
        float(point[-1] - centre @ point[:-1]),
    )


def _knots(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds at even ranks, rising, `[NUM_PIECES + 1]`; NaN are left out."""
    even = np.linspace(0, 1, NUM_PIECES + 1)
    known = column[~np.isnan(column)]
    if not known.size:
        return even
    found = np.unique(np.quantile(known, even))
    if found.size == 1:
        found = found[0] + np.array([-1.0, 1.0])
    # Equal ones, of scores that are often the same, are spread over the others.
    return np.interp(even, np.linspace(0, 1, found.size), found)


def _shown(area: float | None) -> str:
    return "none" if area is None else f"{area:.3f}"
