# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from fakedet_jax.data import folds
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.errors import RequestError


def _dataset(labels, names=None, folders=()):
    names = names or [f"{number}.png" for number in range(len(labels))]
    return Dataset(
        "folder", "train", ("real", "fake"), (False, True),
        source=names, names=names, labels=np.array(labels, np.int32), folders=folders,
    )  # fmt: skip


@pytest.fixture
def dataset():
    """30 real and 20 fake pictures."""
    return _dataset([0] * 30 + [1] * 20)


def test_parts_are_even_for_real_and_fake(dataset):
    parts = folds.deal(dataset, 5, seed=0)
    for label, size in ((0, 6), (1, 4)):
        assert np.bincount(parts[dataset.labels == label]).tolist() == [size] * 5


def test_the_order_of_the_pictures_does_not_matter(dataset):
    order = np.random.default_rng(0).permutation(50)
    parts = folds.deal(dataset, 5, seed=0)
    again = folds.deal(dataset.subset(order), 5, seed=0)
    np.testing.assert_array_equal(again, parts[order])


def test_the_seed_decides(dataset):
    first, second = (folds.deal(dataset, 5, seed=seed) for seed in (0, 1))
    assert (first != second).any()


def test_copies_of_a_picture_stay_together(dataset):
    twice = dataset.subset(np.repeat(np.arange(50), 2))
    parts = folds.deal(twice, 5, seed=0)
    np.testing.assert_array_equal(parts[::2], parts[1::2])


def test_folders_stay_together_unless_they_may_not():
    folders = [f"{number // 3}" for number in range(30)] * 2
    dataset = _dataset([0] * 30 + [1] * 30, folders=folders)
    parts = folds.deal(dataset, 5, seed=0)
    of_folder = {folder: set() for folder in folders}
    for folder, part in zip(folders, parts, strict=True):
        of_folder[folder].add(part)
    assert all(len(found) == 1 for found in of_folder.values())
    assert np.bincount(parts).tolist() == [12] * 5
    apart = folds.deal(dataset, 5, seed=0, whole_folders=False)
    assert (apart[:3] != apart[0]).any() or (apart[3:6] != apart[3]).any()


def test_people_and_videos_stay_together():
    labels = [0] * 12 + [1] * 12
    num = len(labels)
    # Frames of videos of three pictures; the last two videos show one person.
    videos = [f"v{number // 3}" for number in range(num)]
    people = ["Ann;Bob" if video in ("v6", "v7") else "" for video in videos]
    nothing = [""] * num
    facts = Facts(
        names=[f"{number}.png" for number in range(num)],
        labels=np.array(labels, np.int32),
        splits=["train"] * num,
        paths=nothing,
        videos=videos,
        frames=np.zeros(num, np.int64),
        faces=np.zeros(num, np.int64),
        identities=people,
        manipulations=nothing,
        qualities=nothing,
        landmarks=np.zeros((num, 5, 2), np.float32),
        tags=np.zeros((num, 4), np.float32),
    )
    dataset = dataclasses.replace(_dataset(labels, facts.names), facts=facts)
    for seed in range(5):
        parts = folds.deal(dataset, 3, seed=seed).reshape(-1, 3)
        assert (parts == parts[:, :1]).all()
        assert parts[6, 0] == parts[7, 0]
        assert len(set(parts[:4, 0])) == len(set(parts[4:, 0])) == 3


def test_too_few_groups_are_refused():
    with pytest.raises(RequestError, match=r"groups of fake .* found 2 groups; choose"):
        folds.deal(_dataset([0] * 9 + [1] * 2), 3, seed=0)
