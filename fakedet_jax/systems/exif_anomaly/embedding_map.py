# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The map of embeddings: all pictures in the plane in which real ones vary most.

The plane is that of the first two principal components of the real pictures; fakes do
not influence it. The axes follow the real pictures too: fakes that are so far away that
they would shrink the real pictures to a dot become triangles at the border.

References:
    K. Pearson: "On Lines and Planes of Closest Fit to Systems of Points in Space",
    Philosophical Magazine 1901.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.faces import colours
from fakedet_jax.report import canvas, figures
from fakedet_jax.runtime.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of Okabe and Ito without the blue of real pictures and similar colours.
# Colours and markers advance together, which gives 20 combinations. Triangles are for
# outliers.
_REAL_MARKERS = "oDsPX"
_FAKE_COLOURS = (colours.FAKE, "#009E73", "#CC79A7", "#E69F00", "#222222")
_FAKE_MARKERS = "sDPX"
_LONG_LABEL = 24
# Classes are drawn alternately, in parts, so that the last does not cover the others.
_NUM_TURNS = 16
_MAX_POINTS = 3000
_BORDER: dict[str, Any] = {
    "markersize": 7,
    "markeredgewidth": 0.6,
    "markeredgecolor": "white",
    "clip_on": False,
}


def draw(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> "Figure":
    """Draws embeddings along the first two principal components of real pictures.

    At most 3000 points are drawn, the same number for each class; of larger classes,
    evenly spaced rows.

    Args:
        embeddings: float `[n, d]`, finite.
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class; more than 12 are pooled into real and fake.
        is_fake: whether each class is fake.

    Returns:
        The figure. If no two real pictures differ, the components are those of all
        pictures, as the title states.

    Raises:
        ValueError: The embeddings have another shape or are not finite.
    """
    rows = np.asarray(embeddings, np.float64)
    if rows.ndim != 2 or not np.all(np.isfinite(rows)):
        raise ValueError(f"embeddings must be finite [n, d], not of shape {rows.shape}")
    fitted, basis = ~np.asarray(is_fake, np.bool_)[labels], "real pictures"
    if np.all(rows[fitted] == rows[fitted][:1]):
        fitted, basis = np.ones(len(rows), np.bool_), "all pictures"
    figure, axes = canvas.titled_axes(
        f"Embeddings, along the principal components of {basis}", (7.2, 6.4)
    )
    if not rows.size:
        canvas.message(axes, "There is no picture to show.")
        return figure
    points, shares = _principal_components(rows, fitted)
    labels, classes, is_fake = figures.pool_classes(labels, classes, is_fake)
    limits = np.array([figures.robust_range(column, fitted) for column in points.T])
    num_beyond = _scatter(axes, points, limits, labels, _looks(is_fake))
    axes.set(xlim=limits[0], ylim=limits[1])
    note = ""
    if num_beyond:
        note = (
            f"\n{counted(num_beyond, 'picture')} beyond the frame: triangles at its "
            "border"
        )
    axes.set_xlabel(f"First component ({100 * shares[0]:.1f} % of the variance){note}")
    axes.set_ylabel(f"Second component ({100 * shares[1]:.1f} % of the variance)")
    _add_legend(figure, labels, classes, _looks(is_fake))
    return figure


class _Look(NamedTuple):
    colour: str
    marker: str


def _principal_components(
    rows: NDArray[np.float64], fitted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projects rows on the first two principal components of the fitted rows.

    Args:
        rows: float `[n, d]`.
        fitted: bool `[n]`, the rows that determine the components.

    Returns:
        Points `[n, 2]` relative to the mean of the fitted rows, and float `[2]`, the
        share of each component in their variance. A component that does not exist is
        0 and has a share of 0.
    """
    mean = rows[fitted].mean(axis=0)
    centred = rows[fitted] - mean
    # The factor has the same singular values and directions as the rows but is smaller.
    factor = np.linalg.qr(centred, mode="r")
    _, lengths, directions = np.linalg.svd(factor, full_matrices=False)
    # Rounding errors have a direction too, but it means nothing.
    size = float(np.linalg.norm(rows[fitted]))
    floor = size * max(centred.shape) * np.finfo(np.float64).eps
    lengths = np.where(lengths > floor, lengths, 0.0)
    axes = np.zeros((2, rows.shape[1]))
    shares = np.zeros(2)
    for index, length in enumerate(lengths[:2]):
        if length:
            # Both signs are right; this choice is the same on every machine.
            largest = directions[index, np.argmax(np.abs(directions[index]))]
            axes[index] = directions[index] * np.sign(largest)
            shares[index] = length**2 / np.sum(lengths**2)
    return (rows - mean) @ axes.T, shares


def _looks(is_fake: Sequence[bool]) -> list[_Look]:
    """Chooses colour and marker of every class; real classes are always blue."""
    real = map(_Look, itertools.repeat(colours.REAL), itertools.cycle(_REAL_MARKERS))
    fakes = map(_Look, itertools.cycle(_FAKE_COLOURS), itertools.cycle(_FAKE_MARKERS))
    return [next(fakes if fake else real) for fake in is_fake]


def _scatter(
    axes: "Axes",
    points: NDArray[np.float64],
    limits: NDArray[np.float64],
    labels: NDArray[np.int64],
    looks: Sequence[_Look],
) -> int:
    """Draws points, and those beyond the limits at the border; returns their number."""
    low, high = limits.T
    # The distance of a point from the limit on each side, in lengths of the axis.
    excess = np.concatenate([low - points, points - high], axis=1)
    excess /= np.tile(high - low, 2)
    side = np.where(excess.max(axis=1) > 0, excess.argmax(axis=1), -1)
    places = np.clip(points, low, high)
    budget = _MAX_POINTS // len(looks)
    groups = {}
    # -1 is the inside; the others are the columns of `excess`.
    for number in range(-1, 4):
        for label in range(len(looks)):
            own = np.flatnonzero((labels == label) & (side == number))
            groups[number, label] = places[own[:: 1 + own.size // (budget + 1)]]
    for turn in range(_NUM_TURNS):
        for label, (colour, marker) in enumerate(looks):
            part = groups[-1, label][turn::_NUM_TURNS]
            size = 5.5 if marker in "PX" else 4
            _plot(axes, part, colour, marker, alpha=0.6, markersize=size)
    for number, marker in enumerate("<v>^"):
        for label, look in enumerate(looks):
            part = groups[number, label]
            _plot(axes, part, look.colour, marker, **_BORDER)
    return int(np.sum(side >= 0))


def _plot(
    axes: "Axes", points: NDArray[np.float64], colour: str, marker: str, **look: Any
) -> None:
    # A line without points has an infinite bounding box, which breaks the layout.
    if len(points):
        (line,) = axes.plot(
            *points.T, color=colour, marker=marker, linestyle="none", zorder=3
        )
        line.set(markeredgewidth=0)
        line.set(**look)


def _add_legend(
    figure: "Figure",
    labels: NDArray[np.int64],
    classes: Sequence[str],
    looks: Sequence[_Look],
) -> None:
    from matplotlib.lines import Line2D

    counts = np.bincount(labels, minlength=len(classes))
    names = [
        f"{canvas.plain(name)}  ({count:,})"
        for name, count in zip(classes, counts, strict=True)
    ]
    # The points of the figure are too small and too pale for a legend.
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=7)
        for colour, marker in looks
    ]
    columns = 2 if max(map(len, names)) > _LONG_LABEL else 3
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(columns, len(names)),
        fontsize=9,
        frameon=False,
    )
