# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is finished of a preparation that is under way: one file per input.

Such a file is a zip archive, not compressed, with the rows as JSON and the crops as
PNG. It takes its name, a digest of all that the content depends on, once it is whole.
So whoever goes on later takes what is there, and what has changed is done again.
"""

import dataclasses
import functools
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.data.dataset import digest_of
from fakedet_jax.faces.extraction import LEFT_OUT, Outcome, Row
from fakedet_jax.runtime import records, storage

FORMAT = 4
FOLDER = ".staging"

# The strategy of zlib that is meant for PNG: photographs get as small as at the highest
# level, in a third of the time, and are decoded a little faster.
_COMPRESS_TYPE = zlib.Z_RLE

_ROWS = "rows.json"


def path_for(folder: Path, name: str, version: str, settings: str) -> Path:
    """The staged file of an input.

    Args:
        folder: Of all staged files.
        name: Path of the input in the data folder.
        version: Of the input, as `version_of` tells it.
        settings: Digest of all settings that matter.
    """
    key = digest_of([name, version, settings])
    return folder / key[:2] / f"{key[2:]}.zip"


def version_of(root: Path, name: str) -> str:
    """Tells versions of a file apart; empty where it cannot be asked.

    Args:
        root: The data folder.
        name: Path of the file in it.
    """
    try:
        status = (root / name).stat()
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def write(
    path: Path, content: str, outcomes: Iterable[Outcome], compress: bool = False
) -> None:
    """Writes a staged file, whole or not at all.

    Args:
        path: The file; its folder is made.
        content: Tells the content of the input apart from others.
        outcomes: Consumed one by one.
        compress: See `encode_png`.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with (
        storage.atomic_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for row, pixels in outcomes:
            if pixels is not None:
                # An entry without a time of its own: the same bytes at any time.
                entry = zipfile.ZipInfo(f"{len(rows)}.png")
                archive.writestr(entry, encode_png(pixels, compress))
            rows.append(row)
        table = {"content": content, "rows": [dataclasses.asdict(r) for r in rows]}
        archive.writestr(zipfile.ZipInfo(_ROWS), json.dumps(table))


def write_failure(path: Path, name: str, reason: str) -> None:
    """Writes the staged file of an input that could not be worked on at all."""
    write(path, name, [(Row(LEFT_OUT, reason), None)])


def encode_png(pixels: np.ndarray, compress: bool = False) -> bytes:
    """Encodes a picture without loss.

    Args:
        pixels: uint8 RGB `[height, width, 3]`.
        compress: Whether it is filtered and deflated. A photograph gets a third
            smaller and takes some six times as long to decode.

    Returns:
        The bytes of a PNG file.
    """
    if not compress:
        return _store_png(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_type=_COMPRESS_TYPE)
    return buffer.getvalue()


def _store_png(pixels: np.ndarray) -> bytes:
    """Encodes a picture as its bytes are.

    Pillow would filter the rows, which takes long to undo and serves deflating alone.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # In front: filter none.
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
        content: See `write`.
        rows: In the order of frames, then of faces; rows of the whole file come first.
    """

    def __init__(self, path: Path):
        """Opens the file.

        Raises:
            RuntimeError: It is damaged; it is taken away, to be made again.
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
                f"{str(path)!r}: the disk has damaged this file, so it was taken away "
                f"({error}); run the same command again to go on"
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
        """The crop of a row, encoded."""
        return self._archive.read(self._entry(place))

    def png_size(self, place: int) -> int:
        """Bytes of the encoded crop of a row."""
        return self._archive.getinfo(self._entry(place)).file_size

    def png_checksum(self, place: int) -> int:
        """CRC-32 of the encoded crop of a row, which need not be read for that."""
        return self._archive.getinfo(self._entry(place)).CRC

    def _entry(self, place: int) -> str:
        return f"{self._order[place]}.png"


def sweep(folder: Path) -> None:
    """Takes away what was half written when an earlier run was killed."""
    for path in folder.glob("*/.*.tmp"):
        path.unlink(missing_ok=True)


@functools.cache
def versions() -> dict[str, Any]:
    """Versions of what decodes and encodes, and of the format of staged files."""
    try:
        import av

        video = av.__version__
    except ImportError:
        video = ""
    import PIL

    return {
        "format": FORMAT,
        "pillow": PIL.__version__,
        "av": video,
    }


def disk_error(error: OSError, folder: Path) -> str:
    """Words in one line why nothing can be written, and what to do."""
    return (
        f"`output`: {os.fspath(folder)!r} cannot be written "
        f"({error.strerror or error}); what is finished is kept, so make room there "
        "and run the same command again"
    )
