# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.resnet_caffe against PyTorch and the Caffe definition."""

import numpy as np
import pytest

from fakedet_jax.models import resnet_caffe
from tests.models import backbone_outputs

NAMES = ("vggface2_resnet50", "vggface2_senet50")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (112, 112, 64)),
        ("conv2_1_1x1_reduce", (56, 56, 64)),  # 55 without ceil mode
        ("conv2_3_1x1_increase", (56, 56, 256)),
        ("conv3_1_1x1_reduce", (28, 28, 128)),  # the stride is here, not in the 3×3
        ("conv3_1_3x3", (28, 28, 128)),
        ("conv3_1_1x1_proj", (28, 28, 512)),
        ("conv4_6_3x3", (14, 14, 256)),
        ("conv5_1_1x1_down", (1, 1, 128)),
        ("conv5_3_1x1_up", (1, 1, 2048)),
        ("conv5_3_1x1_increase", (7, 7, 2048)),
        ("classifier", (8631,)),
    ],
)
def test_shapes(layer, shape):
    _, _, out = backbone_outputs.output_shapes("vggface2_senet50")
    assert out[layer].shape == (2, *shape)


def test_first_block_in_order():
    _, _, out = backbone_outputs.output_shapes("vggface2_senet50")
    parts = ("1x1_reduce", "3x3", "1x1_increase", "1x1_down", "1x1_up", "1x1_proj")
    assert list(out)[:7] == ["conv1", *(f"conv2_1_{part}" for part in parts)]


@pytest.mark.parametrize("site", ["layer", "activation"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_layers_are_those_of_pytorch(name, site):
    assert backbone_outputs.deviating_layers(name, site) == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_embedding_is_that_of_pytorch(name):
    assert backbone_outputs.embedding_deviation(name) < backbone_outputs.TOLERANCE


@pytest.mark.slow
def test_embedding_is_the_mean_of_the_last_block():
    embedding, outputs = backbone_outputs.seeded_outputs("vggface2_senet50")
    mean = outputs["activation"]["conv5_3_1x1_increase"].mean((1, 2))
    np.testing.assert_allclose(embedding, mean, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "torch", "file"),
    [
        ("conv1", "conv1", "conv1/7x7_s2"),
        ("conv1_bn", "bn1", "conv1/7x7_s2/bn"),
        ("conv2_1_1x1_proj", "layer1.0.downsample.0", "conv2_1_1x1_proj"),
        ("conv2_1_1x1_proj_bn", "layer1.0.downsample.1", "conv2_1_1x1_proj/bn"),
        ("conv3_4_3x3_bn", "layer2.3.bn2", "conv3_4_3x3/bn"),
        ("conv5_3_1x1_down", "layer4.2.conv4", "conv5_3_1x1_down"),
        ("conv5_3_1x1_up", "layer4.2.conv5", "conv5_3_1x1_up"),
        ("classifier", "fc", "classifier"),
    ],
)
def test_names_in_published_files(name, torch, file):
    (layer,) = (one for one in resnet_caffe.SENET50_LAYERS if one.name == name)
    assert (layer.torch, layer.caffe, layer.keras) == (torch, file, file)


def test_input_is_blue_first_minus_the_mean():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 10, 20, 30
    prepared = np.ravel(resnet_caffe.PREPROCESSING(pictures))
    expected = [30 - 91.4953, 20 - 103.8827, 10 - 131.0912]
    np.testing.assert_allclose(prepared, expected, rtol=1e-6)
