# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures that the page of an evaluation shows of this system.

They show the log-likelihoods under the density of real faces, the embeddings that it
was fitted to, and how well the network ranks camera settings. Far outliers are common
and would hide the detail, so the axes follow the real pictures, and outliers are shown
at their ends.

References:
    Zou, Yu, Zhan, Ma: "Self-Supervised Learning for Detecting AI-Generated Faces as
    Anomalies", ICASSP 2025.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.faces import colours
from fakedet_jax.report import canvas, figures
from fakedet_jax.report.html import Panel
from fakedet_jax.report.wording import minus
from fakedet_jax.systems.exif_anomaly import embedding_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUM_BINS = 60
# A longer bar has its number inside.
_MAX_OUTSIDE = 0.7


def likelihood_panel(
    log_likelihoods: NDArray[np.float64],
    labels: NDArray[np.int64],
    threshold: float,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> Panel:
    """Draws a histogram of the log-likelihoods of each class, one below the other.

    Args:
        log_likelihoods: float `[n]`, in nats; minus infinity is allowed.
        labels: int `[n]`, indices into `classes`.
        threshold: the log-likelihood at and below which a picture is decided fake, in
            nats.
        classes: the name of every class; more than 12 are pooled into real and fake.
        is_fake: whether each class is fake.

    Returns:
        The figure with its heading and caption.

    Raises:
        ValueError: A log-likelihood is NaN, or the threshold is not finite.
    """
    from matplotlib.ticker import FuncFormatter

    values = np.asarray(log_likelihoods, np.float64)
    if np.any(np.isnan(values)) or not np.isfinite(threshold):
        raise ValueError(
            "log-likelihoods must not be NaN, and the threshold must be finite"
        )
    finite = np.isfinite(values)
    real = ~np.asarray(is_fake, np.bool_)[labels]
    low, high = figures.robust_range(values[finite], real[finite], (threshold,))
    labels, classes, is_fake = figures.pool_classes(labels, classes, is_fake)
    label = "Log-likelihood (nats)"
    if np.any((values < low) | (values > high)):
        label += "; the outermost bars hold what lies further out"
    figure, rows = figures.histogram_rows(
        values,
        labels,
        classes,
        is_fake,
        edges=np.linspace(low, high, _NUM_BINS + 1),
        threshold=threshold,
        called_fake=(low, threshold),
        x_label=label,
    )
    rows[-1].xaxis.set_major_formatter(
        FuncFormatter(lambda tick, _: minus(f"{tick:,g}"))
    )
    border = minus(f"{threshold:,.1f}")
    canvas.heading(
        figure, f"Log-likelihoods; decided fake at {border} and below (shaded)"
    )
    return Panel(
        "How likely the pictures are among photographs",
        figure,
        "One row per class. The log-likelihood says how well a face fits the "
        "photographs that the detector was trained on, none of which was fake. Real "
        "(blue) should lie to the right of the dashed line and fake (orange) to the "
        "left.",
    )


def embedding_panel(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> Panel:
    """Draws the map of embeddings; see `embedding_map.draw`.

    Args:
        embeddings: float `[n, d]`, finite.
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class.
        is_fake: whether each class is fake.

    Returns:
        The figure with its heading and caption.
    """
    return Panel(
        "Where the embeddings lie",
        embedding_map.draw(embeddings, labels, classes, is_fake),
        "Each point is a picture, projected on the two directions in which real "
        "pictures differ most. A fake outside the blue cloud is easy to recognise; "
        "one inside it may still differ in a direction that is not drawn. Only some "
        "pictures of large classes are drawn.",
    )


def ranking_panel(taus: Mapping[str, float | None]) -> Panel:
    """Draws how well the network ranks pictures by their camera settings.

    Args:
        taus: Kendall's τ by the name of the setting, from top to bottom; None if it is
            undefined.

    Returns:
        The figure of one bar for each setting, with its heading and caption.
    """
    size = (6.4, 1.5 + max(1.2, 0.5 * len(taus)))
    figure, axes = canvas.titled_axes("Ranking by camera settings", size)
    if taus:
        _draw_bars(axes, taus)
    else:
        canvas.message(axes, "No camera setting was measured.")
    return Panel(
        "How well camera settings are ranked",
        figure,
        "Of two real pictures, which has the larger value? Kendall's τ is 1 if the "
        "network orders all pairs correctly, 0 if it guesses, and −1 if it reverses "
        "all of them. The detector never uses these ranks: they show how much its "
        "embedding knows about the camera.",
    )


def _draw_bars(axes: "Axes", taus: Mapping[str, float | None]) -> None:
    from matplotlib.ticker import FixedLocator

    lowest = min((tau for tau in taus.values() if tau is not None), default=0.0)
    axes.set_xlim(-1 if lowest < 0 else 0, 1)
    axes.set_ylim(len(taus) - 0.5, -0.5)
    for row, tau in enumerate(taus.values()):
        _draw_bar(axes, row, tau)
    axes.axvline(0, color=canvas.GREY, linewidth=1)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.yaxis.set_major_locator(FixedLocator(range(len(taus))))
    axes.set_yticklabels(canvas.plain_all([*taus]))
    axes.set_xlabel("Kendall's τ (0: guessing, 1: all pairs in order)")


def _draw_bar(axes: "Axes", row: int, tau: float | None) -> None:
    """Draws a bar and its number: beside the bar, or inside a long one."""
    length = tau or 0.0
    axes.barh(row, length, 0.55, color=colours.REAL, linewidth=0)
    within = abs(length) > _MAX_OUTSIDE
    # The text begins there outside a bar to the right, or inside one to the left.
    starts = (length < 0) == within
    canvas.write(
        axes,
        "undefined" if tau is None else minus(f"{tau:z.3f}"),
        (length, row),
        shift=(6 if starts else -6, 0),
        ha="left" if starts else "right",
        colour="white" if within else canvas.INK,
    )
