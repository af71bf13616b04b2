# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of text, for a terminal and for Markdown."""

from collections.abc import Collection, Sequence

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
