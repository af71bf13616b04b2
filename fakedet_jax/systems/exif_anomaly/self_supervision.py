# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Photographs of faces as their own teachers: some are manipulated as they are read.

Half of the faces stay as they are, and an eighth goes to each of the four kinds of
`manipulations` (Zou, Yu, Zhan, Ma: "Self-supervised learning for detecting AI-generated
faces as anomalies", ICASSP 2025). All are manipulated at the size of their file and
then brought to the network's size in one and the same way, so that resampling tells
nothing.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from fakedet_jax.data import altered, pipeline
from fakedet_jax.data.dataset import Dataset, Source
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode, to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.systems.exif_anomaly import manipulations

CLASSES = ("original", "manipulated")

_UNKNOWN = np.full((5, 2), np.nan, np.float32)


def train_iterator(
    dataset: Dataset,
    portraits: Portraits,
    *,
    framing: Framing,
    batch_size: int,
    seed: int,
    flip: bool,
    paired: bool = False,
    **reading: int,
) -> pipeline.TrainIterator:
    """Batches of photographs, half of them manipulated, for ever.

    Args:
        dataset: The photographs.
        portraits: Of them.
        framing: Of the network's input.
        batch_size: Rows per batch in this process.
        seed: Decides order, flips and manipulations, from 0 to 2³² - 1.
        flip: Whether to mirror pictures at random, half of them.
        paired: Whether every photograph is in a batch twice, as it is and manipulated,
            instead of one or the other by chance. The shares are the same, and what
            tells the two apart is all that they differ in: a network finds it sooner.
        reading: As for `pipeline.endless`.

    Returns:
        Batches whose `label` is float32 `[batch_size, num_tags + 1]`: the tags, NaN
        where one is missing, and last 1 for a manipulated face and 0 for others. A
        manipulated face keeps the tags of its original.

    Raises:
        RequestError: The dataset is empty, or pairs cannot fill a batch.
    """
    if paired and batch_size % 2:
        raise RequestError(
            f"`paired`: {batch_size} pictures per process cannot be filled with pairs; "
            "give an even `batch_size`"
        )
    settings = {
        "seed": seed,
        "flip": flip,
        "paired": paired,
        "framing": repr(framing),
        "manipulations": list(manipulations.KINDS),
    }
    reader = pipeline.Reader(
        choose=_Choose(flip, paired),
        load=_Load(dataset.source, portraits, framing),
        finish=_stack,
        settings=settings,
    )
    return pipeline.endless(
        dataset,
        reader,
        batch_size=batch_size // 2 if paired else batch_size,
        seed=seed,
        **reading,
    )


def with_manipulated(dataset: Dataset, portraits: Portraits, seed: int) -> Dataset:
    """Every photograph of a dataset, and each once more, manipulated.

    Args:
        dataset: `n` photographs.
        portraits: Of them.
        seed: Of the manipulations, which are the same each time; the kinds take turns.

    Returns:
        `2 n` examples of the classes `CLASSES`: first the photographs, then in the same
        order what became of them.
    """
    names = [f"{name} {_kind_of(index)}" for index, name in enumerate(dataset.names)]
    spoil = _Spoil(portraits.landmarks, seed)
    both = altered.with_altered(dataset.as_binary(), spoil, 1, names)
    return dataclasses.replace(both, classes=CLASSES, reading="")


class _Reading(NamedTuple):
    """A photograph, and what happens to it this time.

    Attributes:
        example: Its index.
        flip: Whether it is mirrored in the end.
        kinds: For each row that it gives: how it is manipulated, if at all.
        seed: Of the manipulation.
    """

    example: int
    flip: bool
    kinds: tuple[str | None, ...]
    seed: int


@dataclasses.dataclass(frozen=True)
class _Choose:
    """Chooses what happens to a photograph."""

    flip: bool
    paired: bool

    def __call__(self, index: int, rng: np.random.Generator) -> _Reading:
        flip = bool(rng.integers(2))
        drawn = manipulations.draw(rng)
        seed = int(rng.integers(2**32))
        kinds: tuple[str | None, ...] = (drawn,)
        if self.paired:
            kinds = (None, manipulations.KINDS[seed % len(manipulations.KINDS)])
        return _Reading(index, self.flip and flip, kinds, seed)


@dataclasses.dataclass(frozen=True)
class _Load:
    """Reads a photograph, once for each of its rows; a failure is an element too."""

    source: Source
    portraits: Portraits
    framing: Framing

    def __call__(self, reading: _Reading) -> dict[str, Any]:
        index = reading.example
        try:
            picture = decode(self.source[index].encoded)
            rows = [self._row(picture, reading, kind) for kind in reading.kinds]
        except ImageError as error:
            return {"index": index, "error": str(error)}
        return {"rows": rows}

    def _row(
        self, picture: np.ndarray, reading: _Reading, kind: str | None
    ) -> dict[str, Any]:
        index = reading.example
        if kind is not None:
            landmarks = self.portraits.landmarks[index]
            picture = _spoil(picture, landmarks, kind, reading.seed)
        image = to_input(picture, self.framing)
        if reading.flip:
            image = np.ascontiguousarray(image[:, ::-1])
        row = batching.make_row(index, 0, image, self.framing)
        target = np.append(self.portraits.tags[index], kind is not None)
        return {**row, "label": target.astype(np.float32)}


def _stack(elements: list[dict[str, Any]]) -> batching.Batch:
    return batching.stack_rows([row for one in elements for row in one["rows"]])


@dataclasses.dataclass(frozen=True)
class _Spoil:
    """Manipulates each photograph in its way: the kinds take turns."""

    landmarks: np.ndarray = dataclasses.field(repr=False)
    seed: int

    def __call__(self, picture: np.ndarray, index: int) -> np.ndarray:
        return _spoil(
            picture, self.landmarks[index], _kind_of(index), [self.seed, index]
        )


def _kind_of(index: int) -> str:
    """How a photograph is manipulated where the kinds take turns."""
    return manipulations.KINDS[index % len(manipulations.KINDS)]


def _spoil(
    picture: np.ndarray, landmarks: np.ndarray, kind: str, seed: int | list[int]
) -> np.ndarray:
    """Manipulates a face, if not in the wanted way then by a warp.

    Raises:
        ImageError: There is too little of it even for that.
    """
    rng = np.random.default_rng(seed)
    try:
        return manipulations.manipulate(picture, landmarks, kind, rng)
    except ImageError:
        # Such as an eye outside of the crop, or landmarks of something else.
        return manipulations.manipulate(picture, _UNKNOWN, "warp", rng)
