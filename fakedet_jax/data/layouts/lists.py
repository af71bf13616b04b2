# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the lists that come with datasets: lines of words, and large JSON files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from fakedet_jax.errors import RequestError

_WHITESPACE = re.compile(r"[ \t\n\r]*")
_BLOCK = 2**20  # Characters.
_MAX_ENTRY = 2**26  # Longer entries mean that the file is damaged.


def read_lines(path: Path, num_words: int) -> Iterator[tuple[int, list[str]]]:
    """Reads a list with a fixed number of words per line.

    Args:
        path: The file. Bytes that are not UTF-8 become surrogate escapes, as in file
            names.
        num_words: Words per line; the last one may contain spaces. Blank lines are
            ignored.

    Yields:
        The number of the line, from 1, and its words.

    Raises:
        RequestError: The file cannot be read, or a line has fewer words.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                words = line.split(maxsplit=num_words - 1)
                if not words:
                    continue
                if len(words) != num_words:
                    raise RequestError(
                        f"{str(path)!r}, line {number}: expected {num_words} words, "
                        f"found {line.strip()[:80]!r}; fetch the list again"
                    )
                words[-1] = words[-1].rstrip()
                yield number, words
    except OSError as error:
        raise _unreadable(path, error) from error


def read_json(path: Path) -> Any:
    """Reads a whole JSON file.

    Raises:
        RequestError: The file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise wrong_content(path, "JSON in UTF-8", str(error)) from error


def read_entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Reads the entries of a JSON object one at a time.

    Some lists describe a million faces and do not fit into memory as a whole.

    Args:
        path: A file in UTF-8 that contains one object.

    Yields:
        Each key with its value, in the order of the file.

    Raises:
        RequestError: The file cannot be read or is not a JSON object.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Entries(file)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, RequestError):
            raise
        raise wrong_content(path, "a JSON object", str(error)) from error


def wrong_content(path: Path, expected: str, found: str) -> RequestError:
    """The error for a file of a dataset with unexpected content.

    Args:
        path: The file.
        expected: The expected content, in words.
        found: The content; only its beginning is shown.
    """
    return RequestError(
        f"{str(path)!r}: expected {expected}, found {found[:80]!r}; fetch the file "
        "again"
    )


class _Entries:
    """Iterates over the entries of a JSON object in a file that is read in blocks."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._at_end = False

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        if self._peek() == "}":
            self._expect("}")
        else:
            while True:
                yield self._entry()
                if self._expect(",}") == "}":
                    break
        if self._peek():
            raise ValueError("there is text after the object")

    def _entry(self) -> tuple[str, Any]:
        while True:
            try:
                key, at = self._decode(self._text, self._skip(self._at))
                if not isinstance(key, str):
                    raise ValueError(f"{str(key)[:40]!r} is not a key")
                at = self._skip(at)
                if self._text[at : at + 1] != ":":
                    raise ValueError(f"no colon after the key {key[:40]!r}")
                value, at = self._decode(self._text, self._skip(at + 1))
                # At the end of a block a number may be incomplete.
                end = self._skip(at)
                if self._text[end : end + 1] in (",", "}") or self._is_last():
                    self._at = at
                    return key, value
            except ValueError:
                if self._is_last():
                    raise
            self._read()

    def _expect(self, characters: str) -> str:
        found = self._peek()
        if not found or found not in characters:
            raise ValueError(f"{found or 'the end'!r} instead of {characters!r}")
        self._at += 1
        return found

    def _peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            self._at = self._skip(self._at)
            if self._at < len(self._text) or self._at_end:
                return self._text[self._at : self._at + 1]
            self._read()

    def _is_last(self) -> bool:
        """Whether reading another block would not help."""
        return self._at_end or len(self._text) - self._at > _MAX_ENTRY

    def _skip(self, at: int) -> int:
        match = _WHITESPACE.match(self._text, at)
        return match.end() if match else at

    def _read(self) -> None:
        block = self._file.read(_BLOCK)
        self._at_end = not block
        self._text = self._text[self._at :] + block
        self._at = 0


def _unreadable(path: Path, error: OSError) -> RequestError:
    return RequestError(
        f"{str(path)!r} cannot be read ({error.strerror or error}); fetch the file "
        "again or correct its permissions"
    )
