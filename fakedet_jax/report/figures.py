# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation, as PNG bytes.

A figure that the data do not allow, such as the ROC curve of one class, says so in
words in place of the curve.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.evaluation import metrics
from fakedet_jax.report import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (6.4, 5.0)
# A figure tells no more of them apart.
_MAX_CLASSES = 12
_MAX_MATRIX_NUMBERS = 16
# The share from which white is easier to read on its blue than black.
_DARK_SHARE = 0.62

# The part of the values that an axis is made for.
_QUANTILES = (0.005, 0.995)
# In lengths of that part of the real pictures, to each side: how far an axis may go on
# for the others, and how far to take in the last few.
_MAX_EXTENSION = 1.0
_SLACK = 0.35
_MARGIN = 0.03


def roc(
    fake: NDArray[np.bool_], scores: NDArray[np.float64], threshold: float
) -> bytes:
    """Draws the ROC curve with the point at which the detector works.

    Args:
        fake: bool `[n]`, whether each picture is fake.
        scores: float `[n]`.
        threshold: the stored threshold.

    Returns:
        A PNG file.
    """
    figure, axes = _square_axes(
        "Detection against false alarms",
        "False positive rate (real pictures called fake)",
        "True positive rate (fakes found)",
    )
    curve = metrics.roc_curve(fake, scores)
    if curve is None:
        canvas.message(axes, "A ROC curve needs real and fake pictures.")
        return canvas.render(figure)
    keep = canvas.thin(curve.thresholds.size)
    axes.plot(
        curve.false_positive_rate[keep],
        curve.true_positive_rate[keep],
        color=canvas.FAKE_COLOUR,
        linewidth=2.2,
        clip_on=False,
        label=f"AUC {metrics.auc(fake, scores):.3f}",
    )
    _chance(axes, [0, 1], [0, 1])
    decided = metrics.decide(scores, threshold)
    _mark(axes, np.mean(decided[~fake]), np.mean(decided[fake]), threshold)
    _legend_below(figure, axes)
    return canvas.render(figure)


def precision_recall(
    fake: NDArray[np.bool_], scores: NDArray[np.float64], threshold: float
) -> bytes:
    """Draws the precision-recall curve with the point at which the detector works.

    Args:
        fake: bool `[n]`, whether each picture is fake.
        scores: float `[n]`.
        threshold: the stored threshold.

    Returns:
        A PNG file.
    """
    figure, axes = _square_axes(
        "Precision against recall",
        "Recall (fakes found)",
        "Precision (share of alarms that are right)",
    )
    curve = metrics.precision_recall_curve(fake, scores)
    if curve is None:
        canvas.message(axes, "A precision-recall curve needs fake pictures.")
        return canvas.render(figure)
    keep = canvas.thin(curve.recall.size)
    # The curve is a staircase: average precision is the area under these steps.
    axes.plot(
        curve.recall[keep],
        curve.precision[keep],
        drawstyle="steps-post",
        color=canvas.FAKE_COLOUR,
        linewidth=2.2,
        clip_on=False,
        label=f"Average precision {metrics.average_precision(fake, scores):.3f}",
    )
    share = float(np.mean(fake))
    _chance(axes, [0, 1], [share, share])
    decided = metrics.decide(scores, threshold)
    if decided.any():
        _mark(axes, np.mean(decided[fake]), np.mean(fake[decided]), threshold)
    _legend_below(figure, axes)
    return canvas.render(figure)


def confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """Draws a confusion matrix: the share of each row, and the counts.

    Args:
        matrix: int `[k, k]`; rows are labels, columns predictions.
        classes: the `k` names.

    Returns:
        A PNG file.
    """
    size = len(classes)
    inches = min(14.0, max(5.0, 1.6 + 0.95 * size))
    figure, axes = canvas.titled_axes(
        "What each class was taken for", (inches + 0.6, inches)
    )
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    axes.imshow(shares, cmap=_blues(), vmin=0, vmax=1, aspect="equal")
    names = [canvas.plain(name) for name in classes]
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
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if size <= _MAX_MATRIX_NUMBERS:
        _write_cells(axes, matrix, shares, totals)
    return canvas.render(figure)


