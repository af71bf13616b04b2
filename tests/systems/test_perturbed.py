# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.perturbed."""

import pickle

import numpy as np
import pytest

from fakedet_jax.config import DataConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.media.decode import decode
from fakedet_jax.perturb import apply, specification
from fakedet_jax.systems import perturbed
from fakedet_jax.systems.options import PerturbCopiesOptions, PerturbOptions
from tests import tiny

_OPTIONS = PerturbOptions(perturb=("none", "median_filter:3"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tiny.write_pictures(tmp_path_factory.mktemp("perturbed") / "pictures")
    return catalog.load(DataConfig("folder", root), "train")


def _pixels(dataset):
    return [decode(dataset.source[i].encoded) for i in range(dataset.num_examples)]


def test_without_perturbations_nothing_changes(dataset):
    assert perturbed.pictures(PerturbOptions(), dataset, 0, None) is dataset
    assert perturbed.treatment(PerturbOptions(), dataset, 0, 2) == (dataset, None)


def test_half_of_each_class_is_filtered_and_the_others_stay(dataset):
    found = perturbed.pictures(_OPTIONS, dataset, 0, None)
    assert list(found.names) == list(dataset.names)
    np.testing.assert_array_equal(found.labels, dataset.labels)
    _, _, filtered = zip(*_outcomes(dataset, found), strict=True)
    for label in (0, 1):
        assert np.mean(np.array(filtered)[dataset.labels == label]) == 0.5


def _outcomes(dataset, found):
    """Of each picture what it was and is, and whether it was filtered."""
    (median,) = specification.parse_all(("median_filter:3",))
    for before, after in zip(_pixels(dataset), _pixels(found), strict=True):
        expected = apply.apply_one(apply.Chosen(before, median, 0), 0)
        is_filtered = not np.array_equal(before, after)
        np.testing.assert_array_equal(after, expected if is_filtered else before)
        yield before, after, is_filtered


def test_two_copies_hold_each_picture_both_ways(dataset):
    found = perturbed.pictures(_OPTIONS, dataset, 0, 2)
    num = dataset.num_examples
    assert list(found.names) == [*dataset.names, *dataset.names]
    pixels = _pixels(found)
    for first, second in zip(pixels[:num], pixels[num:], strict=True):
        assert not np.array_equal(first, second)


def test_pictures_are_the_same_each_time_and_in_other_processes(dataset):
    options = PerturbOptions(perturb=("gaussian_noise:0.01", "jpeg:mix"))
    found = perturbed.pictures(options, dataset, 3, None)
    again = perturbed.pictures(options, dataset, 3, None)
    sent = pickle.loads(pickle.dumps(found.source))
    assert repr(sent) == repr(found.source) == repr(again.source)
    assert "0x" not in repr(sent)
    for index in range(3):
        assert sent[index] == found.source[index] == again.source[index]
    other = perturbed.pictures(options, dataset, 4, None)
    assert other.source[0] != found.source[0]


def test_copies_of_what_is_not_perturbed_are_refused():
    with pytest.raises(RequestError, match=r"^`perturb_copies`: there is nothing"):
        perturbed.check(PerturbCopiesOptions(perturb_copies=2.0))
