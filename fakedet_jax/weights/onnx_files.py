# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the initialisers of ONNX networks, also those in files beside them.

The package `protobuf` parses the file by a description of the fields that lead to
arrays (of ONNX's `onnx.proto`); nodes are not read, so no network is run. Names and
axes are those of the program that wrote the file; PyTorch keeps its own, apart from the
weights that it transposes or joins with a normalisation.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from fakedet_jax.weights import protobuf
from fakedet_jax.weights.tensors import (
    BFLOAT16,
    Contents,
    UnreadableError,
    check_total,
    collect,
    count,
    shown,
    torch_contents,
    view,
)

# Dtype of each type number, and the field that holds its numbers if they are not raw.
_TYPES: dict[int, tuple[np.dtype, str]] = {
    1: (np.dtype(np.float32), "float_data"),
    2: (np.dtype(np.uint8), "int32_data"),
    3: (np.dtype(np.int8), "int32_data"),
    4: (np.dtype(np.uint16), "int32_data"),
    5: (np.dtype(np.int16), "int32_data"),
    6: (np.dtype(np.int32), "int32_data"),
    7: (np.dtype(np.int64), "int64_data"),
    9: (np.dtype(np.bool_), "int32_data"),
    10: (np.dtype(np.float16), "int32_data"),
    11: (np.dtype(np.float64), "double_data"),
    12: (np.dtype(np.uint32), "uint64_data"),
    13: (np.dtype(np.uint64), "uint64_data"),
    16: (BFLOAT16, "int32_data"),
    17: (np.dtype(ml_dtypes.float8_e4m3fn), "int32_data"),
    18: (np.dtype(ml_dtypes.float8_e4m3fnuz), "int32_data"),
    19: (np.dtype(ml_dtypes.float8_e5m2), "int32_data"),
    20: (np.dtype(ml_dtypes.float8_e5m2fnuz), "int32_data"),
}
_EXTERNAL = 1
# Floats whose bits stand in the integers of int32_data.
_BITS = {2: np.uint16, 1: np.uint8}


def looks_like(start: bytes) -> bool:
    """Whether a file may be an ONNX network.

    Protocol buffers have no signature. ONNX starts with the version of its format, a
    small number, and the name of the program that wrote it, or the graph.

    Args:
        start: The first bytes of the file.
    """
    return (
        start[:1] == b"\x08"
        and start[1:2] < b"\x40"
        and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x28", b"\x3a", b"\x42")
    )


def read(path: Path) -> Contents:
    """Reads all initialisers.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or has no initialisers, or some lie in
            files that are missing, damaged or in other folders.
    """
    model = protobuf.parse(_messages()["ModelProto"], path.read_bytes(), "ONNX file")
    tensors = collect(_named(model.graph.initializer, path.parent))
    if not tensors:
        raise UnreadableError("is an ONNX file without initialisers")
    check_total(sum(array.nbytes for array in tensors.values()))
    return torch_contents(tensors)


def _named(entries: Any, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for entry in entries:
        name = shown(entry.name[:80])
        if entry.data_type not in _TYPES:
            raise UnreadableError(
                f"holds numbers of the type {entry.data_type} in {name}, expected "
                "floats; export the network without quantisation"
            )
        dtype, field = _TYPES[entry.data_type]
        shape = tuple(entry.dims)
        if entry.data_location == _EXTERNAL:
            raw = _external(entry, name, folder, count(shape) * dtype.itemsize)
            yield entry.name, view(raw, dtype, shape)
        elif entry.HasField("raw_data"):
            yield entry.name, view(entry.raw_data, dtype, shape)
        else:
            numbers = np.asarray(getattr(entry, field))
            if numbers.size != count(shape):
                raise UnreadableError(
                    f"claims {count(shape):,} numbers for {name} and holds "
                    f"{numbers.size:,}; it is damaged"
                )
            if dtype.kind in "fV" and field == "int32_data":
                bits = numbers.astype(_BITS[dtype.itemsize])
                yield entry.name, bits.view(dtype).reshape(shape)
            else:
                yield entry.name, numbers.astype(dtype).reshape(shape)


def _external(entry: Any, name: str, folder: Path, size: int) -> bytes:
    """The numbers of an array that lie in a file beside the network."""
    where = {pair.key: pair.value for pair in entry.external_data}
    location = where.get("location", "")
    path = folder / location
    try:
        offset = int(where.get("offset", 0))
        length = int(where.get("length", size))
    except ValueError as error:
        raise UnreadableError(f"is damaged: {name} lies at no number") from error
    if not location or not path.resolve().is_relative_to(folder.resolve()):
        raise UnreadableError(
            f"keeps the numbers of {name} in {shown(location[:80])!r}, outside of its "
            "folder, which is not opened; save the network into one folder"
        )
    if offset < 0 or length != size:
        raise UnreadableError(
            f"claims {size:,} bytes for {name} and names {length:,} of "
            f"{shown(location[:80])}; it is damaged"
        )
    if not path.is_file():
        raise UnreadableError(
            f"keeps its numbers in {shown(location[:80])!r}, which is missing; put "
            "this file beside it"
        )
    if offset + length > path.stat().st_size:
        raise UnreadableError(
            f"keeps its numbers in {shown(location[:80])!r}, which is truncated; get "
            "this file again"
        )
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


@functools.cache
def _messages() -> dict[str, Any]:
    return protobuf.messages(
        "onnx",
        {
            "StringStringEntryProto": {
                "key": (1, "string"),
                "value": (2, "string"),
            },
            "TensorProto": {
                "dims": (1, "repeated int64"),
                "data_type": (2, "int32"),
                "float_data": (4, "repeated float"),
                "int32_data": (5, "repeated int32"),
                "int64_data": (7, "repeated int64"),
                "name": (8, "string"),
                "raw_data": (9, "bytes"),
                "double_data": (10, "repeated double"),
                "uint64_data": (11, "repeated uint64"),
                "external_data": (13, "repeated StringStringEntryProto"),
                "data_location": (14, "int32"),
            },
            "GraphProto": {"initializer": (5, "repeated TensorProto")},
            "ModelProto": {"graph": (7, "GraphProto")},
        },
    )
