# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fills the templates of HTML pages, which load nothing, and escapes every value.

The frame of all pages is `base.html.j2`; each kind of page has a template of its own.
"""

import base64
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fakedet_jax.faces import colours
from fakedet_jax.report import wording
from fakedet_jax.runtime import text

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

_DASH = "\N{EN DASH}"


class Panel(NamedTuple):
    """A figure of the page.

    Attributes:
        title: the heading.
        figure: what is drawn.
        caption: one or two sentences below the figure.
    """

    title: str
    figure: "Figure"
    caption: str


def render(template: str, **values: Any) -> str:
    """Fills a template.

    Args:
        template: the name of its file.
        **values: its variables, among them `title`, the heading.

    Returns:
        The text of a complete HTML document.
    """
    return _environment().get_template(template).render(**values)


def embed(panels: Sequence[tuple[Panel, bytes]]) -> list[dict[str, str]]:
    """What the macro `figures` shows of panels, each with its PNG file."""
    return [
        {"title": panel.title, "caption": panel.caption, "url": data_url(png)}
        for panel, png in panels
    ]


def data_url(png: bytes) -> str:
    """Writes a PNG file as an address that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@functools.cache
def _environment() -> "jinja2.Environment":
    # Imported here because only evaluations write pages.
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["colours"] = colours.DECISIONS
    environment.filters |= {
        "as_text": _as_text,
        "count": lambda number: f"{number:,}",
        "points": points,
        "score": wording.score,
        "percent": percent,
        "pictures": functools.partial(text.counted, noun="picture"),
    }
    return environment


def _finalize(value: object) -> object:
    """Makes text printable before it is escaped; leaves markup as it is."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return wording.printable(str(value)) if is_text else value


def percent(value: float | None) -> str:
    """Formats a share in per cent; a dash for None."""
    from markupsafe import Markup

    # The space keeps the number and its sign on one line; as text it would be escaped.
    return _DASH if value is None else Markup(f"{100 * value:.1f}\N{NO-BREAK SPACE}%")


def _as_text(value: object) -> str:
    if value is None:
        return _DASH
    if isinstance(value, list):
        return f"[{', '.join(map(_as_text, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def points(value: float) -> str:
    """Formats a difference of shares in points of a hundred, with its sign.

    >>> points(0.012), points(-0.0001)
    ('+1.2', '0.0')
    """
    shown = f"{100 * value:+.1f}"
    return wording.minus(shown) if float(shown) else shown[1:]
