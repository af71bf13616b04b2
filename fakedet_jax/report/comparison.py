# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares several evaluations: a table and their curves in two figures.

References:
    R. Wang et al., IJCAI 2020 (arXiv:1909.06122): the eight metrics, and Fig. 3, the
    precision-recall curves of several detectors.
"""

import itertools
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fakedet_jax.evaluation import delong, metrics
from fakedet_jax.evaluation.bootstrap import Interval
from fakedet_jax.report import canvas, curves, html
from fakedet_jax.report.curves import Curve
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.report.text_table import number, text_table
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
# Columns of the table behind the metrics.
_COUNTED = ("threshold", "num_examples", "num_fake")
_INTERVALS = (
    *("auc_low", "auc_high"),
    *("auc_change", "auc_change_low", "auc_change_high"),
)

# The palette of Okabe and Ito without yellow, which is too pale on white. Once all
# colours are used, the next style of line begins.
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

# In inches. The axes are a square at a fixed distance from the left edge of the figure,
# so that figures can be laid side by side; the legend is beneath.
_LEFT, _SIDE, _RIGHT = 0.75, 5.3, 0.25
_WIDTH = _LEFT + _SIDE + _RIGHT
_TOP, _AXIS_LABEL, _NOTE, _BOTTOM = 0.5, 0.65, 0.3, 0.15
_NOTE_TEXT = f"{_MARK} not the same pictures and labels as the first run"

# Entries are in several columns if no name needs a second line.
_FONT_SIZE = 9
_MIN_ENTRIES_FOR_COLUMNS = 6
_COLUMNS = (3, 2)
_LINE_WIDTHS = (64, 56, 48, 40, 32)  # in characters; the last one always fits
_MAX_NAME = 144
# Further lines of a name begin below its first one, after the number.
_INDENT = 11 * " "


class _Entry(NamedTuple):
    """An entry of the legend: a line, the area below it, and a name."""

    handle: "Line2D"
    area: float | None
    name: str


def write_comparison(
    folder: Path,
    runs: Mapping[str, Evaluation],
    *,
    of_frames: Collection[str] = (),
    config: Mapping[str, object] | None = None,
) -> None:
    """Writes `precision_recall.png`, `roc.png`, `comparison.csv` and `report.html`.

    The table has a row for each run: its name, the eight metrics (an empty cell for an
    undefined one), the threshold, the numbers of pictures and of fakes, the ends of the
    interval of the AUC, the change of the AUC from the first run on the same pictures
    with the ends of its interval (see `evaluation.delong`), and a note if the run is
    not comparable with the first one.

    Args:
        folder: the folder; it is created if missing, and files of the same names are
            replaced.
        runs: evaluations of real and fake pictures by name, at most `MAX_RUNS`.
        of_frames: names of runs on frames of videos, which have no intervals.
        config: settings that the page lists, name to value.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, curve, title in (
        ("precision_recall", curves.PRECISION_RECALL, "Precision against recall"),
        ("roc", curves.ROC, "Fakes found against false alarms (ROC)"),
    ):
        figure = comparison_figure(curve, runs)
        drawn.append((html.Panel(title, figure, ""), canvas.render(figure)))
        storage.write_bytes(folder / f"{name}.png", drawn[-1][1])
    notes = differences(runs)
    changes = _changes(runs, {*notes, *of_frames})
    shown, rows = [], []
    for name, run in runs.items():
        summary = run.summarize()
        values = [summary[metric] for metric in metrics.BINARY_METRICS]
        counts = summary["num_examples"], int(run.fake.sum())
        note = "; ".join(notes.get(name, ()))
        ends = None
        if name not in of_frames:
            ends = delong.auc_interval(run.fake, run.evidence)
        change = changes.get(name)
        cells = [None] * 3 if change is None else [change[0], *change[1]]
        rows.append(
            [name, *values, run.threshold, *counts, *(ends or [None] * 2), *cells, note]
        )
        shown.append(
            {**summary, "name": name, "interval": ends, "is_marked": name in notes}
        )
    header = ("name", *metrics.BINARY_METRICS, *_COUNTED, *_INTERVALS, "note")
    storage.write_csv(folder / "comparison.csv", header, rows)
    page = html.render(
        "comparison.html.j2",
        title="Comparison of evaluations",
        runs=shown,
        mark=_MARK,
        notes=[sentence for own in notes.values() for sentence in own],
        changes=[
            {
                "name": name,
                "difference": difference,
                "interval": ends,
                "words": _in_words(ends),
            }
            for name, (difference, ends) in changes.items()
        ],
        panels=html.embed(drawn),
        config=config or {},
    )
    storage.write_text(folder / "report.html", page)


def _changes(
    runs: Mapping[str, Evaluation], left_out: Collection[str]
) -> dict[str, tuple[float, Interval]]:
    """The change of the AUC from the first run, of runs on the same pictures."""
    if not runs:
        return {}
    (first_name, first), *others = runs.items()
    places = {name: place for place, name in enumerate(first.names)}
    found = {}
    for name, run in others:
        if {name, first_name} & set(left_out) or len(places) < len(first.names):
            continue
        order = np.argsort([places[one] for one in run.names])
        change = delong.difference_interval(
            first.fake, first.evidence, run.evidence[order]
        )
        if change is not None:
            found[name] = change
    return found


