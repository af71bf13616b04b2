# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the weights among all that a training script puts into a checkpoint.

The arrays of a checkpoint are in containers such as `{"epoch": …, "state_dict": {…}}`.
They are found at any depth; the path that all have in common is not part of their
names. The states of optimizers, schedulers, callbacks and random generators, the heads
of losses, and single numbers such as the best accuracy are passed over, and a note says
so. Where a checkpoint holds several sets of weights, such as an average beside the
newest ones, the user chooses.

A module of PyTorch or TorchScript is a tree of dicts of tensors, and is read as such;
other objects are never looked into for weights.
"""

import collections
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fakedet_jax.runtime import text
from fakedet_jax.weights.pickle_values import Array, Opaque, Tensor
from fakedet_jax.weights.tensors import UnreadableError, listed, shown

Keys = tuple[str, ...]

# Containers of a checkpoint that hold arrays other than weights.
_NOT_WEIGHTS = re.compile(
    r"(.*_)?(optim|optimizer|optimizers|opt)(_.*|\d)?|"
    r"(.*_)?sched(uler)?s?(_.*)?|"
    r"(.*_)?scaler(_.*)?|amp(_.*)?|"
    r"(.*_)?rngs?(_.*)?|(.*_)?random(_.*)?|"
    r"callbacks?|loops|meta|message_hub|hyper_parameters|hparams|args|cfg|config|"
    r"history|metrics?|logs?|"
    r"(state_dict_)?(softmax_fc|metric_fc|margin|criterions?|loss(es|_fn)?)(_state.*)?"
)
# Names in a state_dict that are those of no layer.
_NOT_LAYERS = re.compile(r"(module\.|model\.)*((criterion|loss_fn)\..*|n_averaged)")
# Names of containers with the weights of a whole network.
_CONTAINERS = re.compile(
    r"(.*[_.-])?(state_?dict|model|net|network|weights|params|ema|teacher|student|"
    r"generator|discriminator|g|d|net_?[gd])([_.-].*)?"
)
_RANDOM_STATE = "numpy.random.get_state"
_MAX_DEPTH = 64
_MAX_KEY = 200
_MAX_VALUES = 1_000_000


class _Part(str):
    """The name of a member of a module, which is a part of one network."""


class _Inside(str):
    """The class of an object whose attributes are no weights."""


def select(
    value: Any, container: str | None = None
) -> tuple[dict[str, Tensor | Array], list[str]]:
    """The weights among the arrays and tensors of a nested value.

    Args:
        value: What `unpickling.load` returned.
        container: The container to take, by its key or by all keys that lead to it,
            joined by dots; None where only one holds weights.

    Returns:
        Arrays and tensors by their names, and notes about what was passed over.

    Raises:
        UnreadableError: There are no weights, or there are several sets of them and no
            choice; the chosen container is missing; or a weight cannot be read.
    """
    objects: collections.Counter[str] = collections.Counter()
    leaves: dict[Keys, Any] = {}
    for keys, leaf in _leaves(value, objects):
        if keys in leaves:
            raise UnreadableError(f"holds two arrays named {'.'.join(keys)[:80]!r}")
        leaves[keys] = leaf
    prefix: Keys = ()
    passed: collections.Counter[str] = collections.Counter()
    if container is not None:
        prefix = _chosen(leaves, container)
        elsewhere = sum(keys[: len(prefix)] != prefix for keys in leaves)
        passed["other containers"] = elsewhere
        leaves = {k: leaf for k, leaf in leaves.items() if k[: len(prefix)] == prefix}
    found: dict[Keys, Any] = {}
    for path, leaf in leaves.items():
        reason = _reason(path[len(prefix) :])
        if reason is None:
            found[path] = leaf
        else:
            passed[reason] += 1
    if not found:
        raise UnreadableError(_no_weights(leaves, passed, objects))
    common = _common([k for k, leaf in found.items() if _shape(leaf)] or list(found))
    if container is None:
        _refuse_several(found, common)
    single = [keys for keys in found if keys[: len(common)] != common]
    for keys in single:
        del found[keys]
    common = _common(list(found))
    named: dict[str, Any] = {}
    for keys, leaf in found.items():
        name = ".".join(keys[len(common) :])
        if name in named:
            raise UnreadableError(f"holds two arrays named {name[:80]!r}")
        named[name] = leaf
    _refuse_unreadable(named)
    others = _passed(passed, single, objects)
    notes = [f"passed over {others}"] if others else []
    if common:
        notes.append(f"arrays taken from {'.'.join(common)!r}")
    return named, notes


def leaves(value: Any) -> Iterator[tuple[Keys, Any]]:
    """All arrays and tensors of a nested value, with the keys that lead to them.

    Args:
        value: What `unpickling.load` returned.

    Raises:
        UnreadableError: The value has too many parts.
    """
    return _leaves(value, collections.Counter())


def _leaves(
    value: Any, objects: collections.Counter[str]
) -> Iterator[tuple[Keys, Any]]:
    """See `leaves`; counts objects that are no arrays by their classes."""
    pending: list[tuple[Keys, Any]] = [((), value)]
    visited = 0
    while pending:
        keys, node = pending.pop()
        visited += 1
        if isinstance(node, Array) and node.reason is not None:
            objects["NumPy values that are no numbers"] += 1
            continue
        if isinstance(node, Tensor | Array):
            yield keys or ("",), node
            continue
        if isinstance(node, Opaque) and node.is_tensor:
            yield keys or ("",), node
            continue
        if _is_random_state(node):
            keys = (*keys, _Inside(_RANDOM_STATE))
        items = _items(node, objects)
        if not items:
            continue
        # Pickles can hold containers that contain themselves, or one many times.
        if len(keys) >= _MAX_DEPTH or visited + len(pending) > _MAX_VALUES:
            raise UnreadableError("holds too many or too deeply nested containers")
        # Reversed, because the last one is visited first: this keeps the file's order.
        pending.extend(((*keys, key), item) for key, item in reversed(items))


def _is_random_state(node: Any) -> bool:
    """Whether this is what `numpy.random.get_state` returns."""
    if isinstance(node, dict):
        return "bit_generator" in node
    return isinstance(node, tuple) and node[:1] == ("MT19937",)


def _items(node: Any, objects: collections.Counter[str]) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [(_text(key), item) for key, item in node.items()]
    if isinstance(node, list | tuple):
        return [(str(i), item) for i, item in enumerate(node)]
    if not isinstance(node, Opaque):
        return []
    state = node.state
    if isinstance(state, dict) and {"_parameters", "_modules"} <= state.keys():
        return list(_members(state))
    if isinstance(state, dict) and node.name.startswith("__torch__."):
        return [(_Part(_text(key)), item) for key, item in state.items()]
    if not node.name.startswith("torch.jit."):  # Lists of TorchScript.
        objects[node.name] += 1
    items = [] if node.content is None else _items(node.content, objects)
    return items if state is None else [*items, (_Inside(node.name), state)]


def _members(state: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """What a module of PyTorch contributes to its `state_dict`, in that order."""
    passing = state.get("_non_persistent_buffers_set")
    left_out = passing.content if isinstance(passing, Opaque) else ()
    for kind in ("_parameters", "_buffers", "_modules"):
        members = state.get(kind)
        if isinstance(members, dict):
            for key, item in members.items():
                if kind != "_buffers" or key not in (left_out or ()):
                    yield _Part(_text(key)), item


def _text(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _chosen(leaves: Iterable[Keys], container: str) -> Keys:
    """The keys that lead to the container of this name."""
    prefixes = {keys[:n] for keys in leaves for n in range(1, len(keys))}
    matching = [
        keys
        for keys in prefixes
        if container == ".".join(keys) or (container == keys[-1] and keys)
    ]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = listed(sorted(".".join(keys) for keys in matching))
        raise UnreadableError(
            f"holds several containers {container!r} (`container`): {names}; give all "
            "keys that lead to it, joined by dots"
        )
    names = listed(sorted({keys[0] for keys in prefixes}, key=str.lower)) or "none"
    raise UnreadableError(
        f"holds no container {container!r} (`container`), found {names}"
    )


def _is_called(key: str, pattern: re.Pattern[str]) -> bool:
    """Whether a container, which is no part of a module, has a name of a kind."""
    # Patterns take long for long names, which scripts do not use.
    is_name = len(key) <= _MAX_KEY and not isinstance(key, _Part)
    return is_name and pattern.fullmatch(key.lower()) is not None


def _reason(keys: Keys) -> str | None:
    """What an array is if it is no weight."""
    for key in keys:
        if isinstance(key, _Inside):
            return shown(key[:80])
        if _is_called(key, _NOT_WEIGHTS):
            return repr(key[:80])
    match = _NOT_LAYERS.fullmatch(keys[-1][:_MAX_KEY]) if keys else None
    return None if match is None else repr(match[2].partition(".")[0])


def _refuse_several(found: dict[Keys, Any], common: Keys) -> None:
    """Refuses several sets of weights."""
    groups: collections.Counter[str] = collections.Counter()
    for keys, leaf in found.items():
        below = keys[len(common) :]
        if len(below) > 1 and keys[: len(common)] == common and _shape(leaf):
            key = below[0]
            if _is_called(key, _CONTAINERS):
                groups[key] += 1
    if len(groups) > 1:
        names = [f"{shown(key[:80])} ({number})" for key, number in groups.items()]
        raise UnreadableError(
            f"holds several sets of weights: {listed(names)} arrays; convert it, and "
            "choose one with `container`"
        )


def _refuse_unreadable(named: dict[str, Any]) -> None:
    unreadable = [
        f"{shown(name[:80])} {leaf.reason}"
        for name, leaf in named.items()
        if isinstance(leaf, Opaque)
    ]
    if unreadable:
        raise UnreadableError(
            f"holds tensors that cannot be read: {listed(unreadable)}"
        )


def _common(paths: Sequence[Keys]) -> Keys:
    """The keys that all paths share, apart from their last key and from modules."""
    first = paths[0][:-1]
    members = [i for i, key in enumerate(first) if isinstance(key, _Part)]
    length = members[0] if members else len(first)
    for path in paths:
        while path[:-1][:length] != first[:length]:
            length -= 1
    return first[:length]


def _shape(leaf: Any) -> tuple[int, ...]:
    """Shape of an array; not empty where it is unknown."""
    if isinstance(leaf, Tensor):
        return leaf.shape
    if isinstance(leaf, Array) and leaf.value is not None:
        return leaf.value.shape
    return (1,)


def _passed(
    passed: collections.Counter[str],
    single: Sequence[Keys],
    objects: collections.Counter[str],
) -> str:
    parts = [
        f"{text.counted(number, 'array')} of {reason}"
        for reason, number in passed.items()
        if number
    ]
    if single:
        names = listed([shown(".".join(keys)[:80]) for keys in single])
        parts.append(f"the numbers {names}")
    if objects:
        names = listed([shown(name[:80]) for name in sorted(objects)])
        parts.append(f"objects that were not made ({names})")
    return ", ".join(parts)


def _no_weights(
    leaves: Iterable[Keys],
    passed: collections.Counter[str],
    objects: collections.Counter[str],
) -> str:
    inside = [key for keys in leaves for key in keys if isinstance(key, _Inside)]
    if inside:
        names = listed([shown(name[:80]) for name in dict.fromkeys(inside)])
        return (
            f"holds arrays only within objects that are never made ({names}); save the "
            "dict of the arrays alone (in PyTorch the state_dict)"
        )
    others = _passed(passed, (), objects)
    return f"holds no arrays of layers, only {others}" if others else "holds no arrays"
