# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pooling with Caffe's geometry: ceil mode, windows clipped at the border.

Caffe rounds the output size up, so the last window may reach beyond the border; that
part is left out of the maximum and of the average's count.

XLA's gradient of maximum pooling takes several times as long on CPUs as comparing
shifted arrays. On GPUs it moves several times as many bytes, and adds up numbers in an
order that differs from run to run. On TPUs it is the faster form.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax.models import blocking
from fakedet_jax.runtime import platforms

# Padding before and behind height, and before and behind width, pixels.
Margins = tuple[tuple[int, int], tuple[int, int]]


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
    margins = _margins(planes, window, stride)
    by_taps = functools.partial(
        max_pool_by_taps, window=window, stride=stride, margins=margins
    )
    return platforms.choose(
        planes,
        cpu=functools.partial(by_taps, one_by_one=True),
        cuda=by_taps,
        rocm=by_taps,
        default=functools.partial(
            _max_pool_window, window=window, stride=stride, margins=margins
        ),
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


def max_pool_by_taps(
    planes: jax.Array,
    window: int,
    stride: int,
    margins: Margins,
    *,
    one_by_one: bool = False,
) -> jax.Array:
    """Maximum pooling as comparisons of shifted arrays.

    The gradient goes to the first maximum of a window in row-major order; nothing is
    scattered.

    Args:
        planes: Float `[batch, features, height, width]`.
        window: Side of the window, pixels.
        stride: Step of the window, pixels.
        margins: Padding before and behind height and width, pixels; it never wins.
        one_by_one: Whether to process one picture after the other, as CPUs should.

    Returns:
        Float `[batch, features, out_height, out_width]`, same dtype.
    """
    walk = blocking.map_pictures if one_by_one else _all_at_once
    return _max_pool(planes, _Windows(window, stride, margins, planes.shape[2:]), walk)


def _max_pool_window(
    planes: jax.Array, *, window: int, stride: int, margins: Margins
) -> jax.Array:
    return lax.reduce_window(
        planes,
        -jnp.inf,
        lax.max,
        (1, 1, window, window),
        (1, 1, stride, stride),
        ((0, 0), (0, 0), *margins),
    )


def _margins(planes: jax.Array, window: int, stride: int) -> Margins:
    """Padding of height and width: none before, the overhang behind."""
    height, width = (overhang(size, window, stride) for size in planes.shape[-2:])
    return (0, height), (0, width)


class _Windows(NamedTuple):
    """Where the windows of pictures lie.

    Attributes:
        side: Side of a window, pixels.
        stride: Step of the window, pixels.
        margins: Padding before and behind height and width, pixels.
        size: Height and width of a picture, pixels.
    """

    side: int
    stride: int
    margins: Margins
    size: tuple[int, ...]


def _all_at_once(function: Callable[..., Any], *batches: jax.Array) -> Any:
    return jax.vmap(function)(*batches)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _max_pool(
    planes: jax.Array, windows: _Windows, walk: Callable[..., Any]
) -> jax.Array:
    pooled: jax.Array = walk(functools.partial(_max, windows=windows), planes)
    return pooled


def _max_pool_forward(
    planes: jax.Array, windows: _Windows, walk: Callable[..., Any]
) -> tuple[jax.Array, jax.Array]:
    found: tuple[jax.Array, jax.Array] = walk(
        functools.partial(_max_and_tap, windows=windows), planes
    )
    return found


def _max_pool_backward(
    windows: _Windows, walk: Callable[..., Any], tap: jax.Array, gradient: jax.Array
) -> tuple[jax.Array]:
    return (walk(functools.partial(_send_to_taps, windows=windows), tap, gradient),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def _max(picture: jax.Array, *, windows: _Windows) -> jax.Array:
    """Maximum of each window of `[features, height, width]`.

    Rows first, then columns at every place before the stride drops some: CPUs compare
    neighbours several times as fast as every second number.
    """
    padded = jnp.pad(picture, ((0, 0), *windows.margins), constant_values=-jnp.inf)
    side, stride = windows.side, windows.stride
    height, width = ((size - side) // stride * stride for size in padded.shape[1:])
    rows = [
        lax.slice_in_dim(padded, row, row + height + 1, stride, axis=1)
        for row in range(side)
    ]
    best = lax.optimization_barrier(functools.reduce(jnp.maximum, rows))
    columns = [best[:, :, column : column + width + 1] for column in range(side)]
    best = lax.optimization_barrier(functools.reduce(jnp.maximum, columns))
    return best[:, :, ::stride]


def _max_and_tap(
    picture: jax.Array, *, windows: _Windows
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of `[features, height, width]`, and its first tap.

    A tap is a position in the window, numbered in row-major order.
    """
    padded = jnp.pad(picture, ((0, 0), *windows.margins), constant_values=-jnp.inf)
    side = windows.side
    best, *others = blocking.taps(padded, (side, side), windows.stride)
    tap = jnp.zeros(best.shape, jnp.int8)
    for number, candidate in enumerate(others, start=1):
        tap = jnp.where(candidate > best, jnp.int8(number), tap)
        # NaN propagates, so that a diverged network is noticed.
        best = jnp.maximum(best, candidate)
    return best, tap


def _send_to_taps(
    tap: jax.Array, gradient: jax.Array, *, windows: _Windows
) -> jax.Array:
    """Sends the gradient of each window to its tap: `[features, height, width]`.

    Each pixel visits the windows that may have chosen it, at most `ceil(window /
    stride)` per axis, and adds up the gradients of those that did. The pooled arrays
    are repeated to the size of the picture first, so that nothing is scattered.
    """
    side, stride, (above, left) = windows.side, windows.stride, windows.margins
    # A pixel belongs to the window that starts at or before it and to `reach` earlier.
    reach = (side - 1) // stride
    # The pixels' places in the padded picture.
    places = [
        np.arange(before, before + length)
        for (before, _), length in zip((above, left), windows.size, strict=True)
    ]
    extra = [
        (reach, max(0, -(-(place[-1] + 1) // stride) - pooled))
        for place, pooled in zip(places, gradient.shape[1:], strict=True)
    ]

    def spread(values: jax.Array) -> jax.Array:
        values = jnp.pad(values, ((0, 0), *extra))
        features, rows, columns = values.shape
        values = values[:, :, None, :, None]
        shape = (features, rows, stride, columns, stride)
        values = jnp.broadcast_to(values, shape)
        return values.reshape(features, rows * stride, columns * stride)

    taps, gradients = spread(tap), spread(gradient)
    total = jnp.zeros((gradient.shape[0], *windows.size), gradient.dtype)
    for back in itertools.product(range(reach + 1), repeat=2):
        # Position of the pixel in the window that lies `back` windows before its own.
        row, column = (
            place % stride + stride * steps
            for place, steps in zip(places, back, strict=True)
        )
        number = np.where(column < side, row[:, None] * side + column, -1)
        here = (
            slice(None),
            *(
                slice(start := place[0] + (reach - steps) * stride, start + len(place))
                for place, steps in zip(places, back, strict=True)
            ),
        )
        total += jnp.where(taps[here] == number.astype(np.int8), gradients[here], 0)
    return total
