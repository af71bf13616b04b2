# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.convolution against XLA's own form and SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax import lax

from fakedet_jax.models import convolution
from fakedet_jax.runtime import parallel
from tests.models import QUICK

# (height, width), in_features, features, kernel_size, padding, stride
CASES = [
    ((9, 7), 3, 4, 3, 1, 1),
    ((8, 11), 3, 4, 3, 0, 1),
    ((7, 9), 2, 3, 5, 2, 1),
    ((7, 6), 5, 2, 1, 0, 1),
    ((9, 8), 3, 2, 3, 1, 2),
    ((11, 7), 2, 3, 3, 0, 3),
    ((5, 5), 72, 2, 3, 1, 1),
]


def _operands(case, batch=2):
    """Planes, kernel, bias and a gradient of the result."""
    size, in_features, features, side, padding, stride = case
    rng = np.random.default_rng(7)
    out_size = [(length + 2 * padding - side) // stride + 1 for length in size]
    shapes = (
        (batch, in_features, *size),
        (side, side, in_features, features),
        (features,),
        (batch, features, *out_size),
    )
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _reference(planes, kernel, bias, *, padding, stride):
    """XLA's convolution."""
    convolved = lax.conv_general_dilated(
        planes,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NCHW", "HWIO", "NCHW"),
    )
    return convolved + bias[:, None, None]


def _value_and_gradients(function, operands, **settings):
    """The result and the gradients of planes, kernel and bias."""
    *inputs, gradient = operands

    @functools.partial(jax.jit, compiler_options=QUICK)
    def run(inputs, gradient):
        value, backward = jax.vjp(functools.partial(function, **settings), *inputs)
        return value, *backward(gradient.astype(value.dtype))

    return run(inputs, gradient)


def _scipy(operands, padding, stride):
    """The same four by SciPy, in float64."""
    planes, kernel, bias, gradient = (value.astype(np.float64) for value in operands)
    side = kernel.shape[0]
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(planes, border)
    value = np.zeros(gradient.shape)
    planes_gradient, kernel_gradient = np.zeros(padded.shape), np.zeros(kernel.shape)
    # Between the steps of the window lie zeros.
    dilated = np.zeros(
        gradient.shape[:2]
        + tuple((length - 1) * stride + 1 for length in gradient.shape[2:])
    )
    dilated[..., ::stride, ::stride] = gradient
    height, width = dilated.shape[2] + side - 1, dilated.shape[3] + side - 1
    for picture, plane, feature in np.ndindex(
        len(planes), kernel.shape[2], kernel.shape[3]
    ):
        window = kernel[:, :, plane, feature]
        full = scipy.signal.correlate(padded[picture, plane], window, "valid")
        value[picture, feature] += full[::stride, ::stride]
        one = dilated[picture, feature]
        planes_gradient[picture, plane, :height, :width] += scipy.signal.convolve(
            one, window, "full"
        )
        taps = scipy.signal.correlate(padded[picture, plane], one, "valid")
        kernel_gradient[:, :, plane, feature] += taps[:side, :side]
    value += bias[:, None, None]
    inner = tuple(slice(padding, padding + length) for length in planes.shape[2:])
    return (
        value,
        planes_gradient[(..., *inner)],
        kernel_gradient,
        gradient.sum((0, 2, 3)),
    )


def _assert_close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        other = np.asarray(other, np.float64)
        atol = tolerance * np.abs(other).max()
        np.testing.assert_allclose(
            np.asarray(one, np.float64), other, rtol=tolerance, atol=atol
        )


@functools.cache
def _found(case, batch=2):
    settings = {"padding": case[4], "stride": case[5]}
    return _value_and_gradients(convolution.conv2d, _operands(case, batch), **settings)


@pytest.mark.few(3)
@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_equal_xla(case):
    settings = {"padding": case[4], "stride": case[5]}
    expected = _value_and_gradients(_reference, _operands(case), **settings)
    _assert_close(_found(case), expected, 2e-6)


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_equal_scipy(case):
    expected = _scipy(_operands(case), padding=case[4], stride=case[5])
    _assert_close(_found(case), expected, 2e-6)


@functools.cache
def _found_with_bfloat16_planes(case):
    planes, kernel, bias, gradient = _operands(case)
    operands = [jnp.asarray(planes, jnp.bfloat16), kernel, bias, gradient]
    return _value_and_gradients(
        convolution.conv2d, operands, padding=case[4], stride=case[5]
    )


@pytest.mark.parametrize("case", CASES[:2])
def test_bfloat16_equals_float32_to_its_rounding(case):
    rounded = [value.astype(jnp.bfloat16) for value in _operands(case)]
    expected = _scipy(rounded, padding=case[4], stride=case[5])
    _assert_close(_found_with_bfloat16_planes(case), expected, 2.0**-6)


def test_gradients_have_the_dtypes_of_the_operands():
    dtypes = [value.dtype for value in _found_with_bfloat16_planes(CASES[0])]
    assert dtypes == [jnp.bfloat16, jnp.bfloat16, jnp.float32, jnp.float32]


def test_no_bias_is_a_bias_of_zero():
    planes, kernel, bias, _ = _operands(CASES[0])
    np.testing.assert_array_equal(
        convolution.conv2d(planes, kernel),
        convolution.conv2d(planes, kernel, np.zeros_like(bias)),
    )


def test_vmap_equals_a_loop():
    planes, kernel, bias, _ = _operands(CASES[0], batch=6)
    stacked = planes.reshape(3, 2, *planes.shape[1:])
    found = jax.vmap(convolution.conv2d, (0, None, None))(stacked, kernel, bias)
    expected = convolution.conv2d(planes, kernel, bias)
    np.testing.assert_allclose(
        found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_the_convolution_of_xla(platform):
    planes, kernel, bias, _ = _operands(CASES[0])

    @jax.jit
    def run(planes, kernel, bias):
        value, backward = jax.vjp(convolution.conv2d, planes, kernel, bias)
        return value, *backward(jnp.ones_like(value))

    traced = run.trace(planes, kernel, bias)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    # Forward, and the gradients of planes and kernel; no loop over the batch.
    found = (text.count("stablehlo.convolution"), text.count("stablehlo.while"))
    assert found == (3, 0)


@functools.cache
def _sharded(case, batch):
    """Compiled text and results over eight devices under a mesh."""
    mesh = parallel.data_mesh()
    planes, kernel, bias, gradient = _operands(case, batch)
    with jax.set_mesh(mesh):
        cut = parallel.put_batch(mesh, {"planes": planes, "gradient": gradient})
        whole = parallel.replicate(mesh, {"kernel": kernel, "bias": bias})

        @jax.jit
        def run(planes, kernel, bias, gradient):
            function = functools.partial(convolution.conv2d, padding=case[4])
            value, backward = jax.vjp(function, planes, kernel, bias)
            return value, *backward(gradient)

        compiled = run.lower(**cut, **whole).compile(QUICK)
        return compiled.as_text(), compiled(**cut, **whole)


@pytest.mark.parametrize("case", CASES[:2])
def test_sharded_equals_the_whole(case):
    _assert_close(_sharded(case, 16)[1], _found(case, 16), 2e-6)


@pytest.mark.parametrize("case", CASES[:2])
def test_sharded_gathers_nothing(case):
    assert "all-gather" not in _sharded(case, 16)[0]


def test_batch_that_devices_cannot_share_works_under_a_mesh():
    operands = _operands(CASES[0], 3)
    with jax.set_mesh(parallel.data_mesh()):
        found = _value_and_gradients(convolution.conv2d, operands, padding=1, stride=1)
    _assert_close(found, _scipy(operands, padding=1, stride=1), 2e-6)
