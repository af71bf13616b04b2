# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Formats the table of a study as text: for a terminal and as Markdown."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.report.text_table import NONE, markdown_table, number, text_table
from fakedet_jax.report.wording import minus, printable

# The cells of a column, of which the first is the heading, or of a row.
_Cells = tuple[str, ...]

MAX_WIDTH = 100

# Tests are the rows if there are more of them than this and than trainings.
_MAX_TESTS = 8
METRIC_NAMES = {
    "multiclass_accuracy": "accuracy (multi-class)",
    "accuracy": "accuracy (real or fake)",
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1",
}


def study_table(summary: Mapping[str, Any]) -> str:
    """Formats a study as tables for a terminal of 100 columns.

    Args:
        summary: as `study.summarize` returns it.

    Returns:
        Lines of text.
    """
    lines = [*_wrap(summary["title"]), *_wrap(_caption(summary)), ""]
    for rows in _blocks(summary):
        lines += [*text_table(rows, rule=True), ""]
    for title, classes, matrix in _confusions(summary):
        rows = _confusion_rows(classes, classes, matrix)
        if _width(rows) > MAX_WIDTH:
            numbers = [str(place) for place in range(1, len(classes) + 1)]
            names = [
                f"{place:>2} {name}"
                for place, name in zip(numbers, classes, strict=True)
            ]
            rows = _confusion_rows(names, numbers, matrix)
        lines += [title, *text_table(rows, rule=True), ""]
    lines += [line for text in _remarks(summary) for line in _wrap(text, indent=2)]
    return "\n".join(lines).rstrip()


def study_markdown(summary: Mapping[str, Any]) -> str:
    """Formats a study as a Markdown document; the best of each test is bold.

    Args:
        summary: as `study.summarize` returns it.

    Returns:
        The text of `study.md`.
    """
    lines = [f"# {summary['title']}", "", f"{_caption(summary)}.", ""]
    best = _best(summary)
    if best:
        lines += ["Bold: the best of each test.", ""]
    for rows in _blocks(summary, mark=best):
        lines += [*markdown_table(rows), ""]
    if len(summary["tests"]) > 1:
        lines += ["![the same numbers as a figure](study.png)", ""]
    for title, classes, matrix in _confusions(summary):
        rows = _confusion_rows(classes, classes, matrix)
        lines += [f"## {title}", "", *markdown_table(rows), ""]
    lines += [f"- {text}" for text in _remarks(summary)]
    return "\n".join(lines).rstrip() + "\n"


def failures(summary: Mapping[str, Any]) -> list[str]:
    """Lists the failures, one line each.

    Args:
        summary: as `study.summarize` returns it.

    Returns:
        Lines with the training, the seed, the test if one failed, and the reason.
    """
    lines = []
    for training in summary["trainings"]:
        for run in training["runs"]:
            name = f"{training['name']}, seed {run['seed']}"
            if run["status"] != "done":
                lines.append(f"{name}: {run['reason']}")
            lines += [
                f"{name}, test {test}: {found['reason']}"
                for test, found in run["tests"].items()
                if "reason" in found
            ]
    return lines


def is_upright(summary: Mapping[str, Any]) -> bool:
    """Tells whether tests, not trainings, are the rows of the table.

    Args:
        summary: as `study.summarize` returns it.
    """
    num_tests = len(summary["tests"])
    return num_tests > _MAX_TESTS and num_tests > len(summary["trainings"])


def _blocks(
    summary: Mapping[str, Any], mark: frozenset[tuple[str, str]] = frozenset()
) -> Iterator[list[_Cells]]:
    """Yields the rows of tables of at most 100 columns of text; see `_columns`."""
    names, groups = _columns(summary, mark)
    block = [names]
    for group in groups:
        if len(block) > 1 and _width(_transposed([*block, *group])) > MAX_WIDTH:
            yield _transposed(block)
            block = [names]
        block += group
    yield _transposed(block)


