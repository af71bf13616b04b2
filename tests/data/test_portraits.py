# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of landmarks and camera settings of the examples of a dataset."""

import dataclasses

import numpy as np
import pytest

from fakedet_jax.data import inspection
from fakedet_jax.data.dataset import Dataset, Record
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.errors import ImageError
from fakedet_jax.synthetic_faces import exif
from fakedet_jax.synthetic_faces.camera import BODIES, Settings
from tests.data.pictures import colourful, encode

SETTINGS = Settings(iso=800, f_number=5.6, shutter=125, focal_length=70)
TAGS = np.float32([800, 5.6, 1 / 125, 70])


@dataclasses.dataclass(frozen=True)
class Files:
    """A source of encoded pictures; None is one that cannot be read."""

    encoded: tuple[bytes | None, ...]

    def __len__(self):
        return len(self.encoded)

    def __getitem__(self, index):
        encoded = self.encoded[index]
        if encoded is None:
            raise ImageError("does not exist")
        return Record(encoded, 0, str(index))


def make_dataset(*encoded, **fields):
    return Dataset(
        name="memory",
        split="all",
        classes=("real",),
        is_fake=(False,),
        source=Files(encoded),
        names=[str(index) for index in range(len(encoded))],
        labels=np.zeros(len(encoded), np.int32),
        **fields,
    )


def numbered(num):
    """Portraits that tell their places."""
    unknown = Portraits.unknown(num)
    tags = np.arange(num * 4, dtype=np.float32).reshape(num, 4)
    return Portraits(unknown.landmarks, tags)


@pytest.fixture(scope="module")
def photograph():
    return exif.encode(colourful(32, 32), 90, BODIES[0], SETTINGS)


def test_tags_are_read_from_the_files(photograph):
    read = inspection.read_portraits(
        make_dataset(photograph, photograph), num_threads=2
    )
    np.testing.assert_allclose(read.tags, [TAGS, TAGS], rtol=1e-6)
    assert np.isnan(read.landmarks).all()


@pytest.mark.parametrize("other", [encode(colourful(32, 32)), b"", b"text", None])
def test_a_file_without_tags_has_none_and_others_keep_theirs(photograph, other):
    read = inspection.read_portraits(make_dataset(other, photograph), num_threads=1)
    assert np.isnan(read.tags[0]).all()
    np.testing.assert_allclose(read.tags[1], TAGS, rtol=1e-6)


def test_of_unknown_portraits_nothing_is_known():
    unknown = Portraits.unknown(3)
    assert len(unknown) == 3
    assert np.isnan(unknown.landmarks).all() and np.isnan(unknown.tags).all()
    assert unknown.landmarks.dtype == unknown.tags.dtype == np.float32


def test_entries_come_in_the_order_asked_for():
    np.testing.assert_array_equal(numbered(3).at([2, 0]).tags[:, 0], [8, 0])


def test_no_entries():
    assert len(numbered(3).at([])) == 0


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="expected landmarks"):
        Portraits(np.zeros((2, 5, 2), np.float32), np.zeros((3, 4), np.float32))


def test_a_subset_takes_its_portraits_along():
    dataset = make_dataset(b"", b"", b"", portraits=numbered(3))
    subset = dataset.subset([1, 2]).as_binary().subset([1])
    np.testing.assert_array_equal(subset.portraits.tags, [[8, 9, 10, 11]])


def test_a_dataset_has_as_many_portraits_as_examples():
    with pytest.raises(ValueError, match="equally long"):
        make_dataset(b"", portraits=numbered(2))
