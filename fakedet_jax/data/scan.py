# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Searches folders for photographs and videos, and describes them in messages.

The rules are those of `media.files`: hidden names are ignored, links are followed, and
each folder is searched once.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fakedet_jax.errors import RequestError
from fakedet_jax.media.files import (
    MISSING,
    PICTURE_EXTENSIONS,
    find_pictures,
    list_folder,
)
from fakedet_jax.media.video import VIDEO_EXTENSIONS

PHOTO, VIDEO = "photo", "video"

_MAX_NAMES = 5
_ADVICE = "correct its permissions or check the disk"


def kind_of(path: Path) -> str | None:
    """The kind of a file by its name: `photo`, `video`, or None for other files."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_EXTENSIONS:
        return PHOTO
    return VIDEO if suffix in VIDEO_EXTENSIONS else None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder or a link to one; False without permission to look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def list_folders(folder: Path) -> list[Path]:
    """Lists the folders in a folder, sorted.

    Args:
        folder: The folder.

    Returns:
        Paths of the folders.

    Raises:
        RequestError: The folder cannot be read.
    """
    return [path for path in _entries(folder) if path.is_dir()]


def list_files(folder: Path, kind: str) -> list[Path]:
    """Lists the files directly in a folder, sorted.

    Args:
        folder: The folder.
        kind: `photo` or `video`; other files are ignored.

    Returns:
        Paths of the files.

    Raises:
        RequestError: The folder cannot be read.
    """
    paths = [path for path in _entries(folder) if kind_of(path) == kind]
    return [path for path in paths if not path.is_dir()]


def find_files(top: Path) -> list[Path]:
    """Finds the photographs and videos in a folder at any depth, sorted by folder.

    Args:
        top: The folder to search.

    Returns:
        Paths of the files.

    Raises:
        RequestError: A folder cannot be read.
    """
    paths = []
    for found in find_pictures([top], PICTURE_EXTENSIONS | VIDEO_EXTENSIONS):
        if found.error is not None:
            raise RequestError(
                f"`data_dir`: {str(found.path)!r} {found.error}; {_ADVICE}"
            )
        paths.append(found.path)
    return paths


def relative(path: Path, root: Path) -> str:
    """The path of an item: relative to the data folder, with forward slashes."""
    return path.relative_to(root).as_posix()


def listed_path(text: str, where: str) -> str:
    """Checks a path from a list, which must not lead out of the data folder.

    Args:
        text: The path as written in the list.
        where: File and line, for the message.

    Returns:
        The path, normalised.

    Raises:
        RequestError: The path is empty or absolute, or contains `..`.
    """
    path = PurePosixPath(text)
    if not text or "\0" in text or path.is_absolute() or ".." in path.parts:
        raise RequestError(
            f"{where}: expected a path inside the data folder, without '..', found "
            f"{text!r}; correct the list"
        )
    return str(path)


def describe(folder: Path) -> str:
    """Describes a folder by its first few names, or says why it has none."""
    try:
        if not folder.is_dir():
            return "a file of that name" if folder.exists() else "no such folder"
        entries = list_folder(folder)
    except OSError as error:
        return f"that it cannot be read ({error.strerror or error})"
    return some([entry.name for entry in entries]) if entries else "nothing"


def some(names: Sequence[str]) -> str:
    """Describes a list of names by its first few.

    >>> some(["a", "b"])
    "'a', 'b'"
    >>> some(list("abcdefgh"))
    "'a', 'b', 'c', 'd', 'e' and 3 more"
    """
    text = ", ".join(map(repr, names[:_MAX_NAMES]))
    rest = len(names) - _MAX_NAMES
    return f"{text} and {rest:,} more" if rest > 0 else text


def note(what: str, names: Sequence[str]) -> list[str]:
    """A list with one note about some files, or without any if there are none.

    >>> note("left out, videos", ["a.mp4", "b.mp4"])
    ["left out, videos (2): 'a.mp4', 'b.mp4'"]
    """
    return [f"{what} ({len(names):,}): {some(names)}"] if names else []


def _entries(folder: Path) -> list[Path]:
    try:
        return list_folder(folder)
    except FileNotFoundError as error:
        raise RequestError(f"`data_dir`: {str(folder)!r} {MISSING}") from error
    except NotADirectoryError as error:
        raise RequestError(
            f"`data_dir`: expected a folder, found a file, {str(folder)!r}; check the "
            "path"
        ) from error
    except OSError as error:
        raise RequestError(
            f"`data_dir`: expected a folder that can be read, found {str(folder)!r} "
            f"({error.strerror or error}); {_ADVICE}"
        ) from error
