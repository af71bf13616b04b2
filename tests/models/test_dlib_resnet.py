# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.dlib_resnet against dlib and PyTorch."""

import functools
import json

import jax
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones, dlib_resnet
from fakedet_jax.weights import packaged, store
from tests.golden import backbone_weights, make_dlib_golden
from tests.models import QUICK, backbone_outputs
from tests.weights import dlib_writer

NAME = "dlib_resnet29"


@functools.cache
def golden():
    return json.loads(make_dlib_golden.GOLDEN.read_text())


def embed(variables, pictures):
    backbone = backbones.create(NAME)
    network = backbone.build(np.float32, "layer")

    def forward(variables, pictures):
        return network.apply(variables, backbone.preprocessing(pictures))[0]

    return jax.jit(forward, compiler_options=QUICK)(variables, pictures)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("con1", (72, 72, 32)),
        ("con2", (35, 35, 32)),
        ("con8", (17, 17, 64)),
        ("con9", (17, 17, 64)),
        ("con16", (8, 8, 128)),
        # The average on the shortcut is larger than this, so zeros follow it.
        ("con22", (3, 3, 256)),
        ("con24", (4, 4, 256)),
        ("con28", (1, 1, 256)),
        ("con29", (1, 1, 256)),
        ("fc", (128,)),
    ],
)
def test_shapes(layer, shape):
    _, _, out = backbone_outputs.output_shapes(NAME)
    assert out[layer].shape == (2, *shape)


def test_every_convolution_has_an_output():
    _, _, out = backbone_outputs.output_shapes(NAME)
    assert list(out) == [*(f"con{i}" for i in range(1, 30)), "fc"]


@pytest.mark.parametrize("site", ["layer", "activation"])
def test_layers_are_those_of_pytorch(site):
    assert backbone_outputs.deviating_layers(NAME, site) == {}


def test_embedding_is_that_of_pytorch():
    assert backbone_outputs.embedding_deviation(NAME) < backbone_outputs.TOLERANCE


def test_embeddings_of_a_seeded_file_are_those_of_dlib(tmp_path):
    path = tmp_path / "network.dat"
    path.write_bytes(dlib_writer.network(backbone_weights.torch_tensors(NAME)))
    variables, card = store.load(backbones.create(NAME), path)
    assert card["format"] == "dlib network"
    found = embed(variables, make_dlib_golden.chips())
    expected = np.asarray(golden()["seeded"])
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_embeddings_of_the_package_are_those_of_dlib():
    try:
        path = packaged.find(backbones.create(NAME))
    except RequestError:
        pytest.skip("the extra `recognition` is not installed")
    variables, _ = store.load(backbones.create(NAME), path)
    found = embed(variables, make_dlib_golden.chips())
    np.testing.assert_allclose(found, golden()["published"], atol=1e-5)


def test_the_input_is_red_first():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 0, 128, 255
    prepared = np.ravel(dlib_resnet.PREPROCESSING(pictures))
    expected = [-122.782 / 256, (128 - 117.001) / 256, (255 - 104.298) / 256]
    np.testing.assert_allclose(prepared, expected, rtol=1e-6)