def score_histogram(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    threshold: float,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> bytes:
    """Draws how the scores of each class are spread, one row per class.

    Args:
        labels: int `[n]`, indices into `classes`.
        scores: float `[n]`, in [0, 1].
        threshold: the stored threshold, drawn through all rows.
        classes: the name of every class; beyond 12, real and fake are pooled.
        is_fake: whether each class is fake.

    Returns:
        A PNG file.
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
        figure, f"Scores of each class; decided fake from {threshold:.3f} on (shaded)"
    )
    return canvas.render(figure)


def pool_classes(
    labels: NDArray[np.int64], classes: Sequence[str], is_fake: Sequence[bool]
) -> tuple[NDArray[np.int64], Sequence[str], Sequence[bool]]:
    """Joins classes to real and fake where a figure could not tell them apart.

    Args:
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class.
        is_fake: whether each class is fake.

    Returns:
        The three as they are, up to 12 classes; beyond, those of real and fake.
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
    """Draws one histogram per class, below each other, with a dashed threshold.

    Values beyond the outermost edges go into the outermost bins, and the title of the
    row says how many these are.

    Args:
        values: float `[n]`, no NaN.
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class.
        is_fake: whether each class is fake.
        edges: float `[bins + 1]`, rising: the borders of the bins.
        threshold: where the dashed line goes.
        called_fake: the two ends of the shaded part of the axis.
        x_label: what the values are.

    Returns:
        The figure, yet without a heading, and its axes from top to bottom.
    """
    rows = len(classes)
    figure = canvas.figure((7.2, 1.5 + max(2.6, 0.95 * rows)))
    all_axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for index, axes in enumerate(all_axes):
        own = values[labels == index]
        counts, _ = np.histogram(np.clip(own, edges[0], edges[-1]), bins=edges)
        colour = canvas.FAKE_COLOUR if is_fake[index] else canvas.REAL_COLOUR
        share = 100 * counts / max(own.size, 1)
        canvas.style(axes)
        axes.axvspan(*called_fake, color=canvas.FAKE_COLOUR, alpha=0.07, linewidth=0)
        axes.bar(
            edges[:-1], share, np.diff(edges), align="edge", color=colour, linewidth=0
        )
        axes.axvline(threshold, color=canvas.INK, linewidth=1.4, linestyle=(0, (5, 2)))
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
    """Chooses the ends of an axis so that outliers do not leave it without detail.

    Args:
        values: float `[n]`, finite.
        core: bool `[n]`: the rows whose spread must stay visible; all, if there are
            none.
        included: values that the axis must show.

    Returns:
        The range of nearly all values, or of all where they are not far; but not much
        longer than that of the core.
    """
    low, high = _ends(values[core] if core.any() else values, included)
    near_low, near_high = _ends(values, included)
    length = (high - low) or (near_high - near_low)
    reach, slack = _MAX_EXTENSION * length, _SLACK * length
    shown = [*included, *values.tolist()]
    lowest = max(
        min(shown),
        min(low, near_low) - slack,
        low - reach,
    )
    highest = min(
        max(shown),
        max(high, near_high) + slack,
        high + reach,
    )
    # Where all values are one, any length will do that floats can resolve.
    margin = _MARGIN * (highest - lowest) or max(1.0, 1e-3 * abs(highest))
    return lowest - margin, highest + margin


def _ends(
    values: NDArray[np.float64], included: Sequence[float]
) -> tuple[float, float]:
    """Finds where nearly all values lie; of few values, all of them."""
    ends = list(included)
    if values.size:
        low, high = _QUANTILES
        ends.append(float(np.quantile(values, low, method="lower")))
        ends.append(float(np.quantile(values, high, method="higher")))
    return min(ends), max(ends)


def _write_cells(
    axes: "Axes",
    matrix: NDArray[np.int64],
    shares: NDArray[np.float64],
    totals: NDArray[np.int64],
) -> None:
    small = 11 if len(matrix) <= 4 else 8
    for (row, column), count in np.ndenumerate(matrix):
        share = shares[row, column]
        # A class without pictures has no shares.
        percent = f"{100 * share:.1f} %" if totals[row, 0] else "none"
        axes.text(
            column,
            row,
            f"{percent}\n{count:,}",
            ha="center",
            va="center",
            fontsize=small,
            color="white" if share > _DARK_SHARE else canvas.INK,
        )


def _chance(axes: "Axes", x: Sequence[float], y: Sequence[float]) -> None:
    axes.plot(
        x,
        y,
        color=canvas.GREY,
        linewidth=1,
        linestyle=(0, (4, 3)),
        zorder=1.5,
        label="chance",
    )


def _mark(axes: "Axes", x: Any, y: Any, threshold: float) -> None:
    axes.plot(
        [float(x)],
        [float(y)],
        "o",
        color=canvas.REAL_COLOUR,
        markersize=9,
        markeredgecolor="white",
        clip_on=False,
        zorder=5,
        label=f"at the threshold {threshold:.3f}",
    )


def _legend_below(figure: "Figure", axes: "Axes") -> None:
    """Adds the legend where no curve runs, however bad the detector is."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False
    )


def _square_axes(title: str, x_label: str, y_label: str) -> "tuple[Figure, Axes]":
    figure, axes = canvas.titled_axes(title, _SIZE)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_label, ylabel=y_label)
    return figure, axes


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("blues", ["#f3f7fb", "#00548a"])
