# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of rewritten programs: they compute the same with plainer operations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from fakedet_jax.deployment import plain
from fakedet_jax.models import pooling

PLANES = jnp.asarray(np.random.default_rng(0).normal(-3, 1, (2, 4, 11, 9)), jnp.float32)
LAST = PLANES.transpose(0, 2, 3, 1)


def _names(function, *arguments):
    def inner(jaxpr):
        for equation in jaxpr.eqns:
            yield equation.primitive.name
            for value in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda v: hasattr(v, "jaxpr")
            ):
                if hasattr(value, "jaxpr"):
                    yield from inner(value.jaxpr)

    return set(inner(jax.make_jaxpr(function)(*arguments).jaxpr))


def _by_platform(x):
    return lax.platform_dependent(x, cpu=jnp.cos, default=jnp.cos)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (pooling.max_pool, PLANES),
        (pooling.average_pool, PLANES),
        (lambda x: nn.max_pool(x, (2, 2), (2, 2), "SAME"), LAST),
        (lambda x: nn.max_pool(x, (4, 4), (4, 4), "SAME"), LAST),
        (lambda x: nn.avg_pool(x, (3, 3), (2, 2), "SAME"), LAST),
        (lambda x: nn.max_pool(x, (3, 3), (1, 1), ((1, 1), (2, 0))), LAST),
        (lambda x: lax.optimization_barrier(jax.nn.relu(x)), PLANES),
        (
            jax.jit(lambda x: lax.platform_dependent(x, cpu=jnp.cos, default=jnp.cos)),
            0.5,
        ),
        (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), PLANES),
    ],
)
def test_the_result_is_the_same(function, values):
    values = jnp.asarray(values, jnp.float32)
    struct = jax.ShapeDtypeStruct(values.shape, values.dtype)
    rewritten = plain.trace(function, struct)
    (found,) = jax.jit(rewritten)(values)
    np.testing.assert_allclose(found, function(values), rtol=1e-6)
    left = _names(rewritten, values)
    assert not left & {"platform_index", "optimization_barrier"}
    assert not any(name.startswith("reduce_window") for name in left)


def test_batches_of_any_size():
    batch = export.symbolic_shape("batch")[0]
    struct = jax.ShapeDtypeStruct((batch, *PLANES.shape[1:]), jnp.float32)
    rewritten = plain.trace(pooling.max_pool, struct)
    exported = export.export(jax.jit(rewritten))(struct)
    (found,) = exported.call(PLANES)
    np.testing.assert_array_equal(found, pooling.max_pool(PLANES))


def test_windows_that_are_dilated_are_refused():
    def dilated(x):
        return lax.reduce_window(
            x,
            -jnp.inf,
            lax.max,
            (1, 1, 2, 2),
            (1,) * 4,
            "VALID",
            (1,) * 4,
            (1, 1, 2, 2),
        )

    with pytest.raises(NotImplementedError, match="window_dilation"):
        plain.trace(dilated, PLANES)(PLANES)
