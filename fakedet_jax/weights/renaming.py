# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the names of arrays in a file to those that a network asks for."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from fakedet_jax.weights.tensors import UnreadableError, shown

# How many prefixes are tried where a file holds several networks.
_MAX_PREFIXES = 16
# The name of a joined array, see `models.parameters.Layer.torch`.
_JOINED = re.compile(r"(?P<start>.*)\((?P<parts>[^()]+)\)\.(?P<leaf>\w+)")


def without_prefix(
    tensors: dict[str, np.ndarray], wanted: Sequence[str]
) -> tuple[dict[str, np.ndarray], str]:
    """Removes the prefix that names have in a file of a network with this one inside.

    Args:
        tensors: Arrays by their names in the file.
        wanted: Names that the network asks for; the first one is a name in a file.

    Returns:
        The arrays by their names without the prefix, and the prefix.
    """
    known = set(wanted)
    best, most = "", len(known.intersection(tensors))
    first = wanted[0]
    candidates = [name.removesuffix(first) for name in tensors if name.endswith(first)]
    for prefix in candidates[:_MAX_PREFIXES]:
        found = sum(
            name.startswith(prefix) and name[len(prefix) :] in known for name in tensors
        )
        if prefix.endswith((".", "/")) and found > most:
            best, most = prefix, found
    if not best:
        return tensors, ""
    renamed = {name: name.removeprefix(best) for name in tensors}
    if len(set(renamed.values())) < len(tensors):
        return tensors, ""
    return {renamed[name]: array for name, array in tensors.items()}, best


def joined(
    tensors: Mapping[str, np.ndarray], wanted: Sequence[str]
) -> dict[str, np.ndarray]:
    """Joins what the network has as one layer and the file as several.

    Such are queries, keys and values. A mask beside a bias is applied to it.

    Args:
        tensors: Arrays by their names in the file.
        wanted: Names that the network asks for, such as `attn.(q,k,v).weight`.

    Returns:
        The arrays; those that were joined are under the name of the joined one. Where
        some are missing or do not fit together, nothing is joined.

    Raises:
        UnreadableError: A mask holds other numbers than 0 and 1.

    >>> one = np.ones(1)
    >>> found = joined({"a.q.bias": one, "a.v.bias": 2 * one}, ["a.(q,k?,v).bias"])
    >>> found["a.(q,k?,v).bias"].tolist()
    [1.0, 0.0, 2.0]
    """
    found = dict(tensors)
    for name in wanted:
        if match := _JOINED.fullmatch(name):
            parts = [
                (f"{match['start']}{part.removesuffix('?')}.{match['leaf']}", part)
                for part in match["parts"].split(",")
            ]
            _join(found, name, parts)
        elif f"{name}_mask" in found and name in found:
            found[name] = _masked(found[name], found.pop(f"{name}_mask"), name)
    return found


def _join(
    found: dict[str, np.ndarray], name: str, parts: Sequence[tuple[str, str]]
) -> None:
    present = [found[own] for own, _ in parts if own in found]
    is_bias = name.endswith(".bias")
    may_lack = all(own in found or (is_bias and part[-1] == "?") for own, part in parts)
    if not present or not may_lack or len({array.shape for array in present}) > 1:
        return
    zeros = np.zeros_like(present[0])
    found[name] = np.concatenate([found.pop(own, zeros) for own, _ in parts])


def _masked(bias: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
    if mask.shape != bias.shape or not np.isin(mask, (0, 1)).all():
        raise UnreadableError(
            f"has a mask of {shown(name)} with other numbers than 0 and 1; get the "
            "file again"
        )
    return np.where(mask == 1, bias, np.zeros_like(bias))
