# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figure of a photograph's manipulation traces."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.report import canvas, wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def traces_figure(
    picture: NDArray[np.uint8], traces: NDArray[Any], title: str
) -> bytes:
    """Draws a photograph with its traces as a PNG file; see `draw_traces`.

    Args:
        picture: uint8 `[height, width, 3]`, RGB.
        traces: float `[height, width, 3]`, in the units of the picture.
        title: the heading.

    Returns:
        The file.

    Raises:
        ValueError: The shapes differ, or the traces are not finite.
    """
    return canvas.render(draw_traces(picture, traces, title))


def draw_traces(
    picture: NDArray[np.uint8], traces: NDArray[Any], title: str
) -> "Figure":
    """Draws a photograph with its manipulation traces and their spectrum.

    The panels are the photograph, its traces averaged over the channels, the spectrum
    of the traces, and the traces of each channel. The mean of a trace is mid-grey, and
    the contrast covers the 99 % quantile of the distance from it; the figure states
    both.

    Args:
        picture: uint8 `[height, width, 3]`, RGB.
        traces: float `[height, width, 3]`, RGB, in the units of the picture (0 to 255).
        title: the heading.

    Returns:
        The figure.

    Raises:
        ValueError: The shapes differ, or the traces are not finite.

    References:
        Guo, Yang, Chen, Sun: Fake face detection via adaptive manipulation traces
        extraction network, CVIU 2021, Fig. 3.
    """
    traces = np.asarray(traces, np.float64)
    if traces.shape != picture.shape or traces.ndim != 3 or traces.shape[2] != 3:
        raise ValueError(
            "the picture and its traces must both be [height, width, 3], not "
            f"{picture.shape} and {traces.shape}"
        )
    if not np.all(np.isfinite(traces)):
        raise ValueError("the traces are not finite")
    figure = canvas.figure((9.0, 6.7))
    panels = figure.subplots(2, 3).ravel()
    average = traces.mean(axis=2)
    _picture(panels[0], picture, "Photograph")
    _stretched(panels[1], average, "Traces, channels averaged")
    _picture(
        panels[2],
        _log_spectrum(traces),
        "Spectrum of the traces",
        "log magnitude, frequency 0 in the centre",
        cmap="magma",
    )
    for channel, name in enumerate(("red", "green", "blue")):
        _stretched(panels[3 + channel], traces[..., channel], f"Traces, {name}")
    canvas.heading(figure, canvas.plain(title, 90))
    return figure


def _log_spectrum(traces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Averages the log magnitude over channels, after subtracting their means."""
    centred = traces - traces.mean(axis=(0, 1))
    spectrum = np.fft.fftshift(np.fft.fft2(centred, axes=(0, 1)), axes=(0, 1))
    # Adding 1 grey level keeps rounding noise dark.
    return np.log10(np.abs(spectrum) + 1.0).mean(axis=2)


def _stretched(axes: "Axes", plane: NDArray[np.float64], title: str) -> None:
    # A trained predictor may change the brightness; detail shows only without it.
    mean = float(plane.mean())
    centred = plane - mean
    limit = float(np.quantile(np.abs(centred), 0.99)) or float(np.abs(centred).max())
    scale = limit or 1.0
    black, white = mean - scale, mean + scale
    note = f"black is {black:.3g}, grey {mean:.3g}, white {white:.3g}"
    if not limit:
        note = f"{mean:.3g} everywhere"
    _picture(axes, np.clip(centred / scale, -1, 1), title, note, limits=(-1, 1))


def _picture(
    axes: "Axes",
    image: NDArray[Any],
    title: str,
    note: str = "",
    *,
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
) -> None:
    low, high = limits or (None, None)
    axes.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title, fontsize=10, fontweight="bold", color=canvas.INK)
    axes.set_xlabel(wording.minus(note), fontsize=8, color=canvas.GREY)
    axes.set_xticks([])
    axes.set_yticks([])
