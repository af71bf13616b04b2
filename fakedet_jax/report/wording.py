# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How reports write names and numbers."""


def printable(text: str) -> str:
    r"""Replaces characters that cannot be printed by backslash escapes.

    These are bytes that are not UTF-8, control characters, and the marks that change
    the direction of writing, which can make one file name look like another.

    >>> print(printable("a\nb"))
    a\nb
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def minus(number: str) -> str:
    """Replaces the hyphens of a formatted number by minus signs.

    >>> minus("-1,234.5")
    '−1,234.5'
    """
    return number.replace("-", "\N{MINUS SIGN}")


def score(value: float) -> str:
    """Formats a score; none is shown as certain.

    >>> score(0.9999), score(0.25)
    ('> 0.999', '0.250')
    """
    if value < 0.001:
        return "< 0.001"
    return "> 0.999" if value > 0.999 else f"{value:.3f}"
