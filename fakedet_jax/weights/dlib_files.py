# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads networks that dlib saved with the loss `loss_metric_2`, without dlib.

Integers are a control byte (the number of bytes in its lower half, the sign in its
highest bit) and these bytes; text is its length and bytes; a real number is an integer
and a power of two; flags are `0` or `1`. All is little-endian. A file consists of

- 1, the name of the loss, its margin and its threshold
- the versions of all layers from the output to the input: 2 for a layer, 1 for a tag or
  a skip, 3 for the layer that touches the input
- the input: its name, the mean of red, green and blue, and its size
- the layers from the input to the output: name, what the layer has, three flags and
  three empty tensors that training uses. After the first one stands 1.

Layers have no names in the file. Here the convolutions are `con1`, `con2`, …, the
affine layers `affine1`, …, both from the input on, and the last layer `fc`; their
arrays are called and laid out as in PyTorch.

References:
    King: "Dlib-ml: a machine learning toolkit", JMLR 2009; facts about the format were
    found by reading files.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from fakedet_jax.weights.tensors import Contents, UnreadableError, count, view

_LOSS = "loss_metric_2"
_INPUT = "input_rgb_image_sized"
_MAX_LAYERS = 10_000
_MAX_TEXT = 256
_LAYER_VERSION, _TAG_VERSION, _LAST_VERSION = 2, 1, 3
_TENSOR_VERSION, _ALIAS_VERSION = 2, 1
# Real numbers with larger exponents stand for infinities and what is no number.
_MAX_EXPONENT = 4096
_NOTHING = (0, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class DlibLayer:
    """A layer of a network.

    Attributes:
        kind: dlib's name of the layer, such as "con_4".
        geometry: Of a convolution: features, height and width of the kernel, vertical
            and horizontal step, vertical and horizontal padding. Of a pooling: height,
            width, steps and padding; a height of 0 is that of the planes.
        arrays: Its arrays, float32, by "weight" and "bias"; of a convolution
            `[features, in, height, width]`, of a fully-connected layer `[features,
            in]`.
    """

    kind: str
    geometry: tuple[int, ...] = ()
    arrays: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DlibNetwork:
    """A network.

    Attributes:
        mean: What is subtracted from red, green and blue.
        size: Height and width of the input, pixels.
        layers: The layers, from the input to the output.
    """

    mean: tuple[float, float, float]
    size: tuple[int, int]
    layers: tuple[DlibLayer, ...]


def looks_like(start: bytes) -> bool:
    """Whether a file that starts like this is a network of dlib.

    Args:
        start: The first bytes of the file.
    """
    return start[:2] == b"\x01\x01" and start[2:3] == b"\x01" and start[4:9] == b"loss_"


def read(path: Path) -> Contents:
    """Reads all arrays.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or another kind of network.
    """
    tensors: dict[str, np.ndarray] = {}
    numbers = {"con": 0, "affine": 0, "fc": 0}
    for layer in read_network(path).layers:
        kind = layer.kind.split("_")[0]
        if layer.arrays:
            numbers[kind] += 1
            number = "" if kind == "fc" and numbers[kind] == 1 else numbers[kind]
            for name, array in layer.arrays.items():
                tensors[f"{kind}{number}.{name}"] = array
    if not tensors:
        raise UnreadableError("holds no arrays")
    return Contents(tensors)


def read_network(path: Path) -> DlibNetwork:
    """Reads a network with the geometry of its layers.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or another kind of network.
    """
    parser = _Parser(path.read_bytes())
    try:
        return parser.network()
    except _DamagedError as error:
        raise UnreadableError(
            f"is a damaged or truncated network of dlib ({error} at byte "
            f"{parser.position:,}); get the file again"
        ) from error


class _DamagedError(Exception):
    """The bytes are not as the format wants them; the message is a noun phrase."""


class _Parser:
    """Reads a file from its start to its end."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self.position = 0

    def network(self) -> DlibNetwork:
        self._expect(self._int(), 1, "version")
        loss = self._text()
        if loss != _LOSS:
            raise UnreadableError(
                f"is a dlib network with the loss {loss[:80]!r}, expected {_LOSS!r}; "
                "name its network for face recognition"
            )
        self._real()
        self._real()
        num_layers = 1
        while (version := self._int()) != _LAST_VERSION:
            if version not in (_LAYER_VERSION, _TAG_VERSION):
                raise _DamagedError(f"version {version}")
            num_layers += version == _LAYER_VERSION
            if num_layers > _MAX_LAYERS:
                raise _DamagedError(f"more than {_MAX_LAYERS:,} layers")
        name = self._text()
        if name != _INPUT:
            raise UnreadableError(
                f"is a dlib network with the input {name[:80]!r}, expected {_INPUT!r}"
            )
        mean = (self._real(), self._real(), self._real())
        size = (self._int(), self._int())
        layers = []
        for number in range(num_layers):
            layers.append(self._layer())
            self._tail()
            if number == 0:
                self._expect(self._int(), 1, "expansion")
        if self.position != len(self._content):
            raise _DamagedError("bytes after the end")
        return DlibNetwork(mean, size, tuple(layers))

    def _layer(self) -> DlibLayer:
        kind = self._text()
        match kind:
            case "con_4":
                return self._convolution(kind)
            case "affine_":
                return self._affine(kind)
            case "fc_2":
                return self._dense(kind)
            case "max_pool_2" | "avg_pool_2":
                return DlibLayer(kind, tuple(self._int() for _ in range(6)))
            case "relu_" | "add_prev_":
                return DlibLayer(kind)
        raise UnreadableError(
            f"is a dlib network with the layer {kind[:80]!r}, which none of the "
            "supported networks has"
        )

    def _convolution(self, kind: str) -> DlibLayer:
        numbers = self._array((None, 1, 1, 1)).ravel()
        geometry = tuple(self._int() for _ in range(7))
        kernel, bias = self._alias(), self._alias()
        if kernel[:1] + kernel[2:] != geometry[:3] or bias != (1, geometry[0], 1, 1):
            raise _DamagedError("a kernel of another size than its layer")
        split = count(kernel)
        if numbers.size != split + geometry[0]:
            raise _DamagedError("a kernel of another size than its numbers")
        for _ in range(4):  # Factors of rates and decays.
            self._real()
        weight = numbers[:split].reshape(kernel)
        return DlibLayer(kind, geometry, {"weight": weight, "bias": numbers[split:]})

    def _affine(self, kind: str) -> DlibLayer:
        numbers = self._array((None, 1, 1, 1)).ravel()
        aliases = self._alias(), self._alias()
        self._expect(self._int(), 0, "mode")
        features = numbers.size // 2
        if numbers.size % 2 or aliases != 2 * ((1, features, 1, 1),):
            raise _DamagedError("an affine layer of another size than its numbers")
        scale, shift = numbers.reshape(2, features)
        return DlibLayer(kind, (), {"weight": scale, "bias": shift})

    def _dense(self, kind: str) -> DlibLayer:
        features, inputs = self._int(), self._int()
        weight = self._array((inputs, features, 1, 1)).reshape(inputs, features)
        if self._alias() != (inputs, features, 1, 1) or self._alias() != _NOTHING:
            raise _DamagedError("a fully-connected layer of another size")
        self._expect(self._int(), 1, "bias")
        for _ in range(4):
            self._real()
        return DlibLayer(kind, (), {"weight": weight.T})

    def _tail(self) -> None:
        """What training keeps beside a layer, empty in a published network."""
        for _ in range(3):
            if self._bytes(1) not in (b"0", b"1"):
                raise _DamagedError("a flag")
        for _ in range(3):
            self._array(_NOTHING)

    def _array(self, expected: tuple[int | None, ...]) -> np.ndarray:
        self._expect(self._int(), _TENSOR_VERSION, "version of a tensor")
        shape = self._shape()
        if any(e is not None and e != s for e, s in zip(expected, shape, strict=True)):
            raise _DamagedError(f"a tensor of {' × '.join(map(str, shape))}")
        size = 4 * math.prod(shape)
        array = view(self._bytes(size), np.dtype(np.float32), shape)
        if not np.isfinite(array).all():
            raise _DamagedError("numbers that are not finite")
        return array

    def _alias(self) -> tuple[int, ...]:
        self._expect(self._int(), _ALIAS_VERSION, "version of an alias")
        return self._shape()

    def _shape(self) -> tuple[int, ...]:
        shape = tuple(self._int() for _ in range(4))
        count(shape)
        return shape

    def _text(self) -> str:
        length = self._int()
        if not 0 <= length <= _MAX_TEXT:
            raise _DamagedError(f"a text of {length:,} bytes")
        return str(self._bytes(length), "latin-1")

    def _real(self) -> float:
        mantissa, exponent = self._int(), self._int()
        if abs(exponent) > _MAX_EXPONENT:
            raise _DamagedError("a number that is not finite")
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError as error:
            raise _DamagedError("a number that is not finite") from error

    def _int(self) -> int:
        control = self._bytes(1)[0]
        length = control & 0x0F
        if control & 0x70 or not 1 <= length <= 8:
            raise _DamagedError(f"control byte {control}")
        value = int.from_bytes(self._bytes(length), "little")
        return -value if control & 0x80 else value

    def _bytes(self, size: int) -> memoryview:
        content = self._content[self.position : self.position + size]
        if len(content) != size:
            raise _DamagedError("the end of the file")
        self.position += size
        return content

    def _expect(self, found: int, expected: int, what: str) -> None:
        if found != expected:
            raise _DamagedError(f"{what} {found}, expected {expected}")
