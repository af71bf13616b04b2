# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.pooling against a loop with Caffe's semantics."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.models import pooling
from fakedet_jax.runtime import parallel
from tests.models import QUICK

# (height, width), window, stride
CASES = [
    ((29, 14), 3, 2),
    ((13, 7), 3, 2),
    ((4, 3), 3, 2),
    ((8, 7), 2, 2),
    ((7, 9), 3, 3),
    ((6, 5), 3, 1),
    ((9, 5), 4, 3),
    ((6, 11), 5, 2),
    ((9, 10), 2, 4),
    ((5, 7), 1, 2),
]


def _windows(size, window, stride):
    """Caffe's windows: (place in the result, rows, columns), clipped at the border."""
    counts = []
    for length in size:
        count = math.ceil((length - window) / stride) + 1
        # A window must begin within the picture.
        counts.append(count - 1 if (count - 1) * stride >= length else count)
    for row, column in np.ndindex(*counts):
        top, left = row * stride, column * stride
        rows = slice(top, min(top + window, size[0]))
        columns = slice(left, min(left + window, size[1]))
        yield (row, column), rows, columns


def _loop(planes, gradient, window, stride):
    """Maximum and mean of each window, and the gradient of the maximum."""
    size = planes.shape[2:]
    windows = list(_windows(size, window, stride))
    shape = (*planes.shape[:2], *(index + 1 for index in windows[-1][0]))
    largest, mean, sent = np.zeros(shape), np.zeros(shape), np.zeros(planes.shape)
    for place in np.ndindex(*planes.shape[:2]):
        for (row, column), rows, columns in windows:
            values = planes[place][rows, columns]
            largest[(*place, row, column)] = values.max()
            mean[(*place, row, column)] = values.mean()
            # argmax takes the first of equals.
            down, right = np.unravel_index(values.argmax(), values.shape)
            if gradient is not None:
                here = (*place, rows.start + down, columns.start + right)
                sent[here] += gradient[(*place, row, column)]
    return largest, mean, sent


def _planes(size, batch=2, levels=None):
    """Random planes; a few levels make many ties."""
    rng = np.random.default_rng(3)
    shape = (batch, 3, *size)
    if levels:
        return rng.integers(0, levels, shape).astype(np.float32)
    return rng.normal(size=shape).astype(np.float32)


def _gradient(planes, window, stride):
    """A whole number for each window, so that sums are exact."""
    size = [pooling.output_size(length, window, stride) for length in planes.shape[2:]]
    rng = np.random.default_rng(4)
    return rng.integers(-8, 8, (*planes.shape[:2], *size)).astype(np.float32)


def _value_and_gradient(function, planes, gradient, window, stride):
    @functools.partial(jax.jit, compiler_options=QUICK)
    def run(planes, gradient):
        pool = functools.partial(function, window=window, stride=stride)
        value, backward = jax.vjp(pool, planes)
        return value, *backward(gradient)

    return run(planes, gradient)


@pytest.mark.parametrize(
    ("size", "pooled"), [(128, 64), (62, 31), (29, 14), (14, 7), (3, 1), (4, 2)]
)
def test_size_of_pools_of_three_by_two(size, pooled):
    assert pooling.output_size(size, 3, 2) == pooled


@pytest.mark.parametrize("size", [128, 62])
def test_large_planes_have_the_maxima_of_the_loop(size):
    planes = _planes((size, size), batch=1)
    expected = _loop(planes, None, 3, 2)[0]
    np.testing.assert_array_equal(pooling.max_pool(planes), expected)


@pytest.mark.few(4)
@pytest.mark.parametrize(("size", "window", "stride"), CASES)
def test_maximum_equals_the_loop(size, window, stride):
    planes = _planes(size)
    expected = _loop(planes, None, window, stride)[0]
    found = pooling.max_pool(planes, window, stride)
    np.testing.assert_array_equal(found, expected)


def _by_taps(planes, window, stride):
    margins = pooling._margins(planes, window, stride)
    return pooling.max_pool_by_taps(planes, window, stride, margins)


def _by_window(planes, window, stride):
    margins = pooling._margins(planes, window, stride)
    return pooling._max_pool_window(
        planes, window=window, stride=stride, margins=margins
    )


# The forms of CPUs, GPUs and TPUs.
FORMS = [pooling.max_pool, _by_taps, _by_window]


@pytest.mark.few(8)
@pytest.mark.parametrize("function", FORMS)
@pytest.mark.parametrize(("size", "window", "stride"), CASES)
def test_gradient_goes_to_the_first_maximum(size, window, stride, function):
    planes = _planes(size, levels=2)
    gradient = _gradient(planes, window, stride)
    found = _value_and_gradient(function, planes, gradient, window, stride)[1]
    expected = _loop(planes, gradient, window, stride)[2]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.few(4)
@pytest.mark.parametrize(("size", "window", "stride"), CASES)
def test_average_divides_by_what_a_window_holds(size, window, stride):
    planes = _planes(size)
    expected = _loop(planes, None, window, stride)[1]
    found = pooling.average_pool(planes, window, stride)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [*FORMS, pooling.average_pool])
def test_nan_shows_itself(function):
    planes = _planes((6, 6))
    planes[0, 0, 2, 2] = np.nan
    # This pixel belongs to the first four windows.
    found = np.isnan(function(planes, window=3, stride=2))
    assert np.argwhere(found[0, 0]).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("function", [*FORMS, pooling.average_pool])
def test_bfloat16_stays_bfloat16(function):
    planes = jnp.asarray(_planes((5, 6)), jnp.bfloat16)
    assert function(planes, window=3, stride=2).dtype == jnp.bfloat16


def test_minus_infinity_is_a_value_like_any():
    planes = np.full((1, 1, 4, 4), -np.inf, np.float32)
    found = pooling.max_pool(planes)
    np.testing.assert_array_equal(found, np.full((1, 1, 2, 2), -np.inf))


@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_accelerators_pool_the_batch_at_once(platform):
    traced = jax.jit(jax.grad(lambda planes: pooling.max_pool(planes).sum())).trace(
        _planes((6, 6))
    )
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.while" not in text
    # On GPUs its additions have no fixed order.
    assert ("select_and_scatter" in text) == (platform == "tpu")


POOLS = [pooling.max_pool, pooling.average_pool]


@functools.cache
def _sharded(function):
    """Compiled text and results over eight devices under a mesh."""
    mesh = parallel.data_mesh()
    planes = _planes((13, 7), batch=16)
    gradient = _gradient(planes, 3, 2)
    with jax.set_mesh(mesh):
        cut = parallel.put_batch(mesh, {"planes": planes, "gradient": gradient})

        @jax.jit
        def run(planes, gradient):
            value, backward = jax.vjp(function, planes)
            return value, *backward(gradient)

        compiled = run.lower(**cut).compile(QUICK)
        return compiled.as_text(), compiled(**cut)


@pytest.mark.parametrize("function", POOLS)
def test_sharded_equals_the_whole(function):
    planes = _planes((13, 7), batch=16)
    gradient = _gradient(planes, 3, 2)
    expected = _value_and_gradient(function, planes, gradient, 3, 2)
    for found, whole in zip(_sharded(function)[1], expected, strict=True):
        np.testing.assert_allclose(found, whole, rtol=1e-6)


@pytest.mark.parametrize("function", POOLS)
def test_sharded_gathers_nothing(function):
    assert "all-gather" not in _sharded(function)[0]
