# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.precision."""

import re

import jax
import jax.numpy as jnp
import pytest

from fakedet_jax import config
from fakedet_jax.models import channel_last, layers, precision
from fakedet_jax.systems.fakespotter.classifier import CoverageClassifier


@pytest.fixture(autouse=True)
def unchosen():
    """Leaves JAX's setting as it was."""
    before = jax.config.jax_default_matmul_precision
    jax.config.update("jax_default_matmul_precision", None)
    yield
    jax.config.update("jax_default_matmul_precision", before)


def _product_precisions(module, shape):
    """The precisions of all products of a network's gradient, on accelerators."""

    def loss(variables, inputs):
        found = module.apply(variables, inputs)
        return sum(jnp.square(part).sum() for part in jax.tree.leaves(found))

    inputs = jax.ShapeDtypeStruct(shape, jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), inputs)
    traced = jax.jit(jax.grad(loss, (0, 1))).trace(variables, inputs)
    text = traced.lower(lowering_platforms=("tpu",)).as_text()
    products = [
        line
        for line in text.splitlines()
        if re.search(r"stablehlo\.(convolution|dot_general)", line)
    ]
    assert len(products) >= 3, text
    return {
        name
        for line in products
        for name in re.findall(r"\b(DEFAULT|HIGH|HIGHEST)\b", line) or ["DEFAULT"]
    }


NETWORKS = {
    "channel_last": (channel_last.Conv(4, use_bias=True), (2, 8, 8, 3)),
    "one_by_one": (channel_last.Conv(4, 1, stride=2), (2, 8, 8, 3)),
    "channel_first": (layers.Conv(4, 3), (2, 3, 8, 8)),
    "dense": (channel_last.Dense(4), (2, 8)),
    "classifier": (CoverageClassifier((4,)), (2, 8)),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "HIGHEST"),
        ("float32", "HIGHEST"),
        ("tf32", "HIGH"),
        ("bfloat16", "DEFAULT"),
    ],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_product_of_a_gradient_follows(network, name, expected):
    if name is not None:
        precision.choose(name)
    assert precision.chosen() == (name or "float32")
    assert _product_precisions(*NETWORKS[network]) == {expected}


def test_a_function_that_is_jitted_already_is_traced_again():
    traces = []

    def multiply(values):
        traces.append(precision.chosen())
        return jnp.matmul(values, values, precision=precision.of_products())

    jitted = jax.jit(multiply)
    values = jnp.ones((2, 2))
    jitted(values)
    with precision.using("tf32"):
        jitted(values)
        jitted(values)
    precision.choose("bfloat16")
    jitted(values)
    assert traces == ["float32", "tf32", "bfloat16"]
    assert precision.chosen() == "bfloat16"


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.slow
def test_cpus_compute_the_same_in_all(network):
    module, shape = NETWORKS[network]
    inputs = jax.random.normal(jax.random.key(0), shape)
    variables = jax.jit(module.init)(jax.random.key(1), inputs)
    found = []
    for name in config.PRECISIONS:
        with precision.using(name):
            outputs = jax.jit(module.apply)(variables, inputs)
            found.append([leaf.tolist() for leaf in jax.tree.leaves(outputs)])
    assert found[0] == found[1] == found[2]


def test_settings_and_precisions_have_the_same_names():
    for name in config.PRECISIONS:
        precision.choose(name)
        assert precision.chosen() == name
    with pytest.raises(KeyError):
        precision.choose("float16")
