# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.layers against hand computation in float64."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.models import convolution, layers
from fakedet_jax.runtime import parallel

SCALE = np.asarray([0.5, 1.0, 2.0], np.float32)
BIAS = np.asarray([-1.0, 0.0, 3.0], np.float32)
PARAMS = {"scale": SCALE, "bias": BIAS}
ZEROS = np.zeros(3, np.float32)
FRESH = {"mean_sum": ZEROS, "var_sum": ZEROS, "weight": np.float32(0)}


def _batches(num_batches, batch=4):
    rng = np.random.default_rng(11)
    shape = (num_batches, batch, 3, 5, 2)
    return rng.normal(7, 3, shape).astype(np.float32)


@functools.partial(jax.jit, static_argnames="train")
def _apply(stats, planes, train):
    variables = {"params": PARAMS, "batch_stats": stats}
    norm = layers.BatchNorm()
    out, state = norm.apply(variables, planes, train=train, mutable=["batch_stats"])
    return out, state["batch_stats"]


def _normalise(planes, mean, variance):
    """Caffe's BatchNorm and Scale in float64."""
    mean, variance, scale, bias = (
        np.asarray(value, np.float64)[:, None, None]
        for value in (mean, variance, SCALE, BIAS)
    )
    return (planes - mean) / np.sqrt(variance + 1e-5) * scale + bias


def _statistics(planes, correction=0):
    values = planes.astype(np.float64)
    return values.mean((0, 2, 3)), values.var((0, 2, 3), ddof=correction)


def test_training_normalises_with_the_biased_variance():
    planes = _batches(1)[0]
    found, _ = _apply(FRESH, planes, train=True)
    expected = _normalise(planes, *_statistics(planes))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@functools.cache
def _trained(num_steps):
    stats = FRESH
    for planes in _batches(num_steps):
        _, stats = _apply(stats, planes, train=True)
    return stats


@pytest.mark.parametrize("num_steps", [1, 5])
def test_running_sums_decay_and_take_the_unbiased_variance(num_steps):
    mean, variance, weight = 0.0, 0.0, 0.0
    for planes in _batches(num_steps):
        new_mean, new_variance = _statistics(planes, correction=1)
        mean = 0.999 * mean + new_mean
        variance = 0.999 * variance + new_variance
        weight = 0.999 * weight + 1
    found = _trained(num_steps)
    for name, expected in (("mean_sum", mean), ("var_sum", variance)):
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(found["weight"], weight, rtol=1e-6)


def test_inference_divides_by_the_weight():
    stats = {name: np.asarray(value, np.float64) for name, value in _trained(5).items()}
    planes = _batches(6)[5]
    found, _ = _apply(_trained(5), planes, train=False)
    mean, variance = (stats[name] / stats["weight"] for name in ("mean_sum", "var_sum"))
    expected = _normalise(planes, mean, variance)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_one_step_is_remembered_undiluted():
    planes = _batches(1)[0]
    found, _ = _apply(_trained(1), planes, train=False)
    expected = _normalise(planes, *_statistics(planes, correction=1))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_inference_leaves_the_statistics_alone():
    _, stats = _apply(_trained(5), _batches(1)[0], train=False)
    jax.tree.map(np.testing.assert_array_equal, stats, dict(_trained(5)))


def test_inference_before_any_training_takes_zeros_as_caffe_does():
    planes = _batches(1)[0]
    found, _ = _apply(FRESH, planes, train=False)
    np.testing.assert_allclose(found, _normalise(planes, ZEROS, ZEROS), rtol=1e-5)


def test_initialising_counts_as_no_step():
    norm = layers.BatchNorm()
    variables = norm.init(jax.random.key(0), _batches(1)[0], train=True)
    assert not any(map(np.any, jax.tree.leaves(variables["batch_stats"])))


def test_batch_of_one_value_stays_finite():
    out, stats = _apply(FRESH, np.ones((1, 3, 1, 1), np.float32), train=True)
    assert all(np.isfinite(value).all() for value in (out, *stats.values()))


