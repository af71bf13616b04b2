# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A rising function of the log-odds of several detectors.

The log-odds of each member become its rank among the rows of the fit, from 0 to 1. The
fused log-odds are a sum of rising piecewise linear curves of these ranks, of the lower
rank of each two members (both say so) and of the higher one (one of them says so). A
member without a score counts as the mean of those with one, plus a constant.
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


def parameter_shapes(num_members: int) -> dict[str, tuple[int, ...]]:
    """Shapes of what `log_odds` takes, by name.

    Args:
        num_members: Number of members.
    """
    num_columns = (num_members + 2 * len(pairs(num_members))) * NUM_PIECES
    return {
        "knots": (num_members, NUM_PIECES + 1),
        "means": (num_columns,),
        "weights": (num_columns + num_members,),
        "offset": (),
    }


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


def curves(knots: Any, values: Any, xp: ModuleType = np) -> Any:
    """What the curves of members and pairs are linear in.

    Args:
        knots: See `ranks`.
        values: See `ranks`.
        xp: See `ranks`.

    Returns:
        Float `[n, columns]`: of members, of lower and of higher ranks of pairs; NaN
        where a member has no log-odds.
    """
    missing = xp.isnan(values)
    rank = xp.where(missing, xp.nan, ranks(knots, values, xp))
    found = [curve_inputs(rank, xp)]
    if values.shape[1] > 1:
        first, second = map(np.array, zip(*pairs(values.shape[1]), strict=True))
        for choose in (xp.minimum, xp.maximum):
            found.append(curve_inputs(choose(rank[:, first], rank[:, second]), xp))
    return xp.concatenate([one.reshape(len(values), -1) for one in found], axis=1)


def inputs(knots: Any, means: Any, values: Any, xp: ModuleType = np) -> Any:
    """The rows that the fused log-odds are linear in.

    Args:
        knots: See `ranks`.
        means: Float `[columns]`, which take the place of NaN in `curves`.
        values: See `ranks`.
        xp: See `ranks`.

    Returns:
        Float `[n, columns + members]`: `curves`, then 1 for each member that is
        missing.
    """
    found = curves(knots, values, xp)
    filled = xp.where(xp.isnan(found), means, found)
    return xp.concatenate([filled, xp.where(xp.isnan(values), 1, 0)], axis=1)


def log_odds(parameters: Mapping[str, Any], values: Any, xp: ModuleType = np) -> Any:
    """The fused log-odds, a pure function.

    Args:
        parameters: `knots`, see `ranks`; `means`, see `inputs`; `weights`, float
            `[columns + members]`; `offset`, float `[]`, added to the weighted sum.
        values: Float `[n, members]`, log-odds of the members; NaN where there are none.
        xp: NumPy, or its twin of JAX.

    Returns:
        Float `[n]`.
    """
    rows = inputs(parameters["knots"], parameters["means"], values, xp)
    return parameters["offset"] + rows @ parameters["weights"]


@dataclasses.dataclass(frozen=True)
class Fusion:
    """What `fusion.fit` found.

    Attributes:
        members: Their names.
        knots: Log-odds at even ranks, `members` lists of `NUM_PIECES + 1`.
        means: Of the columns of `curves`, over the rows of the fit.
        weights: Of the columns of `inputs`; those of curves are not negative.
        offset: Added to their weighted sum.
    """

    members: tuple[str, ...]
    knots: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float

    def __post_init__(self) -> None:
        """Checks the shapes.

        Raises:
            ValueError: They do not belong together.
        """
        num_members = len(self.members)
        sizes = [len(row) for row in self.knots]
        shapes = parameter_shapes(num_members)
        if sizes != [NUM_PIECES + 1] * num_members or any(
            (len(getattr(self, name)),) != shapes[name] for name in ("means", "weights")
        ):
            raise ValueError(
                f"knots, means and weights are not those of {num_members} members"
            )
        if not num_members or not np.all(np.diff(self.knots) > 0):
            raise ValueError("knots: expected rising numbers for each member")

    @property
    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """What `log_odds` takes."""
        return {
            "knots": np.array(self.knots),
            "means": np.array(self.means),
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
