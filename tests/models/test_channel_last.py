# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.channel_last against NumPy loops."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fakedet_jax.models import channel_last, layers

# (in_features, features, kernel_size, stride, padding, groups)
CONVOLUTIONS = {
    "plain": (4, 6, (3, 3), 1, (1, 1), 1),
    "strided": (3, 5, (7, 7), 2, (3, 3), 1),
    "pointwise": (4, 6, (1, 1), 1, (0, 0), 1),
    "strided pointwise": (4, 6, (1, 1), 2, (0, 0), 1),
    "padded pointwise": (4, 6, (1, 1), 1, (1, 1), 1),
    "oblong": (4, 6, (3, 2), 1, (1, 0), 1),
    "grouped": (4, 6, (3, 3), 1, (1, 1), 2),
    "depthwise": (4, 4, (3, 3), 1, (1, 1), 4),
    "strided depthwise": (4, 4, (3, 3), 2, (1, 1), 4),
    "global depthwise": (4, 4, (9, 8), 1, (0, 0), 4),
    "doubling depthwise": (4, 8, (3, 3), 1, (1, 1), 4),
}


def _random(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _convolve(planes, kernel, stride, padding, groups):
    """Cross-correlation in float64, window by window."""
    vertical, horizontal = padding
    planes = np.pad(
        planes.astype(np.float64),
        ((0, 0), (vertical, vertical), (horizontal, horizontal), (0, 0)),
    )
    height, width, in_features, features = kernel.shape
    rows = (planes.shape[1] - height) // stride + 1
    columns = (planes.shape[2] - width) // stride + 1
    out = np.zeros((len(planes), rows, columns, features))
    per_group = features // groups
    for row, column, group in itertools.product(
        range(rows), range(columns), range(groups)
    ):
        top, left = row * stride, column * stride
        seen = planes[
            :,
            top : top + height,
            left : left + width,
            group * in_features : (group + 1) * in_features,
        ]
        made = slice(group * per_group, (group + 1) * per_group)
        weights = kernel[..., made]
        out[:, row, column, made] = np.einsum("bhwi,hwio->bo", seen, weights)
    return out


def _case(name):
    in_features, features, size, stride, padding, groups = CONVOLUTIONS[name]
    planes = _random(2, 9, 8, in_features)
    kernel = _random(*size, in_features // groups, features, seed=4)
    return planes, kernel, stride, padding, groups


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name):
    planes, kernel, stride, padding, groups = _case(name)
    found = channel_last.conv2d(
        planes, kernel, stride=stride, padding=padding, groups=groups
    )
    expected = _convolve(planes, kernel, stride, padding, groups)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name", ["strided pointwise", "strided depthwise", "global depthwise"]
)
def test_second_forms_have_the_gradients_of_xla_s_convolution(name):
    planes, kernel, stride, padding, groups = _case(name)
    weights = _random(*_convolve(*_case(name)).shape, seed=5)

    def ours(planes, kernel):
        out = channel_last.conv2d(
            planes, kernel, stride=stride, padding=padding, groups=groups
        )
        return (out * weights).sum()

    def general(planes, kernel):
        out = lax.conv_general_dilated(
            planes,
            kernel,
            (stride, stride),
            [(number, number) for number in padding],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        return (out * weights).sum()

    found = jax.grad(ours, (0, 1))(planes, kernel)
    expected = jax.grad(general, (0, 1))(planes, kernel)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("use_bias", [False, True])
def test_layer_adds_its_bias(use_bias):
    layer = channel_last.Conv(5, (3, 2), stride=2, padding=(1, 0), use_bias=use_bias)
    planes, kernel, bias = _random(2, 6, 7, 3), _random(3, 2, 3, 5), _random(5)
    params = {"kernel": kernel, "bias": bias} if use_bias else {"kernel": kernel}
    shapes = jax.eval_shape(layer.init, jax.random.key(0), planes)["params"]
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, params)
    found = layer.apply({"params": params}, planes)
    expected = _convolve(planes, kernel, 2, (1, 0), 1) + use_bias * bias
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_depthwise_layer_has_one_kernel_per_feature():
    layer = channel_last.Conv(4, 3, groups=4)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), _random(1, 5, 5, 4))
    assert shapes["params"]["kernel"].shape == (3, 3, 1, 4)


