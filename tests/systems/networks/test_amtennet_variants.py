# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the ablations of AMTENnet: parameters by hand, values by SciPy and NumPy."""

import math

import jax
import numpy as np
import pytest
import scipy.signal

from fakedet_jax.errors import RequestError
from fakedet_jax.systems.networks import amtennet, traces
from fakedet_jax.training import optim
from fakedet_jax.weights import mapping
from tests.models import QUICK

AMTENNET = 2_023_050
# Kernel height × width × inputs × outputs + biases, against AMTENnet's own.
CHANGES = {
    "amten": {},
    # No conv1.
    "amten_1": {"conv1": -84},
    # conv4 reads 3 maps, not 6; the CNN 9, not 12.
    "amten_2": {"conv4": 9 * 3 * 6 + 6 - 330, "conv6": 9 * 9 * 24 + 24 - 2_616},
    "amten_3": {
        "conv4": 9 * 6 * 3 + 3 - 330,
        "conv5": 9 * 3 * 3 + 3 - 330,
        "conv6": 9 * 9 * 24 + 24 - 2_616,
    },
    # The CNN reads 12 + 6 maps.
    "amten_4": {
        "conv4": 9 * 6 * 12 + 12 - 330,
        "conv5": 9 * 12 * 12 + 12 - 330,
        "conv6": 9 * 18 * 24 + 24 - 2_616,
    },
    "amten_5": {"conv1": 25 * 3 * 3 + 3 - 84},
    "amten_6": {"conv3": -84, "conv5": -330},
    "amtennet_7": {},
    # 14² becomes 12², pooled to 6².
    "amtennet_8": {
        "conv9": 9 * 64 * 128 + 128 - 8_320,
        "fc1": 6 * 6 * 128 * 300 + 300 - 1_881_900,
    },
    "model_base": {
        "conv1": -84,
        "conv2": -84,
        "conv3": -84,
        "conv4": -330,
        "conv5": -330,
        "conv6": 9 * 3 * 24 + 24 - 2_616,
    },
}
TOTALS = {
    "amten": 2_023_050,
    "amten_1": 2_022_966,
    "amten_2": 2_022_240,
    "amten_3": 2_021_991,
    "amten_4": 2_025_654,
    "amten_5": 2_023_194,
    "amten_6": 2_022_636,
    "amtennet_7": 2_023_050,
    "amtennet_8": 1_589_386,
    "model_base": 2_020_194,
}
WITH_TRACE = [name for name in CHANGES if name not in ("amten_1", "model_base")]
each_variant = pytest.mark.parametrize("name", CHANGES)
each_with_trace = pytest.mark.parametrize("name", WITH_TRACE)


