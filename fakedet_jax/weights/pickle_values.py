# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What pickles of weights hold: arrays, tensors, and companions that are never made.

NumPy and PyTorch write an array as a call of a function. The functions here have their
names and arguments, and make a description of the array or the array itself. Objects of
all other classes become `Opaque`: their class is a text and their state is data.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from fakedet_jax.weights.tensors import BFLOAT16, UnreadableError, count, shown, view

_NUMBERS = re.compile(r"[fi][248]|i1|u[1248]|b1|c8|c16")
_UNTYPED = np.dtype(np.uint8)
# Storages of types that NumPy lacks; no weight is made of them.
_OTHER = np.dtype("V4")
STORAGE_DTYPES = {
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
    "torch.ComplexFloatStorage": np.dtype(np.complex64),
    "torch.ComplexDoubleStorage": np.dtype(np.complex128),
    "torch.ComplexHalfStorage": _OTHER,
    "torch.QInt8Storage": np.dtype(np.int8),
    "torch.QUInt8Storage": np.dtype(np.uint8),
    "torch.QInt32Storage": np.dtype(np.int32),
    "torch.storage.UntypedStorage": _UNTYPED,
}
_TORCH_DTYPES = {
    "torch.float32": np.dtype(np.float32),
    "torch.float64": np.dtype(np.float64),
    "torch.float16": np.dtype(np.float16),
    "torch.bfloat16": BFLOAT16,
    "torch.uint16": np.dtype(np.uint16),
    "torch.uint32": np.dtype(np.uint32),
    "torch.uint64": np.dtype(np.uint64),
    "torch.float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "torch.float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "torch.float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "torch.float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "torch.float8_e8m0fnu": np.dtype(ml_dtypes.float8_e8m0fnu),
}
# Functions and classes that training scripts leave beside the weights. None of them is
# called; what they would make is no weight.
_COMPANIONS = re.compile(
    r"builtins\.(set|frozenset|complex|slice|range|bytearray)|"
    r"collections\.deque|"
    r"(argparse|types)\.\w*Namespace|"
    r"pathlib\.(_local\.)?\w*Path|"
    r"datetime\.\w+|zoneinfo\.ZoneInfo\._unpickle|"
    r"(decimal\.Decimal|fractions\.Fraction|uuid\.UUID)|"
    r"torch\.device|torch\.serialization\._get_layout|torch\.jit\._pickle\.\w+|"
    r"numpy\.random\.(_pickle|mtrand|bit_generator)\.\w+|"
    # Configurations and enumerations of libraries for training.
    r"(lightning|pytorch_lightning|lightning_fabric|transformers|accelerate|omegaconf|"
    r"mmengine|mmcv|yacs)\.[\w.]+"
)
# Tensors whose numbers cannot be read.
_UNREADABLE_TENSORS = {
    "torch._utils._rebuild_qtensor": "is quantised; save it in float32",
    "torch._utils._rebuild_sparse_tensor": "is sparse; save it dense",
    "torch._utils._rebuild_nested_tensor": "is nested; save it dense",
    "torch._utils._rebuild_meta_tensor_no_storage": (
        "is on the device 'meta' and has no numbers; save it from a device that has"
    ),
    "torch._utils._rebuild_wrapper_subclass": (
        "is of a subclass of Tensor that has no storage; save the full tensor"
    ),
}
_PLAIN_TENSOR = re.compile(r"torch\._utils\._rebuild_tensor_v[23]")
_SUBCLASS = "is of a subclass of Tensor; save a plain tensor"


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers that are stored outside the pickle.

    Attributes:
        dtype: Dtype of the numbers; uint8 where only the tensors have a type.
        key: Name of the storage.
        size: Number of elements.
    """

    dtype: np.dtype
    key: str
    size: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage, as PyTorch describes it.

    Attributes:
        storage: The storage with its numbers.
        dtype: Dtype of the tensor.
        offset: Index of the first element in the storage, in elements of `dtype`.
        shape: Shape of the tensor.
        strides: Strides of the tensor, in elements; 0 along axes that repeat.
        negative: Whether the numbers in the storage have the opposite sign.
        conjugate: Whether the complex numbers in the storage are conjugates.
    """

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    negative: bool = False
    conjugate: bool = False


@dataclasses.dataclass
class Array:
    """A NumPy array; a pickle creates it before it gives its value.

    Attributes:
        value: The array, read-only; None before it is given, and for what is no number.
        reason: What it holds instead of numbers, as a predicate of the file.
    """

    value: np.ndarray | None = None
    reason: str | None = None


