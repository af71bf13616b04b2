# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes several evaluations side by side: a table and their curves.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020: the eight metrics, and Fig. 3, the
    precision-recall curves of several detectors.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax import metrics, storage
from fakedet_jax.report import canvas
from fakedet_jax.report.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHORT = {
    "accuracy": "acc",
    "average_precision": "AP",
    "auc": "AUC",
    "fpr": "FPR",
    "fnr": "FNR",
}
_NAME_WIDTH = 28

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
    "label": "chance",
}
_WIDTH, _MIN_HEIGHT, _LINE_HEIGHT = 8.2, 5.2, 0.22  # inches


def write_comparison(folder: Path, runs: Mapping[str, Evaluation]) -> None:
    """Writes `precision_recall.png`, `roc.png` and `comparison.csv`.

    The table has a row for each run: its name, the eight metrics (an empty cell where
    one is undefined), the threshold, and the numbers of pictures and of fakes.

    Args:
        folder: where to; made when missing, files of the same names are replaced.
        runs: evaluations of real and fake pictures by name, at most `MAX_RUNS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(folder / "precision_recall.png", precision_recall(runs))
    storage.write_bytes(folder / "roc.png", roc(runs))
    rows = []
    for name, run in runs.items():
        summary = run.summarize()
        values = [summary[metric] for metric in metrics.BINARY_METRICS]
        counts = summary["num_examples"], int(run.fake.sum())
        rows.append([name, *values, run.threshold, *counts])
    header = ("name", *metrics.BINARY_METRICS, "threshold", "num_examples", "num_fake")
    storage.write_csv(folder / "comparison.csv", header, rows)


def comparison_table(runs: Mapping[str, Evaluation]) -> str:
    """Sets the eight metrics of each run as a table for a terminal.

    Args:
        runs: evaluations by name.

    Returns:
        Lines of text.

    >>> run = Evaluation(["a", "b"], [0, 1], [0.2, 0.9], threshold=0.5)
    >>> print(comparison_table({"autogan": run}))
    run        acc  precision  recall     f1     AP    AUC    FPR    FNR  pictures
    autogan 1.0000     1.0000  1.0000 1.0000 1.0000 1.0000 0.0000 0.0000         2
    """
    heads = [_SHORT.get(name, name) for name in metrics.BINARY_METRICS]
    widths = [max(6, len(head) + 1) for head in heads]
    name_width = max(3, *map(len, runs)) if runs else 3
    cells = zip(heads, widths, strict=True)
    head = " ".join(f"{text:>{width}}" for text, width in cells)
    lines = [f"{'run':{name_width}} {head}  pictures"]
    for name, run in runs.items():
        summary = run.summarize()
        values = [summary[metric] for metric in metrics.BINARY_METRICS]
        row = " ".join(
            f"{'-' if value is None else f'{value:.4f}':>{width}}"
            for value, width in zip(values, widths, strict=True)
        )
        lines.append(f"{name:{name_width}} {row}  {len(run.names):8d}")
    return "\n".join(lines)


def precision_recall(runs: Mapping[str, Evaluation]) -> bytes:
    """Draws the precision-recall curves of runs that have fakes, as a PNG file."""
    figure, axes = _axes(
        len(runs),
        "Precision against recall",
        "Recall (fakes found)",
        "Precision (share of alarms that are right)",
    )
    for (name, run), look in zip(runs.items(), _looks(), strict=False):
        curve = metrics.precision_recall_curve(run.fake, run.scores)
        if curve is not None:
            keep = canvas.thin(curve.recall.size)
            area = metrics.average_precision(run.fake, run.scores)
            # A staircase: average precision is the area under these steps.
            axes.plot(
                curve.recall[keep],
                curve.precision[keep],
                drawstyle="steps-post",
                label=_label(name, area),
                **look,
            )
    # Chance is the share of fakes: one line where all runs have the same.
    shares = {float(np.mean(run.fake)) for run in runs.values()}
    if len(shares) == 1:
        share = shares.pop()
        axes.plot([0, 1], [share, share], **_CHANCE)
    return _render(figure, "Average precision")


def roc(runs: Mapping[str, Evaluation]) -> bytes:
    """Draws the ROC curves of runs that have real and fake, as a PNG file."""
    figure, axes = _axes(
        len(runs),
        "Detection against false alarms",
        "False positive rate (real pictures called fake)",
        "True positive rate (fakes found)",
    )
    for (name, run), look in zip(runs.items(), _looks(), strict=False):
        curve = metrics.roc_curve(run.fake, run.scores)
        if curve is not None:
            keep = canvas.thin(curve.thresholds.size)
            axes.plot(
                curve.false_positive_rate[keep],
                curve.true_positive_rate[keep],
                label=_label(name, metrics.auc(run.fake, run.scores)),
                **look,
            )
    axes.plot([0, 1], [0, 1], **_CHANCE)
    return _render(figure, "Area under the curve (AUC)")


def _axes(
    num_runs: int, title: str, x_label: str, y_label: str
) -> "tuple[Figure, Axes]":
    height = max(_MIN_HEIGHT, 1 + _LINE_HEIGHT * (num_runs + 1))
    figure, axes = canvas.titled_axes(title, (_WIDTH, height))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_label, ylabel=y_label)
    axes.set_box_aspect(1)
    return figure, axes


def _looks() -> Iterator[dict[str, Any]]:
    for style, colour in itertools.product(_STYLES, _COLOURS):
        yield {
            "color": colour,
            "linestyle": style,
            "linewidth": 2,
            "clip_on": False,
        }


def _label(name: str, area: float | None) -> str:
    # The number first, where all have the same length: so they form a column.
    return f"{area:.3f}  {canvas.plain(name, _NAME_WIDTH)}"


def _render(figure: "Figure", area: str) -> bytes:
    # Beside the axes: many curves leave no corner free.
    figure.legend(
        loc="outside right upper",
        title=area,
        alignment="left",
        title_fontproperties={"weight": "bold", "size": 9},
        fontsize=9,
        frameon=False,
    )
    return canvas.render(figure)
