# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.exif_anomaly.embedding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.systems.exif_anomaly import embedding
from fakedet_jax.systems.exif_anomaly import ranker as face_ranker
from tests import tiny


def _create(**settings):
    with tiny.registered():
        return embedding.create(settings)


def _images(framing, num=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num, *framing.shape), np.uint8)


def _ranker_variables(named):
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: np.abs(rng.standard_normal(leaf.shape)).astype(np.float32),
        named.abstract,
    )


def test_without_a_name_it_is_the_published_one():
    named = embedding.create({})
    assert named.settings == {
        "embedder": "resnet50",
        "backbone": None,
        "dtype": "float32",
    }
    assert named.num_features == face_ranker.NUM_FEATURES


def test_a_ranker_embeds_and_ranks():
    named = _create(embedder="tiny_ranker", dtype="float32", more="is left alone")
    assert (named.settings["embedder"], named.num_features) == ("tiny_ranker", 8)
    assert named.framing == tiny.PREPROCESSING.framing
    variables, images = _ranker_variables(named), _images(named.framing)
    network = tiny.EMBEDDER.build(jnp.float32)
    heads, out = network.apply(variables, tiny.PREPROCESSING(images))
    np.testing.assert_allclose(named.embed(variables, images), out["embedding"])
    np.testing.assert_allclose(named.rank(variables, images), heads)
    assert heads.shape == (3, 5)


def test_a_recogniser_embeds_and_ranks_nothing():
    named = _create(backbone="tiny_faces", embedder=None)
    assert named.settings["backbone"] == "tiny_faces"
    assert (named.num_features, named.rank) == (5, None)
    variables, images = tiny.recognizer_variables(), _images(named.framing)
    expected, _ = tiny.Recognizer().apply(
        variables, tiny.BACKBONE.preprocessing(images)
    )
    np.testing.assert_allclose(named.embed(variables, images), expected)


def test_embeddings_are_float32_whatever_the_computation():
    named = _create(embedder="tiny_ranker", dtype="bfloat16")
    variables, images = _ranker_variables(named), _images(named.framing)
    rows = named.embed(variables, images)
    exact = _create(embedder="tiny_ranker").embed(variables, images)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, exact, rtol=0.1)
    assert (np.asarray(rows) != np.asarray(exact)).any()


def test_a_picture_is_embedded_as_alone():
    named = _create(embedder="tiny_ranker")
    variables, images = _ranker_variables(named), _images(named.framing, 4)
    together = np.asarray(named.embed(variables, images))
    alone = np.concatenate(
        [named.embed(variables, images[i : i + 1]) for i in range(4)]
    )
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_shapes_are_those_of_the_variables():
    named = _create(embedder="tiny_ranker")
    shapes = {leaf.shape for leaf in jax.tree.leaves(named.abstract["params"])}
    assert shapes == {(3, 3, 3, 8), (8,), (8, 8), (8, 5), (5,)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedder": "gone"}, "`embedder`: expected resnet50, small, tiny_ranker, f"),
        ({"backbone": "gone"}, "`backbone`: expected "),
    ],
    ids=str,
)
def test_what_there_is_not_is_refused(settings, message):
    with pytest.raises(RequestError, match=message):
        _create(**settings)