def _shapes(name):
    model = amtennet.AmtenNet(2, variant=amtennet.VARIANTS[name])
    images = jax.ShapeDtypeStruct((1, 128, 128, 3), np.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


def _counts(name):
    params = _shapes(name)["params"]
    layers = {**params.get("amten", {}), **params["base"]}
    return {
        layer: sum(math.prod(leaf.shape) for leaf in node.values())
        for layer, node in layers.items()
    }


def test_every_variant_is_counted():
    assert [*amtennet.VARIANTS] == [*CHANGES] == [*TOTALS]


@each_variant
@pytest.mark.slow
def test_parameters_that_change(name):
    usual, found = _counts("amten"), _counts(name)
    differences = {layer: found.get(layer, 0) - usual[layer] for layer in usual}
    assert {k: v for k, v in differences.items() if v} == CHANGES[name]


@pytest.mark.few(3)
@each_variant
def test_parameters_in_all(name):
    assert sum(_counts(name).values()) == TOTALS[name]
    assert AMTENNET + sum(CHANGES[name].values()) == TOTALS[name]


@each_variant
@pytest.mark.slow
def test_frozen_parameters_are_there(name):
    params = _shapes(name)["params"]
    frozen = amtennet.frozen(amtennet.VARIANTS[name])
    factors = optim.caffe_multipliers(params, frozen)
    assert (len(frozen) == 1) == (name in WITH_TRACE)
    if frozen:
        assert factors["amten"]["conv1"]["bias"] == (0.0, 0.0)


@pytest.mark.few(3)
@each_variant
def test_published_layers_describe_the_network(name):
    layers = amtennet.published_layers(amtennet.VARIANTS[name])
    names = mapping.expected(layers, "caffe", _shapes(name))
    assert len(names) == len(set(names)) == 2 * len(layers) + 2 * 3


def _extractor(name):
    """Random parameters of an extractor."""
    rng = np.random.default_rng(7)
    return {
        layer: {
            "kernel": rng.normal(0, 0.2, node["kernel"].shape).astype(np.float32),
            "bias": rng.normal(size=node["bias"].shape).astype(np.float32),
        }
        for layer, node in _shapes(name)["params"]["amten"].items()
    }


def _scipy_conv(params, layer, planes):
    kernel, bias = (params[layer][key].astype(np.float64) for key in ("kernel", "bias"))
    margin = len(kernel) // 2
    padded = np.pad(planes, ((margin, margin), (margin, margin), (0, 0)))
    maps = [
        scipy.signal.correlate(padded, kernel[..., i], "valid")[..., 0] + bias[i]
        for i in range(len(bias))
    ]
    return np.stack(maps, axis=-1)


def _scipy_reused(name, params, picture):
    """F_reu, each ablation spelt out."""

    def conv(layer, planes):
        return _scipy_conv(params, layer, planes)

    blue_first = picture[..., ::-1].astype(np.float64)
    trace = blue_first if name == "amten_1" else conv("conv1", blue_first) - blue_first
    if name == "amten_6":
        higher = conv("conv2", trace)
        return np.dstack([conv("conv4", np.dstack([higher, trace])), higher, trace])
    higher = conv("conv3", conv("conv2", trace))
    if name == "amten_2":
        return np.dstack([conv("conv5", conv("conv4", higher)), higher])
    both = np.dstack([higher, trace])
    return np.dstack([conv("conv5", conv("conv4", both)), both])


PICTURE = np.random.default_rng(8).integers(0, 256, (9, 11, 3), dtype=np.uint8)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", [n for n in CHANGES if n != "model_base"])
def test_reused_trace_equals_scipy(name):
    params = _extractor(name)
    model = amtennet.Amten(variant=amtennet.VARIANTS[name])
    images = PICTURE[None, ..., ::-1].astype(np.float32)
    found, _ = model.apply({"params": params}, images)
    expected = _scipy_reused(name, params, PICTURE)
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(found[0].transpose(1, 2, 0), expected, atol=atol)


@each_with_trace
@pytest.mark.slow
def test_traces_know_the_variant_by_its_parameters(name):
    params = _extractor(name)
    variables = {"params": {"amten": params, "base": {}}}
    found = traces.extract_reused(variables, PICTURE[None])
    expected = _scipy_reused(name, params, PICTURE)
    atol = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(found[0], expected, atol=atol)


@pytest.mark.parametrize("name", ["amten_1", "model_base"])
def test_variants_without_a_predictor_have_no_traces(name):
    with pytest.raises(RequestError, match=r"has no predictor conv1.*such as amten"):
        traces.extract(_shapes(name), PICTURE[None])


def test_without_the_extractor_the_cnn_sees_the_picture():
    name = "model_base"
    model = amtennet.AmtenNet(2, variant=amtennet.VARIANTS[name])
    variables = jax.tree.map(
        lambda leaf: np.ones(leaf.shape, np.float32), _shapes(name)
    )
    kernel = np.zeros((3, 3, 3, 24), np.float32)
    kernel[1, 1, :, 0] = 1, 10, 100
    variables["params"]["base"]["conv6"]["kernel"] = kernel
    images = np.arange(128 * 128 * 3, dtype=np.float32).reshape(1, 128, 128, 3) / 1000
    apply = jax.jit(model.apply, compiler_options=QUICK)
    _, out = apply(variables, images)
    expected = images[0] @ [1, 10, 100] + 1
    np.testing.assert_allclose(out["conv6"][0, 0], expected, rtol=1e-5)
    assert "conv2" not in out


@pytest.mark.slow
def test_average_pooling():
    planes = np.random.default_rng(9).normal(size=(1, 2, 40, 40)).astype(np.float32)
    model = amtennet.ModelBase(2, pool="average")
    shapes = jax.eval_shape(model.init, jax.random.key(0), planes)
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    _, out = model.apply(variables, planes)
    conv6 = np.asarray(out["conv6"][0, 0], np.float64)
    pooled = np.array(
        [
            [conv6[r : r + 3, c : c + 3].mean() for c in range(0, 39, 2)]
            for r in range(0, 39, 2)
        ]
    )
    # Mean, variance, scale and bias of the normalisation are 1, so are all kernels.
    hidden = (np.maximum(pooled, 0) - 1) / np.sqrt(1 + 1e-5) + 1
    expected = 24 * scipy.signal.correlate(hidden, np.ones((3, 3)), "valid") + 1
    np.testing.assert_allclose(out["conv7"][0, 0], expected, rtol=1e-4)
