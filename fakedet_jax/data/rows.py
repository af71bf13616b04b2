# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From an example to a row of a batch: chosen, read, perturbed, brought to size.

Everything but `Finish` may run in worker processes, which have no devices.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fakedet_jax.data.dataset import Dataset, Source
from fakedet_jax.errors import ImageError
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb import apply
from fakedet_jax.perturb.treatment import Choice, Treatment


class Reading(NamedTuple):
    """An example, and how it is read this time."""

    example: int
    flip: bool = False
    choice: Choice | None = None


@dataclasses.dataclass(frozen=True)
class Choose:
    """Chooses for an index whether its picture is mirrored, and what is done to it."""

    flip: bool
    treatment: Treatment | None

    def __call__(self, index: int, rng: np.random.Generator) -> Reading:
        """Chooses."""
        # The generator is asked in any case: the order must not depend on the choice.
        flip = bool(rng.integers(2))
        choice = None
        if self.treatment is not None:
            choice = self.treatment.choose(index, rng)
        return Reading(index, self.flip and flip, choice)


@dataclasses.dataclass(frozen=True)
class LoadExample:
    """Reads and decodes one example; a failure becomes an element of its own.

    What the devices have yet to do to a picture is an element without `image`.
    """

    source: Source
    labels: np.ndarray
    framing: Framing
    treatment: Treatment | None

    @classmethod
    def of(
        cls, dataset: Dataset, framing: Framing, treatment: Treatment | None
    ) -> "LoadExample":
        """Of a dataset."""
        labels = np.asarray(dataset.labels, np.int32)
        return cls(dataset.source, labels, framing, treatment)

    def __call__(self, reading: Reading) -> dict[str, Any]:
        """Loads, and does what the host has to do."""
        index, flip, choice = reading
        label = int(self.labels[index])
        try:
            picture = decode(self.source[index].encoded)
            if self.treatment is not None:
                started = self.treatment.start(picture, choice)
                if not isinstance(started, np.ndarray):
                    return {"waiting": Waiting(index, label, flip, started)}
                picture = started
        except ImageError as error:
            return {"index": index, "error": str(error)}
        return _to_row(index, label, flip, picture, self.framing)


class Waiting(NamedTuple):
    """A row whose picture the devices have yet to perturb."""

    example: int
    label: int
    flip: bool
    chosen: apply.Chosen


@dataclasses.dataclass(frozen=True)
class LoadRow:
    """Loads a row of an evaluation batch; failures and padding become empty rows."""

    load: LoadExample

    def __call__(self, place: int) -> dict[str, Any]:
        """Loads the example at a place."""
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


@dataclasses.dataclass(frozen=True)
class Finish:
    """Makes a batch of rows, once the devices have done their part."""

    framing: Framing
    treatment: Treatment | None

    def __call__(self, elements: list[dict[str, Any]]) -> batching.Batch:
        """Finishes the elements of a batch."""
        waiting = [element["waiting"] for element in elements if "waiting" in element]
        pictures: Iterator[np.ndarray] = iter(())
        if waiting and self.treatment is not None:
            pictures = iter(self.treatment.finish([one.chosen for one in waiting]))
        rows = []
        for element in elements:
            if "waiting" in element:
                index, label, flip, _ = element["waiting"]
                element = _to_row(index, label, flip, next(pictures), self.framing)
            rows.append(element)
        return batching.stack_rows(rows)


def _to_row(
    index: int, label: int, flip: bool, picture: np.ndarray, framing: Framing
) -> dict[str, Any]:
    image = to_input(picture, framing)
    if flip:
        image = np.ascontiguousarray(image[:, ::-1])
    return batching.make_row(index, label, image, framing)
