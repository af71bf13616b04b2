# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.stability."""

import io

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.evaluation import scoring, stability
from fakedet_jax.media import batching
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel
from tests.data import pictures

_SIZE = 32


@pytest.fixture(scope="module")
def images():
    return np.stack([pictures.colourful(_SIZE, _SIZE, seed) for seed in range(5)])


def _batch(images):
    return next(batching.from_pictures(images, Framing.square(_SIZE), 8))


def _changed(images, name):
    return stability.change(_batch(images), name, Framing.square(images.shape[1]))[
        "image"
    ][: len(images)]


def test_jpeg_is_that_of_pillow(images):
    for picture, found in zip(images, _changed(images, "JPEG 75"), strict=True):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=75)
        np.testing.assert_array_equal(found, np.asarray(Image.open(stream)))


def test_resizing_is_that_of_opencv(images):
    found = _changed(images, "resize 0.75 and back")
    for picture, other in zip(images, found, strict=True):
        small = cv2.resize(picture, (24, 24), interpolation=cv2.INTER_LINEAR)
        back = cv2.resize(small, (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(other.astype(int), back.astype(int), atol=1)


def test_a_shift_moves_every_column_by_one(images):
    found = _changed(images, "shift by a pixel")
    np.testing.assert_array_equal(found[:, :, 1:], images[:, :, :-1])
    np.testing.assert_array_equal(found[:, :, 0], images[:, :, 0])


def test_values_are_those_of_each_change_in_turn(images):
    def mean_fn(variables, batch):
        return variables * jnp.mean(batch, (1, 2))

    scorer = scoring.Scorer(mean_fn, parallel.data_mesh(), 8)
    tagged = [("a", _batch(images[:3])), ("b", None), ("c", _batch(images[3:]))]
    first, none, last = stability.stream(
        scorer, Framing.square(_SIZE), np.float32(2), iter(tagged)
    )
    assert [first.tag, none.tag, last.tag] == ["a", "b", "c"]
    assert first.values.shape == (3, 4, 3)
    assert (len(none.values), len(last.values)) == (0, 2)
    assert first.indices.tolist() == [0, 1, 2]
    for place, name in enumerate(stability.CHANGES, start=1):
        expected = 2 * _changed(images[:3], name).mean((1, 2))
        np.testing.assert_allclose(first.values[:, place], expected, rtol=1e-5)
    np.testing.assert_allclose(
        first.values[:, 0], 2 * images[:3].mean((1, 2)), rtol=1e-5
    )


def test_changes_are_the_same_in_every_run(images):
    for name in stability.CHANGES:
        np.testing.assert_array_equal(_changed(images, name), _changed(images, name))
