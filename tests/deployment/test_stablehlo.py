# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of artefacts of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.deployment import program, stablehlo
from fakedet_jax.training import steps
from tests.deployment.test_program import _fitted
from tests.systems.networks import whole

_QUICK = ("meso4",)
_NETWORKS = tuple(name for name in whole.NAMES if name not in _QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [*_QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in _NETWORKS)],
)
def test_networks_take_batches_of_any_size(name):
    detector = systems.create(name)
    model = detector.model(2, "float32")
    shape = detector.framing.shape
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *shape)))
    fitted = _fitted(
        (False, True),
        steps.make_log_probability_fn(model, detector.preprocessing),
        variables,
    )
    artefact = stablehlo.export(program.make(fitted), detector.framing, None)
    content = stablehlo.to_bytes(artefact, {})
    crops = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    for number in (1, 3):
        found = stablehlo.read(content)(crops[:number])
        values = jax.jit(fitted.log_probability_fn)(variables, crops[:number])
        expected = fitted.info.log_odds(np.asarray(values))
        np.testing.assert_allclose(found["log_odds"], expected, rtol=1e-4, atol=1e-4)
