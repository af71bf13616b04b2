# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of features on disk, so that no picture goes through a network twice.

A table lies in a folder named after a digest of its key: all that its rows depend on.
Another version of the format, of the weights or of the pictures is another key and
never read by mistake. Rows come in parts, each written whole or not at all; a part that
is damaged or cut short is computed anew.
"""

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.data.dataset import digest_of
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import records, storage

_LOGGER = logging.getLogger(__name__)

# Of the files; a change makes all tables of before unknown.
FORMAT = 1

Rows = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of features.

    Attributes:
        folder: Where it lies.
        key: All that its rows depend on, JSON-able.
        empty: Its columns without rows.
    """

    folder: Path
    key: Mapping[str, Any]
    empty: Rows

    def read(self) -> Rows:
        """The rows that are there: all complete parts from the first on.

        Returns:
            `[n, …]` for each column, of the shapes and dtypes of `empty`.
        """
        parts: list[Rows] = []
        num_rows = 0
        if not self._is_ours():
            return self._join(parts)
        while (path := self._part(num_rows)).exists():
            part = self._read_part(path)
            if part is None:
                # Where others own the cache, it stays and is not read.
                with contextlib.suppress(OSError):
                    path.unlink()
                break
            parts.append(part)
            num_rows += _length(part)
        return self._join(parts)

    def prepare(self) -> None:
        """Gets the folder ready for parts; call it before any is computed.

        Raises:
            RequestError: It cannot be written.
        """
        reason = "it is read-only"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._is_ours():
                self._take_over()
            is_writable = os.access(self.folder, os.W_OK)
        except OSError as error:
            is_writable, reason = False, error.strerror or str(error)
        if not is_writable:
            raise RequestError(
                f"`cache_dir`: {str(self.folder.parent)!r} cannot be written "
                f"({reason}); name another folder"
            )

    def append(self, num_rows: int, part: Rows) -> None:
        """Writes a part behind the first rows of a prepared folder.

        Args:
            num_rows: Number of rows before it.
            part: `[n, …]` for each column, n at least 1.

        Raises:
            OSError: It cannot be written.
        """
        with storage.atomic_file(self._part(num_rows)) as file:
            np.savez(file, **part)  # type: ignore[arg-type]

    def _part(self, num_rows: int) -> Path:
        return self.folder / f"rows_{num_rows:010d}.npz"

    def _description(self) -> dict[str, Any]:
        return {"format": FORMAT, "key": dict(self.key)}

    def _is_ours(self) -> bool:
        try:
            path = self.folder / "key.json"
            found = records.read(path, dict[str, Any], advice="compute anew")
        except RequestError:
            return False
        return found == records.as_json(self._description())

    def _take_over(self) -> None:
        if any(self.folder.iterdir()):
            _LOGGER.warning(
                "the cache %s holds something else; computed anew", self.folder
            )
        for path in self.folder.glob("rows_*.npz"):
            path.unlink(missing_ok=True)
        storage.write_json(self.folder / "key.json", self._description())

    def _read_part(self, path: Path) -> Rows | None:
        try:
            # NumPy leaves files open that are damaged, unless it did not open them.
            with (
                path.open("rb") as file,
                np.load(file, allow_pickle=False) as archive,
            ):
                part = {name: archive[name] for name in self.empty}
        except Exception:
            # A file may be damaged in any way that zip and NumPy know.
            _LOGGER.warning("the cache %s is damaged; computed anew", path)
            return None
        num_rows = {len(values) if values.ndim else 0 for values in part.values()}
        expected = all(
            part[name].shape[1:] == column.shape[1:]
            and part[name].dtype == column.dtype
            for name, column in self.empty.items()
        )
        if not expected or len(num_rows) != 1 or 0 in num_rows:
            _LOGGER.warning("the cache %s holds something else; computed anew", path)
            return None
        return part

    def _join(self, parts: list[Rows]) -> Rows:
        return {
            name: np.concatenate([column, *(part[name] for part in parts)])
            for name, column in self.empty.items()
        }


def open_table(folder: Path, key: Mapping[str, Any], empty: Rows) -> Table:
    """The table of a key in a folder of tables, with or without rows yet.

    Args:
        folder: The folder.
        key: All that the rows depend on, JSON-able.
        empty: The columns, `[0, …]` each, of the shape and dtype of their rows.
    """
    digest = digest_of([json.dumps(key, sort_keys=True), str(FORMAT)])
    return Table(folder / digest, key, empty)


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))
