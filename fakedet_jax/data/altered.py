# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A dataset and an altered copy of each of its pictures, to choose or measure with."""

import dataclasses
import io
from collections.abc import Callable, Sequence

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
        picture = self.alter(decode(record.encoded), index)
        buffer = io.BytesIO()
        # It is read once and soon: not worth being small.
        Image.fromarray(picture).save(buffer, "PNG", compress_level=0)
        return Record(buffer.getvalue(), self.label, self.names[index])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r}, {self.alter!r}, {self.label})"
