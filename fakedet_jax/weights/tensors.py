# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The named arrays of a weight file, and checks of what a file claims about them."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np

# Frameworks whose names and orders of axes a file can use.
LAYOUTS = ("torch", "keras", "caffe", "flax")
# Limit for a file and for all arrays that it describes. The largest supported network
# has 0.6 GB.
MAX_BYTES = 4 * 2**30
# How many bytes one stored byte may expand to; compression saves a tenth of float32
# weights.
_MAX_GROWTH = 20
_GROWTH_ALLOWANCE = 16 * 2**20
_MAX_DIMENSIONS = 16
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
# Floats that NumPy itself does not know.
EXTRA_FLOATS = (
    BFLOAT16,
    np.dtype(ml_dtypes.float8_e4m3fn),
    np.dtype(ml_dtypes.float8_e4m3fnuz),
    np.dtype(ml_dtypes.float8_e5m2),
    np.dtype(ml_dtypes.float8_e5m2fnuz),
    np.dtype(ml_dtypes.float8_e8m0fnu),
)
# What wrappers put before the names of all layers.
_WRAPPERS = ("module.", "_orig_mod.")
# How many names an error lists.
_MAX_NAMES = 10


class UnreadableError(ValueError):
    """A weight file cannot be used.

    The message is a predicate, such as "is damaged"; `formats.read` prepends the path.
    """


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of a network with arrays of its own.

    Attributes:
        kind: ONNX's name of the operation, such as "Conv".
        arrays: Names of its arrays, without its input.
        is_transposed: Of a product, whether its matrix is `[inputs, features]`.
        epsilon: Of a normalisation, what is added to the variance.
    """

    kind: str
    arrays: tuple[str, ...]
    is_transposed: bool = False
    epsilon: float = 0.0


@dataclasses.dataclass(frozen=True)
class Contents:
    """The result of reading a file.

    Attributes:
        tensors: Arrays by their names in the layout of the file.
        notes: Sentences about what the reader left out or renamed.
        operations: The operations with arrays, in network order, where a file has them.
    """

    tensors: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()


@dataclasses.dataclass(frozen=True)
class TensorFile:
    """A weight file in memory.

    Attributes:
        path: The file, or the folder of a converted network.
        format: Name of the format.
        layout: One of `LAYOUTS`.
        tensors: Arrays by their names in that layout, as they are stored.
        sha256: Hash of the file, hexadecimal.
        num_bytes: Size of the file.
        notes: Sentences about what the reader left out or renamed.
        operations: The operations with arrays, in network order, where a file has them.
    """

    path: Path
    format: str
    layout: str
    tensors: dict[str, np.ndarray]
    sha256: str
    num_bytes: int
    notes: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()


def check_total(num_bytes: int) -> None:
    """Refuses arrays that are larger than any published network.

    Args:
        num_bytes: Size of all arrays together.

    Raises:
        UnreadableError: They exceed `MAX_BYTES`.
    """
    if num_bytes > MAX_BYTES:
        raise UnreadableError(
            f"describes {num_bytes / 2**30:.1f} GiB of arrays, expected at most "
            f"{MAX_BYTES // 2**30} GiB"
        )


def check_growth(num_bytes: int, stored_bytes: int) -> None:
    """Refuses compressed data that would fill the memory.

    Args:
        num_bytes: Size of all data, as the file declares it.
        stored_bytes: Size of the file.

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
    """Number of elements of an array.

    Args:
        shape: Shape as a file claims it.

    Raises:
        UnreadableError: This is no possible shape.

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
    """Interprets bytes as an array, without a copy where possible.

    Args:
        buffer: The bytes.
        dtype: Dtype of the array, in the byte order of this machine.
        shape: Shape of the array, as the file claims it.
        big_endian: Whether the bytes are in big-endian order.
        fortran: Whether the first axis runs fastest.

    Returns:
        A read-only array, or a copy where the byte order requires one.

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
    if dtype in EXTRA_FLOATS:
        # NumPy has no byte order for types of other packages.
        raw = np.frombuffer(buffer, f"{'>' if big_endian else '<'}u{dtype.itemsize}")
        flat = raw.astype(f"u{dtype.itemsize}", copy=False).view(dtype)
    else:
        flat = np.frombuffer(buffer, dtype.newbyteorder(">" if big_endian else "<"))
    return flat.reshape(tuple(shape), order="F" if fortran else "C")


def shown(name: str) -> str:
    r"""Makes a name from a file safe to print.

    >>> shown("conv1.weight"), shown("\x1b[2J")
    ('conv1.weight', "'\\x1b[2J'")
    """
    return name if name.isprintable() else ascii(name)


def listed(names: Sequence[str]) -> str:
    """Names for an error; after the tenth, only how many there are.

    Args:
        names: The names, safe to print.

    >>> listed(["a", "b"])
    'a, b'
    >>> listed([f"layer{i}" for i in range(12)]).split(", ")[-1]
    'layer9 … (12 in all)'
    """
    text = ", ".join(names[:_MAX_NAMES])
    return text if len(names) <= _MAX_NAMES else f"{text} … ({len(names)} in all)"


def collect(pairs: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Collects names and arrays into a dict.

    Args:
        pairs: Names and arrays of a file.

    Raises:
        UnreadableError: Two arrays have the same name.
    """
    tensors: dict[str, np.ndarray] = {}
    for name, array in pairs:
        if name in tensors:
            raise UnreadableError(f"holds two arrays named {name[:80]!r}")
        tensors[name] = array
    return tensors


def torch_contents(
    tensors: dict[str, np.ndarray], notes: Sequence[str] = ()
) -> Contents:
    """Removes what wrappers of a whole network put before all names.

    These are `torch.nn.DataParallel` and its successors, and `torch.compile`.

    Args:
        tensors: Arrays by PyTorch's names.
        notes: Notes of the reader.

    >>> sorted(torch_contents({"module.a": 1, "module.b": 2}).tensors)
    ['a', 'b']
    >>> sorted(torch_contents({"_orig_mod.module.a": 1}).tensors)
    ['a']
    >>> sorted(torch_contents({"module.a": 1, "b": 2}).tensors)
    ['b', 'module.a']
    """
    said = list(notes)
    while prefix := next((p for p in _WRAPPERS if _all_start(tensors, p)), ""):
        tensors = {name.removeprefix(prefix): array for name, array in tensors.items()}
        said.append(f"{prefix!r} removed from all names")
    return Contents(tensors, tuple(said))


def _all_start(names: Iterable[str], prefix: str) -> bool:
    found = list(names)
    return bool(found) and all(name.startswith(prefix) for name in found)
