# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The inputs of a large run: files and folders, a list of files, a prepared dataset.

A list is a text file with a path per line, or a CSV or Parquet table with a column of
paths; its other columns are carried along. Inputs are read from the start each time
they are iterated over and never held in memory, so a list may have any length. Of a
prepared dataset, the names and classes are held, not the pictures.
"""

import codecs
import contextlib
import csv
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from pyarrow import parquet

from fakedet_jax.data import prepared
from fakedet_jax.data.prepared.examples import Example
from fakedet_jax.errors import RequestError
from fakedet_jax.faces.stream import EXTENSIONS, FaceFile
from fakedet_jax.media import files

# Longest line of a list in bytes; paths of Linux end at 4,096.
MAX_LINE_BYTES = 64 * 2**10

_ROWS_PER_READ = 8192


class Input(NamedTuple):
    """One input.

    Attributes:
        path: As it was given; bytes that are not UTF-8 are lone surrogates.
        carried: Values of the other columns of the list.
        error: Why it cannot be used, if that is known already.
        example: The crop of a prepared dataset whose name `path` is.
    """

    path: str
    carried: tuple[Any, ...] = ()
    error: str | None = None
    example: Example | None = None

    @property
    def file(self) -> FaceFile:
        """What is to be read."""
        return FaceFile(Path(self.path), self.path, self.error, self.example)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What one pass over all inputs finds.

    Attributes:
        count: Number of inputs.
        digest: SHA-256 of all paths and carried values in their order, as hex digits.
        has_videos: Whether one of them is a video by its name.
    """

    count: int
    digest: str
    has_videos: bool


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Inputs in a fixed order.

    Attributes:
        source: What they come from, for messages.
        carried: The columns that are carried along, with their types.
        start: Starts to read them from the first one.
        digest: Identifies what the files hold, where that is known.
    """

    source: str
    carried: dict[str, pyarrow.DataType]
    start: Callable[[], Iterator[Input]]
    digest: str = ""

    def __iter__(self) -> Iterator[Input]:
        return self.start()

    def summarise(self) -> Summary:
        """Reads all of them once.

        Raises:
            RequestError: There is none, or the list is damaged.
        """
        digest = hashlib.sha256(repr(sorted(self.carried)).encode())
        digest.update(self.digest.encode())
        count, has_videos = 0, False
        for one in self:
            # Lengths keep apart what would be alike when it is joined.
            text = repr(one.carried) if one.carried else ""
            record = f"{len(one.path)}:{one.path}{text}\n"
            digest.update(record.encode("utf-8", "surrogateescape"))
            has_videos = has_videos or one.file.kind == "video"
            count += 1
        if not count:
            raise RequestError(f"{self.source} names no file")
        return Summary(count, digest.hexdigest(), has_videos)


def from_paths(paths: Sequence[str]) -> Inputs:
    """Files, and folders that are searched for photographs and videos.

    Args:
        paths: The files and folders.
    """

    def start() -> Iterator[Input]:
        for found in files.find_pictures(paths, EXTENSIONS):
            yield Input(str(found.path), error=found.error)

    return Inputs(f"`paths`: {', '.join(map(repr, paths))}", {}, start)


def from_list(path: Path, column: str, reserved: Sequence[str]) -> Inputs:
    """The files of a list.

    Args:
        path: The list: `.csv`, `.parquet`, or anything else for text. Blank lines are
            skipped. Relative paths start at the current folder.
        column: Column of the paths in a CSV or Parquet table.
        reserved: Columns of the result, which the list must not have.

    Raises:
        RequestError: The list cannot be read or lacks the column, or a column has the
            name of a column of the result.
    """
    source = f"`inputs`: {str(path)!r}"
    if not path.is_file():
        if not path.exists():
            raise RequestError(f"{source} {files.MISSING}")
        what = "is not a regular file"
        if path.is_dir():
            what = "is a folder without one prepared dataset"
        raise RequestError(
            f"{source} {what}; expected a list of files (text, .csv or .parquet), or "
            "the `output` folder of `mode=prepare`"
        )
    kind = path.suffix.lower()
    if kind == ".parquet":
        types = _parquet_columns(path, source)
    elif kind == ".csv":
        types = dict.fromkeys(_csv_header(path, source), pyarrow.string())
    else:
        return Inputs(source, {}, lambda: _read_text(path, source))
    if column not in types:
        raise RequestError(
            f"{source} has the columns {', '.join(types)}; expected one named "
            f"{column!r}, or its name in `inputs_column`"
        )
    carried = {name: type_ for name, type_ in types.items() if name != column}
    if taken := [name for name in carried if name in reserved]:
        raise RequestError(
            f"{source} has the column {taken[0]!r}, which the result has too; rename it"
        )
    read = _read_parquet if kind == ".parquet" else _read_csv
    names = [column, *carried]
    return Inputs(source, carried, lambda: read(path, names, source))


def from_prepared(data_dir: Path, split: str) -> Inputs:
    """The crops of a prepared dataset, in its order.

    Their `path` is the name that the dataset gives them. The columns `class`, `video`
    and `split` are carried along.

    Args:
        data_dir: The `output` folder of `mode=prepare`.
        split: `train`, `validation`, `test` or `all`.

    Raises:
        RequestError: There is no prepared dataset, or its split is empty.
    """
    info = prepared.read_info(data_dir)
    facts = prepared.load_facts(data_dir, info.name, split)

    def start() -> Iterator[Input]:
        columns = (facts.names, facts.labels.tolist(), facts.videos, facts.splits)
        for index, (name, label, *rest) in enumerate(zip(*columns, strict=True)):
            example = Example(data_dir, info.name, split, index)
            yield Input(name, (info.classes[label], *rest), example=example)

    return Inputs(
        f"`inputs`: {str(data_dir)!r}",
        dict.fromkeys(("class", "video", "split"), pyarrow.string()),
        start,
        digest=info.digest,
    )


def _read_text(path: Path, source: str) -> Iterator[Input]:
    with _reading(lambda: path.open("rb"), source) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise RequestError(
                    f"{source}, line {number}: expected a path, found more than "
                    f"{MAX_LINE_BYTES} bytes; name tables .csv or .parquet"
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            line = line.rstrip(b"\r\n")
            if line.strip():
                yield Input(os.fsdecode(line))


def _csv_header(path: Path, source: str) -> list[str]:
    with _csv_table(path, source) as table:
        header: list[str] = next(table, [])
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise RequestError(f"{source} has the column {twice[0]!r} twice; rename one")
    return header


def _read_csv(path: Path, names: Sequence[str], source: str) -> Iterator[Input]:
    with _csv_table(path, source) as table:
        header: list[str] = next(table, [])
        places = [header.index(name) for name in names]
        for row in table:
            if not any(row):  # A blank line is not a row.
                continue
            if len(row) != len(header):
                raise RequestError(
                    f"{source}, line {table.line_num}: expected {len(header)} cells, "
                    f"found {len(row)}"
                )
            first, *rest = (row[place] for place in places)
            yield _checked(first, rest, f"{source}, line {table.line_num}")


def _parquet_columns(path: Path, source: str) -> dict[str, pyarrow.DataType]:
    with _parquet_file(path, source) as file:
        schema = file.schema_arrow
    types = {}
    for field in schema:
        type_ = field.type
        if pyarrow.types.is_dictionary(type_):
            type_ = type_.value_type
        try:
            types[field.name] = pyarrow.type_for_alias(str(type_))
        except ValueError as error:
            raise RequestError(
                f"{source} has the column {field.name!r} of the type {type_}; "
                "expected texts, numbers or dates; leave it out"
            ) from error
    return types


def _read_parquet(path: Path, names: Sequence[str], source: str) -> Iterator[Input]:
    with _parquet_file(path, source) as file:
        number = 0
        for batch in file.iter_batches(_ROWS_PER_READ, columns=list(names)):
            columns = [batch.column(name).to_pylist() for name in names]
            for first, *rest in zip(*columns, strict=True):
                number += 1
                yield _checked(first, rest, f"{source}, row {number}")


def _checked(path: Any, carried: Sequence[Any], where: str) -> Input:
    if not isinstance(path, str) or not path:
        raise RequestError(f"{where}: expected a path, found {path!r}")
    return Input(path, tuple(carried))


@contextlib.contextmanager
def _reading(start: Callable[[], Any], source: str) -> Iterator[Any]:
    """Opens a list; what fails while it is read is told in one line."""
    try:
        with start() as file:
            yield file
    except (OSError, csv.Error, pyarrow.ArrowException) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise RequestError(f"{source} cannot be read ({reason})") from error


@contextlib.contextmanager
def _csv_table(path: Path, source: str) -> Iterator[Any]:
    def start() -> Any:
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    with _reading(start, source) as file:
        yield csv.reader(file, strict=True)


def _parquet_file(path: Path, source: str) -> Any:
    return _reading(lambda: parquet.ParquetFile(path), source)
