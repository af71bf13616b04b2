# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figure of a training run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.faces import colours
from fakedet_jax.report import canvas, figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOSSES = ("loss",)
_QUALITIES = ("accuracy", "auc", "average_precision", "f1")
# The part of the steps in which losses may be far above all that follow.
_FIRST_SHARE = 0.1
_SPIKE = 2
# Longer series are drawn pale, with a running average on top.
_MAX_MARKED_POINTS = 40
_STYLES = (
    (colours.FAKE, "o"),
    (colours.REAL, "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#000000", "P"),
)


def training_curves(
    rows: Sequence[Mapping[str, Any]], best_step: int | None = None
) -> "Figure":
    """Draws the course of a training run: losses above, metrics below.

    The name of a series decides where it is drawn: above if it ends in `loss`, below
    if it ends in `accuracy`, `auc`, `average_precision` or `f1`.

    Args:
        rows: dictionaries with `step` and numbers, as `writers.read_rows` returns them;
            None stands for a number that was not finite and is omitted.
        best_step: the step whose parameters were chosen, or None.

    Returns:
        The figure.
    """
    figure = canvas.figure((7.6, 6.0))
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, title in ((above, "Loss"), (below, "Quality")):
        canvas.style(axes)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    above.set_ylabel("Loss")
    below.set_ylabel("Share")
    losses = _series(rows, _LOSSES)
    _draw_series(above, losses, "upper right")
    _leave_out_the_first_spike(above, losses)
    _draw_series(below, _series(rows, _QUALITIES), "lower right")
    if best_step is not None and rows:
        for axes in (above, below):
            axes.axvline(best_step, linewidth=1.2, zorder=1.5, **canvas.DASHED)
            # At the right end it meets no other title, wherever the line is.
            text = f"dashed: the chosen step, {best_step:,}"
            axes.set_title(text, loc="right", fontsize=9, color=canvas.INK)
    below.set_xlabel("Training step")
    return figure


def _series(
    rows: Sequence[Mapping[str, Any]], endings: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Returns steps and values, `[points, 2]`, of the series with these endings."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name.endswith(endings) and value is not None:
                points.setdefault(name, []).append((row["step"], value))
    return {name: np.asarray(pairs, np.float64) for name, pairs in points.items()}


def _leave_out_the_first_spike(
    axes: "Axes", losses: Mapping[str, NDArray[np.float64]]
) -> None:
    """Ends the axis where the first losses, far above all others, do not flatten it."""
    if not losses:
        return
    steps, values = np.concatenate(list(losses.values())).T
    is_later = steps > steps.min() + _FIRST_SHARE * (steps.max() - steps.min())
    low, high = figures.robust_range(values, is_later)
    if is_later.any() and values.max() > _SPIKE * values[is_later].max():
        axes.set_ylim(low, high)
        axes.set_ylabel(f"Loss (up to {values.max():.3g}, cut off)")


def _draw_series(
    axes: "Axes", series: Mapping[str, NDArray[np.float64]], location: canvas.Corner
) -> None:
    if not series:
        canvas.message(axes, "nothing recorded yet")
        return
    for index, (name, points) in enumerate(series.items()):
        colour, marker = _STYLES[index % len(_STYLES)]
        steps, values = points.T
        keep = canvas.thin(steps.size)
        if steps.size <= _MAX_MARKED_POINTS:
            axes.plot(steps, values, color=colour, marker=marker, markersize=5)
        else:
            marker = ""
            axes.plot(
                steps[keep], values[keep], color=colour, linewidth=0.7, alpha=0.35
            )
            axes.plot(steps[keep], _smoothed(values)[keep], color=colour, linewidth=2)
        # An empty line carries the name, so that every series has one legend entry.
        axes.plot([], [], color=colour, marker=marker, label=canvas.plain(name, 40))
    canvas.legend(axes, location)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Averages over a centred window, which is shorter at both ends."""
    half = max(1, values.size // 50)
    # Sums of differences: the average of a constant series is exactly that constant.
    sums = np.concatenate([[0.0], np.cumsum(values - values[0])])
    centre = np.arange(values.size)
    first = np.maximum(centre - half, 0)
    after = np.minimum(centre + half + 1, values.size)
    return values[0] + (sums[after] - sums[first]) / (after - first)
