# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads pickles as data: containers, text, numbers and arrays, and nothing else.

A pickle is a program for a stack machine whose instructions can import and call any
function, and a restricted `pickle.Unpickler` would still call the ones it admits. This
machine calls nothing that a file names. It executes the instructions that build data,
knows the names by which NumPy and PyTorch describe arrays, and builds these arrays from
the recorded shape, dtype and bytes; any other name is refused. The tables of
`pickletools` decode the instructions, with the text encodings of Python 2 and 3.

The memory that a file can make this machine allocate is proportional to the size of the
file: bytes are shared instead of copied, and claimed sizes reserve nothing.
"""

import codecs
import dataclasses
import pickletools
import re
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from fakedet_jax.weights.tensors import BFLOAT16, UnreadableError, count, shown, view

# Instructions that push their argument.
_VALUES = re.compile(
    "(BIN)?INT[12]?|LONG[14]?|(BIN)?FLOAT|(SHORT_)?BIN(STRING|UNICODE|BYTES)8?|"
    "STRING|UNICODE|BYTEARRAY8"
)
# A ResNet-50 with the state of its optimizer has about ten thousand.
_MAX_OPERATIONS = 5_000_000

_STORAGE_DTYPES = {
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
}
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_NUMPY_CODES = re.compile(r"[fi][248]|i1|u[1248]|b1")


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers that are stored outside the pickle.

    Attributes:
        dtype: Dtype of the numbers.
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
        offset: Index of the first element in the storage.
        shape: Shape of the tensor.
        strides: Strides of the tensor, in elements.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass
class Array:
    """A NumPy array; a pickle creates it before it gives its value.

    Attributes:
        value: The array, read-only; None before it is given.
    """

    value: np.ndarray | None = None


@dataclasses.dataclass
class _DType:
    code: str
    big_endian: bool = False

    def view(self, raw: Any, shape: Any, fortran: bool) -> np.ndarray:
        if not isinstance(raw, bytes | bytearray):
            raise UnreadableError("holds Python objects in an array, expected numbers")
        return view(
            raw,
            np.dtype(self.code),
            _sizes(shape),
            big_endian=self.big_endian,
            fortran=fortran,
        )


@dataclasses.dataclass(frozen=True)
class _Global:
    name: str


def load(stream: BinaryIO) -> Any:
    """Reads one pickle, up to its end.

    Args:
        stream: Binary stream in memory (`io.BytesIO` or `mmap.mmap`), positioned at the
            start of the pickle.

    Returns:
        The value: numbers, text (`latin-1` where Python 2 wrote bytes), bytes, lists,
        tuples, dicts, `Array`, `Tensor` and `Storage`, nested in any way.

    Raises:
        UnreadableError: The pickle is damaged, or names anything but arrays.
    """
    try:
        with warnings.catch_warnings():
            # Damaged text may contain invalid escapes.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _Machine().run(stream)
    except UnreadableError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise UnreadableError(
            f"is a damaged or truncated pickle ({str(error)[:80] or repr(error)})"
        ) from error


class _Machine:
    """The stack machine of pickles, without the instructions that run code."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # The stacks that marks have set aside.
        self._memo: dict[int, Any] = {}
        self._encoded: dict[int, tuple[str, bytes]] = {}
        self._functions: dict[str, Callable[..., Any]] = {
            "_codecs.encode": self._encode,
            "builtins.bytes": _empty_bytes,
            "collections.OrderedDict": _ordered_dict,
            "numpy.core.multiarray._reconstruct": _reconstruct,
            "numpy.core.multiarray.scalar": self._scalar,
            "numpy.core.numeric._frombuffer": _from_buffer,
            "numpy.dtype": _dtype,
            "torch.Size": _sizes,
            "torch._utils._rebuild_parameter": _rebuild_parameter,
            "torch._utils._rebuild_tensor": _rebuild_tensor,
            "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        }
        self._known = {*self._functions, *_STORAGE_DTYPES, "numpy.ndarray"}

    def run(self, stream: BinaryIO) -> Any:
        for _ in range(_MAX_OPERATIONS):
            name, argument = _read_instruction(stream)
            if name == "STOP":
                return self._stack.pop()
            self._do(name, argument)
        raise UnreadableError(
            f"holds more than {_MAX_OPERATIONS:,} instructions, more than weights need"
        )

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(name[-1])
                items = tuple(stack[-size:])
                if len(items) != size:
                    raise IndexError("the stack is too short")
                stack[-size:] = [items]
            case "TUPLE":
                items = tuple(self._to_mark())
                self._stack.append(items)
            case "LIST":
                listed = self._to_mark()
                self._stack.append(listed)
            case "DICT":
                pairs = self._to_mark()
                self._stack.append({})
                self._fill(pairs)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._fill([key, value])
            case "SETITEMS":
                self._fill(self._to_mark())
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS":
                self._extend(self._to_mark())
            case "POP":
                if stack:
                    stack.pop()
                else:
                    self._to_mark()
            case "POP_MARK":
                self._to_mark()
            case "DUP":
                stack.append(stack[-1])
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GLOBAL":
                self._push_global(*argument.split(" ", 1))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                self._push_global(module, attribute)
            case "INST":
                raise _refusal(argument.replace(" ", "."))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._call(function, arguments))
            case "BUILD":
                self._build(stack.pop())
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case _ if _VALUES.fullmatch(name):
                stack.append(argument)
            case _:
                raise UnreadableError(
                    f"holds the pickle instruction {name}, which makes objects other "
                    "than arrays; save the dict of the arrays alone"
                )

    def _to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _fill(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise TypeError("items for a value that is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[_key(key)] = value

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError("items for a value that is no list")
        target.extend(items)

    def _push_global(self, module: Any, attribute: Any) -> None:
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise TypeError("a name that is no text")
        name = f"{module}.{attribute}"
        # NumPy 2 and Python 3 renamed these modules.
        known = name.replace("numpy._core.", "numpy.core.", 1)
        known = known.replace("__builtin__.", "builtins.", 1)
        if known not in self._known:
            raise _refusal(name)
        self._stack.append(_Global(known))

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Global) or function.name not in self._functions:
            raise TypeError("a call of a value that is no function")
        if not isinstance(arguments, tuple):
            raise TypeError("a call without a tuple of arguments")
        return self._functions[function.name](*arguments)

    def _build(self, state: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, Array):
            # Newer files put a version before shape, dtype, Fortran order and bytes.
            shape, dtype, fortran, raw = state[-4:]
            if not isinstance(dtype, _DType):
                raise TypeError("an array without a dtype")
            target.value = dtype.view(self._bytes(raw), shape, bool(fortran))
        elif isinstance(target, _DType):
            if state[2] is not None or state[3] is not None:
                raise UnreadableError("holds an array of records, expected numbers")
            target.big_endian = state[1] == ">"
        elif type(target) is not dict:
            # The attributes of an OrderedDict, where PyTorch keeps versions, are
            # ignored; no other value has a state.
            raise TypeError("a state for a value that has none")

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise UnreadableError("holds bytes in an unknown encoding")
        return self._bytes(text)

    def _scalar(self, dtype: Any, raw: Any) -> Array:
        if not isinstance(dtype, _DType):
            raise TypeError("a scalar without a dtype")
        return Array(dtype.view(self._bytes(raw), (), False))

    def _bytes(self, text: Any) -> Any:
        """Bytes that Python 2 wrote as text, encoded once however often they occur."""
        if not isinstance(text, str):
            return text
        if id(text) not in self._encoded:
            self._encoded[id(text)] = text, text.encode("latin-1")
        return self._encoded[id(text)][1]


def _read_instruction(stream: BinaryIO) -> tuple[str, Any]:
    code = stream.read(1)
    if not code:
        raise UnreadableError("is truncated: its pickle has no end")
    opcode = _OPCODES.get(code)
    if opcode is None:
        raise UnreadableError("is a damaged pickle: it holds an unknown instruction")
    if opcode.name == "STRING":
        return opcode.name, _unquote(stream.readline())
    if opcode.arg is None:
        return opcode.name, None
    return opcode.name, opcode.arg.reader(stream)


def _unquote(line: bytes) -> str:
    """Decodes the argument of STRING, for which `pickletools` accepts ASCII only."""
    line = line.rstrip(b"\r\n").strip(b" ")
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("text without quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _refusal(name: str) -> UnreadableError:
    return UnreadableError(
        f"holds code ({shown(name[:200])}), which is never run; save the dict of the "
        "arrays alone (in PyTorch the state_dict)"
    )


def _key(key: Any) -> Any:
    # Hashing a deeply nested tuple would overflow the stack of the interpreter.
    if not isinstance(key, str | int | float | bytes | None):
        raise UnreadableError("has names that are neither text nor numbers")
    if isinstance(key, int) and abs(key) >= 2**63:
        raise UnreadableError("has a number of more than 64 bits as a name")
    return key


def _sizes(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list):
        raise TypeError("a shape that is no tuple")
    count(shape)
    return tuple(shape)


def _empty_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise TypeError("bytes with arguments")
    return b""


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    if not isinstance(pairs, list | tuple):
        raise TypeError("a dict of a value that is no list")
    result = {_key(key): value for key, value in pairs}
    if isinstance(pairs, list):
        # A list that becomes a dict many times would fill the memory.
        pairs.clear()
    return result


def _reconstruct(kind: Any, *unused: Any) -> Array:
    del unused  # Shape and dtype, which the state replaces.
    if kind != _Global("numpy.ndarray"):
        raise TypeError("an array of an unknown class")
    return Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if not isinstance(dtype, _DType):
        raise TypeError("an array without a dtype")
    return Array(dtype.view(raw, shape, order == "F"))


def _dtype(code: Any, *unused: Any) -> _DType:
    del unused  # Flags: whether to align and to copy.
    if not isinstance(code, str):
        raise TypeError("a dtype without a name")
    if code.startswith("O"):
        raise UnreadableError("holds Python objects in an array, expected numbers")
    if not _NUMPY_CODES.fullmatch(code):
        raise UnreadableError(f"holds an array of dtype {code[:20]!r}, expected floats")
    return _DType(code)


def _rebuild_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *unused: Any
) -> Tensor:
    del unused  # Gradients and hooks.
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    shape, strides = _sizes(shape), _sizes(strides)
    count((offset,))
    if len(shape) != len(strides):
        raise ValueError("a tensor whose strides do not fit its shape")
    steps = zip(shape, strides, strict=True)
    last = offset + sum((size - 1) * stride for size, stride in steps)
    # A tensor that repeats elements could have any size.
    if count(shape) > storage.size or (count(shape) and last >= storage.size):
        raise UnreadableError("holds a tensor that exceeds its storage")
    return Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: Any, *unused: Any) -> Tensor:
    del unused
    if not isinstance(tensor, Tensor):
        raise TypeError("a parameter without a tensor")
    return tensor


def _storage(identity: Any) -> Storage:
    """Reads the tuple by which PyTorch refers to a storage outside the pickle."""
    kind, storage_type, key, _, size = identity[:5]
    if kind == "module":
        raise _refusal("a class of torch.nn.Module")
    if not isinstance(storage_type, _Global) or kind != "storage":
        raise TypeError("a reference to a value that is no storage")
    if identity[5:] not in ((), (None,)):
        raise UnreadableError(
            "shares storages as PyTorch before 0.4 did; save it with a newer version"
        )
    count((size,))
    if not isinstance(key, str | int):
        raise TypeError("a storage without a name")
    return Storage(_STORAGE_DTYPES[storage_type.name], str(key), size)
