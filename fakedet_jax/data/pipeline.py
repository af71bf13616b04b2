# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of pictures for training, evaluation and prediction.

A batch is a dict of arrays with `batch_size` rows, the same number in every batch:

- `image`: uint8 `[batch_size, size, size, 3]`
- `label`: int32 `[batch_size]`, 0 where there is no example
- `mask`: bool `[batch_size]`, false for padding and for pictures that cannot be decoded
- `index`: int32 `[batch_size]`, the example in the dataset, -1 for padding

Order, flips and batches depend on the seed alone, and not on the number of threads or
worker processes; a global batch holds the same examples for any number of hosts.
"""

import collections
import concurrent.futures
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from fakedet_jax.data.dataset import Dataset, Source
from fakedet_jax.data.decode import decode, read_picture, to_square
from fakedet_jax.data.files import FoundFile
from fakedet_jax.errors import ImageError, RequestError

Batch = dict[str, np.ndarray]

_MIN_PREFETCH = 32
_NO_EXAMPLE = -1


class StreamItem(NamedTuple):
    """What one row of a batch of `stream_batches` belongs to.

    Attributes:
        path: The file or folder that was given or found.
        face: Which face of the picture the row shows, from 0.
        error: Why there is no picture in the row, else `None`.
    """

    path: Path
    face: int
    error: str | None


class TrainIterator(Iterator[Batch]):
    """Endless batches, whose place can be saved and restored exactly.

    Made by `train_iterator`. Close it, or use it in a `with` statement, to end its
    threads and worker processes.

    Attributes:
        failures: Reasons of the pictures that were skipped so far, by index.
    """

    def __init__(
        self,
        iterator: Any,
        failures: Mapping[int, str],
        settings: Mapping[str, Any],
    ) -> None:
        self._open_iterator = iterator
        self._settings = dict(settings)
        self.failures = failures

    def __next__(self) -> Batch:
        return next(self._iterator)

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
                    "in another --workdir"
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


def train_iterator(
    dataset: Dataset,
    *,
    image_size: int,
    batch_size: int,
    seed: int,
    flip: bool,
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
        image_size: Side of the pictures in pixels.
        batch_size: Rows per batch in this process.
        seed: Decides order and flips, from 0 to 2³² - 1.
        flip: Whether to mirror pictures at random, half of them.
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
    import grain

    if dataset.num_examples == 0:
        raise RequestError(
            f"--dataset: the split {dataset.split!r} of {dataset.name} has no examples"
        )
    # The order and the flips are settled before the examples are dealt out to the
    # processes, so that they do not depend on the number of processes.
    examples = grain.MapDataset.range(dataset.num_examples).seed(seed)
    examples = examples.shuffle().repeat().random_map(_ChooseFlip(flip))
    examples = examples[process_index::process_count].map(
        _LoadExample(dataset.source, np.asarray(dataset.labels, np.int32), image_size)
    )
    skip = _SkipFailures(dataset)
    # Skipping and batching come after the worker processes: the batches are then the
    # same for any number of them.
    batches = (
        _parallel(examples, batch_size, num_threads, num_workers)
        .filter(skip)
        .batch(batch_size, drop_remainder=True)
    )
    settings = {
        "num_workers": num_workers,
        "batch_size": batch_size,
        "process_count": process_count,
        "process_index": process_index,
        "seed": seed,
        "flip": flip,
        "image_size": image_size,
        "num_examples": dataset.num_examples,
        "dataset_digest": dataset.digest,
    }
    return TrainIterator(iter(batches), skip.failures, settings)


def iterator_state(iterator: TrainIterator) -> dict[str, Any]:
    """The place of an iterator with the settings it holds for, ready for JSON."""
    return iterator.get_state()


def restore_iterator(iterator: TrainIterator, state: Mapping[str, Any]) -> None:
    """Brings an iterator to a place given by `iterator_state`.

    Args:
        iterator: A new iterator, made as the saved one was.
        state: What `iterator_state` gave; a pass through JSON does not harm it.

    Raises:
        RequestError: The iterators differ in data or settings, such as `num_workers`.
    """
    iterator.set_state(state)


def eval_batches(
    dataset: Dataset,
    *,
    image_size: int,
    batch_size: int,
    num_workers: int = 0,
    num_threads: int = 8,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """Gives every example once, in order, in batches of equal size.

    Concatenated over the processes, batch k holds the examples from k times the global
    batch size on. Every process gives equally many batches, the last ones padded.

    Args:
        dataset: The examples.
        image_size: Side of the pictures in pixels.
        batch_size: Rows per batch in this process.
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
    places[dataset.num_examples :] = _NO_EXAMPLE
    local = places.reshape(num_batches, process_count, batch_size)[:, process_index]
    examples = grain.MapDataset.source(_Places(local.reshape(-1))).map(
        _LoadRow(
            _LoadExample(
                dataset.source, np.asarray(dataset.labels, np.int32), image_size
            )
        )
    )
    batches = _parallel(examples, batch_size, num_threads, num_workers).batch(
        batch_size, drop_remainder=True
    )
    iterator = iter(batches)
    try:
        yield from iterator
    finally:
        iterator.close()