def _columns(
    summary: Mapping[str, Any], mark: frozenset[tuple[str, str]]
) -> tuple[_Cells, list[list[_Cells]]]:
    """Formats all cells.

    Args:
        summary: as `study.summarize` returns it.
        mark: training and test of the cells to be bold.

    Returns:
        The column of names, and the other columns in groups that stay together.
    """
    trainings = {training["name"]: training for training in summary["trainings"]}
    tests = [test["name"] for test in summary["tests"]]

    def group(heading: str, places: Sequence[tuple[str, str]]) -> list[_Cells]:
        cells = [trainings[training]["tests"][test] for training, test in places]
        texts = [_value_text(cell) for cell in cells]
        shown = [
            f"**{text}**" if place in mark else text
            for place, text in zip(places, texts, strict=True)
        ]
        columns: list[_Cells] = [(heading, *shown)]
        if any(cell["paper"] is not None for cell in cells):
            columns.append(("paper", *(number(cell["paper"], ".2f") for cell in cells)))
        if summary["baseline"] is not None:
            columns.append((f"{heading} RER %", *map(_rer_text, cells)))
        return columns

    minutes = [
        number(None if seconds is None else seconds / 60, ".1f")
        for seconds in (training["seconds"] for training in trainings.values())
    ]
    if not is_upright(summary):
        groups = [group(test, [(name, test) for name in trainings]) for test in tests]
        return ("training", *trainings), [*groups, [("minutes", *minutes)]]
    groups = [group(name, [(name, test) for test in tests]) for name in trainings]
    # The time of a training is below its values.
    groups = [
        [(*first, time), *((*other, "") for other in others)]
        for (first, *others), time in zip(groups, minutes, strict=True)
    ]
    return ("test", *tests, "minutes"), groups


def _transposed(columns: Sequence[_Cells]) -> list[_Cells]:
    return list(zip(*columns, strict=True))


def _width(rows: Sequence[Sequence[str]]) -> int:
    return max(map(len, text_table(rows)))


def _confusions(
    summary: Mapping[str, Any],
) -> Iterator[tuple[str, Sequence[str], NDArray[np.float64]]]:
    """Yields title, classes and matrix of each confusion matrix to be shown."""
    for training in summary["trainings"]:
        for test, cell in training["tests"].items():
            if cell.get("confusion_matrix") is not None:
                yield (
                    f"{training['name']}, test {test}: per cent of each true class",
                    [printable(name) for name in cell["classes"]],
                    np.asarray(cell["confusion_matrix"], np.float64),
                )


def _confusion_rows(
    names: Sequence[str], heads: Sequence[str], matrix: NDArray[np.float64]
) -> list[_Cells]:
    rows: list[_Cells] = [("true class", *heads)]
    for name, shares in zip(names, matrix, strict=True):
        rows.append((name, *(f"{value:.2f}" for value in shares)))
    return rows


def _best(summary: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Returns the best training of each test that several trainings have."""
    best = set()
    for test in (test["name"] for test in summary["tests"]):
        means = {
            training["name"]: training["tests"][test]["mean"]
            for training in summary["trainings"]
            if training["tests"][test]["mean"] is not None
        }
        if len(means) > 1:
            most = max(means.values())
            best |= {(name, test) for name, mean in means.items() if mean == most}
    return frozenset(best)


def _caption(summary: Mapping[str, Any]) -> str:
    metric = METRIC_NAMES[summary["metric"]]
    seeds = ", ".join(map(str, summary["seeds"]))
    if len(summary["seeds"]) == 1:
        return f"{metric} in %, seed {seeds}"
    return f"{metric} in %, mean ± sample standard deviation over the seeds {seeds}"


def _remarks(summary: Mapping[str, Any]) -> list[str]:
    texts = [f"Source: {summary['source']}"]
    if summary["note"]:
        texts.append(f"Note: {summary['note']}")
    if any(training["paper"] for training in summary["trainings"]):
        texts.append(f"paper: the published number, {NONE} if none is known.")
    if summary["baseline"] is not None:
        texts.append(
            f"RER: relative error reduction against {summary['baseline']}, "
            "(E1 − E2)/E1 of the mean errors, in %."
        )
    texts.append("minutes: training time, mean over the completed runs.")
    return texts + [f"failed: {line}" for line in failures(summary)]


def _value_text(cell: Mapping[str, Any]) -> str:
    if cell["deviation"] is None:
        return number(cell["mean"], ".2f")
    return f"{cell['mean']:.2f} ± {cell['deviation']:.2f}"


def _rer_text(cell: Mapping[str, Any]) -> str:
    """Formats the relative error reduction in per cent.

    >>> _rer_text({"rer": -0.125})
    '−12.5'
    """
    share = cell["rer"]
    return minus(number(None if share is None else 100 * share, "z.1f"))


def _wrap(text: str, indent: int = 0) -> list[str]:
    return textwrap.wrap(text, MAX_WIDTH, subsequent_indent=" " * indent)
