# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a review, written while its rows arrive.

Data from files stand in it as JSON, in which every character that HTML knows is
escaped, and our script shows them as text. The content policy of the page names this
script by its digest, so that no other one runs, and allows no address outside of the
folder.
"""

import base64
import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.report import html
from fakedet_jax.runtime import storage

# One script, in this order.
SCRIPTS = tuple(f"review_{part}.js" for part in ("data", "table", "detail", "timeline"))
_PLACE = '<script type="application/json" id="rows">'
# Characters with a meaning in HTML; within the strings of JSON they may be escapes.
_ESCAPES = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&"})


@contextlib.contextmanager
def writing(
    path: Path, *, title: str, about: Mapping[str, Any], **values: Any
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Writes the page row by row; it appears when it is complete, or not at all.

    Args:
        path: The file; its folder exists.
        title: The heading.
        about: What the script knows of all rows, JSON-able.
        **values: Variables of `review.html.j2`.

    Yields:
        A function that writes the rows of one file, JSON-able.

    Raises:
        OSError: The page cannot be written.
    """
    from markupsafe import Markup

    script, style = "\n".join(map(_read, SCRIPTS)), _read("review.css")
    digest = hashlib.sha256(script.encode()).digest()
    page = html.render(
        "review.html.j2",
        title=title,
        about=Markup(to_json(about)),
        script=Markup(script),
        script_hash=Markup(f"sha256-{base64.b64encode(digest).decode()}"),
        style=Markup(style),
        **values,
    )
    head, tail = page.split(_PLACE)
    with storage.atomic_file(path) as file:
        file.write(f"{head}{_PLACE}[".encode())
        separator = ""

        def write(row: Mapping[str, Any]) -> None:
            nonlocal separator
            file.write(f"{separator}{to_json(row)}".encode())
            separator = ",\n"

        yield write
        file.write(f"]{tail}".encode())


def to_json(value: Mapping[str, Any]) -> str:
    r"""JSON that may stand in an element of HTML: ASCII without `<`, `>` and `&`.

    >>> to_json({"a": "</script>é"})
    '{"a":"\\u003c/script\\u003e\\u00e9"}'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


@functools.cache
def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8").strip()
