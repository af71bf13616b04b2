# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a builder is given to write; apart from it, for TFDS is slow to import."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

# Makes the examples of one file of records, in order: keys and features.
Shard = Callable[[], Iterator[tuple[int, dict[str, Any]]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """What a builder writes.

    Attributes:
        classes: Names of the classes.
        metadata: About the whole dataset; JSON-able.
        shards: By split, one per file. A file's examples are held in memory together.
    """

    classes: Sequence[str]
    metadata: Mapping[str, Any]
    shards: Mapping[str, Sequence[Shard]]
