# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training pictures whose sources are drawn equally often."""

import collections
import pickle

import numpy as np
import pytest

from fakedet_jax.data import balance, pipeline
from fakedet_jax.data.folder import load_folder
from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from tests.data.pictures import write_folder

# 24 pictures.
COUNTS = {
    "real/camera_a": 1,
    "real/camera_b": 7,
    "gan": 13,
    "diffusion": 2,
    "flow": 1,
}
SHARES = {"real": 1 / 2, "gan": 1 / 6, "diffusion": 1 / 6, "flow": 1 / 6}


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("balance"), COUNTS, 16)
    return load_folder(root, "all")


@pytest.fixture(scope="module")
def dataset(classes):
    return classes.as_binary()


def _batches(dataset, count, **changes):
    options = {
        "framing": Framing.square(16),
        "batch_size": 8,
        "seed": 5,
        "flip": True,
        "num_threads": 2,
        "balance": "classes",
        **changes,
    }
    with pipeline.train_iterator(dataset, **options) as batches:
        taken = [next(batches) for _ in range(count)]
        return taken, batches.get_state()


def _indices(dataset, num_epochs, **changes):
    batches, _ = _batches(dataset, 3 * num_epochs, **changes)
    return np.concatenate([batch["index"] for batch in batches])


def test_sources_are_kept_when_classes_are_merged(classes, dataset):
    assert collections.Counter(dataset.sources) == {
        "real": 8,
        "gan": 13,
        "diffusion": 2,
        "flow": 1,
    }
    assert dataset.as_binary().sources == dataset.sources
    assert dataset.subset([3, 0]).sources == [dataset.sources[3], dataset.sources[0]]
    assert classes.sources == ()


def test_every_epoch_has_equal_sides_and_sources(dataset):
    for epoch in _indices(dataset, 4).reshape(4, 24):
        counts = collections.Counter(dataset.sources[index] for index in epoch)
        assert counts == {name: round(24 * share) for name, share in SHARES.items()}


def test_every_picture_of_a_source_is_drawn_equally_often(dataset):
    balanced = balance.create(dataset, "classes", 5)
    drawn = [balanced(position, position % 24) for position in range(60 * 24)]
    counts = np.bincount(drawn, minlength=24)
    for source, share in SHARES.items():
        own = counts[np.array(dataset.sources) == source]
        mean = 60 * 24 * share / len(own)
        assert own.sum() == 60 * 24 * share
        np.testing.assert_allclose(own, mean, rtol=0.45)


def test_within_an_epoch_a_picture_comes_again_only_after_all_others(dataset):
    for epoch in _indices(dataset, 5).reshape(5, 24):
        counts = np.bincount(epoch, minlength=24)
        for source in SHARES:
            own = counts[np.array(dataset.sources) == source]
            assert np.ptp(own) <= 1


def test_classes_that_are_not_merged_are_equal(classes):
    epoch = _indices(classes, 1)
    assert np.bincount(classes.labels[epoch]).tolist() == [6, 6, 6, 6]


def test_folders_are_equal_within_their_class(dataset):
    counts = collections.Counter(
        (dataset.sources[index], dataset.folders[index])
        for index in _indices(dataset, 3, balance="folders")
    )
    assert counts["real", "camera_a"] == counts["real", "camera_b"] == 18
    assert counts["gan", ""] == counts["flow", ""] == 12


def test_shares_of_less_than_a_place_are_kept_over_epochs():
    # 30 sources of one picture each are half of a class pair of 40 pictures.
    groups = tuple(np.array([index]) for index in range(30))
    shares = np.append(np.full(30, 1 / 60), 1 / 2)
    balanced = balance.Balance((*groups, np.arange(30, 40)), shares, 40, 0)
    counts = np.zeros(40)
    for position in range(40 * 300):
        counts[balanced(position, position % 40)] += 1
    assert counts[:30].sum() == pytest.approx(6000, abs=100)
    # 200 times each; once or not at all in an epoch.
    assert counts[:30].min() > 150 and counts[:30].max() < 250
    assert counts[30:].min() > 450


def test_batches_are_seeded_and_differ_from_plain_ones(dataset):
    first, second, other, plain = (
        _indices(dataset, 2, **changes).tolist()
        for changes in ({}, {}, {"seed": 6}, {"balance": "none"})
    )
    assert first == second
    assert first != other and first != plain
    assert sorted(plain[:24]) == list(range(24))


def test_a_saved_position_goes_on_exactly(dataset):
    whole, _ = _batches(dataset, 9)
    _, state = _batches(dataset, 4)
    options = {"framing": Framing.square(16), "batch_size": 8, "seed": 5, "flip": True}
    with pipeline.train_iterator(dataset, balance="classes", **options) as later:
        assert later.set_state([state])
        for expected in whole[4:]:
            found = next(later)
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name])
    plain = pipeline.train_iterator(dataset, balance="folders", **options)
    with plain, pytest.raises(RequestError, match="made with balance=classes"):
        plain.set_state([state])


def test_two_processes_read_the_global_batches(dataset):
    whole = _indices(dataset, 2).reshape(-1, 8)
    parts = [
        _batches(dataset, 6, batch_size=4, process_index=place, process_count=2)[0]
        for place in range(2)
    ]
    for expected, *own in zip(whole, *parts, strict=True):
        found = np.concatenate([batch["index"] for batch in own])
        assert sorted(found) == sorted(expected)


def test_worker_processes_can_have_it(dataset):
    balanced = balance.create(dataset, "classes", 3)
    copy = pickle.loads(pickle.dumps(balanced))
    drawn = [each(place, place % 24) for each in (balanced, copy) for place in range(9)]
    assert drawn[:9] == drawn[9:]
    assert repr(copy) == repr(balanced)


def test_folders_that_are_not_known_are_refused(tmp_path):
    root = write_folder(tmp_path, {"real": 2, "fake": 2}, 16)
    with pytest.raises(RequestError, match="`balance`: folders can be balanced only"):
        balance.create(load_folder(root, "all"), "folders", 0)
