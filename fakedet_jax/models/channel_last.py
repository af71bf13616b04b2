# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Channel-last Flax layers with PyTorch's conventions.

Feature maps have the shape `[batch, height, width, features]`. Padding is symmetric and
explicit: with a stride of two, "SAME" would pad more at the bottom and on the right,
which no published network here does. Layers compute in `dtype`; parameters, statistics
and normalisation stay in float32, and `precision` says how exact float32 products are.

Three operations have an implementation of ours because XLA's is slow: 1×1 convolutions
are matrix products; depthwise convolutions on CPUs, and maximum pooling on CPUs and
GPUs, are sums and maxima of shifted arrays. On two CPU cores a depthwise 3×3
convolution then takes a twentieth of the time, and the gradient of pooling a quarter.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from fakedet_jax.models import blocking, pooling, precision
from fakedet_jax.runtime import platforms

Dtype = Any
Initializer = Callable[..., jax.Array]
# One number for both axes, or height and width.
Size = int | tuple[int, int]


class Conv(nn.Module):
    """Convolution, `[b, h, w, in]` → `[b, h', w', features]`.

    Parameters: `kernel` `[height, width, in / groups, features]`, `bias` `[features]`.

    Attributes:
        features: Number of output features.
        kernel_size: Size of the window, pixels.
        stride: Step of the window along both axes, pixels.
        padding: Zeros added at both ends of each axis, pixels.
        groups: Number of independent groups of features; as many groups as features
            make the convolution depthwise.
        use_bias: Whether the layer has a bias.
        dtype: Dtype of the computation and the output.
        kernel_init: Initialiser of the kernel.
        dilation: Step between the pixels of a window, pixels.
    """

    features: int
    kernel_size: Size = 3
    stride: int = 1
    padding: Size = 0
    groups: int = 1
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    kernel_init: Initializer = nn.initializers.he_normal()
    dilation: int = 1

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Convolves `[b, h, w, in]` to `[b, h', w', features]`."""
        in_features = planes.shape[-1] // self.groups
        shape = (*_pair(self.kernel_size), in_features, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        out = conv2d(
            planes.astype(self.dtype),
            kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            dilation=self.dilation,
        )
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            out = out + per_feature(bias, out)
        return out


class Dense(nn.Module):
    """Fully-connected layer, `[b, in]` → `[b, features]`.

    Parameters: `kernel` `[in, features]`, `bias` `[features]`.

    Attributes:
        features: Number of output features.
        use_bias: Whether the layer has a bias.
        dtype: Dtype of the computation and the output.
        kernel_init: Initialiser of the kernel.
        bias_init: Initialiser of the bias.
    """

    features: int
    use_bias: bool = True
    dtype: Dtype = jnp.float32
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps `[b, in]` to `[b, features]`."""
        shape = (inputs.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        product = _matmul(inputs.astype(self.dtype), kernel.astype(self.dtype))
        if not self.use_bias:
            return product
        bias = self.param("bias", self.bias_init, (self.features,))
        return product + per_feature(bias, product)


class Affine(nn.Module):
    """Multiplies each feature by a learned `scale` and adds a learned `bias`.

    Attributes:
        dtype: Dtype of the output; the computation is in float32.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Scales and shifts `[..., features]`."""
        features = (planes.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        return (planes.astype(jnp.float32) * scale + bias).astype(self.dtype)


class BatchNorm(nn.Module):
    """PyTorch's batch normalisation over all axes but the last.

    In training, the batch is normalised with its own biased variance, and the running
    statistics move by `momentum` towards the batch's mean and unbiased variance.
    Under `jit` with a sharded batch, the statistics are those of the global batch.

    Parameters: `scale`, `bias`; statistics (`batch_stats`): `mean`, `var`.

    Attributes:
        momentum: Weight of the new batch in the running statistics.
        epsilon: Added to the variance.
        dtype: Dtype of the output; statistics are float32.
        scale_init: Initialiser of the scale. With zeros a residual block starts as the
            identity.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, planes: jax.Array, *, train: bool) -> jax.Array:
        """Normalises each feature.

        Args:
            planes: Float `[..., features]`.
            train: Whether to use this batch's statistics and update the running ones.

        Returns:
            An array of the same shape, in `dtype`.
        """
        features = (planes.shape[-1],)
        scale = self.param("scale", self.scale_init, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, features)
        running_var = self.variable("batch_stats", "var", jnp.ones, features)
        values = planes.astype(jnp.float32)
        if not train:
            # A multiplication and an addition, which XLA fuses with nearby layers.
            factor = scale * lax.rsqrt(running_var.value + self.epsilon)
            shift = bias - running_mean.value * factor
            return (values * factor + shift).astype(self.dtype)
        mean, variance = moments(values, running_mean.value)
        if not self.is_initializing():
            count = planes.size // planes.shape[-1]
            unbiased = variance * (count / max(count - 1, 1))
            # Not `+=`: it would change statistics given as NumPy arrays in place.
            for running, new in ((running_mean, mean), (running_var, unbiased)):
                running.value = running.value + self.momentum * (new - running.value)
        factor = scale * lax.rsqrt(variance + self.epsilon)
        return ((values - mean) * factor + bias).astype(self.dtype)


class PReLU(nn.Module):
    """Rectifier that multiplies negative values by a learned `slope` per feature.

    Attributes:
        dtype: Dtype of the computation and the output.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Rectifies `[..., features]`."""
        slope = self.param("slope", nn.initializers.constant(0.25), (planes.shape[-1],))
        planes = planes.astype(self.dtype)
        return jnp.where(planes >= 0, planes, planes * per_feature(slope, planes))


def moments(
    planes: jax.Array, around: jax.Array, *, axis: int = -1
) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance of each feature.

    On accelerators both follow from sums of differences from a guess of the mean: the
    batch is read once, and devices exchange sums once. With σ the deviation, the
    variance loses the digits of `1 + ((mean − around) / σ)²`. CPUs, whose numbers are
    the reference, take the mean first.

    Args:
        planes: Float32 feature maps.
        around: The guess, float32 `[features]`, such as the running mean.
        axis: Their axis of features.

    Returns:
        Mean and variance, float32 `[features]`.
    """
    axis %= planes.ndim
    axes = tuple(number for number in range(planes.ndim) if number != axis)
    found: tuple[jax.Array, jax.Array] = _moments(
        planes, lax.stop_gradient(around), axis, axes
    )
    return found


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _moments(
    planes: jax.Array, around: jax.Array, axis: int, axes: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    def at_once(planes: jax.Array, around: jax.Array) -> tuple[jax.Array, jax.Array]:
        differences = planes - per_feature(around, planes, axis=axis)
        first = differences.mean(axes)
        second = jnp.square(differences).mean(axes)
        return around + first, jnp.maximum(second - jnp.square(first), 0)

    def mean_first(planes: jax.Array, _: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = planes.mean(axes)
        centred = planes - per_feature(mean, planes, axis=axis)
        return mean, jnp.square(centred).mean(axes)

    found: tuple[jax.Array, jax.Array] = platforms.choose(
        planes, around, cpu=mean_first, default=at_once
    )
    return found


@_moments.defjvp
def _moments_jvp(
    axis: int, axes: tuple[int, ...], primals: Any, tangents: Any
) -> tuple[Any, Any]:
    # From differences to the mean itself: those to the guess would cancel.
    planes, _ = primals
    change, _ = tangents
    mean, variance = _moments(*primals, axis, axes)
    centred = planes - per_feature(mean, planes, axis=axis)
    return (mean, variance), (change.mean(axes), 2 * (centred * change).mean(axes))


def per_feature(
    parameter: jax.Array, planes: jax.Array, *, axis: int = -1
) -> jax.Array:
    """Spreads a learned number of each feature over feature maps.

    The gradient of the parameter is then summed in float32. Cast before it is spread,
    it would be summed in the dtype of the feature maps: in bfloat16 a sum of ones
    never exceeds 256.

    Args:
        parameter: Float32 `[features]`.
        planes: Feature maps of any float dtype.
        axis: Their axis of features.

    Returns:
        An array of the shape and dtype of `planes`.
    """
    shape = [1] * planes.ndim
    shape[axis] = -1
    return jnp.broadcast_to(parameter.reshape(shape), planes.shape).astype(planes.dtype)


def conv2d(
    planes: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Size = 0,
    groups: int = 1,
    dilation: int = 1,
) -> jax.Array:
    """Cross-correlates feature maps with a kernel (a deep-learning "convolution").

    Args:
        planes: Float `[batch, height, width, in_features]`.
        kernel: Float `[kernel_height, kernel_width, in_features / groups, features]`.
        stride: Step of the window along both axes, pixels.
        padding: Zeros added at both ends of each axis, pixels.
        groups: Number of independent groups of features.
        dilation: Step between the pixels of a window, pixels.

    Returns:
        Float `[batch, out_height, out_width, features]` in the dtype of `planes`, where
        `out = (in + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1`.
    """
    kernel = kernel.astype(planes.dtype)
    vertical, horizontal = _pair(padding)
    margins = ((vertical, vertical), (horizontal, horizontal))

    def general(planes: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            planes,
            kernel,
            window_strides=(stride, stride),
            padding=margins,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
            precision=precision.of_products(),
        )

    if kernel.shape[:2] == (1, 1) and groups == 1 and not (vertical or horizontal):
        if stride == 1:
            return _matmul(planes, kernel[0, 0])
        # The GPU compiler of jax 0.10 aborts on a product of a strided slice.
        on_cpus = functools.partial(_matmul_strided, stride=stride)
    elif groups == planes.shape[-1] == kernel.shape[-1] and dilation == 1:
        on_cpus = functools.partial(_depthwise_by_taps, stride=stride, margins=margins)
    else:
        return general(planes, kernel)
    return platforms.choose(planes, kernel, cpu=on_cpus, default=general)


def max_pool(
    planes: jax.Array,
    window: int = 3,
    stride: int = 2,
    *,
    padding: int = 0,
    ceil: bool = False,
) -> jax.Array:
    """Takes the maximum over square windows; padding never wins.

    Args:
        planes: Float `[batch, height, width, features]`.
        window: Side of the window, pixels.
        stride: Step of the window, pixels.
        padding: How far the first windows reach beyond the border, pixels.
        ceil: Whether a last window that reaches beyond the border counts, as in Caffe;
            otherwise it is left out, as PyTorch does by default.

    Returns:
        Float `[batch, out_height, out_width, features]`.
    """
    height, width = (
        (padding, padding + pooling.overhang(size + 2 * padding, window, stride) * ceil)
        for size in planes.shape[1:3]
    )

    def by_taps(planes: jax.Array) -> jax.Array:
        # The gradient of reduce_window, XLA's select-and-scatter, is slow on CPUs.
        margins = ((0, 0), height, width, (0, 0))
        padded = jnp.pad(planes, margins, constant_values=-jnp.inf)
        taps = blocking.taps(padded, (window, window), stride)
        return functools.reduce(jnp.maximum, taps)

    def channel_first(planes: jax.Array) -> jax.Array:
        # XLA lays both out alike, so that nothing is transposed.
        pooled = pooling.max_pool_by_taps(
            planes.transpose(0, 3, 1, 2), window, stride, (height, width)
        )
        return pooled.transpose(0, 2, 3, 1)

    def by_window(planes: jax.Array) -> jax.Array:
        return nn.max_pool(planes, (window, window), (stride, stride), (height, width))

    return platforms.choose(
        planes,
        cpu=by_taps,
        cuda=channel_first,
        rocm=channel_first,
        default=by_window,
    )


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _matmul(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiplies `[..., in]` by `[in, features]`."""
    return jnp.matmul(inputs, kernel, precision=precision.of_products())


def _matmul_strided(planes: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    return _matmul(planes[:, ::stride, ::stride], kernel[0, 0])


def _depthwise_by_taps(
    planes: jax.Array, kernel: jax.Array, *, stride: int, margins: pooling.Margins
) -> jax.Array:
    height, width = kernel.shape[:2]
    padded = jnp.pad(planes, ((0, 0), *margins, (0, 0)))
    if padded.shape[1:3] == (height, width):  # one window: a weighted sum of pixels
        products = padded * kernel[:, :, 0]
        return products.sum((1, 2), keepdims=True, dtype=jnp.float32).astype(
            planes.dtype
        )
    weights = kernel[:, :, 0].astype(jnp.float32).reshape(height * width, -1)
    taps = blocking.taps(padded.astype(jnp.float32), (height, width), stride)
    total = sum(tap * weight for tap, weight in zip(taps, weights, strict=True))
    return jnp.asarray(total, planes.dtype)
