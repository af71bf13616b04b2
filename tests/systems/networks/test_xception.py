# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.xception against its PyTorch port, rebuilt."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.models import pretrained
from fakedet_jax.systems.networks import xception
from fakedet_jax.weights import mapping
from tests.golden import make_rivals_golden as maker
from tests.systems.networks import rival_outputs

NAME = "xception"


@pytest.mark.parametrize(
    ("num_classes", "count"), [(1000, 22_855_952), (2, 20_811_050)]
)
def test_parameters_in_all(num_classes, count):
    assert rival_outputs.count(xception.Xception(num_classes), 299) == count


@functools.cache
def _shapes():
    """Logits and outputs, and variables, all abstract, of two pictures."""
    images = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    model = xception.Xception(1000)
    return jax.eval_shape(model.init_with_output, jax.random.key(0), images)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (149, 149, 32)),
        ("conv2", (147, 147, 64)),
        ("block1_sep2_pointwise", (147, 147, 128)),
        ("block1_skip", (74, 74, 128)),
        ("block3_skip", (19, 19, 728)),
        ("block11_sep3_pointwise", (19, 19, 728)),
        ("block12_sep1_pointwise", (19, 19, 728)),
        ("block12_sep2_pointwise", (19, 19, 1024)),
        ("conv3_depthwise", (10, 10, 1024)),
        ("conv4_pointwise", (10, 10, 2048)),
        ("fc", (1000,)),
    ],
)
def test_shapes(layer, shape):
    (_, out), _ = _shapes()
    assert out[layer].shape == (2, *shape)


def test_the_port_s_names_and_shapes():
    expected = mapping.expected(xception.LAYERS, "torch", _shapes()[1])
    assert expected["block1.rep.0.conv1.weight"] == (64, 1, 3, 3)
    assert expected["block1.rep.4.running_var"] == (128,)
    assert expected["block2.rep.1.pointwise.weight"] == (256, 128, 1, 1)
    assert expected["block12.rep.5.weight"] == (1024,)
    assert expected["block12.skip.weight"] == (1024, 728, 1, 1)
    assert expected["bn4.bias"] == (2048,)
    assert expected["last_linear.weight"] == (1000, 2048)
    # 74 convolutions, 40 normalisations of four arrays, and the last layer.
    assert len(expected) == 74 + 40 * 4 + 2


def test_equals_pytorch():
    keys = {layer.name: layer.torch for layer in xception.LAYERS}
    model = xception.Xception(2)
    values = rival_outputs.variables(model, maker.SIDES[NAME], keys)
    logits, out = rival_outputs.run(NAME, model, values)
    found = rival_outputs.deviations(NAME, logits, out, keys)
    assert max(found.values()) < 1e-4, found


def test_input_is_red_first_between_minus_1_and_1():
    pictures = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    prepared = np.ravel(xception.PREPROCESSING(pictures))
    np.testing.assert_allclose(prepared, [-1, -0.6, 1], rtol=1e-6)


def test_a_start_from_imagenet_keeps_a_fresh_fc():
    pictures = jax.ShapeDtypeStruct((1, 80, 80, 3), "float32")
    fresh, trained = (
        jax.eval_shape(xception.Xception(number).init, jax.random.key(0), pictures)
        for number in (2, 1000)
    )
    started = pretrained.start_from(fresh, trained)
    assert started["params"]["fc"] is fresh["params"]["fc"]
    assert started["params"]["conv1"] is trained["params"]["conv1"]