@pytest.mark.parametrize("side", [3, 4])
def test_depthwise_sums_in_float32(side):
    kernel = np.ones((3, 3, 1, 2), np.float32)
    kernel[0, 0] = 256  # in bfloat16, 256 + 1 is 256
    ones = jnp.ones((1, side, side, 2), jnp.bfloat16)
    found = channel_last.conv2d(ones, kernel, groups=2)
    assert np.unique(found.astype(np.float32)).tolist() == [264]


def test_dense():
    inputs, kernel, bias = _random(3, 4), _random(4, 5), _random(5)
    params = {"kernel": kernel, "bias": bias}
    found = channel_last.Dense(5).apply({"params": params}, inputs)
    np.testing.assert_allclose(found, inputs @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_prelu_scales_negative_values_per_feature():
    slope = np.asarray([0.1, -2.0, 1.5], np.float32)
    planes = _random(2, 3, 4, 3)
    found = channel_last.PReLU().apply({"params": {"slope": slope}}, planes)
    expected = np.maximum(planes, 0) + slope * np.minimum(planes, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


SCALE, BIAS, MEAN = _random(3, 3, seed=6)
VAR = np.asarray([0.2, 1.0, 7.0], np.float32)
VARIABLES = {
    "params": {"scale": SCALE, "bias": BIAS},
    "batch_stats": {"mean": MEAN, "var": VAR},
}


@functools.cache
def _trained(shape=(4, 5, 6, 3)):
    """A batch, what it became in training, and the new statistics."""
    planes = 3 * _random(*shape) + 5
    norm = channel_last.BatchNorm()
    out, state = norm.apply(VARIABLES, planes, train=True, mutable=["batch_stats"])
    return planes.astype(np.float64), out, state["batch_stats"]


def _normalise(planes, mean, variance):
    return (planes - mean) / np.sqrt(variance + 1e-5) * SCALE + BIAS


def test_inference_normalises_with_the_running_statistics():
    planes = _random(4, 5, 6, 3)
    found = channel_last.BatchNorm().apply(VARIABLES, planes, train=False)
    expected = _normalise(planes, MEAN, VAR)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_training_normalises_with_the_biased_variance():
    planes, found, _ = _trained((2, 1, 1, 3))
    expected = _normalise(planes, planes.mean((0, 1, 2)), planes.var((0, 1, 2)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_running_statistics_move_by_a_tenth_to_the_unbiased_variance():
    planes, _, found = _trained((2, 1, 1, 3))
    mean = 0.9 * MEAN + 0.1 * planes.mean((0, 1, 2))
    variance = 0.9 * VAR + 0.1 * planes.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(found["var"], variance, rtol=1e-4)


def test_training_leaves_the_given_statistics_alone():
    before = np.copy(MEAN)
    _trained()
    np.testing.assert_array_equal(MEAN, before)


def test_statistics_start_at_zero_and_one():
    norm = channel_last.BatchNorm()
    stats = norm.init(jax.random.key(0), _trained()[0], train=True)["batch_stats"]
    assert (stats["mean"].tolist(), stats["var"].tolist()) == ([0] * 3, [1] * 3)


def test_statistics_are_float32_where_the_planes_are_not():
    planes = (_random(64, 5, 6, 3) / 4 + 50).astype(jnp.bfloat16)
    norm = channel_last.BatchNorm(dtype=jnp.bfloat16)
    out, state = norm.apply(VARIABLES, planes, train=True, mutable=["batch_stats"])
    expected = 0.9 * MEAN + 0.1 * planes.astype(np.float64).mean((0, 1, 2))
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(state["batch_stats"]["mean"], expected, rtol=1e-5)


def _pool(planes, window, stride, padding, ceil):
    """Maximum over the windows that PyTorch's documentation describes."""
    size = planes.shape[1]
    span = (size + 2 * padding - window) / stride
    count = int(np.ceil(span) if ceil else np.floor(span)) + 1
    starts = [number * stride - padding for number in range(count)]
    rows = [
        [
            planes[:, max(0, top) : top + window, max(0, left) : left + window].max(
                (1, 2)
            )
            for left in starts
        ]
        for top in starts
    ]
    return np.moveaxis(np.asarray(rows), 2, 0)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", [7, 8])
def test_pooling(size, ceil, padding):
    planes = _random(2, size, size, 3) - 9  # a zero from the border would win
    found = channel_last.max_pool(planes, padding=padding, ceil=ceil)
    np.testing.assert_array_equal(found, _pool(planes, 3, 2, padding, ceil))


@pytest.mark.parametrize(
    ("size", "window", "padding", "ceil", "expected"),
    [(112, 3, 0, True, 56), (112, 3, 0, False, 55), (112, 3, 1, False, 56),
     (224, 2, 0, False, 112)],
)  # fmt: skip
def test_pooled_sizes_of_the_published_networks(size, window, padding, ceil, expected):
    planes = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
    pool = functools.partial(
        channel_last.max_pool, window=window, padding=padding, ceil=ceil
    )
    assert jax.eval_shape(pool, planes).shape == (1, expected, expected, 1)


def _choose(monkeypatch, platform):
    """Computes in the form of a platform."""
    choose = lambda *operands, **forms: forms[platform](*operands)  # noqa: E731
    monkeypatch.setattr(lax, "platform_dependent", choose)


@pytest.mark.few(1)
@pytest.mark.parametrize("platform", ["cpu", "cuda", "default"])
def test_forms_of_pooling_have_one_gradient(monkeypatch, platform):
    planes = _random(2, 9, 8, 3)
    margins = ((1, 1), (1, 2))
    _choose(monkeypatch, platform)

    def here(planes):
        return (channel_last.max_pool(planes, padding=1, ceil=True) ** 3).sum()

    def by_flax(planes):
        return (nn.max_pool(planes, (3, 3), (2, 2), margins) ** 3).sum()

    found, expected = jax.grad(here)(planes), jax.grad(by_flax)(planes)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_a_convolution_for_a_product_with_a_stride(platform):
    function = functools.partial(channel_last.conv2d, stride=2)
    traced = jax.jit(function).trace(_random(1, 4, 4, 3), _random(1, 1, 3, 5))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.convolution" in text and "stablehlo.dot_general" not in text


def _gradient_of_ones(layer, planes):
    """Gradients of the parameters where each output has the gradient 1."""
    params = layer.init(jax.random.key(0), planes)["params"]
    loss = lambda params: layer.apply({"params": params}, planes).sum()  # noqa: E731
    return jax.jit(jax.grad(loss))(params)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "layer",
    [
        channel_last.Conv(2, 3, padding=1, use_bias=True, dtype=jnp.bfloat16),
        channel_last.Dense(2, dtype=jnp.bfloat16),
        layers.Conv(2, 3, padding=1, dtype=jnp.bfloat16),
        layers.Conv(2, 1, dtype=jnp.bfloat16),
    ],
)
def test_gradient_of_a_bias_is_summed_in_float32(layer):
    planes = jnp.ones((3, 33, 17, 3), jnp.bfloat16)
    count = planes.size // 3
    if isinstance(layer, layers.Conv):
        planes = planes.transpose(0, 3, 1, 2)
    # In bfloat16 a sum of ones stops at 256.
    assert _gradient_of_ones(layer, planes)["bias"].tolist() == [count, count]


def test_gradient_of_a_slope_is_summed_in_float32():
    planes = -jnp.ones((3, 33, 17, 2), jnp.bfloat16)
    slopes = _gradient_of_ones(channel_last.PReLU(dtype=jnp.bfloat16), planes)["slope"]
    assert slopes.tolist() == [-1683, -1683]


@pytest.mark.parametrize("platform", ["cpu", "default"])
@pytest.mark.parametrize("offset", [0, 1, 30])
@pytest.mark.parametrize("axis", [1, -1])
def test_moments_are_those_of_float64(monkeypatch, axis, offset, platform):
    _choose(monkeypatch, platform)
    planes = 2 * _random(8, 9, 10, 11, seed=2) + 5
    exact = planes.astype(np.float64)
    axes = tuple(set(range(4)) - {axis % 4})
    around = (exact.mean(axes) + offset * exact.std(axes)).astype(np.float32)
    mean, variance = channel_last.moments(planes, around, axis=axis)
    np.testing.assert_allclose(mean, exact.mean(axes), rtol=1e-6, atol=1e-6 * offset)
    tolerance = 1e-6 * (1 + offset**2)
    np.testing.assert_allclose(variance, exact.var(axes), rtol=tolerance)


def test_variance_is_never_negative(monkeypatch):
    _choose(monkeypatch, "default")
    planes = np.full((4, 3, 3, 2), 1000.1, np.float32)
    _, variance = channel_last.moments(planes, np.array([0, 999], np.float32))
    assert (np.asarray(variance) >= 0).all()
