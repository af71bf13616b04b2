# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Turns examples into rows of a batch.

Reads, forges, perturbs, resizes and mirrors pictures.

All of it may run in threads and in worker processes.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fakedet_jax.data.dataset import Source
from fakedet_jax.errors import ImageError
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb.treatment import Choice, Treatment


class Reading(NamedTuple):
    """An example, and how it is read this time.

    Attributes:
        example: Index of the example.
        flip: Whether the picture is mirrored.
        choice: Perturbation of the picture; None for none.
        forging: Seed of the fake that is made of the picture; None for none.
    """

    example: int
    flip: bool = False
    choice: Choice | None = None
    forging: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Forgery:
    """Some real pictures are shown as fakes that are made of themselves.

    Attributes:
        share: How many of the real pictures, above 0 and below 1; they are drawn anew
            each time.
        label: The class of these fakes.
        is_real: bool `[num_examples]`, whether an example is real.
        forge: From a picture, uint8 `[height, width, 3]`, the index of its example and
            a seed to the fake. It must be picklable, its `repr` the same in every
            process and run; it may raise `ImageError`.
    """

    share: float
    label: int
    is_real: np.ndarray = dataclasses.field(repr=False)
    forge: Callable[[np.ndarray, int, int], np.ndarray]

    def choose(self, index: int, rng: np.random.Generator) -> int | None:
        """Draws the seed of the fake of an example, None to leave it as it is.

        Args:
            index: Index of the example.
            rng: Gives two numbers in any case.
        """
        number, seed = rng.random(), int(rng.integers(2**63))
        return seed if self.is_real[index] and number < self.share else None


@dataclasses.dataclass(frozen=True)
class Choose:
    """Chooses whether the picture of an example is mirrored, and what is done to it."""

    flip: bool
    treatment: Treatment | None
    forgery: Forgery | None = None

    def __call__(self, index: int, rng: np.random.Generator) -> Reading:
        """Chooses for the example at an index."""
        # Drawn in any case: later draws must not depend on `flip`.
        flip = bool(rng.integers(2))
        choice = None
        if self.treatment is not None:
            choice = self.treatment.choose(index, rng)
        forging = None
        if self.forgery is not None:
            forging = self.forgery.choose(index, rng)
        return Reading(index, self.flip and flip, choice, forging)


@dataclasses.dataclass(frozen=True)
class LoadExample:
    """Reads one example as a row; a failure becomes an element with `error`."""

    source: Source
    labels: np.ndarray
    framing: Framing
    treatment: Treatment | None
    forgery: Forgery | None = None

    def __call__(self, reading: Reading) -> dict[str, Any]:
        """Loads a row."""
        index, flip, choice, forging = reading
        label = int(self.labels[index])
        try:
            picture = decode(self.source[index].encoded)
            # Fakes are perturbed as others are: it comes after the forgery.
            if self.forgery is not None and forging is not None:
                picture = self.forgery.forge(picture, index, forging)
                label = self.forgery.label
            if self.treatment is not None:
                picture = self.treatment.apply(picture, choice)
        except ImageError as error:
            return {"index": index, "error": str(error)}
        image = to_input(picture, self.framing)
        if flip:
            image = np.ascontiguousarray(image[:, ::-1])
        return batching.make_row(index, label, image, self.framing)


@dataclasses.dataclass(frozen=True)
class LoadRow:
    """Loads a row of an evaluation batch; failures and padding become empty rows."""

    load: LoadExample

    def __call__(self, place: int) -> dict[str, Any]:
        """Loads the example with an index, or padding."""
        index = int(place)
        if index == batching.NO_EXAMPLE:
            return batching.make_row(index, 0, None, self.load.framing)
        treatment = self.load.treatment
        choice = None if treatment is None else treatment.choose(index)
        element = self.load(Reading(index, choice=choice))
        if "error" in element:
            label = int(self.load.labels[index])
            return batching.make_row(index, label, None, self.load.framing)
        return element
