# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.residuals against PyTorch and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.systems.networks import residuals
from tests.golden import make_rivals_golden as maker
from tests.models import QUICK
from tests.systems.networks import rival_outputs


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", residuals.KINDS)
def test_equals_pytorch(kind):
    model = residuals.ResidualNet(kind, 2)
    values = rival_outputs.variables(model, maker.SIDES[kind])
    logits, out = rival_outputs.run(kind, model, values)
    found = rival_outputs.deviations(kind, logits, out)
    assert max(found.values()) < 1e-4, found


@pytest.mark.parametrize(
    ("kind", "channels"), [("hand_crafted", 9), ("srm", 3), ("constrained", 3)]
)
def test_residuals_keep_the_size_of_the_picture(kind, channels):
    model = residuals.ResidualNet(kind, 8)
    images = jax.ShapeDtypeStruct((2, 128, 128, 3), jnp.float32)
    (logits, out), _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert out["residual"].shape == (2, channels, 128, 128)
    assert logits.shape == (2, 8)


@pytest.mark.parametrize(
    ("kind", "count"),
    [("hand_crafted", 2_021_490), ("srm", 2_020_194), ("constrained", 2_020_422)],
)
def test_fixed_filters_are_no_parameters(kind, count):
    assert rival_outputs.count(residuals.ResidualNet(kind, 2), 128) == count


@pytest.mark.parametrize("filters", [residuals.hand_crafted, residuals.srm])
def test_a_plain_picture_leaves_nothing_inside(filters):
    found = filters(jnp.full((1, 3, 12, 12), 200.0))
    np.testing.assert_allclose(found[:, :, 2:-2, 2:-2], 0, atol=1e-3)


def test_filters_stand_in_the_order_of_the_colours():
    planes = jnp.zeros((1, 3, 5, 5)).at[0, 1, 2, 2].set(1.0)  # green
    found = residuals.hand_crafted(planes)
    assert np.flatnonzero(np.any(found != 0, (0, 2, 3))).tolist() == [3, 4, 5]
    np.testing.assert_array_equal(found[0, 3, 2, 1:4], [1, -1, 0])
    np.testing.assert_array_equal(found[0, 4, 1:4, 2], [1, -1, 0])
    assert found[0, 5, 2, 2] == -4


def _kernel():
    return np.random.default_rng(5).normal(size=(5, 5, 3, 4)).astype(np.float32)


def test_constrained_filters_predict_and_subtract_the_centre():
    kernel = _kernel()
    found = np.asarray(residuals.constrain(jnp.asarray(kernel)))
    for channel in range(3):
        for number in range(4):
            one = kernel[:, :, channel, number].astype(np.float64)
            one[2, 2] = 0
            one /= one.sum()
            one[2, 2] = -1
            np.testing.assert_allclose(found[:, :, channel, number], one, rtol=1e-3)


def test_constraining_twice_is_constraining_once():
    once = residuals.constrain(jnp.asarray(_kernel()))
    np.testing.assert_allclose(residuals.constrain(once), once, rtol=1e-3)


def test_neighbours_that_add_up_to_nothing_stay_finite():
    found = residuals.constrain(jnp.ones((5, 5, 1, 1)) * 0)
    assert found[2, 2, 0, 0] == -1
    assert np.abs(np.asarray(found)).sum() == 1


def test_initial_filters_are_constrained():
    layer = residuals.ConstrainedConv()
    init = jax.jit(layer.init, compiler_options=QUICK)
    variables = init(jax.random.key(2), jnp.zeros((1, 3, 8, 8)))
    kernel = np.asarray(variables["params"]["kernel"])
    np.testing.assert_array_equal(kernel[2, 2], -1)
    np.testing.assert_allclose(kernel.sum((0, 1)), 0, atol=1e-4)


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="expected one of"):
        residuals.ResidualNet("laplace", 2).init(
            jax.random.key(0), jnp.zeros((1, 64, 64, 3))
        )
