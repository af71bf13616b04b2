# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Perturbations of the pictures of a dataset: for training, and as a test condition.

Z. Guo et al., Fake face detection via adaptive manipulation traces extraction network,
CVIU 2021: Table X trains under one condition and tests under another; Tables XI and XII
train on sets that hold raw, compressed and filtered pictures in equal parts.

What a codec does is done where pictures are decoded. What filters do is done later, on
the devices, to the pictures of a batch together.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import apply
from fakedet_jax.perturb.perturbation import Mix, Perturbation
from fakedet_jax.runtime import parallel

# More would be a mistake: the paper's largest set has three.
_MAX_COPIES = 100


class Choice(NamedTuple):
    """What is done to a picture, and a salt for its noise."""

    perturbation: Perturbation
    salt: int


@dataclasses.dataclass(frozen=True, eq=False)
class Treatment:
    """What is done to every picture of a dataset.

    Attributes:
        parts: What there is, None for nothing.
        seed: Of all that is drawn.
        part_of: int32 `[num_examples]`, indices into `parts`: every example is treated
            in the same way whenever it is read. None draws anew each time, all parts
            alike.
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
        """Draws for an example.

        Args:
            index: The example.
            rng: Draws, unless the treatment is the same each time.

        Returns:
            What is done to it, None for nothing.
        """
        if self.part_of is not None:
            rng = np.random.default_rng((self.seed, index))
            place = int(self.part_of[index])
        elif rng is None:
            raise ValueError("this treatment is drawn each time, give a generator")
        else:
            place = int(rng.integers(len(self.parts)))
        number, salt = int(rng.integers(2**63)), int(rng.integers(2**32))
        part = self.parts[place]
        if part is None:
            return None
        return Choice(part.draw(number) if isinstance(part, Mix) else part, salt)

    def start(
        self, picture: np.ndarray, choice: Choice | None
    ) -> np.ndarray | apply.Chosen:
        """Does what the host does.

        Args:
            picture: uint8 `[height, width, 3]`.
            choice: Of `choose`.

        Returns:
            The picture as it shall be, or what is left to the devices.

        Raises:
            ImageError: The picture is too large.
        """
        if choice is None:
            return picture
        apply.check_picture(picture)
        perturbation, salt = choice
        on_host = perturbation.kind.on_host
        if on_host is None:
            return apply.Chosen(picture, perturbation, salt)
        return on_host(picture, perturbation.strength)

    def finish(self, chosen: Sequence[apply.Chosen]) -> list[np.ndarray]:
        """Does what the devices of this process do.

        Args:
            chosen: What `start` left.

        Returns:
            The pictures as they shall be, in the same order.
        """
        mesh = parallel.data_mesh(jax.local_devices())
        # The caller may be at work on the devices of all processes.
        with jax.set_mesh(mesh):
            key = jax.random.key(self.seed, impl="threefry2x32")
            return apply.apply_each(chosen, key=key, mesh=mesh)


def check_copies(copies: float) -> None:
    """Refuses a size that `fixed_set` does not make.

    Raises:
        RequestError: The number of copies is not valid.
    """
    if not 1 <= copies <= _MAX_COPIES:
        raise RequestError(
            f"`perturb_copies`: expected a number from 1 to {_MAX_COPIES}, found "
            f"{copies:g}"
        )


def fixed_set(
    labels: np.ndarray, num_parts: int, copies: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a set of pictures that are perturbed once and for all, in equal parts.

    Within each class the parts are of one size, give or take one picture. With fewer
    copies than parts no picture is there twice in the same part.

    Args:
        labels: int `[num_examples]`, the classes of the examples.
        num_parts: What there is to do to them.
        copies: Size of the set to the number of examples, at least 1.
        seed: Decides which part an example falls to.

    Returns:
        int32 `[round(copies · num_examples)]` each: the examples, and their parts.

    Raises:
        RequestError: The number of copies is not valid.

    >>> indices, parts = fixed_set(np.zeros(3), 3, copies=2, seed=0)
    >>> indices.tolist(), sorted(parts[:3].tolist())
    ([0, 1, 2, 0, 1, 2], [0, 1, 2])
    """
    check_copies(copies)
    num_examples = len(labels)
    order = np.random.default_rng(seed).permutation(num_examples)
    # Place of an example among the shuffled ones of its class.
    rank = np.zeros(num_examples, np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    indices = np.arange(round(copies * num_examples))
    whole, rest = divmod(len(indices), num_examples)
    # What is left of the last copy is taken evenly from the classes and parts.
    leftovers = np.argsort(rank, kind="stable")[:rest]
    examples = np.concatenate([np.tile(np.arange(num_examples), whole), leftovers])
    parts = (rank[examples] + indices // num_examples) % num_parts
    return examples.astype(np.int32), parts.astype(np.int32)
