# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The curves of several evaluations in one figure, with a legend beneath.

References:
    R. Wang et al., IJCAI 2020 (arXiv:1909.06122): Fig. 3, the precision-recall curves
    of several detectors.
"""

import itertools
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fakedet_jax.report import canvas
from fakedet_jax.report.curves import Curve
from fakedet_jax.report.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Behind the name of a run that is not comparable with the first one.
MARK = "*"

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
_NOTE_TEXT = f"{MARK} not the same pictures and labels as the first run"

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


def comparison_figure(
    curve: Curve, runs: Mapping[str, Evaluation], marked: Collection[str] = ()
) -> "Figure":
    """Draws the curves of several runs.

    Args:
        curve: the kind of curve.
        runs: evaluations by name; those that do not define the curve are omitted.
        marked: names of runs that are not comparable with the first one.

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
    _arrange(figure, axes, curve.area_name, entries, marked)
    return figure


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
        entry._replace(name=f"{entry.name}{MARK}") if entry.name in marked else entry
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
