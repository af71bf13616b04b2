# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Single crops of prepared datasets, named by plain values that processes can share."""

import functools
from pathlib import Path
from typing import NamedTuple

from fakedet_jax.data.prepared.loading import PreparedSource, read_info


class Example(NamedTuple):
    """A crop of a prepared dataset.

    Attributes:
        data_dir: The `output` folder of `mode=prepare`.
        dataset: Name of the dataset.
        split: `train`, `validation`, `test` or `all`.
        number: Number of the crop in the split, from 0.
    """

    data_dir: Path
    dataset: str
    split: str
    number: int


def read(example: Example) -> bytes:
    """Returns the encoded picture of a crop.

    Raises:
        RequestError: The dataset is missing or damaged.
        IndexError: There is no such crop.
    """
    source = _open(example.data_dir, example.dataset, example.split)
    return source[example.number].encoded


@functools.lru_cache(maxsize=2)
def _open(data_dir: Path, dataset: str, split: str) -> PreparedSource:
    """Opens a split, once in each process."""
    digest = read_info(data_dir, dataset).digest
    return PreparedSource(data_dir, split, dataset, digest)
