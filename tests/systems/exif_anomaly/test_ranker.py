# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.ranker."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import pretrained, resnet
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from fakedet_jax.weights import store
from tests.models import QUICK

# Of pictures that are computed: a ResNet takes any.
SIZES = {"resnet50": 32, "small": 128}


def _images(num, size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, size, size, 3)).astype(np.float32)


@functools.cache
def _shapes(name, dtype=jnp.float32):
    """Abstract variables, heads and outputs of two pictures."""
    embedder = face_ranker.create(name)
    model = embedder.build(dtype)
    shape = (2, *embedder.preprocessing.framing.shape)
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    ordered = []

    def apply(variables, images):
        heads, out = model.apply(variables, images)
        # Dicts that leave a transformation come back sorted.
        ordered.extend(out)
        return heads, out

    heads, out = jax.eval_shape(apply, variables, images)
    return variables, heads, {key: out[key] for key in ordered}


@functools.cache
def _variables(name):
    """Random numbers of a size that keeps the activations within bounds."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        kind = path[-1].key
        if kind in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        spread = math.sqrt(max(1, math.prod(leaf.shape[:-1])))
        return (rng.standard_normal(leaf.shape) / spread).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, _shapes(name)[0])


@functools.cache
def _applied(name):
    model = face_ranker.create(name).build(jnp.float32)
    apply = jax.jit(model.apply, compiler_options=QUICK)
    return apply(_variables(name), _images(2, SIZES[name]))


@pytest.mark.parametrize(
    ("name", "count"),
    [("resnet50", 25_085_509), ("small", 1_754_496 + 5 * 769)],
)
def test_parameters_in_all(name, count):
    params = _shapes(name)[0]["params"]
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("name", face_ranker.names())
def test_outputs_are_five_heads_and_the_embedding_last(name):
    _, heads, out = _shapes(name)
    assert list(out)[-2:] == ["embedding", "heads"]
    found = {key: out[key].shape for key in ("embedding", "heads")}
    assert found == {"embedding": (2, 768), "heads": heads.shape}
    assert heads.shape == (2, 5)


def test_outputs_of_the_small_body_in_network_order():
    out = _shapes("small")[2]
    shapes = [(name, leaf.shape[1:]) for name, leaf in out.items()]
    assert shapes[:-2] == [
        ("conv1", (64, 64, 32)),
        ("conv2", (32, 32, 48)),
        ("block1_conv1", (16, 16, 96)),
        ("block1_conv2", (16, 16, 96)),
        ("block1_shortcut", (16, 16, 96)),
        ("block2_conv1", (8, 8, 192)),
        ("block2_conv2", (8, 8, 192)),
        ("block2_shortcut", (8, 8, 192)),
        ("places", (8, 8, 16)),
        ("fc", (768,)),
    ]


@pytest.mark.parametrize("name", face_ranker.names())
def test_bfloat16_keeps_parameters_embedding_and_heads_in_float32(name):
    variables, heads, out = _shapes(name, jnp.bfloat16)
    leaves = jax.tree.leaves((variables, heads, out["embedding"]))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}
    assert out["conv1"].dtype == jnp.bfloat16


@pytest.mark.parametrize("name", face_ranker.names())
@pytest.mark.slow
def test_heads_are_linear_in_the_embedding(name):
    heads, out = _applied(name)
    params = _variables(name)["params"]["heads"]
    embedding = np.asarray(out["embedding"], np.float64)
    expected = embedding @ params["kernel"] + params["bias"]
    np.testing.assert_allclose(heads, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(out["heads"], heads)


@pytest.mark.slow
def test_the_body_of_the_published_network_is_a_resnet_with_768_outputs():
    body = {key: tree["body"] for key, tree in _variables("resnet50").items()}
    network = resnet.ResNet(50, 768)
    images = _images(2, SIZES["resnet50"])
    expected, _ = jax.jit(network.apply, compiler_options=QUICK)(body, images)
    embedding = _applied("resnet50")[1]["embedding"]
    np.testing.assert_allclose(embedding, expected, rtol=1e-5, atol=1e-5)


def test_the_published_body_starts_from_all_of_imagenets_but_the_last_layer():
    embedder = face_ranker.create("resnet50")
    fresh = {key: tree["body"] for key, tree in _shapes("resnet50")[0].items()}
    trained = store.abstract(embedder.pretrained)
    started = pretrained.start_from(fresh, trained)
    kept = [
        name
        for name, layer in started["params"].items()
        if layer is not trained["params"][name]
    ]
    assert kept == ["fc"]


def test_the_small_network_has_no_published_weights():
    assert face_ranker.create("small").pretrained is None


def test_squares_of_two_by_two_pixels_become_one_place():
    planes = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    expected = np.empty((2, 2, 3, 12), np.float32)
    for row in range(2):
        for column in range(3):
            square = planes[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, row, column] = square.reshape(2, 12)
    np.testing.assert_array_equal(face_ranker._fold(planes), expected)


def test_the_residual_is_what_a_binomial_blur_takes():
    images = _images(2, 6)
    padded = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    blurred = np.zeros_like(images, np.float64)
    for row, vertical in enumerate((1, 2, 1)):
        for column, horizontal in enumerate((1, 2, 1)):
            shifted = padded[:, row : row + 6, column : column + 6]
            blurred += vertical * horizontal / 16 * shifted
    found = face_ranker._residual(images)
    np.testing.assert_allclose(found, images - blurred, atol=1e-6)


@functools.cache
def _trained_embeddings():
    """Two embeddings in training of the same pictures, and the statistics after."""
    model = face_ranker.create("small").build(jnp.float32)

    def apply(variables, images, seed):
        return model.apply(
            variables,
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(seed)},
        )

    run = jax.jit(apply, compiler_options=QUICK)
    images = _images(16, SIZES["small"])
    (_, first), state = run(_variables("small"), images, 0)
    (_, second), _ = run(_variables("small"), images, 1)
    return first["embedding"], second["embedding"], state["batch_stats"]


@pytest.mark.slow
def test_embeddings_of_the_small_network_are_normalised_over_the_batch():
    embedding = np.asarray(_trained_embeddings()[0], np.float64)
    norm = _variables("small")["params"]["body"]["fc_bn"]
    np.testing.assert_allclose(embedding.mean(0), norm["bias"], atol=1e-4)
    np.testing.assert_allclose(embedding.std(0), norm["scale"], rtol=1e-2)


def test_the_small_network_drops_features_in_training():
    first, second, _ = _trained_embeddings()
    assert (first != second).mean() > 0.9


def test_training_moves_all_running_statistics():
    before = _variables("small")["batch_stats"]
    same = jax.tree.map(np.array_equal, before, _trained_embeddings()[2])
    assert not any(jax.tree.leaves(same))


def test_pictures_are_normalised_as_for_clip():
    # By hand: (1 - mean) / std and -mean / std.
    preprocessing = face_ranker.create("resnet50").preprocessing
    pictures = np.uint8([255, 0]).reshape(2, 1, 1, 1).repeat(3, axis=-1)
    white, black = np.asarray(preprocessing(pictures))[:, 0, 0]
    np.testing.assert_allclose(white, [1.9303361, 2.0748837, 2.1458967], rtol=1e-5)
    np.testing.assert_allclose(black, [-1.7922626, -1.7520971, -1.4802198], rtol=1e-5)
    assert preprocessing.framing.shape == (224, 224, 3)


def test_pictures_of_the_small_network_lie_between_minus_one_and_one():
    preprocessing = face_ranker.create("small").preprocessing
    pictures = np.uint8([255, 0]).reshape(2, 1, 1, 1).repeat(3, axis=-1)
    found = np.asarray(preprocessing(pictures))[:, 0, 0]
    np.testing.assert_allclose(found, [[1, 1, 1], [-1, -1, -1]], rtol=1e-6)
    assert preprocessing.framing.shape == (128, 128, 3)


def test_the_published_embedder_is_the_first_name():
    assert face_ranker.names() == ["resnet50", "small"]


@pytest.mark.parametrize("name", face_ranker.names())
def test_embedders_know_their_names(name):
    assert face_ranker.create(name).name == name


def test_an_unknown_embedder_names_the_valid_ones():
    message = r"`embedder`: expected resnet50, small, found 'resnet34'"
    with pytest.raises(RequestError, match=message):
        face_ranker.create("resnet34")