@dataclasses.dataclass(eq=False)
class Opaque:
    """An object that a pickle describes and that is never made.

    Attributes:
        name: Its class, or the function that would make it.
        is_tensor: Whether it stands for numbers.
        reason: For a tensor, why its numbers cannot be read.
        content: Its items, if it is a kind of dict, list or set; or None.
        state: Its attributes, as a rule a dict; or None.
    """

    name: str
    is_tensor: bool = False
    reason: str | None = None
    content: dict[Any, Any] | list[Any] | tuple[Any, ...] | None = None
    state: Any = None


@dataclasses.dataclass
class DType:
    """A NumPy dtype, as a pickle describes it.

    Attributes:
        code: Its kind and size, such as "f4".
        big_endian: Whether the most significant byte comes first.
        reason: What it is instead of a number, as a predicate of the file.
    """

    code: str
    big_endian: bool = False
    reason: str | None = None

    def fill(self, array: Array, raw: Any, shape: Any, fortran: bool) -> None:
        """Gives an array its value, or the reason why it has none."""
        if self.reason is None and isinstance(raw, bytes | bytearray):
            array.value = view(
                raw,
                np.dtype(self.code),
                sizes(shape),
                big_endian=self.big_endian,
                fortran=fortran,
            )
        else:
            array.reason = self.reason or _PYTHON_OBJECTS


_PYTHON_OBJECTS = "holds Python objects in an array, expected numbers"


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of a class or of a function."""

    name: str


def call(name: str, arguments: tuple[Any, ...]) -> Any:
    """The result of a call that a pickle asks for; nothing of that name is called.

    Args:
        name: Name of the function or class.
        arguments: What it would get.

    Raises:
        UnreadableError: It is neither a description of an array nor a known companion.
    """
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](*arguments)
    if name in _UNREADABLE_TENSORS:
        return Opaque(name, is_tensor=True, reason=_UNREADABLE_TENSORS[name])
    if not _COMPANIONS.fullmatch(name):
        raise refusal(name)
    first = arguments[0] if arguments else None
    is_set = name.endswith(("set", "deque")) and isinstance(first, list)
    return Opaque(name, content=first if is_set else None)


def instance(kind: Any, arguments: Any) -> Any:
    """An object of a class, before it gets its state.

    Args:
        kind: The class.
        arguments: What its constructor would get; for a named tuple its items.
    """
    if not isinstance(kind, Global) or not isinstance(arguments, tuple):
        raise TypeError("an object of a value that is no class")
    if kind.name in _FUNCTIONS:
        return call(kind.name, arguments)
    return Opaque(kind.name, content=arguments or None)


def refusal(name: str) -> UnreadableError:
    """The error for a file that asks for a call.

    Args:
        name: Name of the function or class.
    """
    return UnreadableError(
        f"holds code ({shown(name[:200])}), which is never run; save the dict of the "
        "arrays alone (in PyTorch the state_dict)"
    )


def key(value: Any, number: int) -> Any:
    """The key of a dict, as something that hashes in constant time.

    Args:
        value: The key in the file.
        number: A number that no other key of this dict has.

    Raises:
        UnreadableError: It is a container, or a very large number.
    """
    if isinstance(value, Global | Opaque):
        return f"<{value.name} {number}>"
    if isinstance(value, Array) and value.value is not None and value.value.ndim == 0:
        return value.value.item()
    # Hashing a deeply nested tuple would overflow the stack of the interpreter.
    if isinstance(value, tuple) and all(isinstance(v, str | int) for v in value):
        return f"({', '.join(map(str, value[:8]))} {number})"
    if not isinstance(value, str | int | float | bytes | None):
        raise UnreadableError("has names that are neither text nor numbers")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UnreadableError("has a number of more than 64 bits as a name")
    return value


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape or strides, checked."""
    if not isinstance(shape, tuple | list):
        raise TypeError("a shape that is no tuple")
    count(shape)
    return tuple(shape)


def storage(identity: Any) -> Any:
    """Reads the tuple by which PyTorch refers to a storage outside the pickle.

    Args:
        identity: The tuple.

    Returns:
        The storage; for a class whose source code the file keeps, its name.
    """
    if identity[0] == "module" and isinstance(identity[1], Global):
        return identity[1]
    kind, storage_type, name, _, size = identity[:5]
    if not isinstance(storage_type, Global) or kind != "storage":
        raise TypeError("a reference to a value that is no storage")
    if identity[5:] not in ((), (None,)):
        raise UnreadableError(
            "shares storages as PyTorch before 0.4 did; save it with a newer version"
        )
    count((size,))
    if not isinstance(name, str | int):
        raise TypeError("a storage without a name")
    if storage_type.name not in STORAGE_DTYPES:
        raise refusal(storage_type.name)
    return Storage(STORAGE_DTYPES[storage_type.name], str(name), size)


def _empty_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise TypeError("bytes with arguments")
    return b""


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    if isinstance(pairs, dict):
        return pairs
    if not isinstance(pairs, list | tuple):
        raise TypeError("a dict of a value that is no list")
    result = {key(name, i): value for i, (name, value) in enumerate(pairs)}
    if isinstance(pairs, list):
        # A list that becomes a dict many times would fill the memory.
        pairs.clear()
    return result


