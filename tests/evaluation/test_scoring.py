# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.scoring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.config import InputConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import scoring
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel
from tests.data import pictures

_SIZE = 16
_SETTINGS = InputConfig(num_threads=2)


def _mean_fn(variables, images):
    """Fake as the picture is bright: a function that NumPy can repeat."""
    score = images.astype(jnp.float32).mean((1, 2, 3)) / 255 * variables
    return jnp.stack([1 - score, score], -1)


@pytest.fixture
def dataset(tmp_path):
    root = pictures.write_folder(tmp_path / "data", {"real": 7, "fake": 6}, _SIZE)
    return catalog.load("folder", root, "all")


def _score(dataset, batch_size, mesh=None):
    mesh = mesh or parallel.data_mesh()
    scorer = scoring.Scorer(_mean_fn, mesh, batch_size)
    return scorer.score_dataset(
        np.float32(1), dataset, Framing.square(_SIZE), _SETTINGS
    )


@pytest.mark.parametrize("batch_size", [8, 16, 104])
def test_every_picture_has_its_score_whatever_the_batch_size(dataset, batch_size):
    scored = _score(dataset, batch_size)
    expected = [
        decode(dataset.source[index].encoded).mean() / 255
        for index in range(dataset.num_examples)
    ]
    np.testing.assert_allclose(scored.values[:, 1], expected, rtol=1e-5)
    assert scored.valid.all()


def test_a_picture_that_cannot_be_read_is_not_valid(dataset):
    with open(dataset.names[3], "wb") as file:  # noqa: PTH123
        file.write(b"text")
    scored = _score(dataset, 8)
    assert np.flatnonzero(~scored.valid).tolist() == [3]
    assert not scored.values[3].any()


def test_one_device_gives_what_eight_give(dataset):
    one = _score(dataset, 8, parallel.data_mesh(jax.devices()[:1]))
    np.testing.assert_allclose(one.values, _score(dataset, 8).values, rtol=1e-6)


def test_no_pictures_give_no_rows(dataset):
    scored = _score(dataset.subset([]), 8)
    assert scored.values.shape == (0, 2)


def test_all_batches_run_one_program(dataset):
    traced = []

    def probability_fn(variables, images):
        traced.append(images.shape)
        return _mean_fn(variables, images)

    scorer = scoring.Scorer(probability_fn, parallel.data_mesh(), 8)
    for _ in range(2):
        scorer.score_dataset(np.float32(1), dataset, Framing.square(_SIZE), _SETTINGS)
    assert traced == [(8, _SIZE, _SIZE, 3)]
    assert scorer._compiled._cache_size() == 1


def test_a_single_batch_is_scored_alike(dataset):
    images = np.stack([decode(dataset.source[i].encoded) for i in range(8)])
    scorer = scoring.Scorer(_mean_fn, parallel.data_mesh(), 8)
    np.testing.assert_allclose(
        scorer.score_images(np.float32(1), images),
        _score(dataset, 8).values[:8],
        rtol=1e-6,
    )


@pytest.mark.parametrize("batch_size", [0, -8, 12])
def test_a_batch_that_the_devices_cannot_share_is_refused(batch_size):
    with pytest.raises(RequestError, match="`batch_size`: expected a positive mult"):
        scoring.Scorer(_mean_fn, parallel.data_mesh(), batch_size)


def test_progress_is_shown_only_when_asked_for(dataset, capsys):
    _score(dataset, 8)
    assert capsys.readouterr().err == ""


def test_the_mesh_in_use_is_given_back_after_a_failure(dataset):
    def fail(*unused):
        raise RuntimeError("on purpose")

    scorer = scoring.Scorer(fail, parallel.data_mesh(), 8)
    with pytest.raises(RuntimeError, match="on purpose"):
        scorer.score_dataset(np.float32(1), dataset, Framing.square(_SIZE), _SETTINGS)
    assert jax.sharding.get_abstract_mesh().empty
