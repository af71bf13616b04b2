# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads `.caffemodel` files: a `NetParameter` message of protocol buffers.

The package `protobuf` parses them by a description of the fields that lead to arrays
(of Caffe's `caffe.proto`); other fields are skipped. Caffe itself is not needed. The
arrays of a layer `NAME` are called

- `NAME/weight` and `NAME/bias` for convolutions and inner products
- `NAME/slope` for PReLU
- `NAME/mean`, `NAME/variance` for BatchNorm, divided by the factor that Caffe stores
  beside its sums, and `NAME/scale`, `NAME/shift` for the Scale layer that follows
- `NAME/blob0`, `NAME/blob1` and so on for all others
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.weights import protobuf
from fakedet_jax.weights.tensors import (
    Contents,
    UnreadableError,
    check_total,
    collect,
    count,
)

# Types of layers by number, as Caffe stored them before 2014.
_V1_TYPES = (
    "None Accuracy BNLL Concat Convolution Data Dropout EuclideanLoss Flatten HDF5Data "
    "HDF5Output Im2col ImageData InfogainLoss InnerProduct LRN "
    "MultinomialLogisticLoss Pooling ReLU Sigmoid Softmax SoftmaxWithLoss Split TanH "
    "WindowData Eltwise Power SigmoidCrossEntropyLoss HingeLoss MemoryData ArgMax "
    "Threshold DummyData Slice MVN AbsVal Silence ContrastiveLoss Exp Deconvolution"
)
_PLANES = ("Convolution", "Deconvolution")


@dataclasses.dataclass(frozen=True)
class CaffeLayer:
    """A layer of a Caffe network.

    Attributes:
        name: Name of the layer.
        type: Caffe's type of the layer, such as "Convolution".
        bottoms: Names of its inputs.
        tops: Names of its outputs.
        blobs: Its arrays, float32 or float64, in Caffe's order.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    blobs: tuple[np.ndarray, ...]


def read(path: Path) -> Contents:
    """Reads all arrays.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or has no arrays.
    """
    tensors = collect(_named_arrays(read_layers(path)))
    if not tensors:
        raise UnreadableError("is a Caffe network without arrays")
    return Contents(tensors)


def read_layers(path: Path) -> list[CaffeLayer]:
    """Reads all layers of a network, including those without arrays.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged or no Caffe network.
    """
    net = _parse("NetParameter", path.read_bytes())
    layers = [_layer(layer, layer.type) for layer in net.layer]
    old_types = dict(enumerate(_V1_TYPES.split()))
    layers += [
        _layer(layer, old_types.get(layer.type, str(layer.type)))
        for layer in net.layers
    ]
    check_total(sum(blob.nbytes for layer in layers for blob in layer.blobs))
    return layers


def looks_like(start: bytes) -> bool:
    """Whether a file may be a Caffe network.

    Protocol buffers have no signature. Caffe writes the name of the network first, or
    the first layer where the network has no name; a layer starts with a string.

    Args:
        start: The first bytes of the file.
    """
    for tag in (b"\x0a", b"\x12", b"\xa2\x06"):
        if start.startswith(tag):
            length, offset = _varint(start, len(tag))
            if tag == b"\x0a":
                text = start[offset : offset + length]
                return length < 1024 and text.isascii() and text.decode().isprintable()
            return start[offset : offset + 1] in (b"\x0a", b"\x12", b"\x1a", b"\x22")
    return False


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(data[offset : offset + 10]):
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, offset + position + 1
    return value, len(data)


def _parse(message: str, content: bytes) -> Any:
    return protobuf.parse(_messages()[message], content, ".caffemodel")


def _layer(layer: Any, kind: str) -> CaffeLayer:
    return CaffeLayer(
        name=layer.name,
        type=kind,
        bottoms=tuple(layer.bottom),
        tops=tuple(layer.top),
        blobs=tuple(_blob(layer.name, blob) for blob in layer.blobs),
    )


def _blob(layer: str, blob: Any) -> np.ndarray:
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    size = count(shape)
    if len(blob.double_data):
        numbers = np.asarray(blob.double_data, np.float64)
    else:
        packed = blob.data[0] if len(blob.data) == 1 else b"".join(blob.data)
        if len(packed) == 4 * size:
            numbers = np.frombuffer(packed, "<f4")
        else:
            # Protocol buffers can also hold each number as an entry of its own.
            unpacked = _parse("Floats", blob.SerializeToString())
            numbers = np.asarray(unpacked.data, np.float32)
    if numbers.size != size:
        raise UnreadableError(
            f"claims {size:,} numbers for layer {layer[:80]!r} and holds "
            f"{numbers.size:,}; it is damaged"
        )
    return numbers.reshape(shape)


def _named_arrays(layers: Sequence[CaffeLayer]) -> Iterator[tuple[str, np.ndarray]]:
    scales = _scales(layers)
    joined = {id(scale) for scale in scales.values()}
    for layer in layers:
        if id(layer) in joined or not layer.blobs:
            continue
        parts = [layer]
        if layer.name in scales and "mean" in _blob_names(layer):
            parts.append(scales[layer.name])
        for part in parts:
            for name, array in _plain_arrays(part).items():
                yield f"{layer.name}/{name}", array


def _scales(layers: Sequence[CaffeLayer]) -> dict[str, CaffeLayer]:
    """The Scale layer of each BatchNorm layer, by the name of the latter."""
    scales: dict[str, CaffeLayer] = {}
    by_name = {layer.name: layer for layer in layers if layer.type == "Scale"}

    taken = set()
    for layer in layers:
        if layer.type == "BatchNorm" and f"{layer.name}/scale" in by_name:
            scales[layer.name] = by_name[f"{layer.name}/scale"]
            taken.add(f"{layer.name}/scale")
    # Otherwise it is the next Scale layer that reads the output of the BatchNorm, which
    # may have the name of its input.
    open_norms: dict[str, str] = {}
    for layer in layers:
        if layer.type == "BatchNorm" and layer.name not in scales:
            open_norms.update(dict.fromkeys(layer.tops, layer.name))
        elif layer.type == "Scale" and layer.name not in taken:
            norm = next(
                (open_norms.pop(b) for b in layer.bottoms if b in open_norms), None
            )
            if norm is not None:
                scales[norm] = layer
        else:
            for top in layer.tops:
                open_norms.pop(top, None)
    return scales


def _blob_names(layer: CaffeLayer) -> list[str]:
    """Names of the arrays of a layer; see `_plain_arrays` for their values."""
    number = len(layer.blobs)
    if layer.type in (*_PLANES, "InnerProduct") and number <= 2:
        return ["weight", "bias"][:number]
    if layer.type == "PReLU" and number == 1:
        return ["slope"]
    if layer.type == "Scale" and number <= 2:
        return ["scale", "shift"][:number]
    if layer.type in ("BatchNorm", "BN") and number >= 3:
        merged = _merged_names(layer)
        if merged:
            return merged
    return [f"blob{i}" for i in range(number)]


def _merged_names(layer: CaffeLayer) -> list[str]:
    blobs = layer.blobs
    factor = [blob.size == 1 for blob in blobs]
    if len(blobs) in (3, 5) and factor[2] and blobs[0].size == blobs[1].size:
        return ["mean", "variance", "factor", "scale", "shift"][: len(blobs)]
    if len(blobs) == 4 and len({blob.size for blob in blobs}) == 1:
        # Two orders are in use; an array with negative numbers is no variance.
        last, second = bool(np.all(blobs[3] >= 0)), bool(np.all(blobs[1] >= 0))
        if last and not second:
            return ["scale", "shift", "mean", "variance"]
        if second and not last:
            return ["mean", "variance", "scale", "shift"]
    return []


def _plain_arrays(layer: CaffeLayer) -> dict[str, np.ndarray]:
    """Arrays of a layer by name, without Caffe's extra axes and factor."""
    blobs = dict(zip(_blob_names(layer), layer.blobs, strict=True))
    if "factor" in blobs:
        factor = float(blobs.pop("factor").ravel()[0])
        # Numbers that are not finite are refused later, with the name of the array.
        with np.errstate(all="ignore"):
            inverse = np.float32(1.0) / np.float32(factor) if factor else 0.0
            for name in ("mean", "variance"):
                blobs[name] = blobs[name] * np.float32(inverse)
    for name, blob in blobs.items():
        if name == "weight" and layer.type == "InnerProduct":
            if blob.ndim == 4 and blob.shape[:2] == (1, 1):
                blobs[name] = blob.reshape(blob.shape[2:])
        elif name in ("bias", "slope", "scale", "shift", "mean", "variance"):
            blobs[name] = blob.ravel()
    return blobs


@functools.cache
def _messages() -> dict[str, Any]:
    sizes = {
        name: (number, "int32")
        for number, name in enumerate(("num", "channels", "height", "width"), start=1)
    }
    layers = {
        title: {
            "name": (numbers[0], "string"),
            "type": (numbers[1], kind),
            "bottom": (numbers[2], "repeated string"),
            "top": (numbers[3], "repeated string"),
            "blobs": (numbers[4], "repeated BlobProto"),
        }
        for title, numbers, kind in (
            ("LayerParameter", (1, 2, 3, 4, 7), "string"),
            ("V1LayerParameter", (4, 5, 2, 3, 6), "int32"),
        )
    }
    return protobuf.messages(
        "caffe",
        {
            "BlobShape": {"dim": (1, "repeated int64")},
            "BlobProto": {
                **sizes,
                # Packed floats, declared as bytes so that NumPy reads them at once.
                "data": (5, "repeated bytes"),
                "shape": (7, "BlobShape"),
                "double_data": (8, "repeated double"),
            },
            "Floats": {"data": (5, "repeated float")},
            **layers,
            "NetParameter": {
                "name": (1, "string"),
                "layers": (2, "repeated V1LayerParameter"),
                "layer": (100, "repeated LayerParameter"),
            },
        },
    )
