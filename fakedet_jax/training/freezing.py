# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which parameters are trained, and what else stays as it is where none of them are.

Parameters have paths: their keys, joined by slashes, such as `base/conv6/kernel`. A
normalisation none of whose parameters is trained works as in a trained network: it
normalises with its running statistics, which do not move. That is a choice of this
toolkit, and the usual one: with statistics of the batch, the layers behind it would
learn from other features than those that they see later.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import flax.linen as nn
import jax

from fakedet_jax.errors import RequestError
from fakedet_jax.weights.tensors import listed

Params = Any

# The collection of running statistics.
_STATISTICS = "batch_stats"


def select(
    params: Params, pattern: str | None, never: Collection[str] = ()
) -> tuple[str, ...]:
    """The paths of the parameters that are not trained.

    Args:
        params: Nested dicts of arrays, or of their shapes.
        pattern: Regular expression; those are trained whose path holds a match. None
            for all.
        never: Paths of parameters that are never trained.

    Raises:
        RequestError: The pattern is none, or nothing that can be trained matches.

    >>> select({"conv": {"kernel": 1.0}, "fc": {"kernel": 1.0}}, "^fc/")
    ('conv/kernel',)
    """
    if pattern is None:
        return tuple(never)
    try:
        matches = re.compile(pattern).search
    except re.error as error:
        raise RequestError(
            f"`trainable`: expected a regular expression, found {pattern!r} ({error})"
        ) from error
    can_be = [path for path in jax.tree.leaves(paths(params)) if path not in never]
    trained = {path for path in can_be if matches(path)}
    if not trained:
        raise RequestError(
            f"`trainable`: {pattern!r} matches no parameter that can be trained, which "
            f"are {listed(can_be)}; give a pattern of such names"
        )
    return (*never, *(path for path in can_be if path not in trained))


def mask(params: Params, frozen: Collection[str]) -> Params:
    """Marks the parameters that are not trained.

    Args:
        params: Nested dicts of arrays.
        frozen: Paths of parameters.

    Returns:
        A tree of bools of the same structure.

    Raises:
        ValueError: A path is not among the parameters.

    >>> mask({"fc": {"kernel": 1.0, "bias": 0.0}}, ["fc/bias"])
    {'fc': {'bias': True, 'kernel': False}}
    """
    found = paths(params)
    if unknown := set(frozen).difference(jax.tree.leaves(found)):
        raise ValueError(f"no parameter named {', '.join(sorted(unknown))} to freeze")
    return jax.tree.map(lambda path: path in frozen, found)


def paths(params: Params) -> Params:
    """The path of each parameter, in its place in the tree."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), params
    )


def without_gradient(params: Params, frozen: Collection[str]) -> Params:
    """The same parameters, to those of which that are frozen no gradient flows.

    The compiler then leaves out what computes their gradients.

    Args:
        params: Nested dicts of arrays.
        frozen: Paths of parameters.
    """
    return jax.tree.map(
        lambda value, is_frozen: jax.lax.stop_gradient(value) if is_frozen else value,
        params,
        mask(params, frozen),
    )


def restored(params: Params, before: Params, frozen: Collection[str]) -> Params:
    """Parameters of which those that are frozen are as they were before.

    Args:
        params: Nested dicts of arrays.
        before: The same, before an update.
        frozen: Paths of parameters.
    """
    return jax.tree.map(
        lambda new, old, is_frozen: old if is_frozen else new,
        params,
        before,
        mask(params, frozen),
    )


@contextlib.contextmanager
def statistics_held(variables: Any, frozen: Collection[str]) -> Iterator[None]:
    """Within it, normalisations that are frozen use their running statistics.

    It works for those that take `train` as an argument, as ours do, and for Linen's.

    Args:
        variables: Of the network that is applied.
        frozen: Paths of parameters that are not trained.
    """
    held = _frozen_norms(variables, frozen)

    def intercept(
        next_fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        module = context.module
        if context.method_name == "__call__" and "/".join(module.path) in held:
            if isinstance(module, nn.BatchNorm):
                # Of Linen's it is an attribute. The module was made for this call.
                object.__setattr__(module, "use_running_average", None)
                kwargs = {**kwargs, "use_running_average": True}
            elif "train" in kwargs:
                kwargs = {**kwargs, "train": False}
        return next_fn(*args, **kwargs)

    with nn.intercept_methods(intercept) if held else contextlib.nullcontext():
        yield


def _frozen_norms(variables: Any, frozen: Collection[str]) -> set[str]:
    """Paths of modules that have statistics, and no parameter that is trained."""
    trained = set(jax.tree.leaves(paths(variables["params"]))).difference(frozen)
    with_statistics = {
        path.rpartition("/")[0]
        for path in jax.tree.leaves(paths(variables.get(_STATISTICS, {})))
    }
    with_trained = {path.rpartition("/")[0] for path in trained}
    return with_statistics - with_trained
