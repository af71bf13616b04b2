# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes result files atomically: JSON, CSV, text and bytes.

A file name may contain bytes that are not UTF-8, which Python represents as lone
surrogates. They are written as backslash escapes, so every file is valid UTF-8.
"""

import contextlib
import csv
import io
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fakedet_jax.errors import RequestError


@contextlib.contextmanager
def writing_to(path: Path, field: str, kind: str = "folder") -> Iterator[None]:
    """Turns the failure to write a result into the fault of who named its place.

    Args:
        path: The file or folder.
        field: The setting that named it.
        kind: What it is, for the message: "folder" or "file".

    Raises:
        RequestError: What is done in the `with` block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        raise RequestError(
            f"`{field}`: {str(path)!r} cannot be written ({error.strerror or error}); "
            f"name another {kind}"
        ) from error


def make_folder(path: Path, field: str) -> None:
    """Makes a folder for results if it is missing.

    Args:
        path: The folder.
        field: The setting that named it.

    Raises:
        RequestError: It cannot be made.
    """
    with writing_to(path, field):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file that appears under its name only when it is complete.

    It is written under a temporary name in the same folder and then renamed, so a
    reader sees the old file or the new one, and a failure leaves the old one.

    Args:
        path: The file; its folder exists.

    Yields:
        A binary file to write to.
    """
    # Processes of several machines may write the same file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Writes bytes, atomically."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes text as valid UTF-8, atomically."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes strict JSON, atomically.

    Args:
        path: The file; its folder exists.
        value: JSON object.

    Raises:
        ValueError: It contains NaN or infinity, which JSON does not have.
    """
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Writes a CSV table by RFC 4180 (CRLF, quotes where needed), atomically.

    Floats are written with enough digits to read back the same float64.

    Args:
        path: The file; its folder exists.
        header: Names of the columns.
        rows: Cells of each row; read one by one, so a table may exceed the memory.
    """
    with atomic_file(path) as file:
        text = io.TextIOWrapper(
            file, encoding="utf-8", errors="backslashreplace", newline=""
        )
        table = csv.writer(text, lineterminator="\r\n")
        table.writerow(header)
        table.writerows(rows)
        text.flush()
        text.detach()


def user_cache_dir() -> Path:
    """The toolkit's folder in the user's cache, which may not exist yet."""
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(cache) if cache else Path.home() / ".cache"
    return base / "fakedet_jax"


def json_number(value: float) -> float | None:
    """Converts a number for JSON: NaN and infinity become None."""
    number = float(value)
    return number if math.isfinite(number) else None
