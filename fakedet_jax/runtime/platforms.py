# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One computation in the form that suits CPUs, GPUs or TPUs.

`jax.lax.platform_dependent` traces and differentiates every form, and forms inside
forms multiply. A function compiled for a mesh needs only the form of its devices, so
`jit` tells `choose` what they are: the training step of AMTENnet is traced in a third
of the time. Elsewhere, such as in a program exported for several platforms, every form
is kept.
"""

import contextvars
import functools
from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.sharding import Mesh

from fakedet_jax.runtime import parallel

# Whether the function being traced runs on CPUs; None where that is not known.
_ON_CPUS: contextvars.ContextVar[bool | None] = contextvars.ContextVar(
    "on_cpus", default=None
)
# Where a function that is traced for known devices keeps the one it was made of.
_WHOLE = "with_every_form"


def choose(
    *operands: Any, default: Callable[..., Any], **forms: Callable[..., Any]
) -> Any:
    """Applies the form of a function that suits the platform it runs on.

    Args:
        *operands: Trees of arrays, the function's arguments.
        default: The function on platforms that `forms` does not name.
        **forms: The function by platform, named as `jax.lax.platform_dependent` does.
            All forms return trees of the same structure, shapes and dtypes.

    Returns:
        What the form returns.
    """
    on_cpus = _ON_CPUS.get()
    if on_cpus:
        return forms.get("cpu", default)(*operands)
    if on_cpus is not None:
        forms.pop("cpu", None)
    if not forms:
        return default(*operands)
    return lax.platform_dependent(*operands, default=default, **forms)


def jit(function: Callable[..., Any], mesh: Mesh, **options: Any) -> Any:
    """`jax.jit` for a function that runs on the devices of one mesh.

    Args:
        function: Pure function. It calls none that `jax.jit` returned, which would
            remember the form for other devices.
        mesh: The devices, which may be absent ones.
        **options: Of `jax.jit`.

    Returns:
        The jitted function.
    """
    on_cpus = mesh.devices.flat[0].platform == "cpu"
    return jax.jit(_traced(function, on_cpus), **options)


def jit_rows(function: Callable[..., Any], mesh: Mesh) -> Any:
    """`jit` for a function whose results have a row for each picture of a batch.

    Args:
        function: As for `jit`.
        mesh: As for `jit`.

    Returns:
        The jitted function; its results are cut along the mesh.
    """
    return jit(function, mesh, out_shardings=parallel.batch_sharding(mesh))


def for_every_platform(jitted: Any) -> Any:
    """The function of `jit` with all forms, as to lower it for absent devices.

    Args:
        jitted: Function that `jit` or `jax.jit` returned.

    Returns:
        A jitted function that holds every form; of `jax.jit`, the same.
    """
    function = getattr(jitted.__wrapped__, _WHOLE, None)
    return jitted if function is None else jax.jit(function)


def eval_shape(function: Callable[..., Any], *arguments: Any) -> Any:
    """`jax.eval_shape`; all forms have the same shapes, so one is traced.

    Args:
        function: As for `jit`.
        *arguments: Its arguments, or their shapes.

    Returns:
        A tree of `jax.ShapeDtypeStruct`.
    """
    return jax.eval_shape(_traced(function, on_cpus=True), *arguments)


def _traced(function: Callable[..., Any], on_cpus: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced(*arguments: Any, **named: Any) -> Any:
        token = _ON_CPUS.set(on_cpus)
        try:
            return function(*arguments, **named)
        finally:
            _ON_CPUS.reset(token)

    setattr(traced, _WHOLE, function)
    return traced
