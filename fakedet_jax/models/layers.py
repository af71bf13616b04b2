# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flax layers with Caffe's initialisers, pooling and batch normalisation.

Channel-first, `[batch, features, height, width]`: Caffe's order, and the faster one on
CPUs (see `convolution`). Computation runs in `dtype`; parameters, statistics and
normalisation stay in float32, and float32 means float32 on accelerators too.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from fakedet_jax.models import convolution

Dtype = Any


def caffe_xavier(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32):  # type: ignore[no-untyped-def]
    """Caffe's xavier filler: uniform on ±√(3 / fan_in), fan_in alone.

    Args:
      key: PRNG key.
      shape: `[..., in_features, features]`; fan_in is the product of all but the last.
      dtype: of the result.

    Returns:
      An array of that shape.
    """
    bound = math.sqrt(3.0 / math.prod(shape[:-1]))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class Conv(nn.Module):
    """Convolution with bias, `[b, in, h, w]` → `[b, features, h', w']`."""

    features: int
    kernel_size: int
    padding: int = 0
    stride: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """Convolves."""
        shape = (self.kernel_size, self.kernel_size, planes.shape[1], self.features)
        kernel = self.param("kernel", caffe_xavier, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return convolution.conv2d(
            planes.astype(self.dtype),
            kernel,
            bias,
            padding=self.padding,
            stride=self.stride,
        )


class Dense(nn.Module):
    """Fully-connected layer with bias, `[b, in]` → `[b, features]`."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Multiplies."""
        kernel = self.param("kernel", caffe_xavier, (inputs.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        inputs, kernel, bias = (
            value.astype(self.dtype) for value in (inputs, kernel, bias)
        )
        product = jnp.matmul(inputs, kernel, precision=lax.Precision.HIGHEST)
        return product + bias


class BatchNorm(nn.Module):
    """Caffe's BatchNorm and Scale layers as one.

    In training the batch is normalised with its own biased variance. The running
    statistics are a debiased moving average: both sums and their weight decay by
    `fraction`, and inference divides by the weight. The variance enters with Bessel's
    correction m / (m − 1), m = batch × height × width.

    Under `jit` with a sharded batch the statistics are those of the global batch.

    Attributes:
      fraction: Caffe's moving_average_fraction.
      epsilon: added to the variance.
      dtype: of the result; statistics are float32.
    """

    fraction: float = 0.999
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, planes: jax.Array, *, train: bool) -> jax.Array:
        """Normalises `[b, features, h, w]` per feature."""
        features = (planes.shape[1],)
        scale = self.param("scale", nn.initializers.ones, features)
        bias = self.param("bias", nn.initializers.zeros, features)
        mean_sum = self.variable("batch_stats", "mean_sum", jnp.zeros, features)
        var_sum = self.variable("batch_stats", "var_sum", jnp.zeros, features)
        weight = self.variable("batch_stats", "weight", jnp.zeros, ())
        values = planes.astype(jnp.float32)
        if train:
            mean = values.mean((0, 2, 3))
            centred = values - mean[:, None, None]
            variance = jnp.square(centred).mean((0, 2, 3))
            if not self.is_initializing():
                count = planes.size // planes.shape[1]
                unbiased = variance * (count / max(count - 1, 1))
                mean_sum.value = self.fraction * mean_sum.value + mean
                var_sum.value = self.fraction * var_sum.value + unbiased
                weight.value = self.fraction * weight.value + 1.0
        else:
            # A weight of zero means that nothing was averaged yet; Caffe then takes 0.
            per_weight = jnp.where(weight.value > 0, 1.0 / weight.value, 0.0)
            mean, variance = mean_sum.value * per_weight, var_sum.value * per_weight
        factor = scale * lax.rsqrt(variance + self.epsilon)
        shifted = (values - mean[:, None, None]) * factor[:, None, None]
        return (shifted + bias[:, None, None]).astype(self.dtype)
