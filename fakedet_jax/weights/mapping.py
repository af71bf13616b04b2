# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the arrays of a file to the variables of a network, compared both ways.

| layer | ours | PyTorch | Caffe | Keras |
|---|---|---|---|---|
| conv | `kernel` HWIO, `bias` | `weight` OIHW, `bias` | as PyTorch | as ours |
| dense | `kernel` IO, `bias` | `weight` OI, `bias` | as PyTorch | as ours |
| norm | `scale`, `bias`, `mean`, `var` | `weight`, `bias`, `running_mean`, `running_var` | `scale`, `shift`, `mean`, `variance` | `gamma`, `beta`, `moving_mean`, `moving_variance` |
| caffe_norm | `scale`, `bias`, `mean_sum`, `var_sum` | as norm | as norm | as norm |
| prelu | `slope` | `weight` | `slope` | `alpha` |

The `weight` of a `caffe_norm`, which divides its sums, is 1: what files call mean and
variance is divided already. PyTorch and Caffe put `.` and `/` between a layer and its array. Depthwise kernels have
one input feature per group in every layout but Keras', which keeps the features of the
input and calls the array `depthwise_kernel`.
"""  # noqa: E501 - a table

import collections
import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.models.parameters import Layer
from fakedet_jax.weights.tensors import BFLOAT16, TensorFile, shown

# A tree of variables: dicts down to arrays, or to what has a shape.
Variables = Mapping[str, Any]

# The names of our arrays in each layout: of a `norm` layer, and of all others.
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
_NORM_PATHS = (
    ("params", "scale"),
    ("params", "bias"),
    ("batch_stats", "mean"),
    ("batch_stats", "var"),
)
# In the order of `_NORM_PATHS`; the last one is in no file.
_CAFFE_NORM_PATHS = (
    ("params", "scale"),
    ("params", "bias"),
    ("batch_stats", "mean_sum"),
    ("batch_stats", "var_sum"),
    ("batch_stats", "weight"),
)
# Networks in one file among which the one that fits is looked for.
_MAX_PREFIXES = 16
# Counts the batches that PyTorch's running statistics have seen.
_COUNTER = "num_batches_tracked"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a file and a network have of each other.

    Attributes:
        matched: Names in the file, and the paths of ours that they became.
        missing: Names that the network needs and the file lacks.
        extra: Names that the file has and the network lacks.
        misshaped: Names whose arrays have another shape, with both shapes in words.
        dropped: Superfluous names that were to be ignored.
        initialised: Paths of ours that keep their initial values, as was to be ignored.
        derived: Paths of ours that no file has, because they follow from the layout.
        unused: Names of counters that no network needs.
        notes: What was converted, in words.
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
    """One of our arrays, and what it is in a file.

    Attributes:
        path: Ours.
        shape: Ours.
        name: In the file.
        file_shape: In the file.
        convert: From the one to the other.
    """

    path: str
    shape: tuple[int, ...]
    name: str
    file_shape: tuple[int, ...]
    convert: Callable[[np.ndarray], np.ndarray]

    def fits(self, array: np.ndarray) -> bool:
        # Keras gives the slopes of PReLU axes of size 1.
        alike = self.path.endswith("/slope") and array.shape[-1:] == self.shape
        return array.shape == self.file_shape or (alike and array.size == self.shape[0])


def to_variables(
    layers: Sequence[Layer],
    tensor_file: TensorFile,
    shapes: Variables,
    *,
    ignore: Sequence[str] = (),
    initial: Callable[[], Variables] | None = None,
    network: str = "the network",
) -> tuple[dict[str, Any], Comparison]:
    """Maps the arrays of a file onto the variables of a network.

    Args:
        layers: Of the network, with their names in published files.
        tensor_file: The arrays.
        shapes: The variables of the network, or their shapes (`jax.eval_shape`).
        ignore: Names of arrays, ours or the file's, or patterns such as `fc.*`, that
            may differ: superfluous ones are dropped, missing and mis-shaped ones keep
            their initial values.
        initial: Makes the initial variables, where some are needed; zeros without.
        network: What errors call the network.

    Returns:
        The variables, float32, and what was compared.

    Raises:
        RequestError: Arrays are missing, superfluous, of another shape, no floats, or
            not finite, and are not to be ignored.
    """
    _check_layout(layers, tensor_file, network)
    slots = _slots(
        layers, tensor_file.layout, _flatten_shapes(shapes), tensor_file.tensors
    )
    derived = _derived(layers, tensor_file.layout)
    tensors, prefix = _without_prefix(tensor_file.tensors, slots)
    wanted = {slot.name for slot in slots}
    missing = [slot for slot in slots if slot.name not in tensors]
    present = [slot for slot in slots if slot.name in tensors]
    matched = [slot for slot in present if slot.fits(tensors[slot.name])]
    misshaped = [slot for slot in present if not slot.fits(tensors[slot.name])]
    unknown = [name for name in tensors if name not in wanted]
    unused = [name for name in unknown if name.endswith(f".{_COUNTER}")]
    extra = [name for name in unknown if not name.endswith(f".{_COUNTER}")]

    def is_ignored(*names: str) -> bool:
        return any(fnmatch.fnmatchcase(n, p) for n in names for p in ignore)

    kept = [slot for slot in (*missing, *misshaped) if is_ignored(slot.name, slot.path)]
    left = {slot.path for slot in kept}
    candidates = [*extra, *(name for s in kept for name in (s.name, s.path))]
    idle = [p for p in ignore if not fnmatch.filter(candidates, p)]
    comparison = Comparison(
        matched=tuple((prefix + slot.name, slot.path) for slot in matched),
        missing=tuple(slot.name for slot in missing if slot.path not in left),
        extra=tuple(name for name in extra if not is_ignored(name)),
        misshaped=tuple(
            f"{slot.name} (expected {_by(slot.file_shape)}, found "
            f"{_by(tensors[slot.name].shape)})"
            for slot in misshaped
            if slot.path not in left
        ),
        dropped=tuple(name for name in extra if is_ignored(name)),
        initialised=tuple(slot.path for slot in kept),
        derived=tuple(derived),
        unused=tuple(unused),
        notes=(
            *tensor_file.notes,
            *([f"{prefix!r} taken off the names"] if prefix else []),
            *_dtype_notes([tensors[slot.name] for slot in matched]),
            *(f"nothing to ignore for {pattern!r}" for pattern in idle),
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
    """What a file of a network holds: the names of its arrays and their shapes.

    Args:
        layers: Of the network.
        layout: One of `tensors.LAYOUTS`.
        shapes: The variables of the network, or their shapes.
    """
    slots = _slots(layers, layout, _flatten_shapes(shapes))
    return {slot.name: slot.file_shape for slot in slots}


def flatten(variables: Variables) -> dict[str, Any]:
    """Arrays by their paths.

    >>> flatten({"params": {"conv1": {"kernel": 0}}})
    {'params/conv1/kernel': 0}
    """
    flat: dict[str, Any] = {}
    for name, value in variables.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{path}": leaf for path, leaf in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`.

    >>> nest({"params/conv1/kernel": 0})
    {'params': {'conv1': {'kernel': 0}}}
    """
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
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
        f"`weights`: {str(tensor_file.path)!r} has the names of {layout}, which are "
        f"not known for {network}; give a file of {' or '.join(known)}"
    )


