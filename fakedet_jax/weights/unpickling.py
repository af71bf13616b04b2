# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads pickles as data: containers, text, numbers and arrays, and nothing else.

A pickle is a program for a stack machine whose instructions can import and call any
function, and a restricted `pickle.Unpickler` would still call the ones it admits. This
machine calls nothing that a file names. It executes the instructions that build data.
`pickle_values` knows the names by which NumPy and PyTorch describe arrays, and builds
these arrays from the recorded shape, dtype and bytes. Objects of other classes are kept
as descriptions and never made; any other call is refused. The tables of `pickletools`
decode the instructions, with the text encodings of Python 2 and 3.

The memory that a file can make this machine allocate is proportional to the size of the
file: bytes are shared instead of copied, and claimed sizes reserve nothing.
"""

import codecs
import pickletools
import re
import warnings
from typing import Any, BinaryIO

from fakedet_jax.weights import pickle_values
from fakedet_jax.weights.pickle_values import Array, DType, Global, Opaque
from fakedet_jax.weights.tensors import UnreadableError

# Instructions that push their argument.
_VALUES = re.compile(
    "(BIN)?INT[12]?|LONG[14]?|(BIN)?FLOAT|(SHORT_)?BIN(STRING|UNICODE|BYTES)8?|"
    "STRING|UNICODE|BYTEARRAY8"
)
# A ResNet-50 with the state of its optimizer has about ten thousand.
_MAX_OPERATIONS = 5_000_000

_RENAMED = (
    ("numpy._core.", "numpy.core."),
    ("__builtin__.", "builtins."),
    ("copy_reg.", "copyreg."),
)
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}


def load(stream: BinaryIO) -> Any:
    """Reads one pickle, up to its end.

    Args:
        stream: Binary stream in memory (`io.BytesIO` or `mmap.mmap`), positioned at the
            start of the pickle.

    Returns:
        The value: numbers, text (`latin-1` where Python 2 wrote bytes), bytes, lists,
        tuples, dicts, `Array`, `Tensor`, `Storage`, `Opaque` and `Global`, nested in
        any way.

    Raises:
        UnreadableError: The pickle is damaged, asks for a call other than that for an
            array or a known companion of weights, or holds no data at all.
    """
    try:
        with warnings.catch_warnings():
            # Damaged text may contain invalid escapes.
            warnings.simplefilter("ignore", DeprecationWarning)
            value = _Machine().run(stream)
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
    if isinstance(value, Global):
        raise pickle_values.refusal(value.name)
    if isinstance(value, Array) and value.reason is not None:
        raise UnreadableError(value.reason)
    return value


class _Machine:
    """The stack machine of pickles, without the instructions that run code."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # The stacks that marks have set aside.
        self._memo: dict[int, Any] = {}
        self._encoded: dict[int, tuple[str, bytes]] = {}

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
                raise pickle_values.refusal(argument.replace(" ", "."))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._call(function, arguments))
            case "NEWOBJ":
                arguments, kind = stack.pop(), stack.pop()
                stack.append(pickle_values.instance(kind, arguments))
            case "NEWOBJ_EX":
                _, arguments, kind = stack.pop(), stack.pop(), stack.pop()
                stack.append(pickle_values.instance(kind, arguments))
            case "EMPTY_SET":
                stack.append(Opaque("builtins.set", content=[]))
            case "ADDITEMS":
                self._extend(self._to_mark())
            case "FROZENSET":
                members = self._to_mark()
                self._stack.append(Opaque("builtins.frozenset", content=members))
            case "BUILD":
                self._build(stack.pop())
            case "BINPERSID":
                stack.append(pickle_values.storage(stack.pop()))
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
        if isinstance(target, Opaque):
            if target.content is None:
                target.content = {}
            target = target.content
        if type(target) is not dict or len(pairs) % 2:
            raise TypeError("items for a value that is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[pickle_values.key(key, len(target))] = value

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Opaque):
            if target.content is None:
                target.content = []
            target = target.content
        if type(target) is not list:
            raise TypeError("items for a value that is no list")
        target.extend(items)

    def _push_global(self, module: Any, attribute: Any) -> None:
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise TypeError("a name that is no text")
        name = f"{module}.{attribute}"
        # NumPy 2 and Python 3 renamed these modules.
        for old, new in _RENAMED:
            name = name.replace(old, new, 1) if name.startswith(old) else name
        self._stack.append(Global(name))

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global):
            raise TypeError("a call of a value that is no function")
        if not isinstance(arguments, tuple):
            raise TypeError("a call without a tuple of arguments")
        match function.name:
            case "_codecs.encode":
                return self._encode(*arguments)
            case "numpy.core.multiarray.scalar":
                return self._scalar(*arguments)
            case "copyreg._reconstructor":
                # Of pickles before protocol 2: class, base class, value of the latter.
                kind, base, content = arguments
                made = pickle_values.instance(kind, ())
                if isinstance(made, Opaque) and base != Global("builtins.object"):
                    made.content = content if isinstance(content, dict | list) else None
                return made
            case "copyreg.__newobj__":
                return pickle_values.instance(arguments[0], arguments[1:])
        return pickle_values.call(function.name, arguments)

    def _build(self, state: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, Array):
            # Newer files put a version before shape, dtype, Fortran order and bytes.
            shape, dtype, fortran, raw = state[-4:]
            if not isinstance(dtype, DType):
                raise TypeError("an array without a dtype")
            dtype.fill(target, self._bytes(raw), shape, bool(fortran))
        elif isinstance(target, DType):
            if state[2] is not None or state[3] is not None:
                target.reason = "holds an array of records, expected numbers"
            target.big_endian = state[1] == ">"
        elif isinstance(target, Opaque):
            target.state = state
        elif type(target) is not dict:
            # The attributes of an OrderedDict, where PyTorch keeps versions, are
            # ignored; no other value has a state.
            raise TypeError("a state for a value that has none")

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise UnreadableError("holds bytes in an unknown encoding")
        return self._bytes(text)

    def _scalar(self, dtype: Any, raw: Any) -> Array:
        if not isinstance(dtype, DType):
            raise TypeError("a scalar without a dtype")
        array = Array()
        dtype.fill(array, self._bytes(raw), (), False)
        return array

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
