# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Perturbs the pictures of a dataset, for training or as a test condition.

Z. Guo et al., Fake face detection via adaptive manipulation traces extraction network,
CVIU 2021: Table X trains under one condition and tests under another; Tables XI and XII
train on sets that hold raw, compressed and filtered pictures in equal parts.

Pictures are perturbed on the CPU by the threads or worker processes that read them.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from fakedet_jax.perturb import apply
from fakedet_jax.perturb.perturbation import Mix, Perturbation


class Choice(NamedTuple):
    """A perturbation for one picture, and a salt for its noise."""

    perturbation: Perturbation
    salt: int


@dataclasses.dataclass(frozen=True, eq=False)
class Treatment:
    """How each picture of a dataset is perturbed.

    Attributes:
        parts: The perturbations; None leaves a picture unchanged.
        seed: Seed of all random choices.
        part_of: int32 `[num_examples]`, an index into `parts` for each example, which
            is then perturbed in the same way whenever it is read. None draws a part
            each time, all with equal probability.
    """

    parts: tuple[Perturbation | Mix | None, ...]
    seed: int
    part_of: np.ndarray | None = None

    def __repr__(self) -> str:
        drawn = "each time" if self.part_of is None else f"of {len(self.part_of)}"
        names = ", ".join(map(str, self.parts))
        return f"{type(self).__name__}({names}; {drawn}; seed {self.seed})"

    def choose(
        self, index: int, rng: np.random.Generator | None = None
    ) -> Choice | None:
        """Chooses the perturbation of an example.

        Args:
            index: Index of the example.
            rng: Random generator; not used if `part_of` is given.

        Returns:
            The choice; None leaves the picture unchanged.
        """
        if self.part_of is not None:
            rng = np.random.default_rng((self.seed, index))
            place = int(self.part_of[index])
        elif rng is None:
            raise ValueError("this treatment is drawn each time: give a generator")
        else:
            place = int(rng.integers(len(self.parts)))
        number, salt = int(rng.integers(2**63)), int(rng.integers(2**32))
        part = self.parts[place]
        if part is None:
            return None
        return Choice(part.draw(number) if isinstance(part, Mix) else part, salt)

    def apply(self, picture: np.ndarray, choice: Choice | None) -> np.ndarray:
        """Perturbs a picture on the CPU.

        Args:
            picture: uint8 `[height, width, 3]`.
            choice: Result of `choose`.

        Returns:
            The perturbed picture, uint8 `[height, width, 3]`, not to be written to.

        Raises:
            ImageError: The picture is too large.
        """
        if choice is None:
            return picture
        apply.check_picture(picture)
        return apply.apply_one(apply.Chosen(picture, *choice), self.seed)


def fixed_set(
    labels: np.ndarray, num_parts: int, copies: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divides a dataset, or several copies of it, evenly into parts.

    Within each class the sizes of the parts differ by at most one. With no more copies
    than parts, no example is in a part twice.

    Args:
        labels: int `[num_examples]`, the classes of the examples.
        num_parts: Number of parts.
        copies: Size of the new set relative to the dataset, at least 1.
        seed: Seed of the division.

    Returns:
        Indices of the examples and their parts, each int32
        `[round(copies · num_examples)]`.

    >>> indices, parts = fixed_set(np.zeros(3), 3, copies=2, seed=0)
    >>> indices.tolist(), sorted(parts[:3].tolist())
    ([0, 1, 2, 0, 1, 2], [0, 1, 2])
    """
    num_examples = len(labels)
    order = np.random.default_rng(seed).permutation(num_examples)
    # Rank of each example among the shuffled examples of its class.
    rank = np.zeros(num_examples, np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    indices = np.arange(round(copies * num_examples))
    whole, rest = divmod(len(indices), num_examples)
    # An incomplete last copy is taken evenly from the classes and parts.
    leftovers = np.argsort(rank, kind="stable")[:rest]
    examples = np.concatenate([np.tile(np.arange(num_examples), whole), leftovers])
    parts = (rank[examples] + indices // num_examples) % num_parts
    return examples.astype(np.int32), parts.astype(np.int32)
