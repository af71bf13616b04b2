# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Groups of pictures, by a column of a table."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import tables

# Group of the pictures that the table does not name, or with an empty cell.
UNKNOWN = "(unknown)"
# A column with more values, such as a path, makes no groups.
MAX_GROUPS = 200


def read(path: Path, column: str, names: Sequence[str]) -> list[str]:
    """Reads the group of each picture.

    Args:
        path: CSV file with the column `path` and others. A path there is the name of a
            picture or its end, from a folder on, such as `fake/001.png`.
        column: Its values make the groups.
        names: Names of the pictures, `n`.

    Returns:
        `n` values; `UNKNOWN` for a picture without one.

    Raises:
        RequestError: The table cannot be read, lacks a column, names a picture twice
            with different values or none of the pictures, or has too many values.
    """
    values: dict[tuple[str, ...], str] = {}
    rows = tables.read_rows(
        path, ("path", column), if_missing="give the table as `group_table`"
    )
    for line, (name, value) in rows:
        parts = PurePath(name).parts
        if values.setdefault(parts, value) != value:
            raise RequestError(
                f"{str(path)!r}, line {line}: expected one value of {column!r} for "
                f"each path, found {values[parts]!r} and {value!r} for {name!r}"
            )
    found = [_find(values, PurePath(name).parts) for name in names]
    if all(value is None for value in found):
        first = "/".join(next(iter(values), ()))
        raise RequestError(
            f"`group_table`: expected paths of the evaluated pictures, such as "
            f"{names[0]!r} or its end, found none in {str(path)!r}, whose first is "
            f"{first!r}"
        )
    groups = [value or UNKNOWN for value in found]
    if len(set(groups)) > MAX_GROUPS:
        raise RequestError(
            f"`group_by`: expected a column of at most {MAX_GROUPS} values, found "
            f"{len(set(groups)):,} in {column!r}; name another column"
        )
    return groups


def _find(values: dict[tuple[str, ...], str], parts: tuple[str, ...]) -> str | None:
    """The value of the longest end of a path that has one."""
    for start in range(len(parts)):
        if parts[start:] in values:
            return values[parts[start:]]
    return None
