# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""ROC and precision-recall curves: axes, points and areas."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.evaluation import metrics
from fakedet_jax.faces import colours
from fakedet_jax.report import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SIZE = (6.4, 5.0)

_Fake = NDArray[np.bool_]
_Scores = NDArray[Any]
# The coordinates x and y of the points of a curve, or None where it is undefined.
_Points = tuple[NDArray[np.float64], NDArray[np.float64]] | None


@dataclasses.dataclass(frozen=True)
class Curve:
    """A kind of curve over all thresholds.

    Attributes:
        title: the heading.
        x_label: what the horizontal axis shows.
        y_label: what the vertical axis shows.
        area_name: the name of the area under the curve.
        missing: the sentence that stands for a curve that is undefined.
        points: computes the points from bool `[n]` (is fake) and scores `[n]`.
        area: computes the area from the same arrays.
        chance: from the share of fakes, y at the two ends of the line of chance.
        place: from bool `[n]` (is fake) and bool `[n]` (is decided fake), the point of
            a threshold, or None where it is undefined.
        drawstyle: how matplotlib connects the points.
    """

    title: str
    x_label: str
    y_label: str
    area_name: str
    missing: str
    points: Callable[[_Fake, _Scores], _Points]
    area: Callable[[_Fake, _Scores], float | None]
    chance: Callable[[float], tuple[float, float]]
    place: Callable[[_Fake, _Fake], tuple[float, float] | None]
    drawstyle: str = "default"

    def axes(self, size: tuple[float, float]) -> "tuple[Figure, Axes]":
        """Creates a figure with labelled axes from 0 to 1; `size` is in inches."""
        figure, axes = canvas.titled_axes(self.title, size)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=self.x_label, ylabel=self.y_label)
        return figure, axes

    def plot(
        self, axes: "Axes", fake: _Fake, scores: _Scores, **look: Any
    ) -> "Line2D | None":
        """Draws one curve.

        Args:
            axes: where to draw it.
            fake: bool `[n]`, whether each picture is fake.
            scores: float `[n]`.
            **look: further arguments of `Axes.plot`.

        Returns:
            The line, or None where the curve is undefined.
        """
        points = self.points(fake, scores)
        if points is None:
            return None
        x, y = points
        keep = canvas.thin(x.size)
        (line,) = axes.plot(
            x[keep], y[keep], drawstyle=self.drawstyle, clip_on=False, **look
        )
        return line


def draw(
    curve: Curve,
    fake: _Fake,
    scores: _Scores,
    threshold: float,
    evidence: _Scores | None = None,
) -> "Figure":
    """Draws the curve of one detector and the point of its threshold.

    Args:
        curve: the kind of curve.
        fake: bool `[n]`, whether each picture is fake.
        scores: float `[n]`.
        threshold: scores at or above it are decided fake.
        evidence: float `[n]`: ranks the pictures, such as log-odds; by default the
            scores do.

    Returns:
        The figure; a sentence replaces a curve that the pictures do not define.
    """
    figure, axes = curve.axes(_SIZE)
    look = {"color": colours.FAKE, "linewidth": 2.2}
    ranks = scores if evidence is None else evidence
    line = curve.plot(axes, fake, ranks, **look)
    if line is None:
        canvas.message(axes, curve.missing)
        return figure
    line.set_label(f"{curve.area_name} {curve.area(fake, ranks):.3f}")
    chance = curve.chance(float(np.mean(fake)))
    axes.plot([0, 1], chance, label="chance", **canvas.CHANCE)
    place = curve.place(fake, metrics.decide(scores, threshold))
    if place is not None:
        axes.plot(
            [place[0]],
            [place[1]],
            "o",
            color=colours.REAL,
            markersize=9,
            markeredgecolor="white",
            clip_on=False,
            zorder=5,
            label=f"at the threshold {threshold:.3f}",
        )
    canvas.legend_beneath(figure, axes)
    return figure


def reliability(
    fake: _Fake, scores: _Scores, error: float | None, *, has_intervals: bool = True
) -> "Figure":
    """Draws the share of fakes among pictures that score alike.

    Args:
        fake: bool `[n]`, whether each picture is fake.
        scores: float `[n]`, in [0, 1].
        error: the expected calibration error; None without pictures.
        has_intervals: whether pictures are independent, which frames of a video are
            not, so that shares have intervals.

    Returns:
        The figure; a sentence replaces what no picture defines.
    """
    figure, axes = canvas.titled_axes("Scores and shares of fakes", _SIZE)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="Mean score",
        ylabel="Share of fakes among them",
    )
    if error is None:
        canvas.message(axes, "A reliability diagram needs pictures.")
        return figure
    found = metrics.reliability(fake, scores)
    axes.plot([0, 1], [0, 1], label="as scored", **canvas.CHANCE)
    for count, score, share in zip(*found, strict=True):
        ends = metrics.wilson_interval(round(share * count), int(count)) or (0.0, 1.0)
        if has_intervals:
            axes.plot([score, score], ends, color=colours.FAKE, linewidth=1.4)
    axes.plot(
        found.mean_scores,
        found.shares_fake,
        "o-",
        color=colours.FAKE,
        linewidth=2.2,
        markersize=7,
        clip_on=False,
        label=f"calibration error {error:.3f}",
    )
    canvas.legend_beneath(figure, axes)
    return figure


def _roc_points(fake: _Fake, scores: _Scores) -> _Points:
    curve = metrics.roc_curve(fake, scores)
    return curve and (curve.false_positive_rate, curve.true_positive_rate)


def _precision_recall_points(fake: _Fake, scores: _Scores) -> _Points:
    curve = metrics.precision_recall_curve(fake, scores)
    return curve and (curve.recall, curve.precision)


def _rates(fake: _Fake, decided: _Fake) -> tuple[float, float]:
    return float(np.mean(decided[~fake])), float(np.mean(decided[fake]))


def _precision_at(fake: _Fake, decided: _Fake) -> tuple[float, float] | None:
    if not decided.any():
        return None
    return float(np.mean(decided[fake])), float(np.mean(fake[decided]))


ROC = Curve(
    title="Detection against false alarms",
    x_label="False positive rate (real pictures called fake)",
    y_label="True positive rate (fakes found)",
    area_name="AUC",
    missing="A ROC curve needs real and fake pictures.",
    points=_roc_points,
    area=metrics.auc,
    chance=lambda share: (0.0, 1.0),
    place=_rates,
)
PRECISION_RECALL = Curve(
    title="Precision against recall",
    x_label="Recall (fakes found)",
    y_label="Precision (share of alarms that are right)",
    area_name="Average precision",
    missing="A precision-recall curve needs fake pictures.",
    points=_precision_recall_points,
    area=metrics.average_precision,
    chance=lambda share: (share, share),
    place=_precision_at,
    # Average precision is the area under these steps.
    drawstyle="steps-post",
)
