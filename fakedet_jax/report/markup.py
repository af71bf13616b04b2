# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Names and numbers as the page shows them."""

import html

# Keeps a number and its percent sign on one line.
_SPACE = "\N{NO-BREAK SPACE}"


def escape(value: object) -> str:
    """Escapes text for HTML and shows what cannot be printed as backslash escapes.

    That covers bytes that are no UTF-8, control characters and the marks that turn the
    direction of writing, with which a file name can pass for another.
    """
    shown = "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape").decode("ascii")
        for character in str(value)
    )
    return html.escape(shown)


def code(value: str) -> str:
    """A name that comes from outside, such as that of a file, set as code."""
    return f"<code>{escape(value)}</code>"


def pictures(count: int) -> str:
    """So many pictures, in words.

    >>> pictures(1234)
    '1,234 pictures'
    """
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"


def minus(number: str) -> str:
    """A number with a minus sign in place of its hyphen.

    >>> minus("-1,234.5")
    '−1,234.5'
    """
    return number.replace("-", "\N{MINUS SIGN}")


def percent(value: float | None) -> str:
    """A share in per cent, a dash where there is none."""
    return "\N{EN DASH}" if value is None else f"{100 * value:.1f}{_SPACE}%"
