# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.fitting."""

import jax
import jax.numpy as jnp
import pytest

from fakedet_jax.evaluation import fitting
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel

FRAMING = Framing.square(16)
# Numbers of float32 for each picture that the device cannot do without.
HELD = 2**16


def _compute(variables, images):
    held = jnp.broadcast_to(images.reshape(len(images), -1)[:, :1], (len(images), HELD))
    return jnp.sort(held * variables, axis=1)[:, :3]


@pytest.fixture(scope="module")
def mesh():
    return parallel.data_mesh()


@pytest.fixture(scope="module")
def variables(mesh):
    return parallel.replicate(mesh, jnp.arange(HELD, dtype=jnp.float32))


def _largest(mesh, variables, memory):
    return fitting.largest_batch_size(_compute, variables, FRAMING, mesh, memory)


def test_the_batch_is_as_large_as_the_memory_allows(mesh, variables):
    found = [_largest(mesh, variables, 2**power) for power in (24, 26, 28)]
    assert found[0] * 16 == found[1] * 4 == found[2]
    per_device = found[1] // len(jax.devices())
    # The array, and perhaps a copy to sort it in.
    assert 4 * HELD * per_device <= 0.8 * 2**26 <= 6 * 4 * HELD * per_device


def test_it_has_a_picture_for_each_device_and_no_more_than_useful(mesh, variables):
    num_devices = len(jax.devices())
    assert _largest(mesh, variables, 2**10) == num_devices
    assert _largest(mesh, variables, 2**50) == num_devices * fitting.MAX_PER_DEVICE


def test_devices_that_do_not_tell_their_memory_get_the_default(mesh, variables):
    assert _largest(mesh, variables, None) == fitting.DEFAULT
