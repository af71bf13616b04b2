# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.iresnet against PyTorch."""

import numpy as np
import pytest

from fakedet_jax.models import iresnet
from tests.models import backbone_outputs

NAME = "arcface_iresnet50"


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (112, 112, 64)),
        ("layer1_0_conv1", (112, 112, 64)),
        ("layer1_0_conv2", (56, 56, 64)),
        ("layer1_0_downsample", (56, 56, 64)),
        ("layer2_3_conv2", (28, 28, 128)),
        ("layer3_13_conv1", (14, 14, 256)),
        ("layer4_2_conv2", (7, 7, 512)),
        ("fc", (512,)),
    ],
)
def test_shapes(layer, shape):
    _, _, out = backbone_outputs.output_shapes(NAME)
    assert out[layer].shape == (2, *shape)


@pytest.mark.parametrize("site", ["layer", "activation"])
@pytest.mark.slow
def test_layers_are_those_of_pytorch(site):
    assert backbone_outputs.deviating_layers(NAME, site) == {}


@pytest.mark.slow
def test_embedding_is_that_of_pytorch():
    assert backbone_outputs.embedding_deviation(NAME) < backbone_outputs.TOLERANCE


def test_the_input_is_red_first_from_minus_one_to_one():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 0, 128, 255
    prepared = np.ravel(iresnet.PREPROCESSING(pictures))
    np.testing.assert_allclose(prepared, [-1, 0.5 / 127.5, 1], rtol=1e-5)
