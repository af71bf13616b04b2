# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional convolution that is fast on accelerators and on CPUs.

`conv2d` is `lax.conv_general_dilated` wherever XLA has a good kernel for it. On CPUs,
XLA's convolution of pictures with few channels is memory-bound: its weight gradient
takes several times as long as the arithmetic. There, the batch is processed one picture
at a time, so that what is unfolded of the picture stays in the cache, and the
convolution and both of its gradients are matrix products.

Feature maps are channel-first, as in Caffe: an unfolded row is then a
contiguous part of a picture's row. On GPUs and TPUs, XLA chooses the memory layout.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from fakedet_jax.models import blocking, channel_last, precision
from fakedet_jax.runtime import platforms

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
            precision=precision.of_products(),
        )
        return convolved + channel_last.per_feature(bias, convolved, axis=1)

    if stride != 1 or size == 1 or size * size * in_features > _LARGEST_CPU_FAN_IN:
        return general(planes, kernel, bias)
    return platforms.choose(
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
    return _correlate(planes, kernel, bias, padding)


def _conv_planes_forward(
    planes: jax.Array, kernel: jax.Array, bias: jax.Array, padding: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv_planes(planes, kernel, bias, padding), (planes, kernel)


def _conv_planes_backward(
    padding: int, residuals: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    planes, kernel = residuals
    size, _, in_features, features = kernel.shape

    def one(picture: jax.Array, picture_gradient: jax.Array) -> jax.Array:
        beside = _unfold(picture, size, padding)
        # The gradient as each row of the kernel sees it.
        rows = [
            jnp.pad(picture_gradient, ((0, 0), (row, size - 1 - row), (0, 0)))
            for row in range(size)
        ]
        above = lax.optimization_barrier(jnp.concatenate(rows))
        above, beside = (rows.reshape(len(rows), -1) for rows in (above, beside))
        product = lax.dot_general(above, beside, (((1,), (1,)), ((), ())))
        return product.astype(jnp.float32)

    zeros = jnp.zeros((size * features, size * in_features), jnp.float32)
    kernel_gradient = blocking.sum_pictures(one, zeros, planes, gradient)
    kernel_gradient = kernel_gradient.reshape(size, features, size, in_features)
    # The adjoint of a correlation is the correlation with the mirrored kernel.
    mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
    no_bias = jnp.zeros((in_features,), kernel.dtype)
    return (
        _correlate(gradient, mirrored, no_bias, size - 1 - padding),
        kernel_gradient.transpose(0, 2, 3, 1).astype(kernel.dtype),
        gradient.astype(jnp.float32).sum((0, 2, 3)),
    )


_conv_planes.defvjp(_conv_planes_forward, _conv_planes_backward)


def _correlate(
    planes: jax.Array, kernel: jax.Array, bias: jax.Array, padding: int
) -> jax.Array:
    """`conv2d` as one matrix product per picture.

    Unfolding the columns alone, and adding up the products of the kernel's rows, moves
    fewer bytes than to unfold whole patches.
    """
    size, _, in_features, features = kernel.shape
    matrix = kernel.transpose(0, 3, 1, 2).reshape(size * features, size * in_features)
    offsets = bias.astype(planes.dtype)[:, None, None]

    def one(picture: jax.Array) -> jax.Array:
        beside = _unfold(picture, size, padding)
        _, height, width = beside.shape
        products = matrix @ beside.reshape(-1, height * width)
        rows = lax.optimization_barrier(products).reshape(size, -1, height, width)
        height -= size - 1
        total = offsets
        for row in range(size):
            total += rows[row, :, row : row + height]
        return total

    return blocking.map_pictures(one, planes)


def _unfold(picture: jax.Array, size: int, padding: int) -> jax.Array:
    """What the columns of a kernel see: `[size * features, height, out_width]`.

    `height` includes the padding.
    """
    picture = jnp.pad(picture, ((0, 0), (padding, padding), (padding, padding)))
    # As steps of their own: fused, XLA looks at the borders for every element.
    picture = lax.optimization_barrier(picture)
    width = picture.shape[2] - size + 1
    columns = [picture[:, :, first : first + width] for first in range(size)]
    return lax.optimization_barrier(jnp.concatenate(columns))
