# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Datasets with altered pictures, alone or beside the pictures themselves."""

import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.data.dataset import Dataset, Record, Source
from fakedet_jax.media.decode import decode

# From a picture, uint8 `[height, width, 3]`, and its index to the altered one. It must
# be picklable, and its `repr` the same in every process.
Alter = Callable[[np.ndarray, int], np.ndarray]


def with_altered(
    dataset: Dataset, alter: Alter, label: int, names: Sequence[str]
) -> Dataset:
    """Every picture of a dataset, and each once more, altered.

    Args:
        dataset: `n` pictures.
        alter: Alters a picture in the same way each time. It may raise `ImageError`.
        label: The class of all altered pictures.
        names: Of the altered pictures.

    Returns:
        `2 n` examples without further facts: first the pictures, then in the same order
        what became of them.
    """
    num = dataset.num_examples
    return dataclasses.replace(
        dataset,
        source=_WithAltered(dataset.source, alter, label, tuple(names)),
        names=[*dataset.names, *names],
        labels=np.append(dataset.labels, np.full(num, label)).astype(np.int32),
        facts=None,
        portraits=None,
        folders=(),
        sources=(),
    )


def altered(dataset: Dataset, alter: Alter) -> Dataset:
    """Every picture of a dataset, altered.

    Args:
        dataset: The pictures.
        alter: Alters a picture in the same way each time. It may raise `ImageError`.
    """
    return dataclasses.replace(dataset, source=_Altered(dataset.source, alter))


def _alter(record: Record, alter: Alter, index: int, **changes: Any) -> Record:
    """A record whose picture is altered."""
    picture = alter(decode(record.encoded), index)
    buffer = io.BytesIO()
    # It is read once and soon: not worth being small.
    Image.fromarray(picture).save(buffer, "PNG", compress_level=0)
    return dataclasses.replace(record, encoded=buffer.getvalue(), **changes)


@dataclasses.dataclass(frozen=True)
class _Altered:
    """Records of another source, altered."""

    source: Source
    alter: Alter

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Record:
        return _alter(self.source[index], self.alter, index)


@dataclasses.dataclass(frozen=True, repr=False)
class _WithAltered:
    """Records of another source, and then each of them altered."""

    source: Source
    alter: Alter
    label: int
    names: tuple[str, ...]

    def __len__(self) -> int:
        return 2 * len(self.source)

    def __getitem__(self, place: int) -> Record:
        index = place % len(self.source)
        record = self.source[index]
        if place < len(self.source):
            return record
        name = self.names[index]
        return _alter(record, self.alter, index, label=self.label, name=name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r}, {self.alter!r}, {self.label})"
