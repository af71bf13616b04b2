# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of artefacts of JAX."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.deployment import program, stablehlo
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import backbones
from fakedet_jax.systems.fakespotter import coverage
from fakedet_jax.training import steps
from fakedet_jax.weights import store
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


def _counts(count_fn, variables, crops):
    """Sums of counts of neurons, by a detector and by its file, float32 `[batch]`."""

    def log_probabilities(variables, crops):
        counts = count_fn(variables, crops).astype(jnp.float32)
        return jnp.stack([jnp.zeros_like(counts), counts], -1)

    fitted = _fitted((False, True), log_probabilities, variables)
    fitted = dataclasses.replace(fitted, has_gradient=False)
    framing = Framing(*crops.shape[1:3])
    artefact = stablehlo.export(program.make(fitted), framing, None)
    found = stablehlo.read(stablehlo.to_bytes(artefact, {}))(crops)
    values = jax.jit(log_probabilities)(variables, crops)
    return np.asarray(values)[:, 1], np.asarray(found["log_odds"])


def test_neurons_at_their_thresholds_are_counted_alike():
    # Constant divisors would become factors, which round otherwise.
    divisors = np.linspace(1, 2, 768, dtype=np.float32).reshape(16, 16, 3)

    def count(variables, crops):
        planes = crops.astype(jnp.float32) / variables["divisors"]
        return (planes >= variables["thresholds"]).sum((1, 2, 3))

    crops = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    thresholds = crops[0].astype(np.float32) / divisors
    variables = jax.device_put({"divisors": divisors, "thresholds": thresholds})
    of_detector, of_file = _counts(count, variables, crops)
    np.testing.assert_array_equal(of_detector, 768)
    np.testing.assert_array_equal(of_file, 768)


@pytest.mark.shared_data
@pytest.mark.slow
def test_neurons_of_a_real_network_are_counted_alike(shared_data):
    backbone = backbones.create("mobilefacenet")
    path = shared_data.parent / "models" / "mobilefacenet_casia.ckpt"
    network = coverage.Coverage(
        backbone.build(jnp.float32, "layer"), backbone.preprocessing
    )
    shape = backbone.preprocessing.framing.shape
    crops = np.random.default_rng(0).integers(0, 256, (16, *shape), np.uint8)
    weights = jax.device_put(store.load(backbone, path)[0])
    thresholds = jax.jit(network.means)(weights, crops).mean(0)

    def count(variables, crops):
        weights, thresholds = variables
        return network.counts(weights, crops, thresholds).sum(1)

    of_detector, of_file = _counts(count, (weights, thresholds), crops)
    np.testing.assert_array_equal(of_file, of_detector)
