# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loops over pictures and windows that are fast on CPUs.

Processing a batch one picture at a time keeps the intermediate arrays in the cache.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax import lax

from fakedet_jax.runtime import platforms


def split_blocks(batch: jax.Array) -> jax.Array:
    """Reshapes a batch into one block per device of the ambient mesh.

    A loop over a sharded batch would make XLA gather it on every device. A loop inside
    each block, vectorised over the blocks, stays local.

    Args:
        batch: `[batch, ...]`.

    Returns:
        `[blocks, batch / blocks, ...]`; a single block where the batch does not divide
        evenly.
    """
    return batch.reshape(_num_shards(batch.shape[0]), -1, *batch.shape[1:])


def map_pictures(function: Callable[..., Any], *batches: jax.Array) -> Any:
    """Applies a function of single pictures to a batch, one picture after the other.

    Args:
        function: Maps arrays without a batch axis to a tree of such arrays.
        *batches: Arrays `[batch, ...]`, one for each argument of `function`.

    Returns:
        The results, stacked to `[batch, ...]`.
    """
    batch = batches[0].shape[0]

    def block(*pictures: jax.Array) -> Any:
        return lax.map(lambda picture: function(*picture), pictures)

    mapped = jax.vmap(block)(*map(split_blocks, batches))
    return jax.tree.map(lambda out: out.reshape(batch, *out.shape[2:]), mapped)


def picture_by_picture(
    function: Callable[..., Any], operands: Any, planes: jax.Array
) -> Any:
    """Applies several layers to one picture after the other on CPUs.

    What a layer leaves for the next one then stays in the cache; only the results, and
    what their gradients need, are written to memory. Elsewhere the whole batch goes
    through each layer.

    Args:
        function: Maps `operands` and a batch `[n, ...]` of any size n to a tree of
            batches. No picture depends on another one.
        operands: Tree of arrays that all pictures share, such as parameters.
        planes: `[batch, ...]`.

    Returns:
        The tree of batches.
    """

    def looped(operands: Any, planes: jax.Array) -> Any:
        def one(picture: jax.Array) -> Any:
            return jax.tree.map(
                lambda out: out[0], function(operands, picture[np.newaxis])
            )

        return map_pictures(one, planes)

    return platforms.choose(operands, planes, cpu=looped, default=function)


def sum_pictures(
    function: Callable[..., jax.Array], start: jax.Array, *batches: jax.Array
) -> jax.Array:
    """Sums a function of single pictures over a batch.

    Args:
        function: Maps arrays without a batch axis to an array like `start`.
        start: Zeros of the shape and dtype of the result.
        *batches: Arrays `[batch, ...]`, one for each argument of `function`.

    Returns:
        An array like `start`.
    """

    def add(total: jax.Array, picture: Any) -> tuple[jax.Array, None]:
        return total + function(*picture), None

    def block(*pictures: jax.Array) -> jax.Array:
        return lax.scan(add, start, pictures)[0]

    return jax.vmap(block)(*map(split_blocks, batches)).sum(0)


def taps(
    padded: jax.Array, window: tuple[int, int], stride: int
) -> Iterator[jax.Array]:
    """Slices an array into what all windows see at each position inside the window.

    Args:
        padded: Array whose axes 1 and 2 are height and width, with padding applied.
        window: Height and width of the window, pixels.
        stride: Step of the window along both axes, pixels.

    Yields:
        One array per position, in row-major order; its axes 1 and 2 index the windows.
    """
    rows, columns = (
        (size - side) // stride + 1
        for size, side in zip(padded.shape[1:3], window, strict=True)
    )
    for row in range(window[0]):
        for column in range(window[1]):
            yield padded[
                :,
                row : row + (rows - 1) * stride + 1 : stride,
                column : column + (columns - 1) * stride + 1 : stride,
            ]


def _num_shards(batch: int) -> int:
    """Number of pieces into which the ambient mesh cuts a batch.

    Inside `shard_map` or `pmap` the batch is local already: one piece.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or not mesh.auto_axes:
        return 1
    shards = math.prod(mesh.shape[name] for name in mesh.auto_axes)
    return shards if batch % shards == 0 else 1