def _slots(
    layers: Sequence[Layer],
    layout: str,
    shapes: Mapping[str, tuple[int, ...]],
    names: Collection[str] = (),
) -> list[_Slot]:
    slots = [
        slot for layer in layers for slot in _layer_slots(layer, layout, shapes, names)
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
    names: Collection[str],
) -> Iterator[_Slot]:
    for collection, leaf in _arrays(layer):
        path = f"{collection}/{layer.name}/{leaf}"
        if path not in shapes:
            raise ValueError(f"the network has no array {path}")
        shape = shapes[path]
        foreign = _foreign_name(layer, layout)
        if foreign is None:
            # In our own files, and where no file is known to have it.
            yield _Slot(path, shape, path, shape, _same)
            continue
        if layer.kind == "caffe_norm" and leaf == "weight":
            continue
        if layer.kind in ("norm", "caffe_norm"):
            index = _arrays(layer).index((collection, leaf))
            name = _NORM_NAMES[layout][index]
        else:
            name = _OTHER_NAMES[layout][leaf]
        separator = "." if layout == "torch" else "/"
        name = f"{foreign}{separator}{name}"
        depthwise = f"{foreign}{separator}depthwise_kernel"
        if leaf != "kernel":
            yield _Slot(path, shape, name, shape, _same)
        elif layout == "keras" and depthwise in names:
            planes = (*shape[:2], shape[3], shape[2])
            yield _Slot(path, shape, depthwise, planes, _last_swapped)
        elif layout == "keras":
            yield _Slot(path, shape, name, shape, _same)
        elif layer.kind == "conv":
            file_shape = (shape[3], shape[2], shape[0], shape[1])
            yield _Slot(path, shape, name, file_shape, _from_oihw)
        else:
            convert = functools.partial(_from_features_first, planes=layer.flattened)
            yield _Slot(path, shape, name, shape[::-1], convert)


