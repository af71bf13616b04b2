# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.mobilefacenet against PyTorch and the paper."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.models import mobilefacenet
from fakedet_jax.weights import formats
from tests.golden import backbone_weights
from tests.golden import make_mobilefacenet_faces_golden as maker
from tests.models import QUICK, backbone_outputs

NAME = "mobilefacenet"


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (56, 48, 64)),
        ("dw_conv1", (56, 48, 64)),
        ("block1_expand", (56, 48, 128)),
        ("block1_depthwise", (28, 24, 128)),
        ("block1_project", (28, 24, 64)),
        ("block6_expand", (28, 24, 256)),
        ("block6_project", (14, 12, 128)),
        ("block13_depthwise", (7, 6, 512)),
        ("block15_project", (7, 6, 128)),
        ("conv2", (7, 6, 512)),
        ("linear7", (1, 1, 512)),
        ("linear1", (1, 1, 128)),
    ],
)
def test_shapes(layer, shape):
    _, _, out = backbone_outputs.output_shapes(NAME)
    assert out[layer].shape == (2, *shape)


@pytest.mark.parametrize("site", ["layer", "activation"])
def test_layers_are_those_of_pytorch(site):
    assert backbone_outputs.deviating_layers(NAME, site) == {}


def test_embedding_is_that_of_pytorch():
    assert backbone_outputs.embedding_deviation(NAME) < backbone_outputs.TOLERANCE


def test_linear_layers_have_no_prelu():
    projections = {f"block{number}_project" for number in range(1, 16)}
    named = {layer.name for layer in mobilefacenet.LAYERS}
    linear = {
        layer.name
        for layer in mobilefacenet.LAYERS
        if layer.kind == "conv" and f"{layer.name}_prelu" not in named
    }
    assert linear == projections | {"linear7", "linear1"}


@functools.cache
def _inputs():
    pictures = backbone_weights.make_pictures(NAME)
    images = mobilefacenet.PREPROCESSING(jnp.asarray(pictures))
    return backbone_outputs.seeded_variables(NAME), images


@pytest.mark.slow  # Eager means to compile every operation by itself.
def test_compiled_is_eager():
    variables, images = _inputs()
    embedding, _ = mobilefacenet.MobileFaceNet().apply(variables, images)
    compiled, _ = backbone_outputs.seeded_outputs(NAME)
    np.testing.assert_allclose(compiled, embedding, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_maps_over_a_leading_axis():
    variables, images = _inputs()
    model = mobilefacenet.MobileFaceNet()

    def embed(images):
        return model.apply(variables, images)[0]

    mapped = jax.jit(jax.vmap(embed), compiler_options=QUICK)(images[:, None])
    expected, _ = backbone_outputs.seeded_outputs(NAME)
    np.testing.assert_allclose(mapped[:, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_bfloat16_gives_nearly_the_same_direction():
    variables, images = _inputs()
    model = mobilefacenet.MobileFaceNet(dtype=jnp.bfloat16)
    apply = jax.jit(lambda *inputs: model.apply(*inputs)[0], compiler_options=QUICK)
    found = np.asarray(apply(variables, images))
    expected, _ = backbone_outputs.seeded_outputs(NAME)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(1) / lengths).min() > 0.999


@pytest.mark.slow
def test_training_uses_and_moves_all_statistics():
    variables, images = _inputs()
    model = mobilefacenet.MobileFaceNet()

    def train(variables, images):
        return model.apply(variables, images, train=True, mutable=["batch_stats"])

    train = jax.jit(train, compiler_options=QUICK)
    (embedding, _), state = train(variables, images)
    # Two pictures, normalised with their own statistics, lie opposite to each other.
    shift = variables["params"]["linear1_bn"]["bias"]
    np.testing.assert_allclose(embedding.sum(0), 2 * shift, atol=1e-3)
    for name, stats in state["batch_stats"].items():
        before = variables["batch_stats"][name]
        assert np.all(stats["var"] != before["var"]), name


def test_input_is_red_first_about_zero():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 0, 128, 255
    prepared = np.ravel(mobilefacenet.PREPROCESSING(pictures))
    np.testing.assert_allclose(prepared, [-127.5 / 128, 0.5 / 128, 127.5 / 128])


@pytest.mark.shared_data
def test_published_weights_give_pytorch_s_embeddings_of_real_faces(shared_data):
    path = shared_data.parent / "models" / "mobilefacenet_casia.ckpt"
    if not path.is_file():
        pytest.skip(f"the published weights are absent ({path} is no file)")
    faces = maker.pick(maker.read_faces(shared_data / "faces256" / "test"))
    variables = backbone_outputs.to_variables(NAME, formats.read(path).tensors)
    embedding, _ = backbone_outputs.run(NAME, variables, faces)
    expected = maker.golden()["embeddings"]
    # Single numbers are of the order of one.
    np.testing.assert_allclose(embedding, expected, atol=1e-4)
