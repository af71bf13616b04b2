# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pooling with Caffe's geometry: ceil mode, windows clipped at the border.

Caffe rounds the output size up, so the last window may reach beyond the border; that
part is left out of the maximum and of the average's count.
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
    """Length of a pooled axis: `ceil((size - window) / stride) + 1`.

    One less where the last window would start beyond the border (stride > window).

    Args:
        size: Length of the axis, pixels.
        window: Side of the window, pixels.
        stride: Step of the window, pixels.
    """
    windows = -(-(size - window) // stride) + 1
    return windows - 1 if (windows - 1) * stride >= size else windows


def overhang(size: int, window: int, stride: int) -> int:
    """How far the last window reaches beyond the axis, in pixels.

    Args:
        size: Length of the axis, pixels.
        window: Side of the window, pixels.
        stride: Step of the window, pixels.
    """
    windows = output_size(size, window, stride)
    return max(0, (windows - 1) * stride + window - size)


def max_pool(planes: jax.Array, window: int = 3, stride: int = 2) -> jax.Array:
    """Takes the maximum over square windows in ceil mode.

    The gradient goes to the first maximum of a window in row-major order, as in Caffe.

    Args:
        planes: Float `[batch, features, height, width]`, no smaller than one window.
        window: Side of the window, pixels.
        stride: Step of the window, pixels.

    Returns:
        `[batch, features, output_size(height), output_size(width)]`, same dtype.
    """
    return lax.platform_dependent(
        planes,
        cpu=functools.partial(_max_pool_by_taps, window=window, stride=stride),
        default=functools.partial(_max_pool_window, window=window, stride=stride),
    )


def average_pool(planes: jax.Array, window: int = 3, stride: int = 2) -> jax.Array:
    """Takes the mean over square windows in ceil mode.

    A window at the border divides by the number of pixels that it holds.

    Args:
        planes: Float `[batch, features, height, width]`, no smaller than one window.
        window: Side of the window, pixels.
        stride: Step of the window, pixels.

    Returns:
        `[batch, features, output_size(height), output_size(width)]`, same dtype.
    """
    pooled = nn.avg_pool(
        planes.transpose(0, 2, 3, 1),
        (window, window),
        strides=(stride, stride),
        padding=_margins(planes, window, stride),
        count_include_pad=False,
    )
    # The count of a clipped window is float32, and so is the quotient.
    return pooled.transpose(0, 3, 1, 2).astype(planes.dtype)


def _max_pool_window(planes: jax.Array, *, window: int, stride: int) -> jax.Array:
    return lax.reduce_window(
        planes,
        -jnp.inf,
        lax.max,
        (1, 1, window, window),
        (1, 1, stride, stride),
        ((0, 0), (0, 0), *_margins(planes, window, stride)),
    )


def _margins(planes: jax.Array, window: int, stride: int) -> list[tuple[int, int]]:
    """Padding of height and width: none before, the overhang behind."""
    return [(0, overhang(size, window, stride)) for size in planes.shape[-2:]]


def _max_pool_by_taps(planes: jax.Array, *, window: int, stride: int) -> jax.Array:
    # The gradient of reduce_window, XLA's select-and-scatter, is many times slower on
    # CPUs than comparing shifted arrays.
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
    """Maximum of each window of `[features, height, width]`, and its first tap.

    A tap is a position in the window, numbered in row-major order.
    """
    margins = _margins(picture, window, stride)
    padded = jnp.pad(picture, ((0, 0), *margins), constant_values=-jnp.inf)
    best, *others = blocking.taps(padded, (window, window), stride)
    tap = jnp.zeros(best.shape, jnp.int8)
    for number, candidate in enumerate(others, start=1):
        tap = jnp.where(candidate > best, jnp.int8(number), tap)
        # NaN propagates, so that a diverged network is noticed.
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

    Each pixel visits the windows that may have chosen it, at most `ceil(window /
    stride)` per axis, and adds up the gradients of those that did. The pooled arrays
    are repeated to the size of the picture first, so that nothing is scattered.
    """
    # A pixel belongs to the window that starts at or before it and to `reach` earlier.
    reach = (window - 1) // stride
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
        # Position of the pixel in the window that lies `back` windows before its own.
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
