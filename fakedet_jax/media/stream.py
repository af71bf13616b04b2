# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of whole pictures that are decoded as they are found.

For faces, and for videos, see `fakedet_jax.faces.stream`.
"""

import collections
import concurrent.futures
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.media import batching
from fakedet_jax.media.decode import read_picture
from fakedet_jax.media.files import FoundFile
from fakedet_jax.media.framing import Framing


class StreamItem(NamedTuple):
    """What one row of a batch of `stream_batches` belongs to.

    Attributes:
        path: The file or folder that was given or found.
        error: Why there is no picture in the row, else `None`.
    """

    path: Path
    error: str | None


def stream_batches(
    found_files: Iterable[FoundFile],
    *,
    framing: Framing,
    batch_size: int,
    num_threads: int = 8,
) -> Iterator[tuple[list[StreamItem], batching.Batch]]:
    """Decodes files as they are found, in order, in bounded memory.

    Args:
        found_files: The files; taken only as fast as batches are.
        framing: Of the network's input.
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
                    pool.submit(read_picture, file.path, framing)
                    if file.error is None
                    else None
                )
                pending.append((file, task))
            if not pending:
                break
            item, picture = _finish(*pending.popleft())
            items.append(item)
            rows.append(batching.make_row(num_rows, 0, picture, framing))
            num_rows += 1
            if len(items) == batch_size:
                yield items, batching.stack_rows(rows)
                items, rows = [], []
        if items:
            padding = batching.make_row(batching.NO_EXAMPLE, 0, None, framing)
            yield (
                items,
                batching.stack_rows(rows + [padding] * (batch_size - len(rows))),
            )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finish(
    file: FoundFile, task: concurrent.futures.Future[np.ndarray] | None
) -> tuple[StreamItem, np.ndarray | None]:
    if task is None:
        return StreamItem(file.path, file.error), None
    try:
        return StreamItem(file.path, None), task.result()
    except ImageError as error:
        return StreamItem(file.path, str(error)), None
