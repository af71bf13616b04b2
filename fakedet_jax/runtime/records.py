# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads JSON that users or earlier runs left, with the types that are expected.

Readers are told the kind of value to expect: a frozen dataclass, or a type such as
`dict[str, Any]` or `list[tuple[str, str]]`. Types are strict: true is not a whole
number and "3" is not a number, but 3 is a number. Fields with a default may be absent.
A `ValueError` that `__post_init__` of a dataclass raises is reported like a wrong type,
so that is the place for further checks: `ValueError("scale: expected ..., found ...")`.
Unlike JSON in Python, files hold no NaN and no infinity, and no key twice.
"""

import collections
import dataclasses
import json
import math
import os
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fakedet_jax.errors import RequestError

MAX_BYTES = 16 * 2**20

_MAX_SHOWN = 60
_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_T = TypeVar("_T")


def read(
    path: Path,
    kind: type[_T],
    *,
    advice: str,
    field: str = "",
    if_missing: str = "",
    forbid_unknown: bool = False,
) -> _T:
    """Reads a JSON file of at most `MAX_BYTES`.

    Args:
        path: The file.
        kind: The type of the value.
        advice: What to do about a file that cannot be used.
        field: The setting that names the file, if any; it stands first in messages.
        if_missing: What to do if there is no such file, if that is not `advice`.
        forbid_unknown: Whether fields that the dataclasses do not have are refused.

    Returns:
        The value.

    Raises:
        RequestError: The file is missing, cannot be read, or holds something else.
    """
    prefix = f"`{field}`: " if field else ""
    source = f"{prefix}{str(path)!r}"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"{source} is missing"
        if not path.parent.exists():  # Then its folder was named, and is not there.
            what = f"{prefix}{str(path.parent)!r} does not exist"
        raise RequestError(f"{what}; {if_missing or advice}") from error
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"{source} cannot be read ({reason}); {advice}") from error
    if len(content) > MAX_BYTES:
        raise RequestError(
            f"{source}: expected at most {MAX_BYTES} bytes, found more; {advice}"
        )
    value = parse(content, Any, source=source, advice=advice)
    return convert(
        value, kind, source=source, advice=advice, forbid_unknown=forbid_unknown
    )


def parse(content: str | bytes, kind: type[_T], *, source: str, advice: str) -> _T:
    """Reads JSON in memory.

    Args:
        content: The JSON; bytes are UTF-8.
        kind: The type of the value.
        source: Where it is from; it stands first in messages.
        advice: What to do about something else.

    Returns:
        The value.

    Raises:
        RequestError: It is not JSON, or holds something else.
    """
    try:
        value = json.loads(
            content,
            object_pairs_hook=_to_object,
            parse_constant=_to_number,
            parse_float=_to_number,
        )
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{source}: expected JSON, found otherwise ({error}); {advice}"
        ) from error
    return convert(value, kind, source=source, advice=advice)


def convert(
    value: Any,
    kind: type[_T],
    *,
    source: str,
    advice: str,
    forbid_unknown: bool = False,
) -> _T:
    """Gives a value that was read as JSON, or a part of it, the expected type.

    Args:
        value: The value.
        kind: Its type.
        source: Where it is from; it stands first in messages.
        advice: What to do about something else.
        forbid_unknown: See `read`.

    Returns:
        The value with dataclasses, paths and tuples in place of objects, texts and
        lists.

    Raises:
        RequestError: The value is not of that type.

    >>> pairs = [["a", 1], ["b", "2"]]
    >>> convert(pairs, list[tuple[str, int]], source="'a.json'", advice="correct it")
    Traceback (most recent call last):
    fakedet_jax.errors.RequestError: 'a.json': [1][1]: expected a whole number, found \
'2'; correct it
    """
    try:
        result = msgspec.convert(value, kind, dec_hook=_to_path)
    except msgspec.ValidationError as error:
        reason = _explain(str(error), value)
        raise RequestError(f"{source}: {reason}; {advice}") from error
    if forbid_unknown:
        for unknown in _unknown_fields(value, as_json(result)):
            raise RequestError(f"{source}: {unknown}; {advice}")
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        # msgspec leaves absent fields to the class, where `vars` would miss them.
        return dataclasses.replace(result)
    return result


def as_json(value: Any) -> Any:
    """Turns dataclasses, paths and tuples into what `read` finds in a JSON file.

    >>> as_json({"path": Path("a"), "sizes": (1, 2)})
    {'path': 'a', 'sizes': [1, 2]}
    """
    return json.loads(json.dumps(value, default=_to_plain))


def shown(value: object) -> str:
    r"""A value as messages show it: on one line of at most 60 characters.

    >>> shown({"lines": "a\nb"})
    "{'lines': 'a\\nb'}"
    """
    text = _REPR.repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


_REPR = reprlib.Repr()  # Its effort is bounded, whatever the size of the value.
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _MAX_SHOWN


def _to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        ((key, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(key)} is there twice in one object")
    return result


def _to_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_MAX_SHOWN]} is no number of JSON")
    return number


def _to_path(kind: type, value: Any) -> Any:
    if kind is not Path:
        raise NotImplementedError(f"records hold no {kind!r}")
    if not isinstance(value, str):
        raise ValueError("Expected `str`")
    return Path(value)


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return os.fspath(value)


def _explain(error: str, value: Any) -> str:
    """Puts what msgspec says of a value into our words: place, expected, found."""
    text, _, place = error.partition(" - at `$")
    where = place.rstrip("`").lstrip(".")
    if match := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{_join(where, match[1])}: expected a value, found none"
    if match := re.fullmatch(r"Expected (.*?)(?:, got .*)?", text):
        # `[...]` is an unnamed value of an object, which is then shown as a whole.
        known, _, _ = place.partition("[...]")
        for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", known):
            value = value[name or int(number)]
        expected = re.sub(r"`([\w |]+)`", _in_words, match[1])
        text = f"expected {expected}, found {shown(value)}"
    elif re.match(r"[\w.\[\]]+: ", text):  # `__post_init__` names a field.
        return _join(where, text)
    return f"{where}: {text}" if where else text


def _in_words(types: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types[1].split(" | "))


def _unknown_fields(value: Any, known: Any, where: str = "") -> Iterator[str]:
    """Tells of fields that are not in what was made of a value."""
    if isinstance(value, dict):
        for name in value:
            if name in known:
                at = _join(where, name)
                yield from _unknown_fields(value[name], known[name], at)
            else:
                expected = f"expected only {', '.join(known)}, found {shown(name)}"
                yield f"{where}: {expected}" if where else expected
    elif isinstance(value, list):
        for place, (part, known_part) in enumerate(zip(value, known, strict=True)):
            yield from _unknown_fields(part, known_part, f"{where}[{place}]")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
