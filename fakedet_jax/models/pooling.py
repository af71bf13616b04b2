# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pooling with Caffe's geometry: ceil mode, windows clipped at the border.

Caffe rounds the output size up, so the last window may hang over the border; what hangs
over is left out of the maximum and of the average's count.
"""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.models import blocking


def output_size(size: int, window: int, stride: int) -> int:
    """Length of the pooled axis: `ceil((size - window) / stride) + 1`.

    One less where the last window would start beyond the border (stride > window).
    """
    windows = -(-(size - window) // stride) + 1
    return windows - 1 if (windows - 1) * stride >= size else windows


def max_pool(planes: jax.Array, window: int = 3, stride: int = 2) -> jax.Array:
    """Maximum over square windows, ceil mode.

    The gradient goes to the first maximum of a window in row-major order, as in Caffe.

    Args:
      planes: float `[batch, features, height, width]`, at least one window large.
      window: side of the window, pixels.
      stride: step of the window, pixels.

    Returns:
      `[batch, features, output_size(height), output_size(width)]`.
    """
    return lax.platform_dependent(
        planes,
        cpu=functools.partial(_max_pool_by_taps, window=window, stride=stride),
        default=functools.partial(_max_pool_window, window=window, stride=stride),
    )


def average_pool(planes: jax.Array, window: int = 3, stride: int = 2) -> jax.Array:
    """Mean over square windows, ceil mode; a clipped window divides by what it holds.

    Args and Returns as in `max_pool`.
    """
    pooled = nn.avg_pool(
        planes.transpose(0, 2, 3, 1),
        (window, window),
        strides=(stride, stride),
        padding=_overhang(planes, window, stride),
        count_include_pad=False,
    )
    # The count of a clipped window is float32.
    return pooled.transpose(0, 3, 1, 2).astype(planes.dtype)


def _max_pool_window(planes: jax.Array, *, window: int, stride: int) -> jax.Array:
    return lax.reduce_window(
        planes,
        -jnp.inf,
        lax.max,
        (1, 1, window, window),
        (1, 1, stride, stride),
        ((0, 0), (0, 0), *_overhang(planes, window, stride)),
    )


def _overhang(
    planes: jax.Array, window: int, stride: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """How far the last windows reach beyond the lower and the right border."""
    below, right = (
        max(0, (output_size(size, window, stride) - 1) * stride + window - size)
        for size in planes.shape[-2:]
    )
    return (0, below), (0, right)


def _max_pool_by_taps(planes: jax.Array, *, window: int, stride: int) -> jax.Array:
    # XLA's select-and-scatter, the gradient of reduce_window, is many times slower on
    # CPUs than comparing shifted planes.
    return _max_pool_planes(planes, window, stride, planes.shape[2:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool_planes(
    planes: jax.Array, window: int, stride: int, size: tuple[int, int]
) -> jax.Array:
    return _max_pool_forward(planes, window, stride, size)[0]


def _max_pool_forward(
    planes: jax.Array, window: int, stride: int, size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    del size  # only the gradient needs it

    def one(picture: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _max_and_tap(picture, window, stride)

    return blocking.map_pictures(one, planes)


def _max_pool_backward(
    window: int,
    stride: int,
    size: tuple[int, int],
    tap: jax.Array,
    gradient: jax.Array,
) -> tuple[jax.Array]:
    def one(tap: jax.Array, gradient: jax.Array) -> jax.Array:
        return _send_to_taps(tap, gradient, window, stride, size)

    return (blocking.map_pictures(one, tap, gradient),)


_max_pool_planes.defvjp(_max_pool_forward, _max_pool_backward)


def _max_and_tap(
    picture: jax.Array, window: int, stride: int
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of `[features, height, width]`, and the first tap at it.

    Taps are numbered in row-major order of the window.
    """
    rows, columns = (output_size(size, window, stride) for size in picture.shape[1:])
    overhang = _overhang(picture, window, stride)
    padded = jnp.pad(picture, ((0, 0), *overhang), constant_values=-jnp.inf)

    def value(number: int) -> jax.Array:
        row, column = divmod(number, window)
        return padded[
            :,
            row : row + (rows - 1) * stride + 1 : stride,
            column : column + (columns - 1) * stride + 1 : stride,
        ]

    best = value(0)
    tap = jnp.zeros(best.shape, jnp.int8)
    for number in range(1, window * window):
        candidate = value(number)
        tap = jnp.where(candidate > best, jnp.int8(number), tap)
        # A NaN wins and stays, so that a diverged network shows itself.
        best = jnp.maximum(best, candidate)
    return best, tap


def _send_to_taps(
    tap: jax.Array,
    gradient: jax.Array,
    window: int,
    stride: int,
    size: tuple[int, int],
) -> jax.Array:
    """Sends the gradient of each window to its tap: `[features, *size]`.

    Each pixel looks at the windows that could have chosen it, at most
    `ceil(window / stride)` an axis, and takes the gradients of those that did. Pooled
    values are repeated to the size of the picture for that, so nothing is scattered.
    """
    reach = (window - 1) // stride  # how many windows further back a pixel can lie
    margins = [
        (reach, max(0, -(-size[a] // stride) - gradient.shape[1 + a])) for a in (0, 1)
    ]

    def spread(values: jax.Array) -> jax.Array:
        values = jnp.pad(values, ((0, 0), *margins))
        features, rows, columns = values.shape
        values = values[:, :, None, :, None]
        shape = (features, rows, stride, columns, stride)
        values = jnp.broadcast_to(values, shape)
        return values.reshape(features, rows * stride, columns * stride)

    taps, gradients = spread(tap), spread(gradient)
    total = jnp.zeros((gradient.shape[0], *size), gradient.dtype)
    for back in itertools.product(range(reach + 1), repeat=2):
        # Where the pixel lies in the window `back` windows before its own.
        row, column = (np.arange(size[a]) % stride + stride * back[a] for a in (0, 1))
        number = np.where(column < window, row[:, None] * window + column, -1)
        first = [(reach - back[a]) * stride for a in (0, 1)]
        here = (
            slice(None),
            slice(first[0], first[0] + size[0]),
            slice(first[1], first[1] + size[1]),
        )
        total += jnp.where(taps[here] == number.astype(np.int8), gradients[here], 0)
    return total
