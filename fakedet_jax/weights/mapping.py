# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Maps the arrays of a weight file onto the variables of a network.

| layer | ours | PyTorch | Caffe | Keras |
|---|---|---|---|---|
| conv | `kernel` HWIO, `bias` | `weight` OIHW, `bias` | as PyTorch | as ours |
| dense | `kernel` IO, `bias` | `weight` OI, `bias` | as PyTorch | as ours |
| norm | `scale`, `bias`, `mean`, `var` | `weight`, `bias`, `running_mean`, `running_var` | `scale`, `shift`, `mean`, `variance` | `gamma`, `beta`, `moving_mean`, `moving_variance` |
| caffe_norm | `scale`, `bias`, `mean_sum`, `var_sum` | as norm | as norm | as norm |
| affine | `scale`, `bias` | `weight`, `bias` | `scale`, `shift` | `gamma`, `beta` |
| prelu | `slope` | `weight` | `slope` | `alpha` |
| matrix | `kernel` IO | its name, IO | – | – |
| array | `value` | its name | – | – |

The `weight` of a `caffe_norm`, which divides its sums, is 1, because the mean and the
variance in files are divided already. A layer and its array are separated by `.` in
PyTorch and by `/` elsewhere. Depthwise kernels have one input feature per group, except
in Keras, which keeps the features of the input and calls the array `depthwise_kernel`.
"""  # noqa: E501 - a table

import collections
import dataclasses
import fnmatch
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from flax import traverse_util

from fakedet_jax.errors import RequestError
from fakedet_jax.models.parameters import Layer
from fakedet_jax.weights import renaming
from fakedet_jax.weights.tensors import (
    EXTRA_FLOATS,
    TensorFile,
    UnreadableError,
    listed,
    shown,
)

# Nested dicts of arrays, or of objects that have a shape.
Variables = Mapping[str, Any]

# Collection and name of the arrays of each kind of layer.
_NORM = ("params/scale", "params/bias", "batch_stats/mean", "batch_stats/var")
_ARRAYS = {
    "conv": ("params/kernel", "params/bias"),
    "dense": ("params/kernel", "params/bias"),
    "norm": _NORM,
    "caffe_norm": (*_NORM[:2], "batch_stats/mean_sum", "batch_stats/var_sum"),
    "affine": _NORM[:2],
    "prelu": ("params/slope",),
    "matrix": ("params/kernel",),
    "array": ("params/value",),
}
# Names in each layout of the arrays of normalisations, in the order of `_ARRAYS`, and
# of all other layers.
_NORM_NAMES = {
    "torch": ("weight", "bias", "running_mean", "running_var"),
    "caffe": ("scale", "shift", "mean", "variance"),
    "keras": ("gamma", "beta", "moving_mean", "moving_variance"),
}
_OTHER_NAMES = {
    "torch": {"kernel": "weight", "bias": "bias", "slope": "weight"},
    "caffe": {"kernel": "weight", "bias": "bias", "slope": "slope"},
    "keras": {"kernel": "kernel", "bias": "bias", "slope": "alpha"},
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How the arrays of a file match those of a network.

    "Paths" are those of our variables, "names" those of arrays in the file.

    Attributes:
        matched: Pairs of a name in the file and the path that its array went to.
        missing: Names that the network needs and the file lacks.
        extra: Names that the file has and the network does not need.
        misshaped: Names of arrays with another shape, followed by both shapes.
        dropped: Extra names that `ignore` matched.
        initialised: Paths that keep their initial values because `ignore` matched.
        derived: Paths that follow from the layout and are in no file.
        unused: Names of arrays that are not needed: counters and other single numbers,
            and those that published files hold besides the network.
        notes: Sentences about what was renamed and converted.
    """

    matched: tuple[tuple[str, str], ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    misshaped: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    initialised: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Slot:
    """An array of a network, and how a file stores it.

    Attributes:
        path: Path in our variables.
        shape: Shape in our variables.
        name: Name in the file.
        file_shape: Shape in the file.
        convert: Maps the array of the file to ours.
    """

    path: str
    shape: tuple[int, ...]
    name: str
    file_shape: tuple[int, ...]
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray

    def fits(self, array: np.ndarray) -> bool:
        # In Keras, the slopes of a PReLU have additional axes of size 1.
        # Tokens and positions may have an axis of the batch.
        leaf = self.path.rpartition("/")[2]
        padded = leaf in ("slope", "value") and array.size == math.prod(self.shape)
        return array.shape == self.file_shape or (
            padded and _without_ones(array.shape) == _without_ones(self.shape)
        )


def to_variables(
    layers: Sequence[Layer],
    tensor_file: TensorFile,
    shapes: Variables,
    *,
    ignore: Sequence[str] = (),
    unused: Sequence[str] = (),
    initial: Callable[[], Variables] | None = None,
    network: str = "the network",
) -> tuple[dict[str, Any], Comparison]:
    """Maps the arrays of a file onto the variables of a network.

    Args:
        layers: The layers of the network, with their names in published files.
        tensor_file: The arrays.
        shapes: The variables of the network, or their shapes (`jax.eval_shape`).
        ignore: Paths or names of arrays, or patterns such as `fc.*`, that may differ:
            superfluous arrays are dropped; missing ones and those of another shape keep
            their initial values.
        unused: Patterns of names that published files have and the network never needs.
        initial: Returns the initial variables, if some are needed; zeros by default.
        network: Name of the network for error messages.

    Returns:
        The variables, NumPy float32, and the comparison.

    Raises:
        RequestError: Arrays that `ignore` does not match are missing, superfluous or of
            another shape; or arrays are not floats, not finite, or negative variances.
    """
    _check_layout(layers, tensor_file, network)
    slots = _slots(
        layers, tensor_file.layout, _flatten_shapes(shapes), tensor_file.tensors
    )
    derived = _derived(layers, tensor_file.layout)
    wanted = [slot.name for slot in slots]
    tensors, prefix = renaming.without_prefix(tensor_file.tensors, wanted)
    originals: dict[str, str] = {}
    if tensor_file.layout == "keras":
        tensors, originals = _renumbered(tensors, slots)
    elif tensor_file.layout == "torch":
        tensors = _joined(tensors, wanted, tensor_file)
    missing = [slot for slot in slots if slot.name not in tensors]
    present = [slot for slot in slots if slot.name in tensors]
    matched = [slot for slot in present if slot.fits(tensors[slot.name])]
    misshaped = [slot for slot in present if not slot.fits(tensors[slot.name])]
    known = set(wanted)
    unknown = [name for name in tensors if name not in known]

    def is_ignored(*names: str, patterns: Sequence[str] = ignore) -> bool:
        return any(fnmatch.fnmatchcase(n, p) for n in names for p in patterns)

    left = [
        name
        for name in unknown
        if _is_number(name, tensors[name]) or is_ignored(name, patterns=unused)
    ]
    extra = [name for name in unknown if name not in set(left)]

    kept = [slot for slot in (*missing, *misshaped) if is_ignored(slot.name, slot.path)]
    kept_paths = {slot.path for slot in kept}
    candidates = [*extra, *(name for s in kept for name in (s.name, s.path))]
    unmatched = [p for p in ignore if not fnmatch.filter(candidates, p)]
    comparison = Comparison(
        matched=tuple(
            (prefix + originals.get(slot.name, slot.name), slot.path)
            for slot in matched
        ),
        missing=tuple(slot.name for slot in missing if slot.path not in kept_paths),
        extra=tuple(name for name in extra if not is_ignored(name)),
        misshaped=tuple(
            f"{slot.name} (expected {_format_shape(slot.file_shape)}, found "
            f"{_format_shape(tensors[slot.name].shape)})"
            for slot in misshaped
            if slot.path not in kept_paths
        ),
        dropped=tuple(name for name in extra if is_ignored(name)),
        initialised=tuple(slot.path for slot in kept),
        derived=tuple(derived),
        unused=tuple(left),
        notes=(
            *tensor_file.notes,
            *([f"{prefix!r} removed from the names"] if prefix else []),
            *_renumbering_notes(originals),
            *_dtype_notes([tensors[slot.name] for slot in matched]),
            *(f"nothing to ignore for {pattern!r}" for pattern in unmatched),
        ),
    )
    _refuse_differences(comparison, tensor_file, network, len(slots))
    values = {
        slot.path: _values(tensors[slot.name], slot, tensor_file) for slot in matched
    }
    if kept:
        start = flatten(initial()) if initial else {}
        for slot in kept:
            value = start.get(slot.path, np.zeros(slot.shape))
            values[slot.path] = np.asarray(value, np.float32)
    ordered = {slot.path: values[slot.path] for slot in slots}
    return nest({**ordered, **derived}), comparison


def expected(
    layers: Sequence[Layer], layout: str, shapes: Variables
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays that a file of a network must hold.

    Args:
        layers: The layers of the network.
        layout: One of `tensors.LAYOUTS`.
        shapes: The variables of the network, or their shapes.
    """
    slots = _slots(layers, layout, _flatten_shapes(shapes))
    return {slot.name: slot.file_shape for slot in slots}


def flatten(variables: Variables) -> dict[str, Any]:
    """Arrays by their paths.

    Args:
        variables: Nested dicts.

    >>> flatten({"params": {"conv1": {"kernel": 0}}})
    {'params/conv1/kernel': 0}
    """
    flat: dict[str, Any] = traverse_util.flatten_dict(variables, sep="/")
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`.

    Args:
        flat: Arrays by their paths.

    >>> nest({"params/conv1/kernel": 0})
    {'params': {'conv1': {'kernel': 0}}}
    """
    tree: dict[str, Any] = traverse_util.unflatten_dict(flat, sep="/")
    return tree


def _flatten_shapes(shapes: Variables) -> dict[str, tuple[int, ...]]:
    return {path: tuple(leaf.shape) for path, leaf in flatten(shapes).items()}


def _check_layout(
    layers: Sequence[Layer], tensor_file: TensorFile, network: str
) -> None:
    layout = tensor_file.layout
    if layout == "flax" or any(getattr(layer, layout) for layer in layers):
        return
    known = [
        name for name in _OTHER_NAMES if any(getattr(layer, name) for layer in layers)
    ]
    raise RequestError(
        f"`weights`: {str(tensor_file.path)!r} has names of {layout}, which are not "
        f"known for {network}; give a file of {' or '.join(known)}"
    )


def _slots(
    layers: Sequence[Layer],
    layout: str,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, Any] | None = None,
) -> list[_Slot]:
    slots = [
        slot
        for layer in layers
        for slot in _layer_slots(layer, layout, shapes, tensors or {})
    ]
    paths = {slot.path for slot in slots} | set(_derived(layers, layout))
    if paths != set(shapes):
        raise ValueError(
            f"the layers do not describe the network: {sorted(paths ^ set(shapes))}"
        )
    return slots


def _layer_slots(
    layer: Layer,
    layout: str,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, Any],
) -> Iterator[_Slot]:
    # Our own layout, "flax", is no attribute of a layer.
    foreign = getattr(layer, layout, None)
    arrays = _ARRAYS[layer.kind]
    if layer.kind in ("conv", "dense") and not layer.bias:
        arrays = arrays[:1]
    if layer.kind == "caffe_norm" and foreign is None:
        arrays = (*arrays, "batch_stats/weight")
    for index, array in enumerate(arrays):
        collection, leaf = array.split("/")
        path = f"{collection}/{layer.name}/{leaf}"
        if path not in shapes:
            raise ValueError(f"the network has no array {path}")
        shape = shapes[path]
        if foreign is None:
            # The file is ours, or no published file is known to have this layer.
            yield _Slot(path, shape, path, shape)
            continue
        if layer.kind in ("matrix", "array"):
            yield _Slot(path, shape, foreign, shape)
            continue
        is_norm = layer.kind in ("norm", "caffe_norm", "affine")
        name = _NORM_NAMES[layout][index] if is_norm else _OTHER_NAMES[layout][leaf]
        separator = "." if layout == "torch" else "/"
        name = (
            foreign.replace("*", name)
            if "*" in foreign
            else f"{foreign}{separator}{name}"
        )
        depthwise = f"{foreign}{separator}depthwise_kernel"
        swapped = (*shape[:2], *shape[:1:-1])
        if layout == "keras" and leaf == "kernel" and depthwise in tensors:
            name, is_swapped = depthwise, True
        else:
            # Keras 3 calls the kernel of a depthwise convolution like that of others.
            is_swapped = (
                layout == "keras"
                and leaf == "kernel"
                and name in tensors
                and layer.kind == "conv"
                and shape[2] == 1 != shape[3]
                and tensors[name].shape == swapped
            )
        if is_swapped:
            swap = functools.partial(np.swapaxes, axis1=2, axis2=3)
            yield _Slot(path, shape, name, swapped, swap)
        elif layout == "keras" or leaf != "kernel":
            yield _Slot(path, shape, name, shape)
        elif layer.kind == "conv":
            from_oihw = functools.partial(np.transpose, axes=(2, 3, 1, 0))
            file_shape = (shape[3], shape[2], shape[0], shape[1])
            yield _Slot(path, shape, name, file_shape, from_oihw)
        else:
            convert = functools.partial(_from_features_first, planes=layer.flattened)
            yield _Slot(path, shape, name, shape[::-1], convert)