def _default_dict(factory: Any = None, pairs: Any = ()) -> dict[Any, Any]:
    del factory  # Makes values for missing keys, of which there are none.
    return _dict(pairs)


def _reconstruct(kind: Any, *unused: Any) -> Array:
    del unused  # Shape and dtype, which the state replaces.
    if kind != Global("numpy.ndarray"):
        raise TypeError("an array of an unknown class")
    return Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if not isinstance(dtype, DType):
        raise TypeError("an array without a dtype")
    array = Array()
    dtype.fill(array, raw, shape, order == "F")
    return array


def _dtype(code: Any, *unused: Any) -> DType:
    del unused  # Flags: whether to align and to copy.
    if not isinstance(code, str):
        raise TypeError("a dtype without a name")
    if code.startswith("O"):
        return DType(code, reason=_PYTHON_OBJECTS)
    if not _NUMBERS.fullmatch(code):
        reason = f"holds an array of dtype {code[:20]!r}, expected floats"
        return DType(code, reason=reason)
    return DType(code)


def _rebuild_tensor(
    stored: Any, offset: Any, shape: Any, strides: Any, *others: Any
) -> Tensor:
    # Whether it has a gradient, hooks, and bits that change the sign.
    bits = others[2] if len(others) > 2 else None
    return _tensor(stored, stored.dtype, offset, shape, strides, bits)


def _rebuild_tensor_v3(
    stored: Any, offset: Any, shape: Any, strides: Any, *others: Any
) -> Tensor | Opaque:
    _, _, dtype = others[:3]
    if not isinstance(dtype, Global):
        raise TypeError("a tensor without a dtype")
    if dtype.name not in _TORCH_DTYPES:
        reason = f"has the dtype {shown(dtype.name[:40])}; save it in float32"
        return Opaque(dtype.name, is_tensor=True, reason=reason)
    bits = others[3] if len(others) > 3 else None
    found = _TORCH_DTYPES[dtype.name]
    return _tensor(stored, found, offset, shape, strides, bits)


def _tensor(
    stored: Any, dtype: np.dtype, offset: Any, shape: Any, strides: Any, bits: Any
) -> Tensor:
    if not isinstance(stored, Storage):
        raise TypeError("a tensor without a storage")
    if dtype != stored.dtype and stored.dtype != _UNTYPED:
        raise TypeError("a tensor and a storage of different types")
    shape, strides = sizes(shape), sizes(strides)
    count((offset,))
    if len(shape) != len(strides):
        raise ValueError("a tensor whose strides do not fit its shape")
    steps = zip(shape, strides, strict=True)
    last = offset + sum((size - 1) * stride for size, stride in steps)
    available = stored.size * stored.dtype.itemsize // dtype.itemsize
    if count(shape) and last >= available:
        raise UnreadableError("holds a tensor that exceeds its storage")
    if bits is not None and not isinstance(bits, dict):
        raise TypeError("a tensor whose bits are no dict")
    bits = bits or {}
    if unknown := set(bits) - {"neg", "conj"}:
        names = ", ".join(shown(str(name)[:40]) for name in sorted(unknown, key=str))
        raise UnreadableError(f"holds a tensor with unknown bits ({names})")
    return Tensor(
        stored,
        dtype,
        offset,
        shape,
        strides,
        negative=bool(bits.get("neg")),
        conjugate=bool(bits.get("conj")),
    )


def _rebuilt(tensor: Any, *unused: Any) -> Any:
    del unused  # Device, whether it is trained, hooks, attributes.
    if not isinstance(tensor, Tensor | Array | Opaque):
        raise TypeError("a call for a tensor without a tensor")
    return tensor


def _rebuild_from_type(
    function: Any, kind: Any, arguments: Any, state: Any = None
) -> Any:
    del state  # Attributes of the tensor.
    if not isinstance(function, Global) or not isinstance(kind, Global):
        raise TypeError("a tensor without a class")
    if not isinstance(arguments, tuple):
        raise TypeError("a call without a tuple of arguments")
    if _PLAIN_TENSOR.fullmatch(function.name):
        return call(function.name, arguments)
    return Opaque(kind.name, is_tensor=True, reason=_SUBCLASS)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "builtins.bytes": _empty_bytes,
    "collections.Counter": _dict,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _default_dict,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy.dtype": _dtype,
    "torch.Size": sizes,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _rebuilt,
    "torch._utils._rebuild_device_tensor_from_numpy": _rebuilt,
    "torch._utils._rebuild_parameter": _rebuilt,
    "torch._utils._rebuild_parameter_with_state": _rebuilt,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_xla_tensor": _rebuilt,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
}
