# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of pictures.

A batch is a dict of arrays. All batches have the same number of rows, `batch_size`:

- `image`: uint8 `[batch_size, height, width, 3]`, RGB; black in masked rows
- `label`: int32 `[batch_size]`, 0 for padding; the targets of a network without classes
  are float32 `[batch_size, …]`
- `mask`: bool `[batch_size]`, false for padding and for pictures that cannot be decoded
- `index`: int32 `[batch_size]`, number of the example in the dataset, -1 for padding
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fakedet_jax.media.framing import Framing

Batch = dict[str, np.ndarray]

NO_EXAMPLE = -1


def make_row(
    index: int, label: int, picture: np.ndarray | None, framing: Framing
) -> dict[str, Any]:
    """Makes a row of a batch.

    Args:
        index: Number of the example, or `NO_EXAMPLE`.
        label: Its label; 0 for padding.
        picture: uint8 `[height, width, 3]` of the size of `framing`; `None` gives a
            black, masked row.
        framing: Framing of the network's input.

    Returns:
        `image`, `label`, `mask` and `index` of the row.
    """
    image = np.zeros(framing.shape, np.uint8) if picture is None else picture
    return {
        "image": image,
        "label": np.int32(label),
        "mask": np.bool_(picture is not None),
        "index": np.int32(index),
    }


def stack_rows(rows: list[dict[str, Any]]) -> Batch:
    """Stacks rows into a batch.

    Args:
        rows: Rows that `make_row` has made, at least one; arrays of one name have one
            shape.

    Returns:
        The batch, with one array per name, `[len(rows), …]`.
    """
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def fill_batch(rows: list[dict[str, Any]], batch_size: int, framing: Framing) -> Batch:
    """Stacks rows and adds padding at the end.

    Args:
        rows: Rows that `make_row` has made, at most `batch_size`.
        batch_size: Rows of the batch.
        framing: Framing of the network's input.

    Returns:
        The batch.
    """
    padding = make_row(NO_EXAMPLE, 0, None, framing)
    return stack_rows(rows + [padding] * (batch_size - len(rows)))


def from_pictures(
    pictures: Iterable[np.ndarray], framing: Framing, batch_size: int
) -> Iterator[Batch]:
    """Makes batches of pictures, with padding at the end of the last batch.

    Args:
        pictures: uint8 `[framing.height, framing.width, 3]` each.
        framing: Region and size of the network's input.
        batch_size: Rows per batch.

    Yields:
        Batches whose `index` counts the pictures; `label` is 0.
    """
    rows = (make_row(i, 0, picture, framing) for i, picture in enumerate(pictures))
    while part := list(itertools.islice(rows, batch_size)):
        yield fill_batch(part, batch_size, framing)
