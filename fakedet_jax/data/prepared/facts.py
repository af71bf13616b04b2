# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Facts about the examples of a prepared dataset, apart from their pictures.

They are in a small file beside the records, so that reading names, labels and protocols
does not require reading gigabytes of pictures.
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.data.portraits import NUM_LANDMARKS, Portraits
from fakedet_jax.media.exif import TAGS
from fakedet_jax.runtime import storage

FILE_NAME = "facts.npz"

# Columns that are arrays: dtype and shape of an entry.
_ARRAYS: dict[str, tuple[type, tuple[int, ...]]] = {
    "labels": (np.int32, ()),
    "frames": (np.int64, ()),
    "faces": (np.int64, ()),
    "landmarks": (np.float32, (NUM_LANDMARKS, 2)),
    "tags": (np.float32, (len(TAGS),)),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """Facts about the `n` examples of a dataset, in its order.

    Attributes:
        names: Unique names of the examples.
        labels: int32 `[n]`, indices into the classes.
        splits: `train`, `validation` or `test`.
        paths: Path of the photograph or video, relative to the data folder.
        videos: Recording that the example is from; empty for photographs.
        frames: int64 `[n]`, number of the frame from 0; -1 for photographs.
        faces: int64 `[n]`, number of the face in the picture or video, from 0.
        identities: Everyone in the picture, separated by semicolons; empty where
            unknown.
        manipulations: Method that made the face; empty for real faces and where
            unknown.
        qualities: Compression, such as `c23`, where there are several.
        landmarks: float32 `[n, 5, 2]`, see `Portraits`.
        tags: float32 `[n, 4]`, see `Portraits`.
    """

    names: list[str]
    labels: np.ndarray
    splits: list[str]
    paths: list[str]
    videos: list[str]
    frames: np.ndarray
    faces: np.ndarray
    identities: list[str]
    manipulations: list[str]
    qualities: list[str]
    landmarks: np.ndarray
    tags: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def people(self) -> list[tuple[str, ...]]:
        """The identities of each example, one by one."""
        return [tuple(filter(None, names.split(";"))) for names in self.identities]

    def at(self, indices: Sequence[int] | np.ndarray) -> "Facts":
        """The entries at `indices`, int `[m]`, in that order."""
        chosen = np.asarray(indices, np.int64)
        columns: dict[str, Any] = {
            name: column[chosen]
            if isinstance(column, np.ndarray)
            else [column[index] for index in chosen.tolist()]
            for name, column in self._columns().items()
        }
        return Facts(**columns)

    def of(self, names: Iterable[str]) -> "Facts":
        """The entries of the examples with these names, in that order.

        Raises:
            KeyError: A name is unknown.
        """
        return self.at([self._places[name] for name in names])

    def of_split(self, split: str) -> "Facts":
        """The entries of `train`, `validation` or `test`, or of `all`."""
        if split == "all":
            return self
        return self.at([place for place, s in enumerate(self.splits) if s == split])

    def save(self, path: Path) -> None:
        """Writes the facts to a file, atomically; equal facts give equal bytes."""
        arrays: dict[str, Any] = {
            name: column
            if isinstance(column, np.ndarray)
            else np.array([os.fsencode(text) for text in column], np.bytes_)
            for name, column in self._columns().items()
        }
        with storage.atomic_file(path) as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Facts":
        """Reads facts from a file.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file was not written by `save`.
            KeyError: A column is missing.
        """
        # NumPy does not close damaged files.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            columns = {f.name: arrays[f.name] for f in dataclasses.fields(cls)}
        decoded: dict[str, Any] = {
            name: [os.fsdecode(text) for text in column.tolist()]
            if column.dtype.kind == "S"
            else column
            for name, column in columns.items()
        }
        return cls(**decoded)

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]]) -> "Facts":
        """Makes facts of rows.

        Args:
            rows: For each example one value per attribute, in the order above.

        Returns:
            The facts in the order of the rows.
        """
        columns: dict[str, Any] = {f.name: [] for f in dataclasses.fields(cls)}
        for row in rows:
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
        for name, (dtype, shape) in _ARRAYS.items():
            columns[name] = np.array(columns[name], dtype).reshape(-1, *shape)
        return cls(**columns)

    @property
    def portraits(self) -> Portraits:
        """Landmarks and camera settings."""
        return Portraits(self.landmarks, self.tags)

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def _columns(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
