# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The arrays of a weight file, before anybody knows which network they belong to."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np

# Where the names and the orders of axes of a file come from.
LAYOUTS = ("torch", "keras", "caffe", "flax")
# Of a file, and of all arrays that it describes. The largest published network here
# has 0.6 GB.
MAX_BYTES = 4 * 2**30
# What one compressed byte may grow to; float32 weights shrink by a tenth.
_MAX_GROWTH = 20
_GROWTH_ALLOWANCE = 16 * 2**20
_MAX_DIMENSIONS = 16
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class UnreadableError(ValueError):
    """A weight file that cannot be used; the message is the reason, without the path.

    `formats.read` puts the path in front.
    """


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a reader of one format finds.

    Attributes:
        tensors: Arrays by their names in the layout of the file.
        notes: What the reader left out or changed, in words.
    """

    tensors: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class TensorFile:
    """A weight file in memory.

    Attributes:
        path: Of the file, or of the folder of a converted network.
        format: In words.
        layout: One of `LAYOUTS`.
        tensors: Arrays by their names in that layout, as they are stored.
        sha256: Of the file, hexadecimal.
        num_bytes: Of the file.
        notes: What the reader left out or changed, in words.
    """

    path: Path
    format: str
    layout: str
    tensors: dict[str, np.ndarray]
    sha256: str
    num_bytes: int
    notes: tuple[str, ...] = ()


def check_total(num_bytes: int) -> None:
    """Refuses arrays that are larger together than any published network.

    Raises:
        UnreadableError: They are.
    """
    if num_bytes > MAX_BYTES:
        raise UnreadableError(
            f"describes {num_bytes / 2**30:.1f} GiB of arrays, expected at most "
            f"{MAX_BYTES // 2**30} GiB"
        )


def check_growth(num_bytes: int, stored_bytes: int) -> None:
    """Refuses compressed data that would fill the memory.

    Args:
        num_bytes: Of all data, as the file declares them.
        stored_bytes: Of the file.

    Raises:
        UnreadableError: The data are too large.
    """
    check_total(num_bytes)
    if num_bytes > _MAX_GROWTH * stored_bytes + _GROWTH_ALLOWANCE:
        raise UnreadableError(
            f"declares {num_bytes:,} bytes of data in {stored_bytes:,} bytes of file, "
            "which weights never need"
        )


def count(shape: Sequence[int]) -> int:
    """How many numbers an array of a shape has, for shapes that a file claims.

    Raises:
        UnreadableError: That is no shape.

    >>> count((2, 3))
    6
    """
    if len(shape) > _MAX_DIMENSIONS or not all(
        type(size) is int and 0 <= size <= MAX_BYTES for size in shape
    ):
        raise UnreadableError("claims an array with an impossible shape")
    return math.prod(shape)


def view(
    buffer: bytes | bytearray | memoryview,
    dtype: np.dtype,
    shape: Sequence[int],
    *,
    big_endian: bool = False,
    fortran: bool = False,
) -> np.ndarray:
    """An array over bytes of exactly its size, without a copy where possible.

    Args:
        buffer: The bytes.
        dtype: Of the array, in the byte order of this machine.
        shape: Of the array, as the file claims it.
        big_endian: Whether the numbers lie with their high byte first.
        fortran: Whether the first axis runs fastest.

    Raises:
        UnreadableError: The bytes are too few or too many.
    """
    expected = count(shape) * dtype.itemsize
    if len(buffer) != expected:
        raise UnreadableError(
            f"claims an array of {expected:,} bytes and holds {len(buffer):,} for it; "
            "it is damaged or truncated"
        )
    flat: np.ndarray
    if dtype == BFLOAT16:
        # NumPy knows byte orders of its own types only.
        raw = np.frombuffer(buffer, ">u2" if big_endian else "<u2")
        flat = raw.astype(np.uint16, copy=False).view(BFLOAT16)
    else:
        flat = np.frombuffer(buffer, dtype.newbyteorder(">" if big_endian else "<"))
    return flat.reshape(tuple(shape), order="F" if fortran else "C")


def shown(name: str) -> str:
    r"""A name from a file, as it may be printed.

    >>> shown("conv1.weight"), shown("\x1b[2J")
    ('conv1.weight', "'\\x1b[2J'")
    """
    return name if name.isprintable() else ascii(name)


def without_prefix(tensors: dict[str, np.ndarray], prefix: str) -> dict:
    """Takes a prefix off all names if all have it.

    >>> without_prefix({"module.a": 1, "module.b": 2}, "module.")
    {'a': 1, 'b': 2}
    >>> without_prefix({"module.a": 1, "b": 2}, "module.")
    {'module.a': 1, 'b': 2}
    """
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): array for name, array in tensors.items()}
