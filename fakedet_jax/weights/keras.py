# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the weights of Keras: HDF5 with a group for every layer.

h5py reads the file; the layout of Keras is interpreted here, so that neither Keras nor
the code that a Keras model may hold is needed. HDF5 files can refer to other files and
describe more data than they hold; both are refused.

Keras 1 and 2, and `.h5` files of Keras 3, name an array twice:
`conv1/conv1/kernel:0` is the array `conv1/kernel:0` in the group of the layer `conv1`.
Names of layers may contain slashes, and the inner name may carry a number that made it
unique in the session that wrote it. The array is called `conv1/kernel` here; other
arrays are `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance` and `alpha`. A file
of a whole model has its weights in the group `model_weights`.

A `.weights.h5` file of Keras 3 numbers the arrays of a layer, as in
`layers/conv2d_1/vars/0`. The group is called after the class of the layer; the name of
the layer is an attribute of `vars`, and may be that of another group. A `.keras` file
is a zip archive with such a file and a description of the model, which is not read.
"""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fakedet_jax.weights.tensors import (
    Contents,
    UnreadableError,
    check_growth,
    collect,
    listed,
)

_WEIGHTS_GROUP = "model_weights"
_OPTIMIZER_GROUP = "optimizer_weights"
# Names in Keras 1, whose running_std is the variance.
_OLD_NAMES = {
    "W": "kernel",
    "b": "bias",
    "alphas": "alpha",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
# The numbered arrays of Keras 3, by the class of the layer.
_KERNEL = ("kernel", "bias")
_NUMBERED: dict[str, tuple[str, ...]] = {
    "conv1d": _KERNEL,
    "conv2d": _KERNEL,
    "conv3d": _KERNEL,
    "conv2d_transpose": _KERNEL,
    "dense": _KERNEL,
    "depthwise_conv2d": ("depthwise_kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "p_re_lu": ("alpha",),
}
_MODEL_FILE = "model.weights.h5"
_MAX_OBJECTS = 100_000
_MAX_DEPTH = 32
# Filters that HDF5 includes (deflate, shuffle, fletcher32, szip, n-bit, scale-offset),
# and h5py's LZF. HDF5 would look for others among the plug-ins of the machine.
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))


def read(path: Path) -> Contents:
    """Reads all arrays of layers.

    Args:
        path: The file.

    Raises:
        UnreadableError: The file is damaged, refers to other files, or has no layers.
    """
    with path.open("rb") as file:
        return _read_stream(file, path.stat().st_size)


def is_archive(start: bytes) -> bool:
    """Whether a zip archive that starts like this is a `.keras` file.

    Args:
        start: The first bytes of the file.
    """
    names = (b"metadata.json", b"config.json", _MODEL_FILE.encode())
    return start.startswith(b"PK\x03\x04") and start[30:].startswith(names)


def read_archive(path: Path) -> Contents:
    """Reads all arrays of a `.keras` file.

    Args:
        path: The file.

    Raises:
        UnreadableError: See `read`.
    """
    num_bytes = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            if _MODEL_FILE not in archive.namelist():
                raise UnreadableError(f"is a .keras archive without {_MODEL_FILE}")
            size = archive.getinfo(_MODEL_FILE).file_size
            check_growth(size, num_bytes)
            content = archive.read(_MODEL_FILE)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise UnreadableError(
            f"is a damaged or truncated .keras archive ({str(error)[:80]}); get the "
            "file again"
        ) from error
    return _read_stream(io.BytesIO(content), num_bytes)


def _read_stream(stream: Any, num_bytes: int) -> Contents:
    import h5py

    try:
        with h5py.File(stream, "r") as file:
            return _read(file, num_bytes)
    except UnreadableError:
        raise
    except Exception as error:
        # h5py raises exceptions of many types for errors of the HDF5 library.
        reason = " ".join(str(error).split())[:120]
        raise UnreadableError(
            f"is a damaged or truncated HDF5 file ({reason}); get the file again"
        ) from error


def _read(file: Any, num_bytes: int) -> Contents:
    notes = []
    root = file
    if _WEIGHTS_GROUP in file:
        _refuse_link(file.get(_WEIGHTS_GROUP, getlink=True), _WEIGHTS_GROUP)
        root = file[_WEIGHTS_GROUP]
        if _OPTIMIZER_GROUP in file:
            notes.append(f"passed over the arrays of {_OPTIMIZER_GROUP!r}")
    found = dict(sorted(_datasets(root)))
    total = 0
    for path, dataset in found.items():
        _check_dataset(path, dataset)
        # HDF5 decompresses whole chunks, which may be larger than the dataset.
        chunk = math.prod(dataset.chunks) if dataset.chunks else 0
        total += max(dataset.nbytes, chunk * dataset.dtype.itemsize)
    check_growth(total, num_bytes)
    if any("/vars/" in f"/{path}" for path in found):
        names, passed = _numbered_names(found)
        if passed:
            notes.append(f"passed over the arrays of {listed(passed)}")
    else:
        names = {path: array_name(path) for path in found}
    tensors = collect((name, found[path][()]) for path, name in names.items())
    if not tensors:
        raise UnreadableError("holds no arrays of layers")
    return Contents(tensors, tuple(notes))


def _numbered_names(found: dict[str, Any]) -> tuple[dict[str, str], Sequence[str]]:
    """Names of the arrays of Keras 3, and what is no layer."""
    groups: dict[str, list[str]] = {}
    passed = set()
    for path in found:
        group, _, number = path.rpartition("/vars/")
        if group.split("/")[0] == "optimizer" or "seed_generator" in group.split("/"):
            passed.add(repr(group.split("/")[0 if group[:1] == "o" else -1][:80]))
        elif not number.isdigit():
            raise UnreadableError(
                f"holds {path[:80]!r}, which is no array of a layer of Keras 3"
            )
        else:
            groups.setdefault(group, []).append(path)
    names = {}
    for group, paths in groups.items():
        kind = group.rpartition("/")[2]
        title = found[paths[0]].parent.attrs.get("name", kind)
        layer = title.decode("utf-8", "replace") if isinstance(title, bytes) else title
        arrays = _NUMBERED.get(re.sub(r"_\d+$", "", kind), ())
        if kind.startswith("batch_normalization") and len(paths) != len(arrays):
            raise UnreadableError(
                f"holds {len(paths)} arrays for the layer {str(layer)[:80]!r} without "
                "their names, expected 4; save the model as legacy .h5"
            )
        for path in paths:
            place = int(path.rpartition("/")[2])
            leaf = arrays[place] if place < len(arrays) else f"var{place}"
            names[path] = f"{layer}/{leaf}"
    return names, sorted(passed)


def array_name(path: str) -> str:
    """Name of an array, as described above.

    Args:
        path: Path of the array in the file.

    >>> array_name("conv1/conv1/kernel:0")
    'conv1/kernel'
    >>> array_name("conv1/3x3/bn/conv1/3x3/bn_2/beta:0")
    'conv1/3x3/bn/beta'
    """
    *groups, leaf = path.split("/")
    half = len(groups) // 2
    layer, scope = "/".join(groups[:half]), "/".join(groups[half:])
    if not re.fullmatch(rf"{re.escape(layer)}(_\d+)?", scope):
        # The layer is named once only, or is a model itself.
        layer = "/".join(groups)
    leaf = re.sub(r":\d+$", "", leaf)
    # Keras 1 repeats the name of the layer in that of the array: conv1_W.
    leaf = leaf.removeprefix(f"{layer}_")
    return f"{layer}/{_OLD_NAMES.get(leaf, leaf)}"


def _datasets(root: Any) -> Iterator[tuple[str, Any]]:
    """Finds all datasets below a group; visits a group with several links once."""
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
            raise UnreadableError(f"holds groups nested more than {_MAX_DEPTH} deep")
        for name in group:
            visited += 1
            if visited > _MAX_OBJECTS:
                raise UnreadableError(f"holds more than {_MAX_OBJECTS:,} objects")

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
