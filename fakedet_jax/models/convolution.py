# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional convolution that is fast on accelerators and on CPUs.

`conv2d` is `lax.conv_general_dilated` wherever XLA has a good kernel for it. On CPUs,
XLA's convolution of pictures with few channels is memory-bound: its weight gradient
takes several times as long as the arithmetic. There, the batch is processed one picture
at a time, so that the unfolded patches of the picture stay in the cache, and the
convolution and both of its gradients are matrix products.

Feature maps are channel-first, as in Caffe: a row of unfolded patches is then a
contiguous part of a picture's row. On GPUs and TPUs, XLA chooses the memory layout.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
from jax import lax

from fakedet_jax.models import blocking, channel_last

# Above this fan-in a picture's patches outgrow the cache and XLA's kernel wins.
_LARGEST_CPU_FAN_IN = 640


def conv2d(
    planes: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    padding: int = 0,
    stride: int = 1,
) -> jax.Array:
    """Cross-correlates feature maps with a kernel (a deep-learning "convolution").

    Args:
        planes: Float `[batch, in_features, height, width]`.
        kernel: Float `[kernel_size, kernel_size, in_features, features]`.
        bias: Float `[features]`; None for zeros.
        padding: Zeros added at each of the four borders, pixels.
        stride: Step of the window along both axes, pixels.

    Returns:
        Float `[batch, features, out_height, out_width]` in the dtype of `planes`, where
        `out = (in + 2 * padding - kernel_size) // stride + 1`.
    """
    kernel = kernel.astype(planes.dtype)
    size, _, in_features, features = kernel.shape
    if bias is None:
        bias = jnp.zeros((features,), jnp.float32)

    def general(planes: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        convolved = lax.conv_general_dilated(
            planes,
            kernel,
            window_strides=(stride, stride),
            padding=((padding, padding), (padding, padding)),
            dimension_numbers=("NCHW", "HWIO", "NCHW"),
            # Accelerators would round float32 operands to TF32 or bfloat16 by default.
            precision=lax.Precision.HIGHEST,
        )
        return convolved + channel_last.per_feature(bias, convolved, axis=1)

    if stride != 1 or size == 1 or size * size * in_features > _LARGEST_CPU_FAN_IN:
        return general(planes, kernel, bias)
    return lax.platform_dependent(
        planes,
        kernel,
        bias,
        cpu=lambda *operands: _conv_planes(*operands, padding),
        default=general,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _conv_planes(
    planes: jax.Array, kernel: jax.Array, bias: jax.Array, padding: int
) -> jax.Array:
    size, _, _, features = kernel.shape
    # [features, size * size * in_features]
    matrix = kernel.reshape(-1, features).T
    offsets = bias.astype(planes.dtype)[:, None]

    def one(picture: jax.Array) -> jax.Array:
        patches, height, width = _unfold(picture, size, padding)
        return (matrix @ patches + offsets).reshape(features, height, width)

    return blocking.map_pictures(one, planes)


def _conv_planes_forward(
    planes: jax.Array, kernel: jax.Array, bias: jax.Array, padding: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv_planes(planes, kernel, bias, padding), (planes, kernel)


def _conv_planes_backward(
    padding: int, residuals: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    planes, kernel = residuals
    size, _, in_features, features = kernel.shape
    matrix = kernel.reshape(-1, features)

    def one_kernel(picture: jax.Array, picture_gradient: jax.Array) -> jax.Array:
        patches, _, _ = _unfold(picture, size, padding)
        product = _contract(patches, picture_gradient.reshape(features, -1), 1, 1)
        return product.astype(jnp.float32)

    zeros = jnp.zeros(matrix.shape, jnp.float32)
    kernel_gradient = blocking.sum_pictures(one_kernel, zeros, planes, gradient)
    kernel_gradient = kernel_gradient.reshape(kernel.shape)

    def one_picture(picture_gradient: jax.Array) -> jax.Array:
        # With margins, so that folding adds up slices without a look at borders.
        reach = size - 1
        margins = ((0, 0), (reach, reach), (reach, reach))
        wide = jnp.pad(picture_gradient, margins)
        patches = _contract(matrix, wide.reshape(features, -1), 1, 0)
        taps = patches.reshape(size, size, in_features, *wide.shape[1:])
        return _fold(taps, planes.shape[2:], padding)

    planes_gradient = blocking.map_pictures(one_picture, gradient)
    bias_gradient = gradient.astype(jnp.float32).sum((0, 2, 3))
    return (
        planes_gradient,
        kernel_gradient.astype(kernel.dtype),
        bias_gradient,
    )


_conv_planes.defvjp(_conv_planes_forward, _conv_planes_backward)


def _contract(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int):  # type: ignore[no-untyped-def]
    return lax.dot_general(left, right, (((left_axis,), (right_axis,)), ((), ())))


def _unfold(picture: jax.Array, size: int, padding: int) -> tuple[jax.Array, int, int]:
    """Patches `[size * size * features, out_height * out_width]` of one picture.

    In two steps, as XLA copies a few slices much faster than many.
    """
    picture = jnp.pad(picture, ((0, 0), (padding, padding), (padding, padding)))
    height, width = (side - size + 1 for side in picture.shape[1:])
    columns = [picture[:, :, first : first + width] for first in range(size)]
    beside = lax.optimization_barrier(jnp.concatenate(columns))
    rows = [beside[:, first : first + height] for first in range(size)]
    patches = lax.optimization_barrier(jnp.concatenate(rows))
    return patches.reshape(-1, height * width), height, width


def _fold(taps: jax.Array, shape: tuple[int, ...], padding: int) -> jax.Array:
    """Adjoint of `_unfold`: adds up taps to `[features, *shape]`.

    Args:
        taps: `[size, size, features, height, width]`, with margins of `size - 1`.
        shape: Height and width of the picture, pixels.
        padding: Of the picture, pixels.
    """
    size = taps.shape[0]
    height, width = shape
    total = jnp.zeros((), taps.dtype)
    for row, column in itertools.product(range(size), repeat=2):
        top, left = (size - 1 - place + padding for place in (row, column))
        total += taps[row, column, :, top : top + height, left : left + width]
    return total
