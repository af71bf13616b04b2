# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a batch of pictures is.

A batch is a dict of arrays with `batch_size` rows, the same number in every batch:

- `image`: uint8 `[batch_size, height, width, 3]`
- `label`: int32 `[batch_size]`, 0 where there is no example; what a network without
  classes learns is float32 `[batch_size, …]`
- `mask`: bool `[batch_size]`, false for padding and for pictures that cannot be decoded
- `index`: int32 `[batch_size]`, the example in the dataset, -1 for padding
"""

from typing import Any

import numpy as np

from fakedet_jax.media.framing import Framing

Batch = dict[str, np.ndarray]

NO_EXAMPLE = -1


def make_row(
    index: int, label: int, picture: np.ndarray | None, framing: Framing
) -> dict[str, Any]:
    """One row of a batch; without a picture it is black and masked."""
    image = np.zeros(framing.shape, np.uint8) if picture is None else picture
    return {
        "image": image,
        "label": np.int32(label),
        "mask": np.bool_(picture is not None),
        "index": np.int32(index),
    }


def stack_rows(rows: list[dict[str, Any]]) -> Batch:
    """A batch of rows that `make_row` made."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
