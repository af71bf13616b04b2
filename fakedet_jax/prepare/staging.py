# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Staged files: the finished part of an unfinished preparation, one file per input.

A staged file is an uncompressed zip archive with the rows as JSON and the crops as PNG.
Its name is a digest of everything that its content depends on, and it gets that name
when it is complete. A resumed run therefore reuses every staged file that is still
valid and extracts only the other inputs.
"""

import dataclasses
import functools
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.data.dataset import digest_of
from fakedet_jax.errors import RequestError
from fakedet_jax.faces.extraction import Outcome, Row
from fakedet_jax.runtime import records, storage

FORMAT = 4
FOLDER = ".staging"

# zlib's strategy for PNG: files are as small as at the highest level, written in a
# third of the time and decoded slightly faster.
_COMPRESS_TYPE = zlib.Z_RLE

_ROWS = "rows.json"


def path_for(folder: Path, name: str, version: str, settings: str) -> Path:
    """Path of the staged file of an input.

    Args:
        folder: Folder of all staged files.
        name: Path of the input, relative to the data folder.
        version: Version of the input, see `version_of`.
        settings: Digest of all settings that the crops depend on.
    """
    key = digest_of([name, version, settings])
    return folder / key[:2] / f"{key[2:]}.zip"


def version_of(root: Path, name: str) -> str:
    """Identifies the version of a file by its size and modification time.

    Args:
        root: The data folder.
        name: Path of the file, relative to the data folder.

    Returns:
        A short text; empty if the file's status cannot be read.
    """
    try:
        status = (root / name).stat()
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def write(
    path: Path, content: str, outcomes: Iterable[Outcome], compress: bool = False
) -> None:
    """Writes a staged file, atomically.

    Args:
        path: File to write; its folder is created.
        content: Identifies the content of the input.
        outcomes: Outcomes of the input, consumed one by one.
        compress: Whether crops are compressed, see `encode_png`.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with (
        storage.atomic_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for row, pixels in outcomes:
            if pixels is not None:
                # Without a modification time the bytes are always the same.
                entry = zipfile.ZipInfo(f"{len(rows)}.png")
                archive.writestr(entry, encode_png(pixels, compress))
            rows.append(row)
        table = {"content": content, "rows": [dataclasses.asdict(r) for r in rows]}
        archive.writestr(zipfile.ZipInfo(_ROWS), json.dumps(table))


def encode_png(pixels: np.ndarray, compress: bool = False) -> bytes:
    """Encodes a picture losslessly.

    Args:
        pixels: RGB picture, uint8 `[height, width, 3]`.
        compress: Whether to filter and deflate the pixels. The file becomes a third
            smaller and takes about six times as long to decode.

    Returns:
        The bytes of a PNG file.
    """
    if not compress:
        return _store_png(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_type=_COMPRESS_TYPE)
    return buffer.getvalue()


def _store_png(pixels: np.ndarray) -> bytes:
    """Encodes a picture without compression.

    Written here because Pillow always filters the rows. A filter helps compression
    only, and undoing it dominates the time to decode.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # Column 0: filter type none.
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # RGB of 8 bits.
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 0))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


@dataclasses.dataclass(frozen=True)
class _Table:
    content: str
    rows: list[Row]


class Staged:
    """A staged file, opened for reading; use it in a `with` statement.

    Attributes:
        content: Identifies the content of the input.
        rows: Rows sorted by frame, then by face; rows of the whole file come first.
    """

    def __init__(self, path: Path):
        """Opens the file.

        Args:
            path: File that `write` has written.

        Raises:
            RuntimeError: The file is damaged. It is deleted, so that a resumed run
                writes it again.
        """
        try:
            self._archive = zipfile.ZipFile(path)
            # Rows hold NaN where a number is unknown, which `records.parse` refuses.
            table = records.convert(
                json.loads(self._archive.read(_ROWS)),
                _Table,
                source=_ROWS,
                advice="it was written by another version",
            )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            path.unlink(missing_ok=True)
            raise RuntimeError(
                f"{str(path)!r}: expected a staged file, found a damaged one ({error}) "
                "and deleted it; run the same command again to go on"
            ) from error
        self.content, rows = table.content, table.rows
        self._order = sorted(
            range(len(rows)), key=lambda index: (rows[index].frame, rows[index].face)
        )
        self.rows = [rows[index] for index in self._order]

    def __enter__(self) -> "Staged":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; crops can no longer be read."""
        self._archive.close()

    def png(self, place: int) -> bytes:
        """PNG bytes of the crop of row number `place`."""
        return self._archive.read(self._entry(place))

    def png_info(self, place: int) -> zipfile.ZipInfo:
        """Size and checksum of the PNG of row number `place`, which is not read."""
        return self._archive.getinfo(self._entry(place))

    def _entry(self, place: int) -> str:
        return f"{self._order[place]}.png"


def sweep(folder: Path) -> None:
    """Deletes temporary files that killed runs have left in `folder`."""
    for path in folder.glob("*/.*.tmp"):
        path.unlink(missing_ok=True)


@functools.cache
def versions() -> dict[str, Any]:
    """Versions of the decoders and encoders and of the staged files' format."""
    try:
        import av

        video = av.__version__
    except ImportError:
        video = ""
    import PIL

    return {"format": FORMAT, "pillow": PIL.__version__, "av": video}


def disk_error(error: OSError, folder: Path) -> RequestError:
    """What to raise when `folder`, in which the output lies, cannot be written."""
    return RequestError(
        f"`output`: {str(folder)!r} cannot be written ({error.strerror or error}); "
        "finished work is kept, so make room there and run the same command again"
    )
