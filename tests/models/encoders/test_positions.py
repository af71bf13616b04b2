# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.encoders.positions; its use is tested with networks."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.models.encoders import positions


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("wanted", [3, 16, 37, 50])
def test_weights_of_an_interpolation_sum_to_one(wanted, antialias):
    weights = positions.cubic_weights(37, wanted, antialias=antialias)
    assert weights.shape == (wanted, 37)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("wanted", [16, 37, 50])
def test_antialiased_interpolation_is_that_of_pillow(wanted):
    line = np.random.default_rng(0).standard_normal(37).astype(np.float32)
    picture = Image.fromarray(np.repeat(line[None], 4, 0))
    expected = picture.resize((wanted, 4), Image.Resampling.BICUBIC)
    found = positions.cubic_weights(37, wanted, antialias=True) @ line
    np.testing.assert_allclose(found, np.asarray(expected)[0], rtol=1e-4, atol=1e-5)


def test_positions_of_the_same_grid_stay_as_they_are():
    learned = jnp.asarray(np.random.default_rng(0).standard_normal((9, 4)))
    found = positions.interpolated(learned, (3, 3), offset=0.1, antialias=False)
    assert found is learned


def test_rows_and_columns_are_interpolated_alike():
    learned = np.random.default_rng(0).standard_normal((25, 4)).astype(np.float32)
    how = {"offset": 0.1, "antialias": False}
    found = positions.interpolated(jnp.asarray(learned), (2, 3), **how)
    turned = learned.reshape(5, 5, 4).swapaxes(0, 1).reshape(25, 4)
    other = positions.interpolated(jnp.asarray(turned), (3, 2), **how)
    found, other = found.reshape(2, 3, 4), other.reshape(3, 2, 4).swapaxes(0, 1)
    np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("interleaved", [False, True])
def test_pairs_are_turned_by_their_angles(interleaved):
    rng = np.random.default_rng(0)
    angles = rng.uniform(-3, 3, (5, 3))
    heads = rng.standard_normal((2, 7, 4, 6)).astype(np.float32)
    rotate = positions.rotation(angles, 2, interleaved=interleaved)
    found = np.asarray(rotate(jnp.asarray(heads)))
    np.testing.assert_array_equal(found[:, :2], heads[:, :2])
    first, second = (
        (slice(0, None, 2), slice(1, None, 2))
        if interleaved
        else (slice(3), slice(3, 6))
    )
    planes = heads[..., first] + 1j * heads[..., second]
    expected = planes[:, 2:] * np.exp(1j * angles)[None, :, None]
    turned = (found[..., first] + 1j * found[..., second])[:, 2:]
    np.testing.assert_allclose(turned, expected, rtol=1e-4, atol=1e-5)
