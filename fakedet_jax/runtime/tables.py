# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads CSV files that users bring, and names the line of a mistake."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from fakedet_jax.errors import RequestError


def read_rows(
    path: Path, columns: Sequence[str], *, if_missing: str
) -> Iterator[tuple[int, list[str]]]:
    """Reads some columns of a CSV file, which may have others, in any order.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.
        columns: Names of columns that the first line must contain.
        if_missing: Advice for a file that does not exist; it ends the message.

    Yields:
        Line number and cells of each row, in the order of `columns`.

    Raises:
        RequestError: The file is missing, is not CSV, lacks a column or has one twice,
            or a row has too many or too few cells.
    """
    for line, row in read_records(path, columns, if_missing=if_missing):
        yield line, [row[name] for name in columns]


def read_records(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    if_missing: str,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads columns of a CSV file by name, some of which may be absent.

    Args:
        path: See `read_rows`.
        required: Names of columns that the first line must contain.
        optional: Names of columns that it may contain.
        if_missing: See `read_rows`.

    Yields:
        Line number and cells of each row, by the names of the columns.

    Raises:
        RequestError: See `read_rows`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, strict=True)
            header = next(table, [])
            missing = [name for name in required if name not in header]
            if missing:
                raise RequestError(
                    f"{str(path)!r}: expected a first line with {','.join(required)}, "
                    f"found no {' and no '.join(missing)}"
                )
            names = [name for name in (*required, *optional) if name in header]
            twice = sorted({name for name in names if header.count(name) > 1})
            if twice:
                raise RequestError(
                    f"{str(path)!r}: expected each column once, found "
                    f"{', '.join(twice)} again"
                )
            places = {name: header.index(name) for name in names}
            for row in filter(None, table):  # A blank line is not a row.
                if len(row) != len(header):
                    raise RequestError(
                        f"{str(path)!r}, line {table.line_num}: expected {len(header)} "
                        f"cells, found {len(row)}"
                    )
                yield table.line_num, {n: row[place] for n, place in places.items()}
    except FileNotFoundError as error:
        raise RequestError(f"{str(path)!r} is missing; {if_missing}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(
            f"{str(path)!r}: expected a CSV file in UTF-8, found otherwise ({error})"
        ) from error


def to_number(text: str, path: Path, line: int) -> float:
    """Reads a cell as a finite number.

    Args:
        text: The cell.
        path: Its file, for the message.
        line: Its line, for the message.

    Raises:
        RequestError: The cell is no such number.
    """
    number = _to_float(text)
    if not math.isfinite(number):
        raise RequestError(
            f"{str(path)!r}, line {line}: expected a finite number, found {text!r}"
        )
    return number


def to_score(text: str, path: Path, line: int) -> float:
    """Reads a cell as a score.

    Args:
        text: The cell.
        path: Its file, for the message.
        line: Its line, for the message.

    Returns:
        A number from 0 to 1.

    Raises:
        RequestError: The cell is not such a number.
    """
    score = _to_float(text)
    # False for NaN too.
    if not 0 <= score <= 1:
        raise RequestError(
            f"{str(path)!r}, line {line}: expected a score from 0 to 1, found {text!r}"
        )
    return score


def _to_float(text: str) -> float:
    """A cell as a number; NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
