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

The arrays of a checkpoint are in containers such as `{"epoch": …, "state_dict": {…}}`.
Arrays are found at any depth; the path that all have in common is not part of their
names, and the state of an optimizer is left out.
"""

import io
import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fakedet_jax.weights import unpickling
from fakedet_jax.weights.tensors import (
    Contents,
    UnreadableError,
    check_growth,
    check_total,
    collect,
    torch_contents,
    view,
)

STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_PROTOCOL = 1001
# Containers of a checkpoint that hold arrays other than weights.
_NOT_WEIGHTS = re.compile("(optim|(lr_)?scheduler|scaler|amp)(izer)?(_state)?(_dict)?")
_MAX_DEPTH = 32
_MAX_VALUES = 1_000_000

# Maps a storage to all of its numbers.
_Fetch = Callable[[unpickling.Storage], np.ndarray]


def read_pickle(path: Path) -> Contents:
    """Reads a pickle of arrays.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or holds something else.
    """
    with _memory_mapped(path) as stream:
        return _contents(unpickling.load(stream), _no_storage)


def is_stream(head: bytes) -> bool:
    """Whether a file that starts with `head` is in PyTorch's older format."""
    magic = STREAM_MAGIC.to_bytes(10, "little")
    return head[:1] == b"\x80" and magic in head[:32]


def read_stream(path: Path) -> Contents:
    """Reads PyTorch's older format.

    Args:
        path: The file.

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
            for _, tensor in _leaves(value)
            if isinstance(tensor, unpickling.Tensor)
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

    def fetch(storage: unpickling.Storage) -> np.ndarray:
        if storage != used[storage.key]:
            raise UnreadableError("is a damaged PyTorch stream: storages differ")
        return storages[storage.key]

    return _contents(value, fetch)


def read_zip(path: Path) -> Contents:
    """Reads PyTorch's zip archive.

    Args:
        path: The file.

    Raises:
        UnreadableError: The archive is damaged or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path.stat().st_size)
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


def _read_archive(archive: zipfile.ZipFile, num_bytes: int) -> Contents:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise UnreadableError("is a zip archive with two entries of one name")
    check_growth(sum(entry.file_size for entry in entries.values()), num_bytes)
    for entry in entries.values():
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableError("is a zip archive with an unknown compression")
    pickles = [name for name in entries if name.split("/")[1:] == ["data.pkl"]]
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
    storages: dict[str, tuple[unpickling.Storage, np.ndarray]] = {}

    def fetch(storage: unpickling.Storage) -> np.ndarray:
        if storage.key not in storages:
            raw = content(f"data/{storage.key}")
            numbers = view(
                raw, storage.dtype, (storage.size,), big_endian=order == b"big"
            )
            storages[storage.key] = storage, numbers
        known, numbers = storages[storage.key]
        if storage != known:
            raise UnreadableError("is a damaged PyTorch archive: storages differ")
        return numbers

    return _contents(unpickling.load(io.BytesIO(content("data.pkl"))), fetch)


def _contents(value: Any, fetch: _Fetch) -> Contents:
    """Names and reads the arrays of a nested value."""
    found = {}
    left_out: dict[str, int] = {}
    for keys, leaf in _leaves(value):
        container = next(
            (key for key in keys[:-1] if _NOT_WEIGHTS.fullmatch(key)), None
        )
        if container is not None:
            left_out[container] = left_out.get(container, 0) + 1
        else:
            found[keys] = leaf
    if not found:
        raise UnreadableError("holds no arrays")
    common = _common_container(list(found))
    tensors = collect(
        (".".join(keys[len(common) :]), _array(leaf, fetch))
        for keys, leaf in found.items()
    )
    check_total(sum(array.nbytes for array in tensors.values()))
    notes = [
        f"left out {number} arrays of {container!r}"
        for container, number in left_out.items()
    ]
    if common:
        notes.append(f"arrays taken from {'.'.join(common)!r}")
    return torch_contents(tensors, notes)


def _leaves(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Finds arrays and tensors in nested containers, with the keys that lead there."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), value)]
    visited = 0
    while pending:
        keys, node = pending.pop()
        visited += 1
        if isinstance(node, unpickling.Tensor | unpickling.Array):
            yield keys or ("",), node
            continue
        if isinstance(node, dict):
            items = [(_text(key), item) for key, item in node.items()]
        elif isinstance(node, list | tuple):
            items = [(str(i), item) for i, item in enumerate(node)]
        else:
            continue
        # Pickles can hold containers that contain themselves, or one many times.
        if len(keys) >= _MAX_DEPTH or visited + len(pending) > _MAX_VALUES:
            raise UnreadableError("holds too many or too deeply nested containers")
        # Reversed, because the last one is visited first: this keeps the file's order.
        pending.extend(((*keys, key), item) for key, item in reversed(items))


def _text(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _common_container(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The keys that all paths share, apart from their last key."""
    first = paths[0][:-1]
    length = len(first)
    for path in paths:
        while path[:-1][:length] != first[:length]:
            length -= 1
    return first[:length]


def _array(leaf: Any, fetch: _Fetch) -> np.ndarray:
    if isinstance(leaf, unpickling.Array):
        if leaf.value is None:
            raise UnreadableError("is damaged: it holds an array without numbers")
        return leaf.value
    numbers = fetch(leaf.storage)
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


def _no_storage(storage: unpickling.Storage) -> np.ndarray:
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
