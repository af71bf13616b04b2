# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rewrites a traced function with the plainest operations that compute the same.

Converters to other formats know few of JAX's operations, or get some of their options
wrong. What stands for nothing else in a program that only scores is left out: choices
among platforms, of which the one for any platform is taken, calls, and barriers.
Windowed maxima and sums become maxima and sums of shifted slices.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

# Where a call keeps what it calls, by the name of its primitive.
_CALLS = {
    **dict.fromkeys(("jit", "pjit", "remat", "checkpoint"), "jaxpr"),
    **dict.fromkeys(("closed_call", "core_call"), "call_jaxpr"),
    **dict.fromkeys(("custom_jvp_call", "custom_vjp_call"), "call_jaxpr"),
}
# The operation, and whether it is a maximum.
_WINDOWED: dict[str, tuple[Callable[..., jax.Array], bool]] = {
    "reduce_window_max": (jnp.maximum, True),
    "reduce_window_sum": (jnp.add, False),
}


def trace(
    function: Callable[..., Any], *arguments: jax.ShapeDtypeStruct
) -> Callable[..., list[jax.Array]]:
    """Traces a function and rewrites it.

    Args:
        function: Pure, of arrays.
        *arguments: Their shapes and dtypes.

    Returns:
        A function of such arrays to the list of the results, whose trees are flattened.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    return functools.partial(_run, closed.jaxpr, closed.consts)


def _run(jaxpr: Any, consts: Sequence[Any], *arguments: Any) -> list[Any]:
    """Computes a jaxpr, one operation after the other."""
    values: dict[Any, Any] = {}

    def read(place: Any) -> Any:
        return place.val if isinstance(place, core.Literal) else values[place]

    values.update(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        results = _apply(equation, [read(place) for place in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(place) for place in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if name == "platform_index":
        return [np.int32(params["platforms"].index(None))]
    if name == "cond" and isinstance(inputs[0], int | np.integer):
        branch = params["branches"][int(inputs[0])]
        return _run(branch.jaxpr, branch.consts, *inputs[1:])
    if name in _CALLS:
        called = params[_CALLS[name]]
        if isinstance(called, core.ClosedJaxpr):
            return _run(called.jaxpr, called.consts, *inputs)
        return _run(called, (), *inputs)
    if name == "optimization_barrier":
        return inputs
    if name in _WINDOWED:
        return [_windowed(*_WINDOWED[name], inputs[0], params)]
    found = equation.primitive.bind(
        *inputs, **equation.primitive.get_bind_params(params)
    )
    return found if equation.primitive.multiple_results else [found]


def _edge(
    values: jax.Array, axis: int, end: int, number: int, is_maximum: bool
) -> list[jax.Array]:
    """What is put before or behind an axis and changes no result.

    Each window holds a value of the array, and thus its outermost one where it reaches
    beyond; that one changes no maximum.
    """
    outermost = lax.index_in_dim(values, end, axis)
    return [outermost if is_maximum else outermost * 0] * number


def _windowed(
    combine: Callable[..., jax.Array],
    is_maximum: bool,
    values: jax.Array,
    params: dict[str, Any],
) -> jax.Array:
    """A windowed reduction as one of shifted slices."""
    for dilation in ("base_dilation", "window_dilation"):
        if any(step != 1 for step in params[dilation]):
            raise NotImplementedError(f"windows with {dilation}")
    padded = values
    sides, strides = params["window_dimensions"], params["window_strides"]
    for axis, (before, after) in enumerate(params["padding"]):
        if max(before, after) >= sides[axis] > 1:
            raise NotImplementedError("windows that hold padding alone")
        edges = [
            _edge(padded, axis, end, number, is_maximum)
            for end, number in ((0, before), (-1, after))
        ]
        if before or after:
            padded = jnp.concatenate([*edges[0], padded, *edges[1]], axis)
    ends = [
        (size - side) // stride * stride + 1
        for size, side, stride in zip(padded.shape, sides, strides, strict=True)
    ]
    slices = (
        lax.slice(
            padded,
            starts,
            [start + end for start, end in zip(starts, ends, strict=True)],
            strides,
        )
        for starts in itertools.product(*map(range, sides))
    )
    return functools.reduce(combine, slices)
