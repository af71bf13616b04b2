# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Walking a batch one picture at a time: intermediates then stay in a CPU's cache."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax import lax


def split_blocks(batch: jax.Array) -> jax.Array:
    """Cuts `[batch, ...]` into one block per device: `[blocks, batch / blocks, ...]`.

    A loop over a sharded batch would make XLA gather it on every device. A loop inside
    each block, vectorised over blocks, stays local.
    """
    return batch.reshape(_num_shards(batch.shape[0]), -1, *batch.shape[1:])


def map_pictures(function: Callable[..., Any], *batches: jax.Array) -> Any:
    """Applies a function of single pictures to a batch, one after the other.

    Args:
      function: from arrays without batch axis to a tree of such arrays.
      *batches: arrays `[batch, ...]`.

    Returns:
      The results, stacked to `[batch, ...]`.
    """
    batch = batches[0].shape[0]

    def block(*pictures: jax.Array) -> Any:
        return lax.map(lambda picture: function(*picture), pictures)

    mapped = jax.vmap(block)(*map(split_blocks, batches))
    return jax.tree.map(lambda out: out.reshape(batch, *out.shape[2:]), mapped)


def sum_pictures(
    function: Callable[..., jax.Array], start: jax.Array, *batches: jax.Array
) -> jax.Array:
    """Sum of a function of single pictures over a batch.

    Args:
      function: from arrays without batch axis to an array like `start`.
      start: zeros.
      *batches: arrays `[batch, ...]`.

    Returns:
      An array like `start`.
    """

    def add(total: jax.Array, picture: Any) -> tuple[jax.Array, None]:
        return total + function(*picture), None

    def block(*pictures: jax.Array) -> jax.Array:
        return lax.scan(add, start, pictures)[0]

    return jax.vmap(block)(*map(split_blocks, batches)).sum(0)


def _num_shards(batch: int) -> int:
    """Number of pieces into which the ambient mesh cuts a batch.

    Inside `shard_map` or `pmap` the batch is local already: one piece.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or not mesh.auto_axes:
        return 1
    shards = math.prod(mesh.shape[name] for name in mesh.auto_axes)
    return shards if batch % shards == 0 else 1
