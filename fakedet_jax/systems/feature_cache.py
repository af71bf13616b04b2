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
import functools
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fakedet_jax.data import inspection
from fakedet_jax.data.dataset import Dataset, digest_of
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.models import precision
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import parallel, progress, records, storage

_LOGGER = logging.getLogger(__name__)

# Rows per file; a run can be stopped after each file.
_PART_ROWS = 512

# Called after each batch or part; raises an exception to stop the work.
CheckFn = Callable[[], None]

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
            raise _cannot_be_written(self.folder.parent, reason)

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


class FeatureCache:
    """Computes features of pictures once and keeps them on disk.

    A table is used again only for the same key, bytes and order of the pictures,
    precision of products, kind of device and version of JAX.
    """

    def __init__(
        self,
        folder: Path | None,
        described: Mapping[str, Any],
        preprocessing: Preprocessing,
        *,
        num_threads: int,
        check: CheckFn,
    ) -> None:
        """Prepares the cache; nothing is read yet.

        Args:
            folder: Folder of the tables; in the user's cache folder by default.
            described: What the features depend on besides the pictures: the network,
                the digest of its weights and so on, JSON-able.
            preprocessing: Of the network's input.
            num_threads: Threads that read the files to compute their digest.
            check: Called after each part; raises an exception to stop the work.
        """
        self._folder = folder or storage.user_cache_dir() / "features"
        self._described = {
            **described,
            "preprocessing": dataclasses.asdict(preprocessing),
        }
        self._digest = functools.cache(
            lambda dataset: inspection.digest_contents(dataset, num_threads)
        )
        self._check = check

    def table(self, what: str, dataset: Dataset, empty: Rows, **more: Any) -> Table:
        """The table of some features, with or without rows yet.

        Args:
            what: Name of the features.
            dataset: The pictures.
            empty: See `open_table`.
            **more: What else the rows depend on.
        """
        key = {
            "what": what,
            **self._described,
            "pictures": self._digest(dataset),
            "platform": jax.devices()[0].device_kind,
            "jax": jax.__version__,
            **more,
        }
        if (chosen := precision.chosen()) != "float32":
            # Tables of before there was a choice stay valid.
            key["matmul_precision"] = chosen
        return open_table(self._folder, key, empty)

    def rows(
        self,
        what: str,
        dataset: Dataset,
        column: np.ndarray,
        compute: Callable[[Dataset], Scored],
        doing: str,
        **more: Any,
    ) -> Scored:
        """Features of every picture of a dataset, computed or read from the cache.

        Args:
            what: Name of the features.
            dataset: The pictures.
            column: `[0, …]` of the shape and dtype of the features.
            compute: From a part of the pictures to their features.
            doing: What is done to the pictures, such as "counting neurons of".
            **more: What else the features depend on.

        Returns:
            `[num_examples, …]`, the same in every process.

        Raises:
            RequestError: The cache cannot be written.
        """
        empty = {what: column, "valid": np.zeros(0, np.bool_)}
        table = self.table(what, dataset, empty, **more)
        rows = table.read()
        total = dataset.num_examples
        done = min(agree_on_rows(len(rows[what])), total)
        parts = [{name: values[:done] for name, values in rows.items()}]
        if done < total:
            table.prepare()
            mirrored = ", mirrored" if more.get("mirrored") else ""
            _LOGGER.info(
                "%s %d pictures%s; %d are in the cache",
                *(doing, total - done, mirrored, done),
            )
        quiet = jax.process_index() > 0 or done == total
        with progress.Progress(total, label=what, initial=done, quiet=quiet) as shown:
            for start in range(done, total, _PART_ROWS):
                stop = min(start + _PART_ROWS, total)
                scored = compute(dataset.subset(range(start, stop)))
                parts.append({what: scored.values, "valid": scored.valid})
                if jax.process_index() == 0:
                    table.append(start, parts[-1])
                self._check()
                shown.update(stop - start)
        joined = {name: np.concatenate([part[name] for part in parts]) for name in rows}
        return Scored(joined[what], joined["valid"])


def agree_on_rows(num_rows: int) -> int:
    """Returns the number of rows that the caches of all processes have in common."""
    return -parallel.agree_on_maximum(-num_rows)


def check_folder(folder: Path | None) -> None:
    """Makes the folder of the tables, which may be one that is only read.

    Args:
        folder: The folder; None for that of the user.

    Raises:
        RequestError: It cannot be made.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_be_written(folder, error.strerror or str(error)) from error


def open_table(folder: Path, key: Mapping[str, Any], empty: Rows) -> Table:
    """The table of a key in a folder of tables, with or without rows yet.

    Args:
        folder: The folder.
        key: All that the rows depend on, JSON-able.
        empty: The columns, `[0, …]` each, of the shape and dtype of their rows.
    """
    digest = digest_of([json.dumps(key, sort_keys=True), str(FORMAT)])
    return Table(folder / digest, key, empty)


def _cannot_be_written(folder: Path, reason: str) -> RequestError:
    return RequestError(
        f"`cache_dir`: {str(folder)!r} cannot be written ({reason}); name another "
        "folder"
    )


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))
