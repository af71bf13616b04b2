# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of a large run as files: one part for each unit, as Parquet or CSV.

A value that is not known is null in Parquet and an empty cell in CSV, never NaN:
filters on Parquet files lose rows with NaN.
"""

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from fakedet_jax.config import PART_FORMATS
from fakedet_jax.runtime import storage

PARQUET, CSV = FORMATS = PART_FORMATS

_ROWS_PER_READ = 8192


def vector(dtype: np.dtype, size: int) -> str:
    """Names the type of a column of vectors, for `type_of`.

    Args:
        dtype: Number format.
        size: Length of each vector, at least 1.

    >>> vector(np.dtype(np.float32), 192)
    'float32[192]'
    """
    return f"{dtype.name}[{size}]"


def type_of(text: str) -> pyarrow.DataType:
    """The type of a column.

    Args:
        text: Arrow's name of a type, with the length behind it for vectors.

    Raises:
        ValueError: There is no such type.

    >>> type_of("float32[2]")
    FixedSizeListType(fixed_size_list<element: float>[2])
    """
    found = re.fullmatch(r"(\w+)\[(\d{1,9})\]", text)
    if found is None:
        return pyarrow.type_for_alias(text)
    number = pyarrow.type_for_alias(found[1])
    # What Parquet calls the values, so that a part is read as it was written.
    return pyarrow.list_(pyarrow.field("element", number), int(found[2]))


def to_table(rows: Iterable[Sequence[Any]], schema: pyarrow.Schema) -> pyarrow.Table:
    """Makes a table of rows.

    Args:
        rows: Values in the order of the columns; None where one is not known. Bytes of
            texts that are not UTF-8 become backslash escapes. Vectors are arrays of any
            shape, which are flattened.
        schema: The columns.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [
        _to_array(values, field.type)
        for values, field in zip(columns, schema, strict=True)
    ]
    return pyarrow.table(arrays, schema)


def encode(table: pyarrow.Table, format: str) -> bytes:
    """The bytes of a part; the same for the same table.

    Args:
        table: The rows.
        format: One of `FORMATS`.
    """
    buffer = io.BytesIO()
    with _writer(buffer, format, table.schema) as write:
        write(table)
    return buffer.getvalue()


def read(
    content: io.BytesIO, format: str, schema: pyarrow.Schema
) -> Iterator[pyarrow.Table]:
    """Reads a part.

    Args:
        content: Its bytes.
        format: One of `FORMATS`.
        schema: Its columns.

    Yields:
        Its rows in pieces.
    """
    if format == PARQUET:
        for batch in parquet.ParquetFile(content).iter_batches(_ROWS_PER_READ):
            yield pyarrow.Table.from_batches([batch], schema)
        return
    text = io.TextIOWrapper(content, "utf-8", newline="")
    _, *rows = csv.reader(text, strict=True)
    texts = pyarrow.schema([(name, pyarrow.string()) for name in schema.names])
    cells = ([cell or None for cell in row] for row in rows)
    yield to_table(cells, texts).cast(schema)


@contextlib.contextmanager
def open_table(path: Path, schema: pyarrow.Schema) -> Iterator[Any]:
    """Opens a table that appears under its name when it is complete.

    Args:
        path: The file, `.parquet` or `.csv`.
        schema: Its columns.

    Yields:
        A function that appends a `pyarrow.Table`.
    """
    format = path.suffix.lower().removeprefix(".")
    with storage.atomic_file(path) as file, _writer(file, format, schema) as write:
        yield write


@contextlib.contextmanager
def _writer(file: Any, format: str, schema: pyarrow.Schema) -> Iterator[Any]:
    if format == PARQUET:
        with parquet.ParquetWriter(file, schema) as writer:
            yield writer.write_table
        return
    text = io.TextIOWrapper(file, "utf-8", newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(schema.names)

    def write(rows: pyarrow.Table) -> None:
        # Python writes numbers with all digits, and None as an empty cell.
        table.writerows(zip(*(column.to_pylist() for column in rows), strict=True))

    yield write
    text.flush()
    text.detach()


def _to_array(values: Sequence[Any], type_: pyarrow.DataType) -> pyarrow.Array:
    if not pyarrow.types.is_fixed_size_list(type_):
        return pyarrow.array(map(_escaped, values), type_)
    dtype = type_.value_type.to_pandas_dtype()
    table = np.zeros((len(values), type_.list_size), dtype)
    for row, value in zip(table, values, strict=True):
        if value is not None:
            row[:] = np.ravel(value)
    is_null = pyarrow.array([value is None for value in values], pyarrow.bool_())
    return pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(table.ravel()), type=type_, mask=is_null
    )


def _escaped(value: Any) -> Any:
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
