# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws the sources of training pictures equally often, whatever their numbers are.

Shares are equal level by level: all classes are equally frequent, within a class the
sources that were merged into it, and within a source its folders. An epoch has as many
pictures as without balance: of a source with many pictures it shows some, other ones in
each epoch, and of a small one it shows each picture several times.
"""

import dataclasses
import math
from collections.abc import Hashable, Sequence

import numpy as np

from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError

NONE, CLASSES, FOLDERS = "none", "classes", "folders"
CHOICES = (NONE, CLASSES, FOLDERS)


@dataclasses.dataclass(frozen=True, eq=False)
class Balance:
    """From the places of a shuffled epoch to examples, as a pure function.

    Attributes:
        groups: For each group the indices of its examples, int `[size]`; at least one.
        shares: Float64 `[num_groups]`, how often a group is drawn; they sum to 1.
        length: Draws in an epoch.
        seed: Decides which examples of a group are drawn.
    """

    groups: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    shares: np.ndarray = dataclasses.field(repr=False)
    length: int
    seed: int

    def __call__(self, position: int, place: int) -> int:
        """The example at a position.

        In an epoch a group has its share of the places, rounded up or down at random,
        so that over epochs it has its share exactly, also if that is less than a place.

        Args:
            position: Number of the draw, counted over all epochs.
            place: Its place in the epoch before it was shuffled, from 0 to
                `length - 1`.

        Returns:
            Index of the example.
        """
        epoch = position // self.length
        offset = np.random.default_rng((self.seed, epoch)).random()
        ends = np.ceil(np.cumsum(self.shares) * self.length - offset).astype(np.int64)
        ends[-1] = self.length  # Whatever the rounding of the sum.
        group = int(np.searchsorted(ends, place, side="right"))
        rank = place - (int(ends[group - 1]) if group else 0)
        members = self.groups[group]
        return int(members[self._permuted(rank, len(members), group, epoch)])

    def _permuted(self, rank: int, size: int, group: int, epoch: int) -> int:
        """A member for a rank: all members once, then all once more."""
        rng = np.random.default_rng((self.seed, epoch, group))
        # A permutation that needs no memory; places are shuffled already.
        start, factor = (int(number) for number in rng.integers(0, size, 2))
        while math.gcd(factor, size) != 1:
            factor = (factor + 1) % size
        return (start + factor * rank) % size


def create(dataset: Dataset, by: str, seed: int) -> Balance | None:
    """How a training draws from a dataset.

    Args:
        dataset: The training pictures.
        by: `classes`: the classes equally often, and within them those that were
            merged, as `Dataset.as_binary` does; `folders`: within these also the
            folders of pictures; `none` for each picture once in an epoch.
        seed: Seed of the draws.

    Returns:
        The balance; None for `none`.

    Raises:
        RequestError: The dataset does not know the folders.
    """
    if by == NONE:
        return None
    levels: list[Sequence[Hashable]] = [dataset.labels.tolist()]
    if dataset.sources:
        levels.append(dataset.sources)
    if by == FOLDERS:
        if not any(dataset.folders):
            raise RequestError(
                "`balance`: folders can be balanced only within the classes of a "
                f"folder, and {dataset.name} has none there; give `balance=classes`"
            )
        levels.append(dataset.folders)
    groups: dict[tuple[Hashable, ...], list[int]] = {}
    for index, key in enumerate(zip(*levels, strict=True)):
        groups.setdefault(key, []).append(index)
    keys = sorted(groups, key=repr)
    return Balance(
        tuple(np.asarray(groups[key], np.int64) for key in keys),
        _shares(keys),
        dataset.num_examples,
        seed,
    )


def _shares(keys: Sequence[tuple[Hashable, ...]]) -> np.ndarray:
    """Equal shares at every level, as of the leaves of a tree."""
    children: dict[tuple[Hashable, ...], set[Hashable]] = {}
    for key in keys:
        for depth, child in enumerate(key):
            children.setdefault(key[:depth], set()).add(child)
    return np.array(
        [
            1 / math.prod(len(children[key[:depth]]) for depth in range(len(key)))
            for key in keys
        ]
    )
