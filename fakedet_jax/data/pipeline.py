# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of pictures and labels for training and evaluation, read with Grain.

Order, flips and batches depend only on the seed, not on the number of threads or worker
processes; a global batch has the same examples for any number of hosts. See
`media.batching` for what a batch is. A `Reader` decides how examples are read for
training: `train_iterator` uses the one of classifiers, `endless` takes any.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from fakedet_jax.data import balance as balancing
from fakedet_jax.data import rows
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import plugins

_MIN_PREFETCH = 32


class TrainIterator(Iterator[batching.Batch]):
    """Endless batches with a position that can be saved and restored.

    Created by `train_iterator` and `endless`. Close it, or use it in a `with`
    statement, to end its threads and worker processes.

    """

    def __init__(
        self,
        start: Callable[[int], Any],
        finish: Callable[[list[dict[str, Any]]], batching.Batch],
        skip: "_SkipFailures",
        settings: Mapping[str, Any],
        layout: Mapping[str, int],
    ) -> None:
        """Starts to read at the first example.

        Args:
            start: From the number of an example, counted over all epochs and processes,
                to Grain's iterator from there on.
            finish: Makes a batch of rows.
            skip: Passes the rows of `start`.
            settings: What decides which pictures come, and in which order.
            layout: How they are divided among processes and read.
        """
        self._start_at = start
        self._finish = finish
        self._skip = skip
        self._settings = dict(settings)
        self._layout = dict(layout)
        self._start = 0
        self._open_iterator = start(0)

    @property
    def failures(self) -> Mapping[int, str]:
        """Why pictures were skipped so far, by the index of the example."""
        return self._skip.failures

    def __next__(self) -> batching.Batch:
        return self._finish(next(self._iterator))

    def get_state(self) -> dict[str, Any]:
        """The position after the last batch, as a dict for JSON.

        Where files are skipped, the positions of several processes differ: each process
        saves its own.
        """
        return {
            **self._settings,
            **self._layout,
            "start": self._start,
            "num_read": self._skip.num_read,
            "place": self._iterator.get_state(),
        }

    def set_state(self, states: Sequence[Mapping[str, Any]]) -> bool:
        """Moves to a position that the processes of a run have saved.

        Args:
            states: What `get_state` returned in each process, in their order; of
                iterators with the same data and settings.

        Returns:
            Whether the batches are exactly those that would have followed. They are not
            where the pictures were divided among other processes, or read by another
            number of workers: then the order of the pictures goes on, and where some
            were skipped, a few come twice or not at all.

        Raises:
            RequestError: The data or the settings differ.
        """
        place = self._layout["process_index"]
        own = dict(states[place] if place < len(states) else states[0])
        if "batch_size" in own:  # An earlier version did not name their product.
            size = own["batch_size"] * own["process_count"]
            own.setdefault("global_batch_size", size)
        for name, value in self._settings.items():
            self._require(own, name, value)
        is_same = all(own.get(name) == value for name, value in self._layout.items())
        if is_same and len(states) == self._layout["process_count"]:
            if self._start != (start := own.get("start", 0)):
                self._reopen(start)
            self._skip.num_read = own.get("num_read", 0)
            self._iterator.set_state(own["place"])
            return True
        for name, value in self._layout.items():
            if "num_read" not in own:  # An earlier version did not count.
                self._require(own, name, value)
        furthest = max(state["num_read"] for state in states)
        self._reopen(own["start"] + furthest * len(states))
        return False

    def _require(self, state: Mapping[str, Any], name: str, value: object) -> None:
        if (saved := state.get(name)) != value:
            raise RequestError(
                f"The input of the checkpoint was made with {name}={saved}, this "
                f"run has {name}={value}; resume with the same setting, or start "
                "in another `workdir`"
            )

    def _reopen(self, start: int) -> None:
        self.close()
        self._start = start
        self._skip.num_read = 0
        self._open_iterator = self._start_at(start)

    def close(self) -> None:
        """Ends the threads and processes; no more batches can be taken."""
        if self._open_iterator is not None:
            self._open_iterator.close()
        # Grain logs errors of iterators that still exist when the interpreter ends.
        self._open_iterator = None

    @property
    def _iterator(self) -> Any:
        if self._open_iterator is None:
            raise ValueError("the iterator is closed; make another one")
        return self._open_iterator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclasses.dataclass(frozen=True)
