# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The look that all figures share, drawn with matplotlib's objects, not its globals.

Real is blue and fake is orange everywhere (Okabe and Ito's palette, which colour-blind
readers can tell apart).

References:
    M. Okabe and K. Ito, Color Universal Design, 2008.
"""

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Corner = Literal["upper right", "lower right", "lower left"]

REAL_COLOUR = "#0072B2"
FAKE_COLOUR = "#D55E00"
INK = "#222222"
GREY = "#6b7280"

_GRID = "#e5e7eb"
_DPI = 144
_MAX_NAME = 22
_MAX_POINTS = 4000


def figure(size: tuple[float, float]) -> "Figure":
    """Makes an empty figure.

    Args:
        size: width and height in inches, of 144 pixels each.

    Returns:
        A figure that belongs to no window and no registry.
    """
    # Imported here because it is slow, and few commands draw.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=size, dpi=_DPI, layout=layout, facecolor="white")


def titled_axes(title: str, size: tuple[float, float]) -> "tuple[Figure, Axes]":
    """Makes a figure of one pair of axes under a heading; `size` is in inches."""
    result = figure(size)
    axes = result.subplots()
    style(axes)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=12)
    return result, axes


def heading(target: "Figure", text: str) -> None:
    """Writes a heading above all axes of a figure."""
    target.suptitle(text, x=0.02, ha="left", fontsize=12, fontweight="bold")


def style(axes: "Axes") -> None:
    """Gives axes a pale grid and no frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def legend(axes: "Axes", location: Corner) -> None:
    """Adds the legend at a place; never "best", which is slow for many points."""
    axes.legend(loc=location, frameon=True, framealpha=0.9, edgecolor="none")


def message(axes: "Axes", text: str) -> None:
    """Writes a sentence into axes that have nothing else to show."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY
    )


def thin(size: int) -> NDArray[np.int64]:
    """Returns at most 4000 indices below `size`, with the first and the last.

    More points than a figure has pixels cost time, and from about 100,000 on the
    renderer refuses them.
    """
    return np.unique(np.linspace(0, size - 1, min(size, _MAX_POINTS)).astype(np.int64))


def plain(text: str, width: int = _MAX_NAME) -> str:
    """Makes foreign text drawable, and shortens it to `width` characters.

    matplotlib would read `$…$` as a formula, leave a legend entry out that starts with
    an underscore, and warn about characters that its font lacks.
    """
    from matplotlib import font_manager

    glyphs = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    shown = "".join(
        character
        if character.isprintable() and glyphs.get_char_index(ord(character))
        else "\N{WHITE SQUARE}"
        for character in text
    )
    if len(shown) > width:
        shown = shown[: width - 1] + "…"
    shown = shown.replace("$", r"\$")
    return "\N{NO-BREAK SPACE}" + shown if shown.startswith("_") else shown


def render(target: "Figure") -> bytes:
    """Draws a figure as a PNG file; equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    canvas = FigureCanvasAgg(target)
    # The layout settles only once tick labels have been drawn a first time.
    target.draw_without_rendering()
    # The metadata would name the version of matplotlib.
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
