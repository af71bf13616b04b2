# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Sets the table of a study as text: for a terminal, and as Markdown."""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.report.markup import minus

MAX_WIDTH = 100

NONE = "—"
# More tests than this, and more than trainings, become the rows.
_MAX_TESTS = 8
METRIC_NAMES = {
    "multiclass_accuracy": "accuracy (multi-class)",
    "accuracy": "accuracy (real or fake)",
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1",
}


def study_table(summary: Mapping[str, Any]) -> str:
    """Sets a study as tables for a terminal of 100 columns.

    Args:
        summary: as `summarize` returns it.

    Returns:
        Lines of text.
    """
    lines = [*_wrap(summary["title"]), *_wrap(_caption(summary)), ""]
    grid = _grid(summary)
    for groups in _fit(grid):
        lines += [*_text_lines([grid.names, *_columns(groups)]), ""]
    for title, classes, matrix in _confusions(summary):
        lines += [title, *_confusion_lines(classes, matrix), ""]
    lines += [line for text in _remarks(summary) for line in _wrap(text, indent=2)]
    return "\n".join(lines).rstrip()


def study_markdown(summary: Mapping[str, Any]) -> str:
    """Sets a study as a Markdown document; the best of each test is bold.

    Args:
        summary: as `summarize` returns it.

    Returns:
        The text of `study.md`.
    """
    lines = [f"# {summary['title']}", "", f"{_caption(summary)}.", ""]
    best = _best(summary)
    if best:
        lines += ["Bold: the best of each test.", ""]
    grid = _grid(summary, mark=best)
    for groups in _fit(grid):
        lines += [*_markdown_lines([grid.names, *_columns(groups)]), ""]
    if len(summary["tests"]) > 1:
        lines += ["![the same numbers as a figure](study.png)", ""]
    for title, classes, matrix in _confusions(summary):
        names = _Column("true class", tuple(classes))
        columns = [
            _Column(name, tuple(f"{value:.2f}" for value in matrix[:, place]))
            for place, name in enumerate(classes)
        ]
        lines += [f"## {title}", "", *_markdown_lines([names, *columns]), ""]
    lines += [f"- {text}" for text in _remarks(summary)]
    return "\n".join(lines).rstrip() + "\n"


def failures(summary: Mapping[str, Any]) -> list[str]:
    """What failed, one line each: training, seed, test if it was one, and reason."""
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


@dataclasses.dataclass(frozen=True)
class _Column:
    """A heading and the cells below it."""

    heading: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells)))


@dataclasses.dataclass(frozen=True)
class _Grid:
    """The names of the rows, and columns in groups that stay together."""

    names: _Column
    groups: tuple[tuple[_Column, ...], ...]


def is_upright(summary: Mapping[str, Any]) -> bool:
    """Whether tests are the rows of the table, being too many to be its columns."""
    num_tests = len(summary["tests"])
    return num_tests > _MAX_TESTS and num_tests > len(summary["trainings"])


def _grid(
    summary: Mapping[str, Any], mark: frozenset[tuple[str, str]] = frozenset()
) -> _Grid:
    """All cells as text; `mark` names the cells, by training and test, to be bold."""
    trainings = {training["name"]: training for training in summary["trainings"]}
    tests = [test["name"] for test in summary["tests"]]

    def group(heading: str, places: Sequence[tuple[str, str]]) -> tuple[_Column, ...]:
        cells = [trainings[training]["tests"][test] for training, test in places]
        texts = [_value_text(cell) for cell in cells]
        shown = [
            f"**{text}**" if place in mark else text
            for place, text in zip(places, texts, strict=True)
        ]
        columns = [_Column(heading, tuple(shown))]
        if any(cell["paper"] is not None for cell in cells):
            papers = (_number(cell["paper"]) for cell in cells)
            columns.append(_Column("paper", tuple(papers)))
        if summary["baseline"] is not None:
            rers = (_rer_text(cell) for cell in cells)
            columns.append(_Column(f"{heading} RER %", tuple(rers)))
        return tuple(columns)

    minutes = [_minutes(training) for training in trainings.values()]
    if not is_upright(summary):
        groups = [group(test, [(name, test) for name in trainings]) for test in tests]
        groups.append((_Column("minutes", tuple(minutes)),))
        return _Grid(_Column("training", tuple(trainings)), tuple(groups))
    groups = [group(name, [(name, test) for test in tests]) for name in trainings]
    # The time of a training stands below its values.
    groups = [
        tuple(
            dataclasses.replace(one, cells=(*one.cells, "" if place else time))
            for place, one in enumerate(columns)
        )
        for columns, time in zip(groups, minutes, strict=True)
    ]
    return _Grid(_Column("test", (*tests, "minutes")), tuple(groups))


