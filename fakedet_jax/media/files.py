# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the pictures, and videos, under files and folders that a user names."""

import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

# Formats that cannot be decoded stand here too, so that a photograph in one of them
# is reported with a reason instead of being passed over in silence.
PICTURE_EXTENSIONS = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff"),
        *(".bmp", ".dib", ".gif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif", ".jxl"),
    ]
)


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """A path to look at, or a folder that could not be searched.

    Attributes:
        path: The file; not checked, it may be a dangling link or no regular file.
        error: Why a folder could not be searched, else `None`.
    """

    path: Path
    error: str | None = None


def find_pictures(
    paths: Iterable[str | Path], extensions: Collection[str] = PICTURE_EXTENSIONS
) -> Iterator[FoundFile]:
    """Finds pictures, folder by folder, in alphabetical order.

    A file that is named itself is always taken, whether it exists or not. In folders
    the files with `extensions` are taken, in any case of letters, at any depth; hidden
    files and folders are passed over. Links are followed, and under one of `paths` each
    folder is searched once, so that loops of links end.

    Args:
        paths: Files and folders.
        extensions: Of the files to take, in small letters and with their dots.

    Yields:
        One entry per file, and one with an error per folder that cannot be read.
    """
    for path in map(Path, paths):
        if path.is_dir():
            yield from _walk(path, extensions)
        else:
            yield FoundFile(path)


def list_folder(folder: Path) -> list[Path]:
    """Lists what is in a folder and not hidden, in alphabetical order.

    Args:
        folder: The folder.

    Returns:
        Paths, sorted by the bytes of their names.

    Raises:
        OSError: The folder cannot be read.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _walk(top: Path, extensions: Collection[str]) -> Iterator[FoundFile]:
    searched: set[tuple[int, int]] = set()
    pending = [top]  # A stack: trees deeper than the recursion limit are walked too.
    while pending:
        path = pending.pop()
        if not path.is_dir():
            if path.suffix.lower() in extensions:
                yield FoundFile(path)
            continue
        try:
            status = path.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in searched:
                continue
            searched.add(identity)
            entries = list_folder(path)
        except OSError as error:
            yield FoundFile(
                path, f"is a folder that cannot be read: {error.strerror or error}"
            )
            continue
        pending.extend(reversed(entries))
