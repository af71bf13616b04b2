# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures of a detector that takes fakes for anomalies among photographs.

They show the log-likelihoods that its density of photographic faces gives, the
embeddings that the density is of, and how well the network behind them ranks camera
settings. Far outliers are common and would leave a figure without detail: the axes
follow the real pictures, and what lies beyond stays visible at their ends.

References:
    Zou, Yu, Zhan, Ma: "Self-Supervised Learning for Detecting AI-Generated Faces as
    Anomalies", ICASSP 2025.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.report import canvas, figures
from fakedet_jax.report.markup import minus
from fakedet_jax.report.page import Panel
from fakedet_jax.systems.exif_anomaly import embedding_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUM_BINS = 60
# The length from which a bar has its number inside.
_MAX_OUTSIDE = 0.7


def likelihood_panel(
    log_likelihoods: NDArray[np.float64],
    labels: NDArray[np.int64],
    threshold: float,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> Panel:
    """Draws the log-likelihoods of an evaluation for its page.

    Args:
        log_likelihoods: see `log_likelihood_histogram`, as for the others.
        labels: int `[n]`, indices into `classes`.
        threshold: the log-likelihood up to which a picture is called fake.
        classes: the name of every class.
        is_fake: whether each class is fake.

    Returns:
        A panel.
    """
    return Panel(
        "How likely the pictures are among photographs",
        log_likelihood_histogram(log_likelihoods, labels, threshold, classes, is_fake),
        "One row per class. The log-likelihood says how well a face fits among the "
        "photographs that the detector learnt from; it saw no fake. Real (blue) "
        "should lie to the right of the dashed line and fake (orange) to the left.",
    )


def embedding_panel(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> Panel:
    """Draws the embeddings of an evaluation for its page.

    Args:
        embeddings: float `[n, d]`; see `embedding_map.draw`, as for the others.
        labels: int `[n]`, indices into `classes`.
        classes: the name of every class.
        is_fake: whether each class is fake.

    Returns:
        A panel.
    """
    return Panel(
        "Where the embeddings lie",
        embedding_map.draw(embeddings, labels, classes, is_fake),
        "Each point is a picture, seen along the two directions in which real "
        "pictures differ most. A fake apart from the blue cloud is easy to tell; "
        "one inside it may still differ in a direction that is not drawn. Of large "
        "classes a part is drawn.",
    )


def ranking_panel(taus: Mapping[str, float | None]) -> Panel:
    """Draws how well the network ranks pictures by their camera settings.

    Args:
        taus: Kendall's τ by the name of the setting, in the order from top to bottom;
            None where it is undefined.

    Returns:
        A panel.
    """
    size = (6.4, 1.5 + max(1.2, 0.5 * len(taus)))
    figure, axes = canvas.titled_axes("Ranking by camera settings", size)
    if taus:
        _draw_bars(axes, taus)
    else:
        canvas.message(axes, "No camera setting was measured.")
    return Panel(
        "How well camera settings are ranked",
        canvas.render(figure),
        "Of two real pictures, which has the larger value? Kendall's τ is 1 where the "
        "network orders all pairs rightly, 0 where it guesses, and -1 where it has all "
        "of them the wrong way round. The detector never uses these ranks: they say "
        "how much of the camera its embedding knows.",
    )


def log_likelihood_histogram(
    log_likelihoods: NDArray[np.float64],
    labels: NDArray[np.int64],
    threshold: float,
    classes: Sequence[str],
    is_fake: Sequence[bool],
) -> bytes:
    """Draws how the log-likelihoods of each class are spread, one row per class.

    Args:
        log_likelihoods: float `[n]`, in nats; minus infinity is allowed.
        labels: int `[n]`, indices into `classes`.
        threshold: the log-likelihood up to which a picture is called fake, in nats.
        classes: the name of every class; beyond 12, real and fake are pooled.
        is_fake: whether each class is fake.

    Returns:
        A PNG file.

    Raises:
        ValueError: for log-likelihoods that are NaN or a threshold that is not finite.
    """
    from matplotlib.ticker import FuncFormatter

    values = np.asarray(log_likelihoods, np.float64)
    if np.any(np.isnan(values)) or not np.isfinite(threshold):
        raise ValueError("log-likelihoods must not be NaN, and the threshold be finite")
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
    return canvas.render(figure)


def _draw_bars(axes: "Axes", taus: Mapping[str, float | None]) -> None:
    from matplotlib.ticker import FixedLocator

    lowest = min((tau for tau in taus.values() if tau is not None), default=0.0)
    axes.set_xlim(-1 if lowest < 0 else 0, 1)
    axes.set_ylim(len(taus) - 0.5, -0.5)
    for row, tau in enumerate(taus.values()):
        axes.barh(row, tau or 0.0, 0.55, color=canvas.REAL_COLOUR, linewidth=0)
        text = "undefined" if tau is None else minus(f"{tau:z.3f}")
        # Beside the bar, unless a long one leaves no room there.
        within = tau is not None and abs(tau) > _MAX_OUTSIDE
        left = (tau or 0.0) < 0
        axes.annotate(
            text,
            (tau or 0.0, row),
            xytext=(6 if left == within else -6, 0),
            textcoords="offset points",
            ha="left" if left == within else "right",
            va="center",
            fontsize=10,
            color="white" if within else canvas.INK,
        )
    axes.axvline(0, color=canvas.GREY, linewidth=1)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.yaxis.set_major_locator(FixedLocator(range(len(taus))))
    axes.set_yticklabels([canvas.plain(name) for name in taus])
    axes.set_xlabel("Kendall's τ (0: guessing, 1: all pairs in order)")
