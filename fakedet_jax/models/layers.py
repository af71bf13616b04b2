# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Channel-first Flax layers with Caffe's initial values and batch normalisation.

Feature maps have the shape `[batch, features, height, width]`: Caffe's order, and the
faster one on CPUs (see `convolution`). Layers compute in `dtype`; parameters,
statistics and normalisation stay in float32, and `precision` says how exact float32
products are.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from fakedet_jax.models import blocking, channel_last, convolution, pooling
from fakedet_jax.runtime import platforms

Dtype = channel_last.Dtype


def caffe_xavier(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32):  # type: ignore[no-untyped-def]
    """Draws as Caffe's xavier filler does: uniform on ±√(3 / fan_in).

    Args:
        key: PRNG key.
        shape: `[..., in_features, features]`; fan_in is the product of all but the
            last.
        dtype: Dtype of the result.

    Returns:
        An array of that shape and dtype.
    """
    bound = math.sqrt(3.0 / math.prod(shape[:-1]))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def picture_by_picture(
    function: Callable[[Sequence[nn.Module], jax.Array], Any],
    modules: Sequence[nn.Module],
    planes: jax.Array,
) -> Any:
    """Applies modules to one picture after the other on CPUs.

    See `blocking.picture_by_picture`.

    Args:
        function: Maps the modules and a batch to a tree of batches. No picture depends
            on another one.
        modules: Bound modules whose variables do not change.
        planes: `[batch, ...]`.

    Returns:
        The tree of batches.
    """
    if any(module.is_initializing() for module in modules):
        return function(modules, planes)
    unbound = [module.unbind() for module in modules]

    def call(variables: list[Any], planes: jax.Array) -> Any:
        bound = [
            module.bind(own)
            for (module, _), own in zip(unbound, variables, strict=True)
        ]
        return function(bound, planes)

    variables = [own for _, own in unbound]
    return blocking.picture_by_picture(call, variables, planes)


class Conv(nn.Module):
    """Convolution with bias, `[b, in, h, w]` → `[b, features, h', w']`.

    Attributes:
        features: Number of output features.
        kernel_size: Side of the window, pixels.
        padding: Zeros added at each border, pixels.
        stride: Step of the window along both axes, pixels.
        dtype: Dtype of the computation and the output.
        kernel_init: Initialiser of the kernel.
    """

    features: int
    kernel_size: int
    padding: int = 0
    stride: int = 1
    dtype: Dtype = jnp.float32
    kernel_init: channel_last.Initializer = caffe_xavier

    def __call__(self, planes: jax.Array) -> jax.Array:
        """Convolves `[b, in, h, w]` to `[b, features, h', w']`."""
        kernel, bias = self._parameters(planes)
        return self._convolve(planes, kernel, bias)

    def max_pooled(self, planes: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Convolves feature maps and takes the maxima of windows.

        Accelerators add the bias to the maxima: that gives the same numbers, and its
        gradient is a sum over fewer of them.

        Args:
            planes: Float `[b, in, h, w]`.

        Returns:
            The convolved feature maps, and `pooling.max_pool` of them.
        """

        def bias_first(*operands: jax.Array) -> tuple[jax.Array, jax.Array]:
            convolved = self._convolve(*operands)
            return convolved, pooling.max_pool(convolved)

        def bias_last(
            planes: jax.Array, kernel: jax.Array, bias: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            convolved = self._convolve(planes, kernel, None)
            pooled = pooling.max_pool(convolved)
            convolved += channel_last.per_feature(bias, convolved, axis=1)
            return convolved, pooled + channel_last.per_feature(bias, pooled, axis=1)

        found: tuple[jax.Array, jax.Array] = platforms.choose(
            planes, *self._parameters(planes), cpu=bias_first, default=bias_last
        )
        return found

    @nn.compact
    def _parameters(self, planes: jax.Array) -> tuple[jax.Array, jax.Array]:
        shape = (self.kernel_size, self.kernel_size, planes.shape[1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        return kernel, self.param("bias", nn.initializers.zeros, (self.features,))

    def _convolve(
        self, planes: jax.Array, kernel: jax.Array, bias: jax.Array | None
    ) -> jax.Array:
        planes = planes.astype(self.dtype)
        return convolution.conv2d(
            planes, kernel, bias, padding=self.padding, stride=self.stride
        )


# Fully-connected layer with Caffe's initial values, see `channel_last.Dense`.
Dense = functools.partial(channel_last.Dense, kernel_init=caffe_xavier)


class BatchNorm(nn.Module):
    """Caffe's BatchNorm layer followed by its Scale layer.

    In training, the batch is normalised with its own biased variance. The running
    statistics are a debiased moving average: both sums and their weight decay by
    `fraction`, and inference divides by the weight. The variance is added with Bessel's
    correction m / (m − 1), where m = batch × height × width. Under `jit` with a sharded
    batch, the statistics are those of the global batch.

    Attributes:
        fraction: Share of the sums that a step keeps, Caffe's
            moving_average_fraction.
        epsilon: Added to the variance.
        dtype: Dtype of the output; statistics are float32.
    """

    fraction: float = 0.999
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array, *, train: bool) -> jax.Array:
        """Normalises each feature.

        Args:
            planes: Float `[b, features, h, w]`.
            train: Whether to use this batch's statistics and update the running ones.

        Returns:
            An array of the same shape, in `dtype`.
        """
        features = (planes.shape[1],)
        scale = self.param("scale", nn.initializers.ones, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        mean_sum = self.variable("batch_stats", "mean_sum", jnp.zeros, features)
        var_sum = self.variable("batch_stats", "var_sum", jnp.zeros, features)
        weight = self.variable("batch_stats", "weight", jnp.zeros, ())
        values = planes.astype(jnp.float32)
        if train:
            # Nothing was averaged yet where the weight is zero.
            around = mean_sum.value / jnp.maximum(weight.value, 1.0)
            mean, variance = channel_last.moments(values, around, axis=1)
            if not self.is_initializing():
                count = planes.size // planes.shape[1]
                unbiased = variance * (count / max(count - 1, 1))
                mean_sum.value = self.fraction * mean_sum.value + mean
                var_sum.value = self.fraction * var_sum.value + unbiased
                weight.value = self.fraction * weight.value + 1.0
        else:
            # Nothing was averaged yet where the weight is zero; Caffe then uses zeros.
            is_known = weight.value > 0
            per_weight = jnp.where(
                is_known, 1.0 / jnp.where(is_known, weight.value, 1.0), 0.0
            )
            mean, variance = mean_sum.value * per_weight, var_sum.value * per_weight
        factor = scale * lax.rsqrt(variance + self.epsilon)
        shifted = (values - mean[:, None, None]) * factor[:, None, None]
        return (shifted + bias[:, None, None]).astype(self.dtype)
