# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads pickles of arrays and both file formats of PyTorch, without PyTorch.

PyTorch would be a large dependency, and Python's own unpickler runs code that a file
names; `unpickling` reads the same data and runs nothing. The formats are:

- A pickle of `{name: array}`, in which VGGFace2's networks are distributed.
- The stream of PyTorch before 1.6: pickles of a magic number, a protocol version, facts
  about the machine, the object and the list of its storages; then, for each storage,
  its size as int64 and its numbers, all little-endian.
- The zip archive of PyTorch since 1.6: the object in `data.pkl`, its storages in
  `data/KEY`, and their byte order in `byteorder`.
- The archive of TorchScript: the same, with code, which is not read, and
  `constants.pkl`, the tensors of which have no names.

`checkpoints` tells which of the arrays are weights.
"""

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fakedet_jax.weights import checkpoints, unpickling
from fakedet_jax.weights.pickle_values import Array, Storage, Tensor
from fakedet_jax.weights.tensors import (
    Contents,
    UnreadableError,
    check_growth,
    check_total,
    listed,
    torch_contents,
    view,
)

STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_PROTOCOL = 1001

# Maps a storage to all of its numbers.
_Fetch = Callable[[Storage], np.ndarray]


def read_pickle(path: Path, container: str | None = None) -> Contents:
    """Reads a pickle of arrays.

    Args:
        path: The file.
        container: See `checkpoints.select`.

    Raises:
        UnreadableError: The file is damaged or holds something else.
    """
    with _memory_mapped(path) as stream:
        return _contents(unpickling.load(stream), _no_storage, container)


def is_stream(head: bytes) -> bool:
    """Whether a file that starts with `head` is in PyTorch's older format."""
    magic = STREAM_MAGIC.to_bytes(10, "little")
    return head[:1] == b"\x80" and magic in head[:32]


def read_stream(path: Path, container: str | None = None) -> Contents:
    """Reads PyTorch's older format.

    Args:
        path: The file.
        container: See `checkpoints.select`.

    Raises:
        UnreadableError: The file is damaged.
    """
    with _memory_mapped(path) as stream:
        if unpickling.load(stream) != STREAM_MAGIC:
            raise UnreadableError("is a damaged PyTorch stream")
        version = unpickling.load(stream)
        if version != _STREAM_PROTOCOL:
            raise UnreadableError("is a PyTorch stream of an unknown version")
        unpickling.load(stream)  # Facts about the machine that wrote the file.
        value = unpickling.load(stream)
        keys = unpickling.load(stream)
        if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
            raise UnreadableError(
                "is a damaged PyTorch stream: its storages lack names"
            )
        used = {
            tensor.storage.key: tensor.storage
            for _, tensor in checkpoints.leaves(value)
            if isinstance(tensor, Tensor)
        }
        unknown = [key for key in keys if key not in used]
        storages = {}
        for key in keys:
            if key not in used:
                # Its size in bytes is unknown, so what follows cannot be located.
                break
            storage = used[key]
            size = struct.unpack("<q", _read_exactly(stream, 8))[0]
            if size != storage.size:
                raise UnreadableError("is a damaged PyTorch stream: sizes differ")
            raw = _read_exactly(stream, size * storage.dtype.itemsize)
            storages[key] = view(raw, storage.dtype, (size,))
        missing = set(used).difference(storages)
        if missing:
            reason = "holds storages of no tensor" if unknown else "is truncated"
            raise UnreadableError(
                f"{reason}: the numbers of {len(missing)} storages cannot be found"
            )

    def fetch(storage: Storage) -> np.ndarray:
        if storage != used[storage.key]:
            raise UnreadableError("is a damaged PyTorch stream: storages differ")
        return storages[storage.key]

    return _contents(value, fetch, container)


