# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.blocking."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from fakedet_jax.models import blocking
from fakedet_jax.runtime import parallel

BATCH = np.random.default_rng(0).normal(size=(16, 3, 5)).astype(np.float32)


def test_without_a_mesh_the_batch_is_one_block():
    np.testing.assert_array_equal(blocking.split_blocks(BATCH), BATCH[None])


@pytest.mark.parametrize(("batch", "blocks"), [(16, 8), (8, 8), (12, 1), (1, 1)])
def test_under_a_mesh_there_is_one_block_for_each_device(batch, blocks):
    with jax.set_mesh(parallel.data_mesh()):
        shape = jax.eval_shape(blocking.split_blocks, jnp.zeros((batch, 3))).shape
    assert shape == (blocks, batch // blocks, 3)


def test_blocks_keep_the_order():
    with jax.set_mesh(parallel.data_mesh()):
        found = blocking.split_blocks(jnp.asarray(BATCH))
    np.testing.assert_array_equal(found.reshape(BATCH.shape), BATCH)


def _block_shapes_within(wrap, batch):
    shapes = []

    def local(batch):
        shapes.append(blocking.split_blocks(batch).shape)
        return batch

    jax.eval_shape(wrap(local), batch)
    return shapes


def test_within_shard_map_the_local_batch_is_one_block():
    wrap = functools.partial(
        jax.shard_map,
        mesh=parallel.data_mesh(),
        in_specs=PartitionSpec("data"),
        out_specs=PartitionSpec("data"),
    )
    assert set(_block_shapes_within(wrap, BATCH)) == {(1, 2, 3, 5)}


def test_within_pmap_the_local_batch_is_one_block():
    assert set(_block_shapes_within(jax.pmap, BATCH[None])) == {(1, *BATCH.shape)}


@pytest.mark.parametrize("under_mesh", [False, True])
def test_mapped_results_come_as_from_vmap(under_mesh):
    def function(left, right):
        return {"sum": left + right, "product": (left * right).sum(0)}

    def mapped():
        return jax.jit(functools.partial(blocking.map_pictures, function))(
            BATCH, BATCH[::-1]
        )

    if under_mesh:
        with jax.set_mesh(parallel.data_mesh()):
            found = mapped()
    else:
        found = mapped()
    expected = jax.vmap(function)(BATCH, BATCH[::-1])
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6),
        found,
        expected,
    )


@pytest.mark.parametrize("under_mesh", [False, True])
def test_sum_is_that_of_all_pictures(under_mesh):
    def total(left, right):
        return blocking.sum_pictures(
            lambda one, other: one @ other.T, jnp.zeros((3, 3)), left, right
        )

    if under_mesh:
        with jax.set_mesh(parallel.data_mesh()):
            found = jax.jit(total)(BATCH, BATCH[::-1])
    else:
        found = jax.jit(total)(BATCH, BATCH[::-1])
    expected = np.einsum("bik,bjk->ij", BATCH, BATCH[::-1])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def _two_layers(matrices, planes):
    hidden = jnp.tanh(jnp.einsum("bij,jk->bik", planes, matrices[0]))
    return jnp.tanh(hidden @ matrices[1]), {"hidden": hidden}


def _loss(walk, matrices, planes):
    out, named = walk(matrices, planes)
    return (out**2).sum() + named["hidden"].sum()


@pytest.mark.parametrize("under_mesh", [False, True])
def test_layers_picture_by_picture_equal_those_of_the_batch(under_mesh):
    rng = np.random.default_rng(1)
    matrices = [jnp.asarray(rng.normal(size=(5, 5)), jnp.float32) for _ in range(2)]
    walk = functools.partial(blocking.picture_by_picture, _two_layers)
    run = jax.jit(jax.value_and_grad(functools.partial(_loss, walk), (0, 1)))
    mesh = (
        jax.set_mesh(parallel.data_mesh()) if under_mesh else contextlib.nullcontext()
    )
    with mesh:
        found = run(matrices, BATCH)
    expected = jax.value_and_grad(functools.partial(_loss, _two_layers), (0, 1))(
        matrices, jnp.asarray(BATCH)
    )
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5),
        found,
        expected,
    )


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_cpus_take_one_picture_after_the_other(platform):
    walk = functools.partial(blocking.picture_by_picture, _two_layers)
    traced = jax.jit(walk).trace([np.eye(5, dtype=np.float32)] * 2, BATCH)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("stablehlo.while" in text) == (platform == "cpu")
