# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Text for people: plurals, errors, near words, and file names made from any text."""

import collections
import difflib
import re
from collections.abc import Collection

_MAX_NAME = 80
# Names that Windows reserves, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


class PlainNames:
    """Makes file names that every operating system accepts, each only once.

    >>> names = PlainNames()
    >>> [names.make(text) for text in ("face 1", "Face:1", "../x", "nul.a", "")]
    ['face_1', 'Face_1-2', '_x', '_nul.a', '_']
    """

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._counts: collections.Counter[str] = collections.Counter()

    def make(self, text: str) -> str:
        """Replaces special characters of a text, and adds a number if it is taken."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip(".-")
        plain = plain[:_MAX_NAME].rstrip(".") or "_"
        if _RESERVED.match(plain):
            plain = f"_{plain}"
        # Some file systems ignore the case of letters.
        folded = plain.casefold()
        name = plain
        while name.casefold() in self._used:
            self._counts[folded] += 1
            name = f"{plain}-{self._counts[folded] + 1}"
        self._used.add(name.casefold())
        return name


def counted(number: int, noun: str) -> str:
    """Writes a number of things, as in "1,234 pictures".

    Args:
        number: Number of things, 0 or more.
        noun: Noun in the singular whose plural ends in s.

    Returns:
        The number and the noun.

    >>> counted(1, "picture"), counted(0, "picture"), counted(1234, "file")
    ('1 picture', '0 pictures', '1,234 files')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def joined(*parts: str) -> str:
    """Joins what there is to say into one line; empty parts are left out.

    >>> joined("is cut off", "", "shows no face")
    'is cut off; shows no face'
    """
    return "; ".join(filter(None, parts))


def one_line(error: BaseException) -> str:
    r"""Writes the message of an error on one line.

    Args:
        error: The error.

    Returns:
        Its message, or the name of its type where it has none.

    >>> one_line(ValueError("two\nlines")), one_line(EOFError())
    ('two lines', 'EOFError')
    """
    return " ".join(str(error).split()) or type(error).__name__


def suggest(name: str, known: Collection[str], form: str = "{}") -> str:
    """Names what a misspelt word may have meant.

    Args:
        name: The word.
        known: The valid words.
        form: How to write each of them.

    Returns:
        Such as `did you mean --num_epochs?`; empty where nothing is near.

    >>> suggest("epochs", ["num_epochs", "workdir"], "--{}")
    'did you mean --num_epochs?'
    """
    name = name.replace("-", "_").lower()
    near = difflib.get_close_matches(name, list(known), 3)
    # One that starts alike or has the same words is nearer than ratios tell.
    near += [word for word in sorted(known) if name and word.startswith(name)][:3]
    near = list(dict.fromkeys(near))[:3]
    if name in near:
        near = [name]
    if not near:
        return ""
    return f"did you mean {' or '.join(form.format(word) for word in near)}?"


def unknown(field: str, name: object, known: Collection[object]) -> str:
    """Says that a setting has a value that is none of its names.

    Args:
        field: Name of the setting.
        name: The value.
        known: The valid names.

    Returns:
        A line with the valid names and, where one is near, what may have been meant.

    >>> unknown("colour", "gren", ["red", "green"])
    "`colour`: expected red, green, found 'gren'; did you mean green?"
    >>> unknown("colour", 7, ["red", "green"])
    '`colour`: expected red, green, found 7'
    """
    names = [str(one) for one in known]
    near = suggest(name, names) if isinstance(name, str) else ""
    return joined(f"`{field}`: expected {', '.join(names)}, found {name!r}", near)
