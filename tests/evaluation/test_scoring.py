# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.scoring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.config import DataConfig, InputConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import scoring
from fakedet_jax.media import batching
from fakedet_jax.media.decode import decode
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel
from fakedet_jax.runtime.dispatch import NUM_IN_FLIGHT
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
    return catalog.load(DataConfig("folder", root), "all")


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


@pytest.mark.parametrize(
    ("function", "shape", "dtype"),
    [
        (_mean_fn, (0, 2), np.float32),
        (lambda _, images: images[..., 0].astype(jnp.int32), (0, 16, 16), np.int32),
    ],
)
def test_an_empty_dataset_has_a_table_of_the_width_of_the_function(
    dataset, function, shape, dtype
):
    scorer = scoring.Scorer(function, parallel.data_mesh(), 8)
    scored = scorer.score_dataset(
        np.float32(1), dataset.subset([]), Framing.square(_SIZE), _SETTINGS
    )
    assert (scored.values.shape, scored.values.dtype) == (shape, dtype)


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


def _batches(dataset):
    images = (decode(example.encoded) for example in dataset.source)
    return list(batching.from_pictures(images, Framing.square(_SIZE), 8))


def test_a_stream_gives_the_values_of_a_dataset(dataset):
    scorer = scoring.Scorer(_mean_fn, parallel.data_mesh(), 8)
    tagged = zip("ab", _batches(dataset), strict=True)
    first, second = scorer.stream(np.float32(1), tagged)
    assert (first.tag, second.tag) == ("a", "b")
    assert np.concatenate([first.indices, second.indices]).tolist() == list(range(13))
    values = np.concatenate([first.values, second.values])
    assert values.tobytes() == _score(dataset, 8).values.tobytes()


def test_a_stream_leaves_out_rows_without_a_picture(dataset):
    first, last = _batches(dataset)
    first["mask"][[2, 5]] = False
    scorer = scoring.Scorer(_mean_fn, parallel.data_mesh(), 8)
    results = list(scorer.stream(np.float32(1), [(1, first), (2, None), (3, last)]))
    assert [result.tag for result in results] == [1, 2, 3]
    assert [result.indices.tolist() for result in results] == [
        [0, 1, 3, 4, 6, 7],
        [],
        [8, 9, 10, 11, 12],
    ]
    assert [len(result.values) for result in results] == [6, 0, 5]


def test_a_stream_is_prepared_ahead_and_no_further(dataset):
    batch = _batches(dataset)[0]
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield taken[-1], batch

    scorer = scoring.Scorer(_mean_fn, parallel.data_mesh(), 8)
    results = scorer.stream(np.float32(1), endless())
    assert [next(results).tag for _ in range(3)] == [0, 1, 2]
    assert len(taken) == 3 + NUM_IN_FLIGHT


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


class _Small:
    """Computes means on a device that has room for a few pictures only."""

    def __init__(self, room, *, is_late=False):
        self.room = room
        self.sizes = []
        self._is_late = is_late

    def __call__(self, images):
        self.sizes.append(len(images))
        if len(images) <= self.room:
            return jnp.mean(images.astype(jnp.float32), (1, 2, 3))
        error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        if not self._is_late:
            raise error
        return _Failed(error)


class _Failed:
    """An array whose computation has failed, which is found out when it is fetched."""

    is_fully_addressable = True

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error

    def copy_to_host_async(self):
        pass


def _numbered(number, size):
    for start in range(0, number * size, size):
        index = np.arange(start, start + size, dtype=np.int32)
        image = np.broadcast_to(index[:, None, None, None], (size, 4, 4, 3))
        yield (
            start,
            {
                "image": image.astype(np.uint8),
                "index": index,
                "mask": index % 5 != 0,
            },
        )


@pytest.mark.parametrize("is_late", [False, True])
def test_what_does_not_fit_is_computed_in_pieces(caplog, is_late):
    mesh = parallel.data_mesh()
    compute = _Small(10, is_late=is_late)
    found = list(scoring.stream(compute, mesh, _numbered(5, 32)))
    assert [one.tag for one in found] == [0, 32, 64, 96, 128]
    indices = np.concatenate([one.indices for one in found])
    assert indices.tolist() == [number for number in range(160) if number % 5]
    values = np.concatenate([one.values for one in found])
    np.testing.assert_array_equal(values, indices)
    assert compute.sizes[-4:] == [8, 8, 8, 8]
    assert [record.message[:22] for record in caplog.records] == [
        "32 pictures at a time ",
        "16 pictures at a time ",
    ]


def test_a_device_without_room_for_a_picture_is_named():
    with pytest.raises(RequestError, match="`batch_size`: even 8 pictures at a time"):
        list(scoring.stream(_Small(7), parallel.data_mesh(), _numbered(1, 32)))


def test_other_errors_of_devices_are_not_hidden():
    def compute(images):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        list(scoring.stream(compute, parallel.data_mesh(), _numbered(1, 32)))
