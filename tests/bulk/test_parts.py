# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.bulk.parts."""

import io

import pyarrow
import pytest
from pyarrow import parquet

from fakedet_jax.bulk import parts

SCHEMA = pyarrow.schema(
    [
        ("path", pyarrow.string()),
        ("score", pyarrow.float64()),
        ("input", pyarrow.int64()),
        ("day", pyarrow.date32()),
    ]
)
ROWS = [
    ('a "b",\nc.jpg', 1 / 3, 0, None),
    ("caf\udce9.jpg", None, 1, None),
    ("naïve.jpg", 1e-9, 2, None),
]
READ = [(path.replace("\udce9", "\\udce9"), *rest) for path, *rest in ROWS]


def _rows(table):
    return list(zip(*(column.to_pylist() for column in table), strict=True))


@pytest.mark.parametrize("format", parts.FORMATS)
def test_a_part_is_read_as_it_was_written(format):
    content = parts.encode(parts.to_table(ROWS, SCHEMA), format)
    found = pyarrow.concat_tables(parts.read(io.BytesIO(content), format, SCHEMA))
    assert _rows(found) == READ
    assert found.schema == SCHEMA


@pytest.mark.parametrize("format", parts.FORMATS)
def test_the_same_rows_are_the_same_bytes(format):
    first, second = (
        parts.encode(parts.to_table(ROWS, SCHEMA), format) for _ in range(2)
    )
    assert first == second


def test_what_is_unknown_is_null_for_filters(tmp_path):
    path = tmp_path / "part.parquet"
    path.write_bytes(parts.encode(parts.to_table(ROWS, SCHEMA), "parquet"))
    high = parquet.read_table(path, filters=[("score", ">", 0.1)])
    low = parquet.read_table(path, filters=[("score", "<=", 0.1)])
    assert (len(high), len(low)) == (1, 1)
    assert parquet.read_table(path)["score"].null_count == 1


@pytest.mark.parametrize("format", parts.FORMATS)
def test_a_table_appears_when_it_is_complete(tmp_path, format):
    path = tmp_path / f"t.{format}"
    table = parts.to_table(ROWS, SCHEMA)
    with parts.open_table(path, SCHEMA) as write:
        write(table)
        assert not path.exists()
        write(table)
    content = io.BytesIO(path.read_bytes())
    assert _rows(pyarrow.concat_tables(parts.read(content, format, SCHEMA))) == READ * 2


def test_no_rows_are_a_table_too():
    table = parts.to_table([], SCHEMA)
    assert (len(table), table.schema) == (0, SCHEMA)
