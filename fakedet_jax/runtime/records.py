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

import dataclasses
import json
import math
import os
import re
import reprlib
from collections.abc import Iterator, Mapping
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
    max_bytes: int = MAX_BYTES,
    forbid_unknown: bool = False,
) -> _T:
    """Reads a JSON file.

    Args:
        path: The file, in UTF-8.
        kind: The type of the value.
        advice: What to do about a file that cannot be used.
        field: The setting that names the file, if any; it stands first in messages.
        if_missing: What to do if there is no such file, if that is not `advice`.
        max_bytes: Size of the largest file that is read.
        forbid_unknown: Whether objects that become dataclasses have no other fields.

    Returns:
        The value.

    Raises:
        RequestError: The file is missing, cannot be read, or holds something else.
    """
    source = f"`{field}`: {str(path)!r}" if field else repr(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RequestError(f"{source} is missing; {if_missing or advice}") from error
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(f"{source} cannot be read ({reason}); {advice}") from error
    if len(content) > max_bytes:
        raise RequestError(
            f"{source}: expected at most {max_bytes} bytes, found a larger file; "
            f"{advice}"
        )
    return parse(
        content, kind, source=source, advice=advice, forbid_unknown=forbid_unknown
    )


def parse(
    content: str | bytes,
    kind: type[_T],
    *,
    source: str,
    advice: str,
    forbid_unknown: bool = False,
) -> _T:
    """Reads JSON in memory.

    Args:
        content: The JSON.
        kind: See `read`.
        source: Where it is from; it stands first in messages.
        advice: See `read`.
        forbid_unknown: See `read`.

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
    return convert(
        value, kind, source=source, advice=advice, forbid_unknown=forbid_unknown
    )


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
        kind: See `read`.
        source: Where it is from; it stands first in messages.
        advice: See `read`.
        forbid_unknown: See `read`.

    Returns:
        The value with that type: dataclasses, paths and tuples in place of objects,
        texts and lists.

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
    unknown = next(_unknown_fields(value, result), None) if forbid_unknown else None
    if unknown:
        raise RequestError(f"{source}: {unknown}; {advice}")
    return result


def as_json(value: Any) -> Any:
    """Turns dataclasses, paths and tuples into what `read` finds in a JSON file.

    >>> as_json({"path": Path("a"), "sizes": (1, 2)})
    {'path': 'a', 'sizes': [1, 2]}
    """
    return json.loads(json.dumps(msgspec.to_builtins(value, enc_hook=os.fspath)))


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
        keys = [key for key, _ in pairs]
        twice = next(key for key in result if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice in one object")
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
        raise ValueError(f"expected a path, found {shown(value)}")
    return Path(value)


def _explain(error: str, value: Any) -> str:
    """Puts what msgspec says of a value into our words: place, expected, found."""
    text, _, place = error.partition(" - at `$")
    where = place.rstrip("`").lstrip(".")
    if match := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{_join(where, match[1])}: expected a value, found none"
    if match := re.fullmatch(r"Expected (.*?)(?:, got (.*))?", text):
        expected = re.sub(r"`([\w |]+)`", _in_words, match[1])
        found = _found(value, place) or re.sub(r"`(\w+)`", _in_words, match[2] or "")
        text = f"expected {expected}, found {found or 'another one'}"
    elif re.match(r"[\w.\[\]]+: ", text):  # `__post_init__` names a field.
        return _join(where, text)
    return f"{where}: {text}" if where else text


def _in_words(match: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(name, name) for name in match[1].split(" | "))


def _found(value: Any, place: str) -> str:
    """Shows the value at a place such as `.tests[0].name`; empty if it has no path."""
    for name, number in re.findall(r"\.(\w+)|\[([\d.]+)\]", place):
        if number == "...":  # Some value of an object with arbitrary keys.
            return ""
        value = value[name or int(number)]
    return shown(value)


def _unknown_fields(value: Any, result: Any, where: str = "") -> Iterator[str]:
    """Tells of fields of objects that the dataclasses made of them do not have."""
    if dataclasses.is_dataclass(result):
        names = [field.name for field in dataclasses.fields(result)]
        for name in value:
            if name in names:
                at = _join(where, name)
                yield from _unknown_fields(value[name], getattr(result, name), at)
            else:
                expected = f"expected only {', '.join(names)}, found {shown(name)}"
                yield f"{where}: {expected}" if where else expected
    elif isinstance(result, Mapping):
        for name in result:
            yield from _unknown_fields(value[name], result[name], _join(where, name))
    elif isinstance(result, list | tuple):
        for place, part in enumerate(result):
            yield from _unknown_fields(value[place], part, f"{where}[{place}]")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