def _derived(layers: Sequence[Layer], layout: str) -> dict[str, np.ndarray]:
    """Our arrays that have the same values for all files of a layout."""
    return {
        f"batch_stats/{layer.name}/weight": np.ones((), np.float32)
        for layer in layers
        if layer.kind == "caffe_norm" and getattr(layer, layout, None) is not None
    }


def _from_features_first(
    array: np.ndarray, planes: tuple[int, int, int] | None
) -> np.ndarray:
    """Transposes `[features, in_features]`, and reorders flattened feature maps."""
    if planes is None:
        return array.T
    height, width, depth = planes
    unflattened = array.reshape(len(array), depth, height, width)
    return unflattened.transpose(2, 3, 1, 0).reshape(-1, len(array))


def _is_number(name: str, array: np.ndarray) -> bool:
    """Whether an array is a single number that changes no layer."""
    # A scale belongs to numbers that are stored divided by it.
    return array.ndim == 0 and "scale" not in name


def _joined(
    tensors: dict[str, np.ndarray], wanted: Sequence[str], tensor_file: TensorFile
) -> dict[str, np.ndarray]:
    try:
        return renaming.joined(tensors, wanted)
    except UnreadableError as error:
        raise RequestError(f"`weights`: {str(tensor_file.path)!r} {error}") from error


