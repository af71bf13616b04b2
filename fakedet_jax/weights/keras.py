# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the weights of Keras 1 and 2: HDF5 with a group for every layer.

Keras names an array twice: `conv1/conv1/kernel:0` is the array `conv1/kernel:0` in the
group of the layer `conv1`. Names of layers have slashes of their own, and the inner
name may carry a number that made it unique in the session that wrote it. Here it is
called `conv1/kernel`, and likewise `bias`, `gamma`, `beta`, `moving_mean`,
`moving_variance` and `alpha`. A file of a whole model has its weights in the group
`model_weights`.

HDF5 can refer to other files and describe more data than it holds; both are refused.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.weights.tensors import Contents, UnreadableError, check_growth

_WEIGHTS_GROUP = "model_weights"
_OPTIMIZER_GROUP = "optimizer_weights"
# Of Keras 1; its running_std is the variance.
_OLD_NAMES = {
    "W": "kernel",
    "b": "bias",
    "alphas": "alpha",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
_MAX_OBJECTS = 100_000
_MAX_DEPTH = 32
# What HDF5 brings along: deflate, shuffle, fletcher32, szip, n-bit, scale-offset, and
# LZF of h5py. Others would be looked for among the plug-ins of the machine.
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))


def read(path: Path) -> Contents:
    """Reads all arrays of layers.

    Raises:
        UnreadableError: The file is damaged, refers to other files, or has no layers.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return _read(file, path.stat().st_size)
    except UnreadableError:
        raise
    except Exception as error:
        # h5py turns what the HDF5 library complains of into exceptions of all kinds.
        reason = " ".join(str(error).split())[:120]
        raise UnreadableError(
            f"is a damaged or truncated HDF5 file ({reason})"
        ) from error


def _read(file: Any, num_bytes: int) -> Contents:
    notes = []
    root = file
    if _WEIGHTS_GROUP in file:
        _refuse_link(file.get(_WEIGHTS_GROUP, getlink=True), _WEIGHTS_GROUP)
        root = file[_WEIGHTS_GROUP]
        if _OPTIMIZER_GROUP in file:
            notes.append(f"left out the arrays of {_OPTIMIZER_GROUP!r}")
    found = dict(sorted(_datasets(root)))
    total = 0
    for path, dataset in found.items():
        _check_dataset(path, dataset)
        # HDF5 unpacks whole chunks, which may be larger than what is in them.
        chunk = math.prod(dataset.chunks) if dataset.chunks else 0
        total += max(dataset.nbytes, chunk * dataset.dtype.itemsize)
    check_growth(total, num_bytes)
    tensors: dict[str, np.ndarray] = {}
    for path, dataset in found.items():
        if "/vars/" in f"/{path}":
            raise UnreadableError(
                "is a weight file of Keras 3; save the model as legacy .h5"
            )
        name = array_name(path)
        if name in tensors:
            raise UnreadableError(f"holds two arrays named {name[:80]!r}")
        tensors[name] = dataset[()]
    if not tensors:
        raise UnreadableError("holds no arrays of layers")
    return Contents(tensors, tuple(notes))


def array_name(path: str) -> str:
    """What an array is called here.

    Args:
        path: Of the array in the file.

    >>> array_name("conv1/conv1/kernel:0")
    'conv1/kernel'
    >>> array_name("conv1/3x3/bn/conv1/3x3/bn_2/beta:0")
    'conv1/3x3/bn/beta'
    """
    *groups, leaf = path.split("/")
    half = len(groups) // 2
    layer, scope = "/".join(groups[:half]), "/".join(groups[half:])
    if not re.fullmatch(rf"{re.escape(layer)}(_\d+)?", scope):
        # Named once, or a layer that is a model of its own.
        layer = "/".join(groups)
    leaf = re.sub(r":\d+$", "", leaf)
    # Keras 1 repeats the layer in the name of the array: conv1_W.
    leaf = leaf.removeprefix(f"{layer}_")
    return f"{layer}/{_OLD_NAMES.get(leaf, leaf)}"


def _datasets(root: Any) -> Iterator[tuple[str, Any]]:
    """All datasets below a group; groups that are linked twice are walked once."""
    import h5py

    pending = [("", root)]
    seen = set()
    visited = 0
    while pending:
        prefix, group = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        if prefix.count("/") > _MAX_DEPTH:
            raise UnreadableError("holds groups nested beyond reason")
        for name in group:
            visited += 1
            if visited > _MAX_OBJECTS:
                raise UnreadableError("holds more objects than any network")
            path = f"{prefix}{name}"
            _refuse_link(group.get(name, getlink=True), path)
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield path, item
            elif isinstance(item, h5py.Group):
                pending.append((f"{path}/", item))


def _refuse_link(link: Any, path: str) -> None:
    import h5py

    if not isinstance(link, h5py.HardLink):
        raise UnreadableError(
            f"has a link at {path[:80]!r}, which may lead to other files and is not "
            "followed; save the weights into one file"
        )


def _check_dataset(path: str, dataset: Any) -> None:
    if dataset.external or dataset.is_virtual:
        raise UnreadableError(
            f"keeps the numbers of {path[:80]!r} in other files, which are not opened; "
            "save the weights into one file"
        )
    if dataset.dtype.kind not in "fiub" or dataset.shape is None:
        raise UnreadableError(
            f"holds {str(dataset.dtype)[:40]} in {path[:80]!r}, expected numbers"
        )
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    if not filters <= _FILTERS:
        raise UnreadableError(f"compresses {path[:80]!r} in an unknown way")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes and (
        stored == 0 or (dataset.chunks is None and stored < dataset.nbytes)
    ):
        raise UnreadableError(
            f"claims {dataset.nbytes:,} bytes for {path[:80]!r} and holds {stored:,}"
        )
