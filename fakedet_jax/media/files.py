# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds pictures and videos in files and folders, and checks that they are files."""

import dataclasses
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from fakedet_jax.errors import ImageError

# Formats that cannot be decoded are listed too, so that their files are skipped with a
# reason and not silently ignored.
PICTURE_EXTENSIONS = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff"),
        *(".bmp", ".dib", ".gif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heics", ".heif", ".hif"),
        *(".avif", ".avifs", ".jxl", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw"),
        *(".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw", ".x3f"),
        *(".3fr", ".iiq", ".mrw"),
    ]
)

# What to say of a path that a request names and that is not there.
MISSING = "does not exist; check the path"
# What to say of one in a bucket or of the web.
ADDRESS = (
    "is an address, of which files are not read; mount what it names, or copy it here"
)


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """A file that was found, or a folder that could not be read.

    Attributes:
        path: The path; it has not been checked and may be no regular file.
        error: Why the folder could not be read; `None` for a file.
    """

    path: Path
    error: str | None = None


def find_pictures(
    paths: Iterable[str | Path], extensions: Collection[str] = PICTURE_EXTENSIONS
) -> Iterator[FoundFile]:
    """Finds pictures, folder by folder, in alphabetical order.

    A path that is no folder is always yielded, whether it exists or not. A folder is
    searched recursively for files with one of `extensions`; hidden files and folders
    are ignored. Links are followed. Each folder below one of `paths` is searched once,
    so loops of links end.

    Args:
        paths: Files and folders.
        extensions: Extensions to find, in lower case, with the dot; the extensions of
            files are compared without regard to case.

    Yields:
        One entry per file, and one with an error per folder that cannot be read.
    """
    for path in map(Path, paths):
        if path.is_dir():
            yield from _walk(path, extensions)
        else:
            yield FoundFile(path)


def list_folder(folder: Path) -> list[Path]:
    """Lists the entries of a folder that are not hidden.

    Args:
        folder: The folder.

    Returns:
        Paths, sorted by the bytes of their names.

    Raises:
        OSError: The folder cannot be read.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def is_address(path: str | Path) -> bool:
    """Whether a path looks like an address, such as `gs://bucket/photo.jpg`."""
    return re.match(r"[a-z][a-z0-9+.-]+:/", str(path)) is not None


def check_regular(path: Path, noun: str) -> int:
    """Checks that a path is a regular file, without opening it.

    Opening a pipe would wait for a writer for ever.

    Args:
        path: The file; links are followed.
        noun: What the file should be, such as `picture`, for the message.

    Returns:
        Its size in bytes.

    Raises:
        ImageError: The path is no regular file, or its status cannot be read.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise ImageError("is a link to a file that does not exist") from None
        if is_address(path):
            raise ImageError(ADDRESS) from None
        raise ImageError("does not exist") from None
    except (OSError, ValueError) as error:  # A null character is a `ValueError`.
        raise unreadable(error) from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"is a folder, not a {noun}")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("is not a regular file (a pipe, socket or device)")
    return status.st_size


def unreadable(error: OSError | ValueError) -> ImageError:
    """What to raise for a file that the file system cannot read."""
    return ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _walk(top: Path, extensions: Collection[str]) -> Iterator[FoundFile]:
    searched: set[tuple[int, int]] = set()
    pending = [top]  # No recursion: trees may be deeper than its limit.
    while pending:
        path = pending.pop()
        try:
            if not path.is_dir():  # Fails where its folder may not be entered.
                if path.suffix.lower() in extensions:
                    yield FoundFile(path)
                continue
            status = path.stat()
            identity = (status.st_dev, status.st_ino)
            if identity not in searched:
                searched.add(identity)
                pending.extend(reversed(list_folder(path)))
        except OSError as error:
            yield FoundFile(
                path, f"is a folder that cannot be read: {error.strerror or error}"
            )
