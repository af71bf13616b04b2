# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.inception_resnet against PyTorch."""

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones, inception_resnet
from fakedet_jax.weights import store
from tests.golden import backbone_weights
from tests.models import backbone_outputs
from tests.weights import writers

NAME = "facenet"


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv2d_1a", (79, 79, 32)),
        ("conv2d_2b", (77, 77, 64)),
        ("conv2d_4a", (36, 36, 192)),
        ("conv2d_4b", (17, 17, 256)),
        ("repeat_1_4_conv2d", (17, 17, 256)),
        ("mixed_6a_branch1_2", (8, 8, 256)),
        ("repeat_2_9_branch1_1", (8, 8, 128)),
        ("mixed_7a_branch0_1", (3, 3, 384)),
        ("block8_conv2d", (3, 3, 1792)),
        ("last_linear", (512,)),
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
    lengths = np.linalg.norm(backbone_outputs.seeded_outputs(NAME)[0], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


@pytest.mark.parametrize("num_classes", [8631, 10575])
@pytest.mark.slow
def test_published_files_have_a_classifier_that_is_not_needed(num_classes, tmp_path):
    tensors = {
        **backbone_weights.torch_tensors(NAME),
        "logits.weight": np.zeros((num_classes, 512), np.float32),
        "logits.bias": np.zeros(num_classes, np.float32),
    }
    path = tmp_path / "facenet.pt"
    path.write_bytes(writers.torch_stream(tensors))
    variables, card = store.load(backbones.create(NAME), path)
    assert card["num_tensors"] == len(tensors)
    np.testing.assert_array_equal(
        variables["params"]["last_linear"]["kernel"], tensors["last_linear.weight"].T
    )
    tensors["other.weight"] = tensors["logits.bias"]
    path.write_bytes(writers.torch_stream(tensors))
    with pytest.raises(RequestError, match=r"superfluous: other\.weight;"):
        store.load(backbones.create(NAME), path)


def test_the_input_is_red_first_about_zero():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 0, 128, 255
    prepared = np.ravel(inception_resnet.PREPROCESSING(pictures))
    np.testing.assert_allclose(prepared, [-127.5 / 128, 0.5 / 128, 127.5 / 128])