class Reader:
    """How examples become batches.

    Attributes:
        choose: `choose(index, rng)` decides how an example is read this time. The
            number of draws must not depend on the decision.
        load: Reads the example as decided, in threads or worker processes. Returns a
            row, or a dict with `index` and `error` to skip the example.
        finish: Makes a batch of rows.
        settings: All settings that decide how examples are read, JSON-able; a saved
            position is valid for the same settings only.
        balance: Which examples are drawn equally often; see `balance.create`.
    """

    choose: Callable[[int, np.random.Generator], Any]
    load: Callable[[Any], dict[str, Any]]
    finish: Callable[[list[dict[str, Any]]], batching.Batch]
    settings: Mapping[str, Any]
    balance: str = balancing.NONE


def train_iterator(
    dataset: Dataset,
    *,
    framing: Framing,
    batch_size: int,
    seed: int,
    flip: bool,
    treatment: Treatment | None = None,
    forgery: rows.Forgery | None = None,
    balance: str = balancing.NONE,
    num_workers: int = 0,
    num_threads: int = 8,
    process_index: int = 0,
    process_count: int = 1,
) -> TrainIterator:
    """Endless training batches of a dataset that is shuffled again in every epoch.

    Pictures that cannot be decoded are skipped and recorded. A batch may contain the
    end of one epoch and the beginning of the next.

    Args:
        dataset: The examples.
        framing: Framing of the network's input.
        batch_size: Rows per batch in this process.
        seed: Seed of order and flips, from 0 to 2³² - 1.
        flip: Whether to mirror half of the pictures, chosen at random.
        treatment: Perturbation of the pictures; None for none.
        forgery: Which real pictures become fakes; None for none.
        balance: Which pictures are drawn equally often; see `balance.create`.
        num_workers: Worker processes that read; 0 reads in threads. Grain requires
            parsed absl flags if this is not 0.
        num_threads: Reading threads in each process.
        process_index: Number of this process (host).
        process_count: Number of processes that share a global batch.

    Returns:
        The iterator. Its `next` raises `RequestError` when as many pictures in a row
        could not be decoded as the dataset has.

    Raises:
        RequestError: The dataset is empty, or cannot be balanced.
    """
    choose = rows.Choose(flip, treatment, forgery)
    load = rows.LoadExample(dataset.source, dataset.labels, framing, treatment, forgery)
    settings = {"seed": seed, "flip": flip, "framing": repr(framing)}
    if treatment is not None:
        settings["treatment"] = repr(treatment)
    if forgery is not None:
        settings["forgery"] = repr(forgery)
    return endless(
        dataset,
        Reader(choose, load, batching.stack_rows, settings, balance),
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
    """Endless training batches whose examples are read by any `Reader`.

    Args:
        dataset: The examples.
        reader: Reads the examples.
        batch_size: Rows per batch in this process.
        seed: Seed of the order and of `reader.choose`.
        num_workers: See `train_iterator`.
        num_threads: See `train_iterator`.
        process_index: Number of this process (host).
        process_count: Number of processes that share a global batch.

    Returns:
        The iterator; see `train_iterator`.

    Raises:
        RequestError: The dataset is empty, or cannot be balanced.
    """
    import grain

    if dataset.num_examples == 0:
        raise RequestError(
            f"`dataset`: the split {dataset.split!r} of {dataset.name} has no examples"
        )
    # Order and choices are made before the examples are divided among the processes, so
    # that they do not depend on the number of processes.
    examples = grain.MapDataset.range(dataset.num_examples).seed(seed)
    examples = examples.shuffle().repeat()
    balanced = balancing.create(dataset, reader.balance, seed)
    if balanced is not None:
        examples = examples.map_with_index(balanced)
    examples = examples.random_map(reader.choose)
    skip = _SkipFailures(dataset)

    def start(number: int) -> Any:
        own = examples[number + process_index :: process_count].map(reader.load)
        # Skipping and batching come after the worker processes, so that the batches do
        # not depend on their number.
        return iter(
            _parallel(own, batch_size, num_threads, num_workers)
            .filter(skip)
            .batch(batch_size, drop_remainder=True, batch_fn=list)
        )

    settings = {
        **reader.settings,
        "global_batch_size": batch_size * process_count,
        "num_examples": dataset.num_examples,
        "dataset_digest": dataset.digest,
    }
    if balanced is not None:
        settings["balance"] = reader.balance
    layout = {
        "num_workers": num_workers,
        "batch_size": batch_size,
        "process_count": process_count,
        "process_index": process_index,
    }
    return TrainIterator(start, reader.finish, skip, settings, layout)


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
    """Batches of equal size with every example once, in order.

    Concatenated over the processes, batch k starts with example k times the global
    batch size. Every process yields the same number of batches, the last ones padded.

    Args:
        dataset: The examples.
        framing: Framing of the network's input.
        batch_size: Rows per batch in this process.
        treatment: Perturbation of the pictures, with `part_of`; None for none.
        num_workers: See `train_iterator`.
        num_threads: See `train_iterator`.
        process_index: Number of this process (host).
        process_count: Number of processes that share a global batch.

    Yields:
        Batches. A picture that cannot be decoded has a false `mask` and a black
        `image`; `reason` tells why.
    """
    import grain

    global_size = batch_size * process_count
    num_batches = math.ceil(dataset.num_examples / global_size)
    if num_batches == 0:
        return
    places = np.arange(num_batches * global_size, dtype=np.int32)
    places[dataset.num_examples :] = batching.NO_EXAMPLE
    local = places.reshape(num_batches, process_count, batch_size)[:, process_index]
    load = rows.LoadExample(dataset.source, dataset.labels, framing, treatment)
    examples = grain.MapDataset.source(local.reshape(-1)).map(rows.LoadRow(load))
    batches = _parallel(examples, batch_size, num_threads, num_workers).batch(
        batch_size, drop_remainder=True, batch_fn=list
    )
    iterator = iter(batches)
    try:
        yield from map(batching.stack_rows, iterator)
    finally:
        iterator.close()


def reason(dataset: Dataset, index: int, treatment: Treatment | None = None) -> str:
    """Finds out why an example cannot be used by reading it again.

    Args:
        dataset: The examples.
        index: Index of the example.
        treatment: See `eval_batches`.

    Returns:
        The reason; empty if the picture is sound.
    """
    try:
        picture = decode(dataset.source[index].encoded)
        if treatment is not None:
            treatment.apply(picture, treatment.choose(index))
    except ImageError as error:
        return str(error)
    return ""


class _SkipFailures:
    """Passes rows, and records why other examples were skipped.

    Attributes:
        failures: The reasons, by the index of the example.
        num_read: Examples that this process has read, skipped ones among them.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.failures: dict[int, str] = {}
        self.num_read = 0
        self._dataset = dataset
        self._num_in_a_row = 0

    def __call__(self, element: dict[str, Any]) -> bool:
        self.num_read += 1
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


def _parallel(
    examples: Any, batch_size: int, num_threads: int, num_workers: int
) -> Any:
    """Reads elements ahead, in threads or in worker processes."""
    import grain

    # About two batches ahead; an element is one picture.
    ahead = max(_MIN_PREFETCH, num_threads, 2 * batch_size // max(1, num_workers))
    elements = examples.to_iter_dataset(
        grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=ahead)
    )
    if num_workers == 0:
        return elements
    return elements.mp_prefetch(
        grain.MultiprocessingOptions(
            num_workers=num_workers, per_worker_buffer_size=_MIN_PREFETCH
        ),
        worker_init_fn=_start_worker,
    )


def _start_worker(index: int, count: int) -> None:
    """Prepares a worker process before it reads pictures."""
    import jax

    del index, count
    # The other devices belong to the process that trains.
    jax.config.update("jax_platforms", "cpu")
    plugins.load()
