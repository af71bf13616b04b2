# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is known of the examples of a prepared dataset besides their pictures.

It lies in a small file beside the records, so that names, labels and protocols need
not read gigabytes of pictures.
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

# Columns that are arrays: the type and shape of an entry.
_ARRAYS: dict[str, tuple[type, tuple[int, ...]]] = {
    "labels": (np.int32, ()),
    "frames": (np.int64, ()),
    "faces": (np.int64, ()),
    "landmarks": (np.float32, (NUM_LANDMARKS, 2)),
    "tags": (np.float32, (len(TAGS),)),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """One entry per example, in the order of the dataset.

    Attributes:
        names: Of the examples; every one is there once.
        labels: int32, indices into the classes.
        splits: `train`, `validation` or `test`.
        paths: Of the photograph or video, relative to the data folder.
        videos: Of which recording it is; empty for photographs.
        frames: int64, from 0; -1 for photographs.
        faces: int64, from 0: which face of the picture, or of the video.
        identities: Everyone who is in it, separated by semicolons; empty where unknown.
        manipulations: How the face was made; empty for real ones and where unknown.
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

    def at(self, indices: Sequence[int] | np.ndarray) -> "Facts":
        """The entries at `indices`, in that order."""
        chosen = np.asarray(indices, np.int64)
        columns: dict[str, Any] = {
            name: column[chosen]
            if isinstance(column, np.ndarray)
            else [column[index] for index in chosen.tolist()]
            for name, column in self._columns().items()
        }
        return Facts(**columns)

    def of(self, names: Iterable[str]) -> "Facts":
        """The entries of examples by name, such as the `names` of a subset.

        Raises:
            KeyError: There is no example of that name.
        """
        return self.at([self._places[name] for name in names])

    def of_split(self, split: str) -> "Facts":
        """The entries of a split; those of `all` are all."""
        if split == "all":
            return self
        return self.at([place for place, s in enumerate(self.splits) if s == split])

    def save(self, path: Path) -> None:
        """Writes the file, atomically; the same facts always give the same bytes."""
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
        """Reads the file.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no such file.
            KeyError: A column is missing.
        """
        # NumPy would leave a damaged file open.
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
        """Makes the columns of rows with a value for each, in the order above."""
        columns: dict[str, Any] = {f.name: [] for f in dataclasses.fields(cls)}
        for row in rows:
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
        for name, (dtype, shape) in _ARRAYS.items():
            columns[name] = np.array(columns[name], dtype).reshape(-1, *shape)
        return cls(**columns)

    @property
    def portraits(self) -> Portraits:
        """Landmarks and settings of the camera."""
        return Portraits(self.landmarks, self.tags)

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def _columns(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
