# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes several evaluations side by side: a table and their curves.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020: the eight metrics, and Fig. 3, the
    precision-recall curves of several detectors.
"""

import itertools
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fakedet_jax.evaluation import metrics
from fakedet_jax.report import canvas
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.runtime import storage, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SHORT = {
    "accuracy": "acc",
    "average_precision": "AP",
    "auc": "AUC",
    "fpr": "FPR",
    "fnr": "FNR",
}
_MARK = "*"

# Okabe and Ito's palette, without the yellow that white paper swallows; the style of
# the line changes with every round through it.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#222222",
)
_STYLES = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)))
MAX_RUNS = len(_COLOURS) * len(_STYLES)

_CHANCE: dict[str, Any] = {
    "color": canvas.GREY,
    "linewidth": 1,
    "linestyle": (0, (4, 3)),
    "zorder": 1.5,
}

# In inches, and from the figure's left edge on: a square of a fixed place, so that
# figures can be laid side by side, with the legend beneath.
_LEFT, _SIDE, _RIGHT = 0.75, 5.3, 0.25
_TOP, _AXIS_LABEL, _NOTE, _BOTTOM = 0.5, 0.65, 0.3, 0.15
_NOTE_TEXT = f"{_MARK} not the same pictures and labels as the first run"

# Entries stand in several columns where no name needs a second line.
_FONT_SIZE = 9
_MIN_ENTRIES_FOR_COLUMNS = 6
_COLUMNS = (3, 2)
_LINE_WIDTHS = (64, 56, 48, 40, 32)  # characters; the last one fits whatever they are
_MAX_NAME = 144
# As wide as the number before a name, for its further lines.
_INDENT = 11 * " "


class _Entry(NamedTuple):
    """A line of the legend."""

    handle: "Line2D"
    area: float | None
    name: str


def write_comparison(folder: Path, runs: Mapping[str, Evaluation]) -> None:
    """Writes `precision_recall.png`, `roc.png` and `comparison.csv`.

    The table has a row for each run: its name, the eight metrics (an empty cell where
    one is undefined), the threshold, the numbers of pictures and of fakes, and a note
    where the run does not compare with the first one.

    Args:
        folder: where to; made when missing, files of the same names are replaced.
        runs: evaluations of real and fake pictures by name, at most `MAX_RUNS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(folder / "precision_recall.png", precision_recall(runs))
    storage.write_bytes(folder / "roc.png", roc(runs))
    notes = differences(runs)
    rows = []
    for name, run in runs.items():
        summary = run.summarize()
        values = [summary[metric] for metric in metrics.BINARY_METRICS]
        counts = summary["num_examples"], int(run.fake.sum())
        note = "; ".join(notes.get(name, ()))
        rows.append([name, *values, run.threshold, *counts, note])
    counted = ("threshold", "num_examples", "num_fake", "note")
    header = ("name", *metrics.BINARY_METRICS, *counted)
    storage.write_csv(folder / "comparison.csv", header, rows)


def comparison_table(runs: Mapping[str, Evaluation]) -> str:
    """Sets the eight metrics of each run as a table for a terminal.

    Args:
        runs: evaluations by name.

    Returns:
        Lines of text; runs that do not compare with the first one have a mark, and
        below the table stands why.

    >>> run = Evaluation(["a", "b"], [0, 1], [0.2, 0.9], threshold=0.5)
    >>> print(comparison_table({"autogan": run}))
    run        acc  precision  recall     f1     AP    AUC    FPR    FNR  pictures
    autogan 1.0000     1.0000  1.0000 1.0000 1.0000 1.0000 0.0000 0.0000         2
    """
    heads = [_SHORT.get(name, name) for name in metrics.BINARY_METRICS]
    widths = [max(6, len(head) + 1) for head in heads]
    notes = differences(runs)
    names = [f"{name}{_MARK if name in notes else ''}" for name in runs]
    name_width = max(3, *map(len, names)) if names else 3
    cells = zip(heads, widths, strict=True)
    head = " ".join(f"{text:>{width}}" for text, width in cells)
    lines = [f"{'run':{name_width}} {head}  pictures"]
    for name, run in zip(names, runs.values(), strict=True):
        summary = run.summarize()
        values = [summary[metric] for metric in metrics.BINARY_METRICS]
        row = " ".join(
            f"{'-' if value is None else f'{value:.4f}':>{width}}"
            for value, width in zip(values, widths, strict=True)
        )
        lines.append(f"{name:{name_width}} {row}  {len(run.names):8d}")
    lines += [f"{_MARK} {text}" for texts in notes.values() for text in texts]
    return "\n".join(lines)


def differences(runs: Mapping[str, Evaluation]) -> dict[str, tuple[str, ...]]:
    """Says which runs do not compare with the first one, and why.

    Args:
        runs: evaluations by name.

    Returns:
        Sentences by the name of the run, for runs on other pictures or with other
        labels; no others are in it.
    """
    if not runs:
        return {}
    (first_name, first), *others = runs.items()
    expected = _truth(first)
    result = {}
    for name, run in others:
        found = _truth(run)
        sentences = []
        only_first, only_other = expected.keys() - found.keys(), found.keys() - expected
        if only_first or only_other:
            sentences.append(
                f"{first_name} and {name} were measured on different pictures: "
                f"{len(only_first)} only in {first_name}, {len(only_other)} only in "
                f"{name}, such as {min(only_first or only_other)!r}"
            )
        contrary = [
            path for path in expected.keys() & found if expected[path] != found[path]
        ]
        if contrary:
            sentences.append(
                f"{first_name} and {name} disagree on what is real and what is fake "
                f"for {text.counted(len(contrary), 'picture')}, such as "
                f"{min(contrary)!r}"
            )
        if sentences:
            result[name] = tuple(sentences)
    return result


def precision_recall(runs: Mapping[str, Evaluation]) -> bytes:
    """Draws the precision-recall curves of runs that have fakes, as a PNG file."""
    figure, axes = _axes(
        "Precision against recall",
        "Recall (fakes found)",
        "Precision (share of alarms that are right)",
    )
    entries = []
    for (name, run), look in zip(runs.items(), _looks(), strict=False):
        curve = metrics.precision_recall_curve(run.fake, run.scores)
        if curve is not None:
            keep = canvas.thin(curve.recall.size)
            area = metrics.average_precision(run.fake, run.scores)
            # A staircase: average precision is the area under these steps.
            (line,) = axes.plot(
                curve.recall[keep],
                curve.precision[keep],
                drawstyle="steps-post",
                **look,
            )
            entries.append(_Entry(line, area, name))
    # Chance is the share of fakes: one line where all runs have the same.
    shares = {float(np.mean(run.fake)) for run in runs.values()}
    if len(shares) == 1:
        share = shares.pop()
        (line,) = axes.plot([0, 1], [share, share], **_CHANCE)
        entries.append(_Entry(line, share, "chance"))
    return _render(figure, axes, "Average precision", entries, differences(runs))


def roc(runs: Mapping[str, Evaluation]) -> bytes:
    """Draws the ROC curves of runs that have real and fake, as a PNG file."""
    figure, axes = _axes(
        "Detection against false alarms",
        "False positive rate (real pictures called fake)",
        "True positive rate (fakes found)",
    )
    entries = []
    for (name, run), look in zip(runs.items(), _looks(), strict=False):
        curve = metrics.roc_curve(run.fake, run.scores)
        if curve is not None:
            keep = canvas.thin(curve.thresholds.size)
            (line,) = axes.plot(
                curve.false_positive_rate[keep], curve.true_positive_rate[keep], **look
            )
            entries.append(_Entry(line, metrics.auc(run.fake, run.scores), name))
    (line,) = axes.plot([0, 1], [0, 1], **_CHANCE)
    entries.append(_Entry(line, 0.5, "chance"))
    title = "Area under the curve (AUC)"
    return _render(figure, axes, title, entries, differences(runs))


def _truth(run: Evaluation) -> dict[str, bool]:
    """Whether each picture is fake, by its name."""
    return dict(zip(run.names, run.fake.tolist(), strict=True))


def _axes(title: str, x_label: str, y_label: str) -> "tuple[Figure, Axes]":
    width = _LEFT + _SIDE + _RIGHT
    figure, axes = canvas.titled_axes(title, (width, width))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_label, ylabel=y_label)
    return figure, axes


def _looks() -> Iterator[dict[str, Any]]:
    for style, colour in itertools.product(_STYLES, _COLOURS):
        yield {
            "color": colour,
            "linestyle": style,
            "linewidth": 2,
            "clip_on": False,
        }


def _render(
    figure: "Figure",
    axes: "Axes",
    title: str,
    entries: Sequence[_Entry],
    marked: Collection[str],
) -> bytes:
    """Adds the legend beneath the axes and draws a figure of the height it needs."""
    figure.set_layout_engine("none")
    width = _LEFT + _SIDE + _RIGHT
    shown = [
        entry._replace(name=f"{entry.name}{_MARK}") if entry.name in marked else entry
        for entry in entries
    ]
    note = _NOTE if marked else 0.0
    beneath = _AXIS_LABEL + _add_legend(figure, axes, title, shown) + note + _BOTTOM
    height = _TOP + _SIDE + beneath
    if marked:
        place = _LEFT / width, _BOTTOM / height
        figure.text(*place, _NOTE_TEXT, fontsize=8, color=canvas.INK)
    figure.set_size_inches(width, height)
    axes.set_position((_LEFT / width, beneath / height, _SIDE / width, _SIDE / height))
    return canvas.render(figure)


def _add_legend(
    figure: "Figure", axes: "Axes", title: str, entries: Sequence[_Entry]
) -> float:
    """Sets the legend as wide as the axes allow; returns its height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    layouts = [(1, width) for width in _LINE_WIDTHS]
    if len(entries) >= _MIN_ENTRIES_FOR_COLUMNS:
        # Names are not broken in columns, so those that are long do not fit.
        layouts = [*((columns, _MAX_NAME) for columns in _COLUMNS), *layouts]
    for num_columns, line_width in layouts:
        legend = axes.legend(
            [entry.handle for entry in entries],
            [_label(entry, line_width) for entry in entries],
            title=title,
            alignment="left",
            title_fontproperties={"weight": "bold", "size": _FONT_SIZE},
            fontsize=_FONT_SIZE,
            ncols=num_columns,
            loc="upper left",
            bbox_to_anchor=(0, -_AXIS_LABEL / _SIDE),
            borderaxespad=0,
            borderpad=0,
            frameon=False,
        )
        box = legend.get_window_extent(renderer)
        if box.width <= _SIDE * figure.dpi:
            break
    return float(box.height / figure.dpi)


def _label(entry: _Entry, width: int) -> str:
    # The number first, where all have the same length: so they form a column.
    lines = [canvas.plain(line, width) for line in _wrap(entry.name, width)]
    return f"{entry.area:.3f}  " + f"\n{_INDENT}".join(lines)


def _wrap(name: str, width: int) -> list[str]:
    """Lines of a name; of one that is too long, the beginning and the end.

    >>> _wrap("FakeSpotter on MobileFaceNet", 16)
    ['FakeSpotter on', 'MobileFaceNet']
    """
    if len(name) > _MAX_NAME:
        half = _MAX_NAME // 2
        name = f"{name[:half]}…{name[-half + 1 :]}"
    return textwrap.wrap(name, width)