def reason(dataset: Dataset, index: int) -> str:
    """Tells why an example cannot be decoded, by trying once more.

    Args:
        dataset: The examples.
        index: The example.

    Returns:
        The reason, empty where the picture is sound.
    """
    try:
        decode(dataset.source[index].encoded)
    except ImageError as error:
        return str(error)
    return ""


def stream_batches(
    found_files: Iterable[FoundFile],
    *,
    image_size: int,
    batch_size: int,
    num_threads: int = 8,
) -> Iterator[tuple[list[StreamItem], Batch]]:
    """Decodes files as they are found, in order, in bounded memory.

    Args:
        found_files: The files; taken only as fast as batches are.
        image_size: Side of the pictures in pixels.
        batch_size: Rows per batch.
        num_threads: Threads that decode.

    Yields:
        Items, one for each row that is no padding, and the batch. `index` counts the
        rows of the whole stream; `label` is 0. The row of an item with an error has a
        false `mask`.
    """
    pending: collections.deque[
        tuple[FoundFile, concurrent.futures.Future[np.ndarray] | None]
    ] = collections.deque()
    max_pending = max(batch_size, 2 * num_threads)
    items: list[StreamItem] = []
    rows: list[dict[str, Any]] = []
    num_rows = 0
    pool = concurrent.futures.ThreadPoolExecutor(num_threads, "fakedet-decode")
    files = iter(found_files)
    try:
        while True:
            while len(pending) < max_pending and (file := next(files, None)):
                task = (
                    pool.submit(read_picture, file.path, image_size)
                    if file.error is None
                    else None
                )
                pending.append((file, task))
            if not pending:
                break
            item, picture = _finish(*pending.popleft())
            items.append(item)
            rows.append(_row(num_rows, 0, picture, image_size))
            num_rows += 1
            if len(items) == batch_size:
                yield items, _stack(rows)
                items, rows = [], []
        if items:
            padding = _row(_NO_EXAMPLE, 0, None, image_size)
            yield items, _stack(rows + [padding] * (batch_size - len(rows)))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclasses.dataclass(frozen=True)
class _ChooseFlip:
    """Adds to an index the choice whether its picture is mirrored this time."""

    flip: bool

    def __call__(self, index: int, rng: np.random.Generator) -> tuple[int, bool]:
        # The generator is asked in any case: the order must not depend on the choice.
        chosen = bool(rng.integers(2))
        return index, self.flip and chosen


@dataclasses.dataclass(frozen=True)
class _LoadExample:
    """Reads and decodes one example; a failure becomes an element of its own."""

    source: Source
    labels: np.ndarray
    image_size: int

    def __call__(self, choice: tuple[int, bool]) -> dict[str, Any]:
        index, flip = choice
        try:
            picture = to_square(decode(self.source[index].encoded), self.image_size)
        except ImageError as error:
            return {"index": index, "error": str(error)}
        if flip:
            picture = np.ascontiguousarray(picture[:, ::-1])
        return _row(index, int(self.labels[index]), picture, self.image_size)


@dataclasses.dataclass(frozen=True)
class _LoadRow:
    """Loads a row of an evaluation batch; failures and padding become empty rows."""

    load: _LoadExample

    def __call__(self, place: int) -> dict[str, Any]:
        index = int(place)
        if index == _NO_EXAMPLE:
            return _row(index, 0, None, self.load.image_size)
        element = self.load((index, False))
        if "error" in element:
            label = int(self.load.labels[index])
            return _row(index, label, None, self.load.image_size)
        return element


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
                f"--dataset: {num_examples} pictures in a row cannot be decoded, as "
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


def _finish(
    file: FoundFile, task: concurrent.futures.Future[np.ndarray] | None
) -> tuple[StreamItem, np.ndarray | None]:
    if task is None:
        return StreamItem(file.path, 0, file.error), None
    try:
        return StreamItem(file.path, 0, None), task.result()
    except ImageError as error:
        return StreamItem(file.path, 0, str(error)), None


def _row(
    index: int, label: int, picture: np.ndarray | None, image_size: int
) -> dict[str, Any]:
    """One row of a batch; without a picture it is black and masked."""
    if picture is None:
        image = np.zeros((image_size, image_size, 3), np.uint8)
    else:
        image = picture
    return {
        "image": image,
        "label": np.int32(label),
        "mask": np.bool_(picture is not None),
        "index": np.int32(index),
    }


def _stack(rows: list[dict[str, Any]]) -> Batch:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