def _fit(grid: _Grid) -> Iterator[list[tuple[_Column, ...]]]:
    """Groups of columns that stand side by side in 100 columns of text."""
    block: list[tuple[_Column, ...]] = []
    width = grid.names.width
    for group in grid.groups:
        own = sum(2 + column.width for column in group)
        if block and width + own > MAX_WIDTH:
            yield block
            block, width = [], grid.names.width
        block.append(group)
        width += own
    yield block


def _columns(groups: Sequence[tuple[_Column, ...]]) -> list[_Column]:
    return [column for group in groups for column in group]


def _text_lines(columns: Sequence[_Column]) -> list[str]:
    """Columns beside each other, the first to the left and numbers to the right."""
    first, *others = columns
    lines = []
    rows = zip(*((one.heading, *one.cells) for one in columns), strict=True)
    for name, *cells in rows:
        texts = [
            f"{text:>{column.width}}"
            for text, column in zip(cells, others, strict=True)
        ]
        lines.append("  ".join([f"{name:{first.width}}", *texts]))
        if len(lines) == 1:
            lines.append("-" * len(lines[0]))
    return lines


def _markdown_lines(columns: Sequence[_Column]) -> list[str]:
    rows = list(zip(*((one.heading, *one.cells) for one in columns), strict=True))
    # Names of classes may have what ends a cell.
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    lines.insert(1, "|---" + "|---:" * (len(columns) - 1) + "|")
    return lines


def _confusions(
    summary: Mapping[str, Any],
) -> Iterator[tuple[str, Sequence[str], NDArray[np.float64]]]:
    """Title, classes and matrix of each that is to be shown."""
    for training in summary["trainings"]:
        for test, cell in training["tests"].items():
            if cell.get("confusion_matrix") is not None:
                yield (
                    f"{training['name']}, test {test}: per cent of each true class",
                    [_printable(name) for name in cell["classes"]],
                    np.asarray(cell["confusion_matrix"], np.float64),
                )


def _confusion_lines(classes: Sequence[str], matrix: NDArray[np.float64]) -> list[str]:
    """A matrix with the names of the classes on top, or numbers if there is no room."""
    rows, heads = list(classes), list(classes)
    if max(map(len, rows)) + sum(2 + max(6, len(name)) for name in heads) > MAX_WIDTH:
        heads = [str(number) for number in range(1, len(classes) + 1)]
        rows = [f"{head:>2} {name}" for head, name in zip(heads, rows, strict=True)]
    columns = [_Column("true class", tuple(rows))]
    for place, head in enumerate(heads):
        values = tuple(f"{value:6.2f}" for value in matrix[:, place])
        columns.append(_Column(head, values))
    return _text_lines(columns)


def _best(summary: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The best training of each test, unless it is the only one."""
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
        texts.append(f"paper: the published number, {NONE} where none is known.")
    if summary["baseline"] is not None:
        texts.append(
            f"RER: relative error reduction against {summary['baseline']}, "
            "(E1 − E2)/E1 of the mean errors, in %."
        )
    texts.append("minutes: of training, mean over the runs that are done.")
    return texts + [f"failed: {line}" for line in failures(summary)]


def _value_text(cell: Mapping[str, Any]) -> str:
    if cell["deviation"] is None:
        return _number(cell["mean"])
    return f"{cell['mean']:.2f} ± {cell['deviation']:.2f}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _rer_text(cell: Mapping[str, Any]) -> str:
    """The relative error reduction in per cent, with the minus sign of a text.

    >>> _rer_text({"rer": -0.125})
    '−12.5'
    """
    if cell["rer"] is None:
        return NONE
    return minus(f"{100 * cell['rer']:z.1f}")


def _minutes(training: Mapping[str, Any]) -> str:
    seconds = training["seconds"]
    return NONE if seconds is None else f"{seconds / 60:.1f}"


def _printable(name: str) -> str:
    """The name of a folder, whose bytes need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _wrap(text: str, indent: int = 0) -> list[str]:
    return textwrap.wrap(text, MAX_WIDTH, subsequent_indent=" " * indent)
