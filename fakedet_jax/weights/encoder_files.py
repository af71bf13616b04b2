# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What tells the files of an encoder apart: whose names, and of which size."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.encoders.size import EncoderSize
from fakedet_jax.models.parameters import Layer
from fakedet_jax.weights.tensors import TensorFile

# The layers of an encoder by which a file is recognised, and its size.
_PATCHES, _POSITIONS, _IN_BLOCK = "patch_embedding", "positions", "block0/attention"
# Ends of the names of registers in files.
_REGISTERS = (".register_tokens", ".storage_tokens")


def layout(backbone: Backbone, tensor_file: TensorFile) -> tuple[Layer, ...]:
    """The layers of a backbone with the names that a file has.

    Args:
        backbone: The network.
        tensor_file: The file.

    Returns:
        One of `backbone.layouts` if the file has its name of the patch embedding, or
        else `backbone.layers`.
    """
    for layers in (backbone.layers, *backbone.layouts):
        if backbone.layouts and _key(layers, tensor_file.tensors) is not None:
            return layers
    return backbone.layers


def check_size(
    backbone: Backbone, layers: Sequence[Layer], tensor_file: TensorFile
) -> None:
    """Refuses weights of another size of the same encoder.

    Args:
        backbone: The network; nothing is checked where it is no encoder.
        layers: Its layers with the names that the file has.
        tensor_file: The file.

    Raises:
        RequestError: The weights are of another size; the error says of which.
    """
    key = _key(layers, tensor_file.tensors)
    if backbone.size is None or key is None:
        return
    seen = _seen(layers, tensor_file.tensors, key)
    expected = _numbers(backbone.size, layers)
    if seen == expected:
        return
    known = [size.name for size in backbone.sizes if _numbers(size, layers) == seen]
    raise RequestError(
        f"`weights`: {str(tensor_file.path)!r} holds "
        f"{known[0] if known else 'an encoder of an unknown size'} "
        f"({_described(seen)}), expected {backbone.size.name} "
        f"({_described(expected)}); choose the network of this size, if there is one, "
        "or give other weights"
    )


def _key(layers: Sequence[Layer], names: Iterable[str]) -> str | None:
    """The name of the patch embedding in a file, with a prefix if it has one."""
    torch = _names(layers).get(_PATCHES)
    if torch is None:
        return None
    own = f"{torch}.weight"
    found = (n for n in names if n == own or n.endswith(f".{own}"))
    return next(found, None)


def _names(layers: Sequence[Layer]) -> dict[str, str]:
    """Names in PyTorch's keys by those of layers."""
    return {one.name: one.torch for one in layers if one.torch is not None}


def _seen(
    layers: Sequence[Layer], tensors: Mapping[str, np.ndarray], key: str
) -> dict[str, int]:
    """What the shapes of the arrays say about the size, see `_described`."""
    names = _names(layers)
    prefix = key.removesuffix(f"{names[_PATCHES]}.weight")
    width, _, patch, *_ = (*tensors[key].shape, 0, 0, 0)
    start, _, end = names[_IN_BLOCK].partition(".0.")
    pattern = re.compile(rf"{re.escape(prefix + start)}\.(\d+)\.{re.escape(end)}\..*")
    numbers = {match[1] for name in tensors if (match := pattern.fullmatch(name))}
    found = {"width": width, "depth": len(numbers), "patch": patch}
    if _POSITIONS in names:
        found[_POSITIONS] = _rows(tensors.get(prefix + names[_POSITIONS]))
    registers = (tensors[n] for n in tensors if f".{n}".endswith(_REGISTERS))
    found["registers"] = _rows(next(registers, None))
    return found


def _rows(array: np.ndarray | None) -> int:
    return 0 if array is None else math.prod(array.shape[:-1])


def _numbers(size: EncoderSize, layers: Sequence[Layer]) -> dict[str, int]:
    """What `_seen` finds in a file of this size."""
    names = _names(layers)
    found = {"width": size.width, "depth": size.depth, "patch": size.patch}
    if _POSITIONS in names:
        found[_POSITIONS] = 1 + size.grid**2
    found["registers"] = size.num_registers
    return found


def _described(numbers: Mapping[str, int]) -> str:
    """A size for reading.

    >>> _described({"width": 768, "depth": 12, "patch": 16, "registers": 4})
    '768 features, 12 blocks, patches of 16 pixels, 4 registers'
    """
    words = {
        "width": "{} features",
        "depth": "{} blocks",
        "patch": "patches of {} pixels",
        _POSITIONS: "{} positions",
        "registers": "{} registers",
    }
    return ", ".join(
        words[name].format(number)
        for name, number in numbers.items()
        if number or name != "registers"
    )
