# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A rising function of the log-odds of several detectors.

The log-odds of each member become its rank among the rows of the fit, from 0 to 1. The
fused log-odds are a sum of rising piecewise linear curves of these ranks, of the lower
rank of each two members (both say so) and of the higher one (one of them says so). A
member without a score adds a constant and takes no part in pairs.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Pieces of each curve.
NUM_PIECES = 8


def pairs(num_members: int) -> list[tuple[int, int]]:
    """The pairs of members, in the order of their curves."""
    return list(itertools.combinations(range(num_members), 2))


def ranks(knots: Any, values: Any, xp: ModuleType = np) -> Any:
    """The ranks of log-odds among those that the knots are of.

    Args:
        knots: Float `[members, NUM_PIECES + 1]`, rising.
        values: Float `[n, members]`; NaN becomes 0.
        xp: NumPy, or its twin of JAX.

    Returns:
        Float `[n, members]`, in [0, 1].
    """
    low, high = knots[None, :, :-1], knots[None, :, 1:]
    known = xp.where(xp.isnan(values), knots[None, :, 0], values)
    return xp.clip((known[:, :, None] - low) / (high - low), 0, 1).mean(-1)


def curve_inputs(rank: Any, xp: ModuleType = np) -> Any:
    """What a curve is linear in: the share of each piece that lies below a rank.

    Args:
        rank: Float `[...]`, in [0, 1].
        xp: See `ranks`.

    Returns:
        Float `[..., NUM_PIECES]`, in [0, 1].
    """
    return xp.clip(rank[..., None] * NUM_PIECES - xp.arange(NUM_PIECES), 0, 1)


def inputs(knots: Any, values: Any, xp: ModuleType = np) -> Any:
    """The rows that the fused log-odds are linear in.

    Args:
        knots: See `ranks`.
        values: See `ranks`.
        xp: See `ranks`.

    Returns:
        Float `[n, columns]`: curves of members, of lower and of higher ranks of pairs,
        then 1 for each member that is missing.
    """
    missing = xp.isnan(values)
    rank = ranks(knots, values, xp)
    curves = [xp.where(missing[..., None], 0, curve_inputs(rank, xp))]
    if values.shape[1] > 1:
        first, second = map(np.array, zip(*pairs(values.shape[1]), strict=True))
        absent = (missing[:, first] | missing[:, second])[..., None]
        for choose in (xp.minimum, xp.maximum):
            rank_of_two = choose(rank[:, first], rank[:, second])
            curves.append(xp.where(absent, 0, curve_inputs(rank_of_two, xp)))
    flat = [curve.reshape(len(values), -1) for curve in curves]
    return xp.concatenate([*flat, xp.where(missing, 1, 0)], axis=1)


def log_odds(parameters: Mapping[str, Any], values: Any, xp: ModuleType = np) -> Any:
    """The fused log-odds, a pure function.

    Args:
        parameters: `knots`, see `ranks`; `weights`, float `[columns]`; `offset`, float
            `[]`, added to the weighted sum.
        values: Float `[n, members]`, log-odds of the members; NaN where there are none.
        xp: NumPy, or its twin of JAX.

    Returns:
        Float `[n]`.
    """
    rows = inputs(parameters["knots"], values, xp)
    return parameters["offset"] + rows @ parameters["weights"]


@dataclasses.dataclass(frozen=True)
class Fusion:
    """What `fusion.fit` found.

    Attributes:
        members: Their names.
        knots: Log-odds at even ranks, `members` lists of `NUM_PIECES + 1`.
        weights: Of the columns of `inputs`; those of curves are not negative.
        offset: Added to their weighted sum.
    """

    members: tuple[str, ...]
    knots: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    offset: float

    def __post_init__(self) -> None:
        """Checks the shapes.

        Raises:
            ValueError: They do not belong together.
        """
        num_members = len(self.members)
        num_curves = num_members + 2 * len(pairs(num_members))
        sizes = [len(row) for row in self.knots]
        if (
            sizes != [NUM_PIECES + 1] * num_members
            or len(self.weights) != num_curves * NUM_PIECES + num_members
        ):
            raise ValueError(
                f"knots and weights are not those of {num_members} members"
            )
        if not num_members or not np.all(np.diff(self.knots) > 0):
            raise ValueError("knots: expected rising numbers for each member")

    @property
    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """What `log_odds` takes."""
        return {
            "knots": np.array(self.knots),
            "weights": np.array(self.weights),
            "offset": np.array(self.offset),
        }

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """The fused log-odds of rows.

        Args:
            values: Float `[n, members]`, log-odds; NaN where a member has none.

        Returns:
            `[n]`; NaN for a row without any.
        """
        given = np.asarray(values, np.float64)
        found: NDArray[np.float64] = log_odds(self.parameters, given)
        return np.where(np.isnan(given).all(1), np.nan, found)
