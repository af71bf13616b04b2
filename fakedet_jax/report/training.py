# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figure of a training run, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.report import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOSSES = ("loss",)
_QUALITIES = ("accuracy", "auc", "average_precision", "f1")
# Longer series are drawn pale, with a running average on top.
_MAX_MARKED_POINTS = 40
_BEST: dict[str, Any] = {
    "color": canvas.INK,
    "linewidth": 1.2,
    "linestyle": (0, (5, 2)),
    "zorder": 1.5,
}


def training_curves(
    rows: Sequence[Mapping[str, Any]], best_step: int | None = None
) -> bytes:
    """Draws how a training run went: the loss above, validation quality below.

    Every series is found by its name: those that end in `loss` go above, those that
    end in `accuracy`, `auc`, `average_precision` or `f1` below.

    Args:
        rows: dictionaries with `step` and numbers, as `writers.read_rows` gives; None
            stands for a number that was not finite and is left out.
        best_step: the step whose parameters were chosen, drawn through both; None for
            none.

    Returns:
        A PNG file.
    """
    figure = canvas.figure((7.6, 6.0))
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, title in ((above, "Loss"), (below, "Quality")):
        canvas.style(axes)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    above.set_ylabel("Loss")
    below.set_ylabel("Share")
    _draw_series(above, _series(rows, _LOSSES), "upper right")
    _draw_series(below, _series(rows, _QUALITIES), "lower right")
    if best_step is not None and rows:
        for axes in (above, below):
            axes.axvline(best_step, **_BEST)
            # At the right end, where it meets no other title wherever the line is.
            text = f"dashed: the chosen step, {best_step:,}"
            axes.set_title(text, loc="right", fontsize=9, color=canvas.INK)
    below.set_xlabel("Training step")
    return canvas.render(figure)


def _series(
    rows: Sequence[Mapping[str, Any]], endings: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Collects [points, 2] arrays of step and value for the names that end so."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name.endswith(endings) and value is not None:
                points.setdefault(name, []).append((row["step"], value))
    return {name: np.asarray(pairs, np.float64) for name, pairs in points.items()}


def _draw_series(
    axes: "Axes", series: Mapping[str, NDArray[np.float64]], location: canvas.Corner
) -> None:
    if not series:
        canvas.message(axes, "nothing recorded yet")
        return
    styles = (
        (canvas.FAKE_COLOUR, "o"),
        (canvas.REAL_COLOUR, "s"),
        ("#009E73", "^"),
        ("#CC79A7", "D"),
        ("#56B4E9", "v"),
        ("#000000", "P"),
    )
    for index, (name, points) in enumerate(series.items()):
        colour, marker = styles[index % len(styles)]
        steps, values = points.T
        keep = canvas.thin(steps.size)
        if steps.size <= _MAX_MARKED_POINTS:
            axes.plot(steps, values, color=colour, marker=marker, markersize=5)
        else:
            axes.plot(
                steps[keep], values[keep], color=colour, linewidth=0.7, alpha=0.35
            )
            axes.plot(steps[keep], _smoothed(values)[keep], color=colour, linewidth=2)
        # An empty line carries the name: one entry whatever was drawn.
        handle_marker = marker if steps.size <= _MAX_MARKED_POINTS else ""
        axes.plot(
            [], [], color=colour, marker=handle_marker, label=canvas.plain(name, 40)
        )
    canvas.legend(axes, location)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Averages over a centred window, which is cut off at both ends."""
    half = max(1, values.size // 50)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(values.size)
    first = np.maximum(centre - half, 0)
    after = np.minimum(centre + half + 1, values.size)
    return (sums[after] - sums[first]) / (after - first)
