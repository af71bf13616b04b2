# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of text, for a terminal, for Markdown and for CSV files."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

# Stands where a number is undefined or unknown.
NONE = "—"


def number(value: float | None, form: str) -> str:
    """Formats a number, or says that there is none.

    Args:
        value: the number; None if it is undefined or unknown.
        form: how to format it, as after the colon in an f-string.

    Returns:
        The cell.

    >>> number(0.25, ".1%"), number(None, ".1%")
    ('25.0%', '—')
    """
    return NONE if value is None else format(value, form)


def number_in(value: float | None, interval: Sequence[float] | None) -> str:
    """Formats a number with three digits, and its interval if it has one.

    Args:
        value: the number; None if it is undefined or unknown.
        interval: its two ends; None if they are not known.

    Returns:
        The cell.

    >>> number_in(0.25, (0.125, 0.5)), number_in(0.25, None)
    ('0.250 [0.125, 0.500]', '0.250')
    """
    shown = number(value, ".3f")
    if interval is None:
        return shown
    return f"{shown} [{interval[0]:.3f}, {interval[1]:.3f}]"


def csv_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a row by the names of their columns: an interval has two.

    Args:
        row: values by name; those whose name ends in `_interval` are two ends or None.

    Returns:
        The same, with `NAME_low` and `NAME_high` in place of `NAME_interval`.

    >>> csv_cells({"auc": 0.9, "auc_interval": [0.8, 0.95]})
    {'auc': 0.9, 'auc_low': 0.8, 'auc_high': 0.95}
    """
    cells = {}
    for key, value in row.items():
        if key.endswith("_interval"):
            name = key.removesuffix("_interval")
            cells[f"{name}_low"], cells[f"{name}_high"] = value or (None, None)
        else:
            cells[key] = value
    return cells


def text_table(
    rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,), rule: bool = False
) -> list[str]:
    """Aligns cells in columns that are two spaces apart.

    Args:
        rows: cells of equally long rows; usually the first row is the heading.
        left: the columns that are aligned to the left; all others, such as those of
            numbers, are aligned to the right.
        rule: whether a line of dashes follows the first row.

    Returns:
        One line for each row, without spaces at its end.

    >>> for line in text_table([["run", "AUC"], ["first", "0.9"]], rule=True):
    ...     print(line)
    run    AUC
    ----------
    first  0.9
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if rule:
        lines.insert(1, "-" * max(map(len, lines)))
    return lines


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Formats cells as a Markdown table with numbers aligned to the right.

    Args:
        rows: cells of equally long rows; the first row is the heading, the first
            column holds names.

    Returns:
        The lines of the table.

    >>> markdown_table([["run", "AUC"], ["a|b", "0.9"]])
    ['| run | AUC |', '|---|---:|', '| a\\|b | 0.9 |']
    """
    # A name may contain the mark that ends a cell.
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    lines.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
    return lines
