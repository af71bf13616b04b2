# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation: confusion matrix and histograms of each class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.evaluation import metrics
from fakedet_jax.faces import colours
from fakedet_jax.report import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A figure cannot distinguish more classes.
_MAX_CLASSES = 12
_MAX_MATRIX_NUMBERS = 16
# From this share on, white is easier to read than black.
_DARK_SHARE = 0.62

# An axis shows at least the values between these quantiles.
_QUANTILES = (0.005, 0.995)
# In lengths of this range of the core values, to each side: the limit up to which an
# axis extends for other values, and the distance within which the last few are shown.
_MAX_EXTENSION = 1.0
_SLACK = 0.35
_MARGIN = 0.03


def confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> "Figure":
    """Draws a confusion matrix with the share of each row and the counts.

    Args:
        matrix: int `[k, k]`, counts; rows are labels, columns predictions.
        classes: the `k` names.

    Returns:
        The figure.
    """
    size = len(classes)
    inches = min(14.0, max(5.0, 1.6 + 0.95 * size))
    figure, axes = canvas.titled_axes(
        "What each class was taken for", (inches + 0.6, inches)
    )
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    blues = canvas.colours("#f3f7fb", "#00548a")
    axes.imshow(shares, cmap=blues, vmin=0, vmax=1, aspect="equal")
    names = canvas.plain_all(classes)
    tilt = 0 if size <= 3 else 40
    axes.set_xticks(
        range(size),
        names,
        rotation=tilt,
        ha="right" if tilt else "center",
        rotation_mode="anchor" if tilt else "default",
    )
    axes.set_yticks(range(size), names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True class")
    canvas.hide_frame(axes)
    if size > _MAX_MATRIX_NUMBERS:
        return figure
    for (row, column), count in np.ndenumerate(matrix):
        share = shares[row, column]
        # A class without pictures has no shares.
        percent = f"{100 * share:.1f} %" if totals[row, 0] else "none"
        canvas.write(
            axes,
            f"{percent}\n{count:,}",
            (column, row),
            size=11 if size <= 4 else 8,
            colour="white" if share > _DARK_SHARE else canvas.INK,
        )
    return figure


def score_histogram(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    threshold: float,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> "Figure":
    """Draws a histogram of the scores of each class, one below the other.

    Args:
        labels: int `[n]`, indices into `classes`.
        scores: float `[n]`, in [0, 1].
        threshold: scores at or above it are decided fake.
        classes: the name of every class; more than 12 are pooled into real and fake.
        is_fake: whether each class is fake.

    Returns:
        The figure.
    """
    labels, classes, is_fake = pool_classes(labels, classes, is_fake)
    figure, _ = histogram_rows(
        scores,
        labels,
        classes,
        is_fake,
        edges=np.linspace(0, 1, 41),
        threshold=threshold,
        called_fake=(threshold, 1),
        x_label="Score (evidence of being fake)",
    )
    canvas.heading(
        figure,
        f"Scores of each class; decided fake at {threshold:.3f} and above (shaded)",
    )
    return figure


def pool_classes(
    labels: NDArray[np.int64], classes: Sequence[str], is_fake: Sequence[bool]
) -> tuple[NDArray[np.int64], Sequence[str], Sequence[bool]]:
    """Pools classes into real and fake if there are more than a figure can show.

    Args:
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class.
        is_fake: whether each class is fake.

    Returns:
        The three arguments unchanged for up to 12 classes; otherwise labels, names and
        flags of the two classes real and fake.
    """
    if len(classes) <= _MAX_CLASSES:
        return labels, classes, is_fake
    return np.asarray(is_fake, np.int64)[labels], metrics.BINARY_CLASSES, (False, True)


def histogram_rows(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    is_fake: Sequence[bool],
    *,
    edges: NDArray[np.float64],
    threshold: float,
    called_fake: tuple[float, float],
    x_label: str,
) -> "tuple[Figure, Sequence[Axes]]":
    """Draws one histogram per class, one below the other, with a dashed threshold.

    Values beyond the outermost edges are counted in the outermost bins; the title of
    the row states their number.

    Args:
        values: float `[n]`, without NaN.
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class.
        is_fake: whether each class is fake.
        edges: float `[bins + 1]`, increasing: the edges of the bins.
        threshold: the value of the dashed line.
        called_fake: the two ends of the shaded range.
        x_label: what the values are.

    Returns:
        The figure, still without a heading, and its axes from top to bottom.
    """
    rows = len(classes)
    figure = canvas.figure((7.2, 1.5 + max(2.6, 0.95 * rows)))
    all_axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for index, axes in enumerate(all_axes):
        own = values[labels == index]
        counts, _ = np.histogram(np.clip(own, edges[0], edges[-1]), bins=edges)
        colour = colours.FAKE if is_fake[index] else colours.REAL
        share = 100 * counts / max(own.size, 1)
        canvas.style(axes)
        axes.axvspan(*called_fake, color=colours.FAKE, alpha=0.07, linewidth=0)
        axes.bar(
            edges[:-1], share, np.diff(edges), align="edge", color=colour, linewidth=0
        )
        axes.axvline(threshold, linewidth=1.4, **canvas.DASHED)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, max(5.0, 1.1 * share.max()))
        axes.locator_params(axis="y", nbins=3)
        axes.set_ylabel("%", rotation=0, labelpad=10)
        beyond = [
            f"; {count:,} further {side}"
            for side, count in (
                ("left", np.sum(own < edges[0])),
                ("right", np.sum(own > edges[-1])),
            )
            if count
        ]
        axes.set_title(
            f"{canvas.plain(classes[index])}  ({own.size:,}{''.join(beyond)})",
            loc="left",
            fontsize=10,
            color=colour,
            fontweight="bold",
            pad=3,
        )
    all_axes[-1].set_xlabel(x_label)
    return figure, list(all_axes)


def robust_range(
    values: NDArray[np.float64],
    core: NDArray[np.bool_],
    included: Sequence[float] = (),
) -> tuple[float, float]:
    """Chooses the ends of an axis so that outliers do not hide the detail.

    Args:
        values: float `[n]`, finite.
        core: bool `[n]`, the values whose spread must stay visible; all values if no
            element is true.
        included: values that the axis must show.

    Returns:
        The range of nearly all values, or of all if the outermost are close; it is at
        most about three times as long as the range of the core.
    """
    low, high = _ends(values[core] if core.any() else values, included)
    near_low, near_high = _ends(values, included)
    length = (high - low) or (near_high - near_low)
    reach, slack = _MAX_EXTENSION * length, _SLACK * length
    shown = [*included, *values.tolist()]
    lowest = max(min(shown), min(low, near_low) - slack, low - reach)
    highest = min(max(shown), max(high, near_high) + slack, high + reach)
    # If all values are equal, any length that floats can resolve will do.
    margin = _MARGIN * (highest - lowest) or max(1.0, 1e-3 * abs(highest))
    return lowest - margin, highest + margin


def _ends(
    values: NDArray[np.float64], included: Sequence[float]
) -> tuple[float, float]:
    """Returns the range of nearly all values; of few values, the range of all."""
    ends = list(included)
    if values.size:
        low, high = _QUANTILES
        ends.append(float(np.quantile(values, low, method="lower")))
        ends.append(float(np.quantile(values, high, method="higher")))
    return min(ends), max(ends)
