# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of ONNX files; skipped where the converter is not installed."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax import systems
from fakedet_jax.deployment import onnx_file, program
from fakedet_jax.errors import RequestError
from fakedet_jax.training import steps
from tests.deployment.test_program import _fitted
from tests.deployment.test_stablehlo import _NETWORKS, _QUICK

_IS_INSTALLED = importlib.util.find_spec("jax2onnx") is not None
needs_converter = pytest.mark.skipif(not _IS_INSTALLED, reason="needs jax2onnx")
# Its packages warn about each other.
quiet = pytest.mark.filterwarnings("ignore")


@pytest.mark.skipif(_IS_INSTALLED, reason="jax2onnx is installed")
def test_what_to_install_is_said():
    with pytest.raises(RequestError, match=r"run: .*fakedet-jax\[onnx\]"):
        onnx_file.check_installed()


def _made(name):
    detector = systems.create(name)
    model = detector.model(2, "float32")
    shape = detector.framing.shape
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *shape)))
    log_probabilities = steps.make_log_probability_fn(model, detector.preprocessing)
    return detector, _fitted((False, True), log_probabilities, variables)


@needs_converter
@quiet
@pytest.mark.parametrize(
    "name",
    [*_QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in _NETWORKS)],
)
def test_networks_score_the_same_in_another_runtime(name):
    detector, fitted = _made(name)
    make = program.make(fitted)
    if name == "autogan":  # Its percentiles become an operation that is not there.
        with pytest.raises(RequestError, match="`format=onnx`"):
            onnx_file.read(
                onnx_file.to_bytes(onnx_file.export(make, detector.framing, None), {})
            )
        return
    model = onnx_file.export(make, detector.framing, None)
    content = onnx_file.to_bytes(model, {"threshold": 0.5})
    crops = np.random.default_rng(0).integers(
        0, 256, (3, *detector.framing.shape), np.uint8
    )
    call = onnx_file.read(content)
    for number in (1, 3):
        found = call(crops[:number])
        values = jax.jit(fitted.log_probability_fn)(fitted.variables, crops[:number])
        expected = fitted.info.log_odds(np.asarray(values))
        assert found["scores"].shape == (number,)
        np.testing.assert_allclose(found["log_odds"], expected, rtol=1e-3, atol=1e-3)
    (entry,) = model.metadata_props
    assert json.loads(entry.value) == {"threshold": 0.5}
