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
    """
    image = np.zeros(framing.shape, np.uint8) if picture is None else picture
    return {
        "image": image,
        "label": np.int32(label),
        "mask": np.bool_(picture is not None),
        "index": np.int32(index),
    }


def stack_rows(rows: list[dict[str, Any]]) -> Batch:
    """Stacks rows that `make_row` has made into a batch."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
