# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of pictures and their targets for training and evaluation, by Grain.

Order, flips and batches depend on the seed alone, and not on the number of threads or
worker processes; a global batch holds the same examples for any number of hosts.
`batching` says what a batch is. How an example is read for training is the business of
a `Reader`: `train_iterator` has the one of classifiers, `endless` takes any.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from fakedet_jax.data import rows
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb.treatment import Treatment

_MIN_PREFETCH = 32


class TrainIterator(Iterator[batching.Batch]):
    """Endless batches, whose place can be saved and restored exactly.

    Made by `train_iterator` and `endless`. Close it, or use it in a `with` statement,
    to end its threads and worker processes.

    Attributes:
        failures: Reasons of the pictures that were skipped so far, by index.
    """

    def __init__(
        self,
        iterator: Any,
        finish: Callable[[list[dict[str, Any]]], batching.Batch],
        failures: Mapping[int, str],
        settings: Mapping[str, Any],
    ) -> None:
        self._open_iterator = iterator
        self._finish = finish
        self._settings = dict(settings)
        self.failures = failures

    def __next__(self) -> batching.Batch:
        return self._finish(next(self._iterator))

    def get_state(self) -> dict[str, Any]:
        """The place after the last batch, as a dict that JSON can hold.

        Where files are skipped, the places of several processes differ: every process
        saves its own.
        """
        return {**self._settings, "place": self._iterator.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes to a place that `get_state` gave.

        Raises:
            RequestError: The state is of an iterator over other data or with other
                settings, from which it would continue at a wrong place.
        """
        for name, value in self._settings.items():
            saved = state.get(name)
            if saved != value:
                raise RequestError(
                    f"The input of the checkpoint was made with {name}={saved}, this "
                    f"run has {name}={value}; resume with the same setting, or start "
                    "in another `workdir`"
                )
        self._iterator.set_state(state["place"])

    def close(self) -> None:
        """Ends the threads and processes; no batch can be taken afterwards."""
        if self._open_iterator is not None:
            self._open_iterator.close()
        # Iterators of Grain that live until the interpreter ends complain.
        self._open_iterator = None

    @property
    def _iterator(self) -> Any:
        if self._open_iterator is None:
            raise ValueError("The iterator is closed; make another one")
        return self._open_iterator

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclasses.dataclass(frozen=True)
class Reader:
    """How examples become batches.

    Attributes:
        choose: `choose(index, rng)` says how an example is read this time. It must draw
            equally many numbers whatever it chooses.
        load: Reads what was chosen, in threads or worker processes; an element with
            `index` and `error` is skipped.
        finish: Makes a batch of the elements.
        settings: All that decides how examples are read, for JSON; a place in the data
            belongs to them.
    """

    choose: Callable[[int, np.random.Generator], Any]
    load: Callable[[Any], dict[str, Any]]
    finish: Callable[[list[dict[str, Any]]], batching.Batch]
    settings: Mapping[str, Any]


def train_iterator(
    dataset: Dataset,
    *,
    framing: Framing,
    batch_size: int,
    seed: int,
    flip: bool,
    treatment: Treatment | None = None,
    num_workers: int = 0,
    num_threads: int = 8,
    process_index: int = 0,
    process_count: int = 1,
) -> TrainIterator:
    """Shuffles a dataset anew in every epoch and gives batches for ever.

    Pictures that cannot be decoded are skipped and remembered. An epoch need not fill
    whole batches: the next one follows without a gap.

    Args:
        dataset: The examples.
        framing: Of the network's input.
        batch_size: Rows per batch in this process.
        seed: Decides order and flips, from 0 to 2³² - 1.
        flip: Whether to mirror pictures at random, half of them.
        treatment: What is done to the pictures as they are decoded.
        num_workers: Worker processes that decode; with 0 only threads do. Grain needs
            absl flags to be parsed where this is not 0.
        num_threads: Threads that decode, in each worker process.
        process_index: Number of this process (host).
        process_count: Number of processes that share a global batch.

    Returns:
        The iterator. Its `next` raises `RequestError` once as many pictures in a row
        as the dataset has could not be decoded.

    Raises:
        RequestError: The dataset is empty.
    """
    choose = rows.Choose(flip, treatment)
    load = rows.LoadExample.of(dataset, framing, treatment)
    settings = {"seed": seed, "flip": flip, "framing": repr(framing)}
    if treatment is not None:
        settings["treatment"] = repr(treatment)
    return endless(
        dataset,
        Reader(choose, load, rows.Finish(framing, treatment), settings),
        batch_size=batch_size,
        seed=seed,
        num_workers=num_workers,
        num_threads=num_threads,
        process_index=process_index,
        process_count=process_count,
    )


def endless(
    dataset: Dataset,
    reader: Reader,
    *,
    batch_size: int,
    seed: int,
    num_workers: int = 0,
    num_threads: int = 8,
    process_index: int = 0,
    process_count: int = 1,
) -> TrainIterator:
    """As `train_iterator`, with examples that are read in a way of one's own.

    Args:
        dataset: The examples.
        reader: How they are read.
        batch_size: As for `train_iterator`, like all that follow.
        seed: Decides the order and what `reader.choose` draws.
        num_workers: Worker processes.
        num_threads: Threads.
        process_index: Number of this process (host).
        process_count: Number of processes that share a global batch.

    Returns:
        The iterator, whose `failures` are the elements with `error`.

    Raises:
        RequestError: The dataset is empty.
    """
    import grain

    if dataset.num_examples == 0:
        raise RequestError(
            f"`dataset`: the split {dataset.split!r} of {dataset.name} has no examples"
        )
    # The order and the flips are settled before the examples are dealt out to the
    # processes, so that they do not depend on the number of processes.
    examples = grain.MapDataset.range(dataset.num_examples).seed(seed)
    examples = examples.shuffle().repeat().random_map(reader.choose)
    examples = examples[process_index::process_count].map(reader.load)
    skip = _SkipFailures(dataset)
    # Skipping and batching come after the worker processes: the batches are then the
    # same for any number of them.
    batches = (
        _parallel(examples, batch_size, num_threads, num_workers)
        .filter(skip)
        .batch(batch_size, drop_remainder=True, batch_fn=list)
    )
    settings = {
        **reader.settings,
        "num_workers": num_workers,
        "batch_size": batch_size,
        "process_count": process_count,
        "process_index": process_index,
        "num_examples": dataset.num_examples,
        "dataset_digest": dataset.digest,
    }
    return TrainIterator(iter(batches), reader.finish, skip.failures, settings)


def eval_batches(
    dataset: Dataset,
    *,
    framing: Framing,
    batch_size: int,
    treatment: Treatment | None = None,
    num_workers: int = 0,
    num_threads: int = 8,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[batching.Batch]:
    """Gives every example once, in order, in batches of equal size.

    Concatenated over the processes, batch k holds the examples from k times the global
    batch size on. Every process gives equally many batches, the last ones padded.

    Args:
        dataset: The examples.
        framing: Of the network's input.
        batch_size: Rows per batch in this process.
        treatment: What is done to the pictures as they are decoded, the same each
            time.
        num_workers: As for `train_iterator`.
        num_threads: Threads that decode, in each worker process.
        process_index: Number of this process (host).
        process_count: Number of processes that share a global batch.

    Yields:
        Batches. A picture that cannot be decoded has a false `mask`, a black `image`,
        and the `index` by which `reason` tells why.
    """
    import grain

    global_size = batch_size * process_count
    num_batches = math.ceil(dataset.num_examples / global_size)
    if num_batches == 0:
        return
    places = np.arange(num_batches * global_size, dtype=np.int32)
    places[dataset.num_examples :] = batching.NO_EXAMPLE
    local = places.reshape(num_batches, process_count, batch_size)[:, process_index]
    examples = grain.MapDataset.source(_Places(local.reshape(-1))).map(
        rows.LoadRow(rows.LoadExample.of(dataset, framing, treatment))
    )
    batches = _parallel(examples, batch_size, num_threads, num_workers).batch(
        batch_size, drop_remainder=True, batch_fn=list
    )
    iterator = iter(batches)
    try:
        yield from map(rows.Finish(framing, treatment), iterator)
    finally:
        iterator.close()


def reason(dataset: Dataset, index: int, treatment: Treatment | None = None) -> str:
    """Tells why an example cannot be used, by trying once more.

    Args:
        dataset: The examples.
        index: The example.
        treatment: As for `eval_batches`.

    Returns:
        The reason, empty where the picture is sound.
    """
    try:
        picture = decode(dataset.source[index].encoded)
        if treatment is not None:
            treatment.start(picture, treatment.choose(index))
    except ImageError as error:
        return str(error)
    return ""


class _SkipFailures:
    """Passes decoded examples and keeps the reasons of the others."""

    def __init__(self, dataset: Dataset) -> None:
        self.failures: dict[int, str] = {}
        self._dataset = dataset
        self._num_in_a_row = 0

    def __call__(self, element: dict[str, Any]) -> bool:
        if "error" not in element:
            self._num_in_a_row = 0
            return True
        index = int(element["index"])
        self.failures[index] = str(element["error"])
        self._num_in_a_row += 1
        num_examples = self._dataset.num_examples
        if self._num_in_a_row >= num_examples:
            raise RequestError(
                f"`dataset`: {num_examples} pictures in a row cannot be decoded, as "
                f"many as {self._dataset.name} has in the split "
                f"{self._dataset.split!r}; the last, {self._dataset.names[index]!r}, "
                f"{self.failures[index]}"
            )
        return False


@dataclasses.dataclass(frozen=True, repr=False)
class _Places:
    """The index of every row of an evaluation, as a source for Grain."""

    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> int:
        return int(self.places[index])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_rows={len(self)}, last={self.places[-1]})"


def _parallel(
    examples: Any, batch_size: int, num_threads: int, num_workers: int
) -> Any:
    """Makes an iterable dataset whose elements are loaded ahead."""
    import grain

    # About two batches ahead. The elements are single pictures here.
    ahead = max(_MIN_PREFETCH, num_threads, 2 * batch_size // max(1, num_workers))
    elements = examples.to_iter_dataset(
        grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=ahead)
    )
    if num_workers == 0:
        return elements
    return elements.mp_prefetch(
        grain.MultiprocessingOptions(
            num_workers=num_workers, per_worker_buffer_size=_MIN_PREFETCH
        )
    )
