# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folds of a cross-validation that keep groups together."""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUM_FOLDS = 5


class Folds(NamedTuple):
    """Folds of rows.

    Attributes:
        numbers: Int64 `[n]`, the fold of each row.
        real_groups: Whether groups of real rows are kept together; else there are too
            few of them, and their rows are dealt out one by one.
        fake_groups: The same for fake rows.
    """

    numbers: NDArray[np.int64]
    real_groups: bool
    fake_groups: bool


def leave_groups_out(
    fake: ArrayLike,
    groups: Sequence[str],
    seed: int = 0,
    *,
    real_groups: bool = True,
    num_folds: int = NUM_FOLDS,
) -> Folds:
    """Deals groups out to folds, real and fake ones by themselves.

    Args:
        fake: Bool `[n]`, whether each row is fake.
        groups: `n` names, such as the generators of fakes and the sources of
            photographs.
        seed: Of the order in which they are dealt out.
        real_groups: Whether groups of real rows are left out too; else real rows are
            dealt out one by one.
        num_folds: Folds; where a side has fewer groups, some folds lack that side.

    Returns:
        The folds. A side with a single group is dealt out row by row.
    """
    is_fake = np.asarray(fake, np.bool_)
    names = np.array(groups, object)
    rng = np.random.default_rng(seed)
    numbers = np.zeros(is_fake.size, np.int64)
    kept = {}
    for side, wanted in ((False, real_groups), (True, True)):
        own = np.flatnonzero(is_fake == side)
        found = sorted(set(names[own]))
        kept[side] = wanted and len(found) > 1
        if kept[side]:
            rng.shuffle(found)
            fold = {name: place % num_folds for place, name in enumerate(found)}
            numbers[own] = [fold[name] for name in names[own]]
        else:
            numbers[own] = rng.permutation(np.arange(own.size) % num_folds)
    return Folds(numbers, kept[False], kept[True])


def weights(fake: ArrayLike, groups: Sequence[str]) -> NDArray[np.float64]:
    """Weights of rows that keep a large group from drowning small ones.

    A group weighs as the square root of its size, and both sides weigh the same.

    Args:
        fake: Bool `[n]`, whether each row is fake.
        groups: `n` names.

    Returns:
        `[n]`, with mean 1 where both sides have rows.

    >>> weights([False, True, True, True], ["a", "b", "b", "c"]).round(2)
    array([2.  , 0.59, 0.59, 0.83])
    """
    is_fake = np.asarray(fake, np.bool_)
    keys = list(zip(is_fake.tolist(), groups, strict=True))
    sizes = collections.Counter(keys)
    found = np.array([sizes[key] ** -0.5 for key in keys])
    for side in (False, True):
        found[is_fake == side] *= (
            len(keys) / 2 / max(found[is_fake == side].sum(), 1e-9)
        )
    return found
