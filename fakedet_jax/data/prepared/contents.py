# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The content that a builder writes; in its own module because TFDS imports slowly."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# Yields the examples of one file of records in order: (key, features).
Shard = Callable[[], Iterator[tuple[int, dict[str, Any]]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """The content that a builder writes.

    Attributes:
        classes: Names of the classes.
        metadata: Metadata of the dataset, JSON-able.
        shards: The files of each split. The examples of a file are held in memory.
    """

    classes: Sequence[str]
    metadata: Mapping[str, Any]
    shards: Mapping[str, Sequence[Shard]]