def _in_words(ends: Interval) -> str:
    if ends[0] > 0:
        return "better"
    return "worse" if ends[1] < 0 else "no clear difference"


def comparison_table(runs: Mapping[str, Evaluation]) -> str:
    """Formats the eight metrics of each run as a table for a terminal.

    Args:
        runs: evaluations by name.

    Returns:
        Lines of text. Runs that are not comparable with the first one are marked, and
        the reasons follow the table.

    >>> run = Evaluation(["a", "b"], [0, 1], [0.2, 0.9], threshold=0.5)
    >>> print(comparison_table({"one": run}))
    run     acc  precision  recall      f1      AP     AUC     FPR     FNR  pictures
    one  1.0000     1.0000  1.0000  1.0000  1.0000  1.0000  0.0000  0.0000         2
    """
    notes = differences(runs)
    heads = [_SHORT.get(name, name) for name in metrics.BINARY_METRICS]
    rows = [["run", *heads, "pictures"]]
    for name, run in runs.items():
        summary = run.summarize()
        values = [summary[metric] for metric in metrics.BINARY_METRICS]
        shown = [number(value, ".4f") for value in values]
        mark = _MARK if name in notes else ""
        rows.append([f"{name}{mark}", *shown, str(len(run.names))])
    reasons = [f"{_MARK} {text}" for texts in notes.values() for text in texts]
    return "\n".join([*text_table(rows), *reasons])


def differences(runs: Mapping[str, Evaluation]) -> dict[str, tuple[str, ...]]:
    """Finds the runs that are not comparable with the first one.

    Args:
        runs: evaluations by name.

    Returns:
        The reasons, by the name of the run; only runs on other pictures or with other
        labels have an entry.
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


def comparison_figure(curve: Curve, runs: Mapping[str, Evaluation]) -> "Figure":
    """Draws the curves of several runs.

    Args:
        curve: the kind of curve.
        runs: evaluations by name; those that do not define the curve are omitted.

    Returns:
        The figure.
    """
    figure, axes = curve.axes((_WIDTH, _WIDTH))
    entries = []
    for (name, run), look in zip(runs.items(), _looks(), strict=False):
        line = curve.plot(axes, run.fake, run.evidence, **look)
        if line is not None:
            entries.append(_Entry(line, curve.area(run.fake, run.evidence), name))
    chances = {curve.chance(float(np.mean(run.fake))) for run in runs.values()}
    if len(chances) == 1:
        ends = chances.pop()
        (line,) = axes.plot([0, 1], ends, **canvas.CHANCE)
        entries.append(_Entry(line, sum(ends) / 2, "chance"))
    _arrange(figure, axes, curve.area_name, entries, differences(runs))
    return figure


def _truth(run: Evaluation) -> dict[str, bool]:
    """Returns whether each picture is fake, by its name."""
    return dict(zip(run.names, run.fake.tolist(), strict=True))


def _looks() -> Iterator[dict[str, Any]]:
    for style, colour in itertools.product(_STYLES, _COLOURS):
        yield {"color": colour, "linestyle": style, "linewidth": 2}


def _arrange(
    figure: "Figure",
    axes: "Axes",
    title: str,
    entries: Sequence[_Entry],
    marked: Collection[str],
) -> None:
    """Adds the legend beneath the axes and gives the figure the height it needs."""
    figure.set_layout_engine("none")
    shown = [
        entry._replace(name=f"{entry.name}{_MARK}") if entry.name in marked else entry
        for entry in entries
    ]
    note = _NOTE if marked else 0.0
    beneath = _AXIS_LABEL + _add_legend(figure, axes, title, shown) + note + _BOTTOM
    height = _TOP + _SIDE + beneath
    if marked:
        place = _LEFT / _WIDTH, _BOTTOM / height
        figure.text(*place, _NOTE_TEXT, fontsize=8, color=canvas.INK)
    figure.set_size_inches(_WIDTH, height)
    axes.set_position(
        (_LEFT / _WIDTH, beneath / height, _SIDE / _WIDTH, _SIDE / height)
    )


def _add_legend(
    figure: "Figure", axes: "Axes", title: str, entries: Sequence[_Entry]
) -> float:
    """Makes the legend as wide as the axes allow; returns its height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    layouts = [(1, width) for width in _LINE_WIDTHS]
    if len(entries) >= _MIN_ENTRIES_FOR_COLUMNS:
        # Columns need short names, as no name is broken into lines.
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
    # The numbers have the same length and come first, so that they form a column.
    lines = [canvas.plain(line, width) for line in _wrap(entry.name, width)]
    return f"{entry.area:.3f}  " + f"\n{_INDENT}".join(lines)


def _wrap(name: str, width: int) -> list[str]:
    """Breaks a name into lines, and omits the middle of one that is too long.

    >>> _wrap("a detector on MobileFaceNet", 16)
    ['a detector on', 'MobileFaceNet']
    """
    if len(name) > _MAX_NAME:
        half = _MAX_NAME // 2
        name = f"{name[:half]}…{name[-half + 1 :]}"
    return textwrap.wrap(name, width)
