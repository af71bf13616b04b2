# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The common style of all figures, drawn with matplotlib objects, not its globals.

Real is blue and fake is orange everywhere, see `faces.colours`.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Corner = Literal["upper right", "lower right", "lower left"]
Beneath = Literal["outside lower left", "outside lower center", "outside lower right"]

INK = "#222222"
GREY = "#6b7280"

# How the line of a detector that guesses is drawn.
CHANCE: dict[str, Any] = {
    "color": GREY,
    "linewidth": 1,
    "linestyle": (0, (4, 3)),
    "zorder": 1.5,
}
# How a line at a chosen value is drawn.
DASHED: dict[str, Any] = {"color": INK, "linestyle": (0, (5, 2))}

_GRID = "#e5e7eb"
_DPI = 144
_MAX_NAME = 22
_MAX_POINTS = 4000
# Bold letters of a heading that fit into an inch.
_LETTERS_PER_INCH = 9


def figure(size: tuple[float, float]) -> "Figure":
    """Creates an empty figure that belongs to no window and no registry.

    Args:
        size: width and height in inches, of 144 pixels each.
    """
    # Imported here because it is slow, and few commands draw.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=size, dpi=_DPI, layout=layout, facecolor="white")


def titled_axes(title: str, size: tuple[float, float]) -> "tuple[Figure, Axes]":
    """Creates a figure with one pair of axes below a heading; `size` is in inches."""
    result = figure(size)
    axes = result.subplots()
    style(axes)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=12)
    return result, axes


def heading(target: "Figure", text: str) -> None:
    """Writes a heading above all axes of a figure."""
    target.suptitle(text, x=0.02, ha="left", fontsize=12, fontweight="bold")


def letters(target: "Figure") -> int:
    """Returns how many letters of a heading fit into the width of a figure."""
    return int(_LETTERS_PER_INCH * target.get_figwidth())


def style(axes: "Axes") -> None:
    """Gives axes a pale grid and no frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def legend(axes: "Axes", location: Corner) -> None:
    """Adds the legend in a corner; never "best", which is slow for many points."""
    axes.legend(loc=location, frameon=True, framealpha=0.9, edgecolor="none")


def legend_beneath(
    target: "Figure", axes: "Axes", location: Beneath = "outside lower center"
) -> None:
    """Adds the legend of `axes` in one row beneath all axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    target.legend(handles, labels, loc=location, ncols=len(labels), frameon=False)


def message(axes: "Axes", text: str) -> None:
    """Writes a sentence into axes that have nothing else to show."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY
    )


def write(
    axes: "Axes",
    text: str,
    place: tuple[float, float],
    *,
    shift: tuple[float, float] = (0, 0),
    ha: str = "center",
    va: str = "center",
    size: float = 10,
    colour: str = INK,
    **look: Any,
) -> None:
    """Writes text into axes or beside them.

    Args:
        axes: the axes.
        text: what to write.
        place: a point in the coordinates of the data.
        shift: the distance of the text from this point, in points of print.
        ha: the horizontal alignment at the place.
        va: the vertical alignment at the place.
        size: the size of the letters, in points of print.
        colour: the colour of the letters.
        **look: further arguments of `Axes.annotate`.
    """
    axes.annotate(
        text,
        place,
        xytext=shift,
        textcoords="offset points",
        ha=ha,
        va=va,
        fontsize=size,
        color=colour,
        annotation_clip=False,
        **look,
    )


def colours(*stops: str | tuple[float, str]) -> "Colormap":
    """Creates a colour map.

    Args:
        *stops: colours that are evenly spaced, or pairs of a place in [0, 1] and the
            colour at this place.
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("", stops)


def hide_frame(axes: "Axes") -> None:
    """Hides the frame, the grid and the tick marks of a heat map."""
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.tick_params(length=0, colors=INK)


def colour_bar(
    target: "Figure", axes: "Axes", drawn: "ScalarMappable", label: str, **look: Any
) -> None:
    """Adds the scale of a heat map.

    Args:
        target: the figure.
        axes: the axes of the heat map.
        drawn: the heat map.
        label: what the colours mean.
        **look: further arguments of `Figure.colorbar`.
    """
    bar = target.colorbar(drawn, ax=axes, **look)
    bar.set_label(label)
    bar.outline.set_visible(False)


def thin(size: int) -> NDArray[np.int64]:
    """Chooses the points of a long line that are drawn.

    More points than a figure has pixels cost time, and the renderer refuses more than
    about 100,000.

    Args:
        size: the number of points, at least 1.

    Returns:
        int64 `[at most 4000]`, rising indices below `size`, evenly spaced; the first
        and the last point are among them.
    """
    return np.unique(np.linspace(0, size - 1, min(size, _MAX_POINTS)).astype(np.int64))


def plain(text: str, width: int = _MAX_NAME) -> str:
    """Makes any text drawable, and shortens it to `width` characters.

    matplotlib would read `$…$` as a formula, omit a legend entry that starts with an
    underscore, and warn about characters that its font lacks.
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


def plain_all(names: Sequence[str]) -> list[str]:
    """Makes several names drawable; see `plain`."""
    return [plain(name) for name in names]


def render(target: "Figure") -> bytes:
    """Encodes a figure as a PNG file; equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    canvas = FigureCanvasAgg(target)
    layout = target.get_layout_engine()
    assert layout is not None
    layout.execute(target)
    # Drawing would lay out again, which takes as long as drawing and moves axes by a
    # pixel at most.
    target.set_layout_engine("none")
    # The metadata would name the version of matplotlib.
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def save(path: Path, target: "Figure") -> None:
    """Writes a figure as a PNG file, whole or not at all."""
    storage.write_bytes(path, render(target))