def _arrays(layer: Layer) -> tuple[tuple[str, str], ...]:
    if layer.kind == "norm":
        return _NORM_PATHS
    if layer.kind == "caffe_norm":
        return _CAFFE_NORM_PATHS
    if layer.kind == "prelu":
        return (("params", "slope"),)
    kernel = (("params", "kernel"),)
    return (*kernel, ("params", "bias")) if layer.bias else kernel


def _foreign_name(layer: Layer, layout: str) -> str | None:
    return None if layout == "flax" else getattr(layer, layout)


def _derived(layers: Sequence[Layer], layout: str) -> dict[str, np.ndarray]:
    """Arrays of ours that are the same whatever a file of the layout holds."""
    return {
        f"batch_stats/{layer.name}/weight": np.ones((), np.float32)
        for layer in layers
        if layer.kind == "caffe_norm" and _foreign_name(layer, layout) is not None
    }


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _last_swapped(array: np.ndarray) -> np.ndarray:
    return array.swapaxes(2, 3)


def _from_oihw(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0)


def _from_features_first(
    array: np.ndarray, planes: tuple[int, int, int] | None
) -> np.ndarray:
    """From `[features, in_features]` to ours, whatever was flattened before."""
    if planes is None:
        return array.T
    height, width, depth = planes
    unflattened = array.reshape(len(array), depth, height, width)
    return unflattened.transpose(2, 3, 1, 0).reshape(-1, len(array))


def _without_prefix(
    tensors: dict[str, np.ndarray], slots: Sequence[_Slot]
) -> tuple[dict[str, np.ndarray], str]:
    """Takes off what a network that contains this one put before its names."""
    wanted = {slot.name for slot in slots}
    best, most = "", len(wanted.intersection(tensors))
    first = slots[0].name
    candidates = [name.removesuffix(first) for name in tensors if name.endswith(first)]
    for prefix in candidates[:_MAX_PREFIXES]:
        found = sum(
            name.startswith(prefix) and name[len(prefix) :] in wanted
            for name in tensors
        )
        if prefix.endswith((".", "/")) and found > most:
            best, most = prefix, found
    if not best:
        return tensors, ""
    renamed = {name: name.removeprefix(best) for name in tensors}
    if len(set(renamed.values())) < len(tensors):
        return tensors, ""
    return {renamed[name]: array for name, array in tensors.items()}, best


def _refuse_differences(
    comparison: Comparison, tensor_file: TensorFile, network: str, num_arrays: int
) -> None:
    differences = [
        f"{title}: {', '.join(map(shown, names))}"
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
    if array.dtype.kind != "f" and array.dtype != BFLOAT16:
        raise RequestError(
            f"{where} holds {array.dtype}, expected floats; export the network without "
            "quantisation"
        )
    with np.errstate(over="ignore"):
        values = array.reshape(slot.file_shape).astype(np.float32)
    if not np.isfinite(values).all():
        raise RequestError(
            f"{where} holds numbers that are not finite in float32; get the file anew"
        )
    if slot.path.endswith(("/var", "/var_sum")) and (values < 0).any():
        raise RequestError(f"{where} holds negative variances; get the file anew")
    # Not `ascontiguousarray`, which makes an array of a single number.
    return np.asarray(slot.convert(values), order="C")


def _dtype_notes(arrays: Sequence[np.ndarray]) -> list[str]:
    found = collections.Counter(str(array.dtype.newbyteorder("=")) for array in arrays)
    return [
        f"{number} arrays converted from {dtype}"
        for dtype, number in sorted(found.items())
        if dtype != "float32"
    ]


def _by(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "a number"