def read_zip(path: Path, container: str | None = None) -> Contents:
    """Reads PyTorch's zip archive.

    Args:
        path: The file.
        container: See `checkpoints.select`.

    Raises:
        UnreadableError: The archive is damaged or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path.stat().st_size, container)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        OverflowError,
        RuntimeError,
        struct.error,
        UnicodeDecodeError,
    ) as error:
        raise UnreadableError(
            f"is a damaged or truncated zip archive ({str(error)[:80]})"
        ) from error


def _read_archive(
    archive: zipfile.ZipFile, num_bytes: int, container: str | None
) -> Contents:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise UnreadableError("is a zip archive with two entries of one name")
    check_growth(sum(entry.file_size for entry in entries.values()), num_bytes)
    for entry in entries.values():
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableError("is a zip archive with an unknown compression")
    pickles = [name for name in entries if name.split("/")[1:] == ["data.pkl"]]
    if any(name.split("/")[-1] == "archive_format" for name in entries):
        raise UnreadableError(
            "is an exported program (torch.export); save the state_dict of its module"
        )
    if len(pickles) != 1:
        raise UnreadableError(
            "is a zip archive without data.pkl; expected a file that torch.save wrote"
        )
    folder = pickles[0].removesuffix("data.pkl")

    def content(name: str) -> bytes:
        if folder + name not in entries:
            raise UnreadableError(f"is a PyTorch archive without {name[:80]}")
        return archive.read(entries[folder + name])

    order = content("byteorder") if f"{folder}byteorder" in entries else b"little"
    if order not in (b"little", b"big"):
        raise UnreadableError("is a PyTorch archive of an unknown byte order")

    def reader(part: str) -> _Fetch:
        storages: dict[str, tuple[Storage, np.ndarray]] = {}

        def fetch(storage: Storage) -> np.ndarray:
            if storage.key not in storages:
                raw = content(f"{part}/{storage.key}")
                numbers = view(
                    raw, storage.dtype, (storage.size,), big_endian=order == b"big"
                )
                storages[storage.key] = storage, numbers
            known, numbers = storages[storage.key]
            if storage != known:
                raise UnreadableError("is a damaged PyTorch archive: storages differ")
            return numbers

        return fetch

    value = unpickling.load(io.BytesIO(content("data.pkl")))
    constants: list[str] = []
    if f"{folder}constants.pkl" in entries:
        held = unpickling.load(io.BytesIO(content("constants.pkl")))
        constants = [
            f"c{keys[0]} ({' × '.join(map(str, tensor.shape)) or 'a number'})"
            for keys, tensor in checkpoints.leaves(held)
            if isinstance(tensor, Tensor)
        ]
        if constants and not any(
            isinstance(leaf, Tensor) for _, leaf in checkpoints.leaves(value)
        ):
            raise UnreadableError(
                f"is a frozen TorchScript archive: its {len(constants)} tensors are "
                f"constants of its code and have no names ({listed(constants)}); save "
                "the module before torch.jit.freeze"
            )
    contents = _contents(value, reader("data"), container)
    if constants:
        note = f"passed over constants of the code: {listed(constants)}"
        return Contents(contents.tensors, (*contents.notes, note))
    return contents


def _contents(value: Any, fetch: _Fetch, container: str | None) -> Contents:
    """Names and reads the weights of a nested value."""
    found, notes = checkpoints.select(value, container)
    tensors = {name: _array(leaf, fetch) for name, leaf in found.items()}
    check_total(sum(array.nbytes for array in tensors.values()))
    return torch_contents(tensors, notes)


def _array(leaf: Tensor | Array, fetch: _Fetch) -> np.ndarray:
    if isinstance(leaf, Array):
        if leaf.value is None:
            raise UnreadableError("is damaged: it holds an array without numbers")
        return leaf.value
    numbers = fetch(leaf.storage)
    if leaf.dtype != leaf.storage.dtype:
        numbers = numbers.view(leaf.dtype)
    if leaf.conjugate:
        numbers = np.conjugate(numbers)
    if leaf.negative:
        numbers = np.negative(numbers)
    try:
        return np.ndarray(
            leaf.shape,
            numbers.dtype,
            buffer=numbers,
            offset=leaf.offset * numbers.itemsize,
            strides=tuple(stride * numbers.itemsize for stride in leaf.strides),
        )
    except (TypeError, ValueError) as error:
        raise UnreadableError("holds a tensor that exceeds its storage") from error


def _no_storage(storage: Storage) -> np.ndarray:
    raise UnreadableError(f"is damaged: it lacks the storage {storage.key[:80]!r}")


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    raw = stream.read(size)
    if len(raw) != size:
        raise UnreadableError("is truncated: the numbers of its tensors are missing")
    return raw


def _memory_mapped(path: Path) -> Any:
    """The file as a stream that never allocates more than the file holds."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