def _renumbered(
    tensors: dict[str, np.ndarray], slots: Sequence[_Slot]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Renames layers of Keras that another session numbered.

    Keras calls layers without a name after their class, as in `conv2d` and `conv2d_1`,
    and goes on counting with the next network. The layers of a class are matched in the
    order of their numbers, if they are as many as the network has and all of their
    arrays have the shapes that it needs.

    Returns:
        The arrays by the names that the network knows, and the names in the file of
        those that were renamed.
    """
    wanted: dict[str, dict[str, _Slot]] = {}
    for slot in slots:
        layer, _, leaf = slot.name.rpartition("/")
        wanted.setdefault(layer, {})[leaf] = slot
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in tensors.items():
        layer, _, leaf = name.rpartition("/")
        found.setdefault(layer, {})[leaf] = array
    renamed: dict[str, str] = {}
    for kind in dict.fromkeys(map(_class_of, wanted)):
        ours, theirs = (
            sorted((name for name in names if _class_of(name) == kind), key=_number_of)
            for names in (wanted, found)
        )
        if set(ours) == set(theirs) or len(ours) != len(theirs):
            continue
        if all(
            wanted[own].keys() == found[other].keys()
            and all(wanted[own][leaf].fits(found[other][leaf]) for leaf in wanted[own])
            for own, other in zip(ours, theirs, strict=True)
        ):
            renamed.update(zip(theirs, ours, strict=True))
    names = {}
    for name in tensors:
        layer, _, leaf = name.rpartition("/")
        names[f"{renamed.get(layer, layer)}/{leaf}"] = name
    originals = {new: old for new, old in names.items() if new != old}
    return {new: tensors[old] for new, old in names.items()}, originals


def _class_of(layer: str) -> str:
    return re.sub(r"_\d+$", "", layer)


def _number_of(layer: str) -> int:
    number = re.search(r"_(\d+)$", layer)
    return int(number[1]) if number else 0


def _renumbering_notes(originals: Mapping[str, str]) -> list[str]:
    pairs = {
        old.rpartition("/")[0]: new.rpartition("/")[0] for new, old in originals.items()
    }
    text = ", ".join(f"{shown(old)} → {shown(new)}" for old, new in pairs.items())
    return [f"layers matched by order and shape: {text}"] if pairs else []


def _refuse_differences(
    comparison: Comparison, tensor_file: TensorFile, network: str, num_arrays: int
) -> None:
    differences = [
        f"{title}: {listed(list(map(shown, names)))}"
        for title, names in (
            ("missing", comparison.missing),
            ("superfluous", comparison.extra),
            ("of another shape", comparison.misshaped),
        )
        if names
    ]
    if differences:
        raise RequestError(
            f"`weights`: {str(tensor_file.path)!r} does not fit {network}: "
            f"{len(comparison.matched)} of {num_arrays} arrays match; "
            f"{'; '.join(differences)}; give weights of this network, or convert them "
            "and name what may differ with `ignore`"
        )


def _values(array: np.ndarray, slot: _Slot, tensor_file: TensorFile) -> np.ndarray:
    where = f"`weights`: {slot.name} of {str(tensor_file.path)!r}"
    if array.dtype.kind != "f" and array.dtype not in EXTRA_FLOATS:
        raise RequestError(
            f"{where} holds {array.dtype}, expected floats; export the network without "
            "quantisation"
        )
    with np.errstate(over="ignore"):
        values = array.reshape(slot.file_shape).astype(np.float32)
    if not np.isfinite(values).all():
        raise RequestError(
            f"{where} holds numbers that are not finite in float32; get the file again"
        )
    if slot.path.endswith(("/var", "/var_sum")) and (values < 0).any():
        raise RequestError(f"{where} holds negative variances; get the file again")
    # Unlike `ascontiguousarray`, this keeps an array without axes as it is.
    return np.asarray(slot.convert(values), order="C")


def _dtype_notes(arrays: Sequence[np.ndarray]) -> list[str]:
    found = collections.Counter(str(array.dtype.newbyteorder("=")) for array in arrays)
    return [
        f"{number} arrays converted from {dtype}"
        for dtype, number in sorted(found.items())
        if dtype != "float32"
    ]


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape without its first axes of size 1.

    >>> _without_ones((1, 1, 3, 1)), _without_ones((1,))
    ((3, 1), ())
    """
    first = next((i for i, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[first:])


def _format_shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "a number"
