# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.vgg16 against PyTorch and the paper."""

import numpy as np
import pytest

from fakedet_jax.models import vgg16
from tests.models import backbone_outputs

NAME = "vggface_vgg16"


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1_2", (224, 224, 64)),
        ("conv2_1", (112, 112, 128)),
        ("conv3_3", (56, 56, 256)),
        ("conv4_3", (28, 28, 512)),
        ("conv5_3", (14, 14, 512)),
        ("fc6", (4096,)),
        ("fc8", (2622,)),
    ],
)
def test_shapes(layer, shape):
    _, _, out = backbone_outputs.output_shapes(NAME)
    assert out[layer].shape == (2, *shape)


# The golden layers cover fc6, and with it the order of its 25,088 inputs.
@pytest.mark.slow
def test_layers_are_those_of_pytorch():
    assert backbone_outputs.deviating_layers(NAME, "layer") == {}


@pytest.mark.slow
def test_embedding_is_that_of_pytorch():
    assert backbone_outputs.embedding_deviation(NAME) < backbone_outputs.TOLERANCE


@pytest.mark.slow
def test_both_sites_are_after_the_relu():
    _, outputs = backbone_outputs.seeded_outputs(NAME)
    for name, output in outputs["layer"].items():
        np.testing.assert_array_equal(output, outputs["activation"][name])
        assert (output.min() < 0) == (name == "fc8"), name


def test_published_files_call_the_layers_the_same():
    names = {(layer.torch, layer.caffe, layer.keras) for layer in vgg16.LAYERS}
    assert names == {(layer.name,) * 3 for layer in vgg16.LAYERS}


def test_input_is_blue_first_minus_the_mean():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 10, 20, 30
    prepared = np.ravel(vgg16.PREPROCESSING(pictures))
    expected = [30 - 93.5940, 20 - 104.7624, 10 - 129.1863]
    np.testing.assert_allclose(prepared, expected, rtol=1e-6)