def test_sharded_statistics_are_those_of_the_whole_batch():
    planes = _batches(1, batch=16)[0]
    expected = _apply(FRESH, planes, train=True)
    mesh = parallel.data_mesh()
    with jax.set_mesh(mesh):
        cut = parallel.put_batch(mesh, {"planes": planes})["planes"]
        found = _apply(parallel.replicate(mesh, FRESH), cut, train=True)
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5),
        found,
        expected,
    )


def test_bfloat16_is_only_the_result():
    planes = jnp.asarray(_batches(1)[0], jnp.bfloat16)
    norm = layers.BatchNorm(dtype=jnp.bfloat16)
    out, variables = jax.eval_shape(
        lambda: norm.init_with_output(jax.random.key(0), planes, train=True)
    )
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(variables)}
    assert (out.dtype, dtypes) == (jnp.bfloat16, {jnp.dtype("float32")})


@pytest.mark.parametrize("shape", [(3, 3, 12, 24), (300, 8), (1, 1, 64, 128)])
def test_xavier_fills_the_range_of_its_fan_in(shape):
    values = np.asarray(layers.caffe_xavier(jax.random.key(0), shape))
    bound = math.sqrt(3 / math.prod(shape[:-1]))
    assert 0.98 * bound < np.abs(values).max() <= bound
    # A uniform variable on ±b has the variance b² / 3, here 1 / fan_in.
    np.testing.assert_allclose(values.var() * math.prod(shape[:-1]), 1, rtol=0.1)


def test_xavier_ignores_the_fan_out():
    narrow, wide = (
        np.abs(layers.caffe_xavier(jax.random.key(0), (50, features))).max()
        for features in (100, 10_000)
    )
    np.testing.assert_allclose(narrow, wide, rtol=0.01)


def test_biases_start_at_zero():
    planes = jnp.zeros((1, 2, 5, 5))
    conv = layers.Conv(3, 3).init(jax.random.key(0), planes)["params"]
    dense = layers.Dense(3).init(jax.random.key(0), planes[0, 0])["params"]
    assert not np.any(conv["bias"]) and not np.any(dense["bias"])


def test_conv_is_conv2d_of_its_parameters():
    planes = _batches(1)[0]
    conv = layers.Conv(4, 3, padding=1, stride=2)
    variables = conv.init(jax.random.key(0), planes)
    params = {**variables["params"], "bias": np.arange(4, dtype=np.float32)}
    expected = convolution.conv2d(planes, **params, padding=1, stride=2)
    np.testing.assert_array_equal(conv.apply({"params": params}, planes), expected)


def test_dense_equals_numpy():
    inputs = _batches(1)[0].reshape(4, -1)
    kernel = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    bias = np.arange(6, dtype=np.float32)
    params = {"kernel": kernel, "bias": bias}
    found = layers.Dense(6).apply({"params": params}, inputs)
    expected = inputs.astype(np.float64) @ kernel + bias
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


class _Pair(nn.Module):
    @nn.compact
    def __call__(self, planes):
        first, second = (
            layers.Conv(3, 3, padding=1, name=name) for name in ("first", "second")
        )
        return layers.picture_by_picture(_both, [first, second], planes)


def _both(modules, planes):
    first, second = modules
    return second(jnp.tanh(first(planes)))


@pytest.mark.slow
def test_modules_picture_by_picture_have_their_own_parameters():
    planes = _batches(1)[0]
    variables = _Pair().init(jax.random.key(0), planes)
    assert list(variables["params"]) == ["first", "second"]
    first, second = (variables["params"][name] for name in ("first", "second"))
    hidden = convolution.conv2d(planes, first["kernel"], first["bias"], padding=1)
    expected = convolution.conv2d(
        jnp.tanh(hidden), second["kernel"], second["bias"], padding=1
    )
    found = _Pair().apply(variables, planes)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
