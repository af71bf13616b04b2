# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.treatment."""

import collections
import concurrent.futures
import pickle

import jax
import numpy as np
import pytest

from fakedet_jax.errors import ImageError
from fakedet_jax.perturb import apply, operations, suites
from fakedet_jax.perturb.perturbation import OPERATIONS, Mix, Perturbation
from fakedet_jax.perturb.treatment import Choice, Treatment, fixed_set
from fakedet_jax.runtime import parallel
from tests.perturb import samples

JPEG = Perturbation("jpeg", 30)
MEAN = Perturbation("mean_filter", 5)
NOISE = Perturbation("gaussian_noise", 0.01)
JPEGS = Mix(tuple(Perturbation("jpeg", quality) for quality in (90, 60, 30)))


def _fixed(*parts, part_of=None, seed=0):
    part_of = np.arange(300) % len(parts) if part_of is None else part_of
    return Treatment(parts, seed, np.asarray(part_of, np.int32))


def test_a_fixed_treatment_is_the_same_each_time():
    treatment = _fixed(None, JPEGS, NOISE)
    choices = [treatment.choose(index) for index in range(300)]
    assert choices == [treatment.choose(index) for index in range(300)]
    assert choices != [_fixed(None, JPEGS, NOISE, seed=1).choose(i) for i in range(300)]
    assert {choice is None for choice in choices[::3]} == {True}
    assert len({choice.perturbation for choice in choices[1::3]}) == 3
    # The noise of equal pictures differs.
    assert len({choice.salt for choice in choices[2::3]}) == 100


def test_otherwise_all_parts_are_drawn_alike():
    treatment = Treatment((None, JPEG, MEAN), 0)
    rng = np.random.default_rng(0)
    drawn = [treatment.choose(0, rng) for _ in range(600)]
    counts = collections.Counter(one and one.perturbation for one in drawn)
    assert set(counts) == {None, JPEG, MEAN}
    assert min(counts.values()) > 150


def test_a_draw_needs_a_generator():
    with pytest.raises(ValueError, match="give a generator"):
        Treatment((JPEG,), 0).choose(0)


def test_without_a_choice_a_picture_stays_as_it_is():
    picture = samples.random(20, 30)
    assert _fixed(JPEG).apply(picture, None) is picture


@pytest.mark.parametrize("operation", OPERATIONS.names())
@pytest.mark.slow
def test_a_single_picture_is_perturbed_as_in_a_batch(operation):
    (perturbation, *_) = suites.mix_of(operation).choices
    treatment = _fixed(perturbation, seed=3)
    pictures = samples.pictures(samples.SIZES[:2])
    key = jax.random.key(3, impl="threefry2x32")
    chosen = [apply.Chosen(picture, perturbation, 5) for picture in pictures]
    expected = apply.apply_each(chosen, key=key)
    for picture, other in zip(pictures, expected, strict=True):
        done = treatment.apply(picture, Choice(perturbation, 5))
        np.testing.assert_array_equal(done, other)


def test_threads_share_a_treatment_beside_a_mesh_of_all_devices():
    pictures = [samples.random(20, 30, seed) for seed in range(16)]
    choice = Choice(Perturbation("median_filter", 7), 0)
    treatment = _fixed(choice.perturbation)
    expected = [treatment.apply(picture, choice) for picture in pictures]
    with (
        jax.set_mesh(parallel.data_mesh()),
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        found = pool.map(treatment.apply, pictures, [choice] * len(pictures))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(treatment.apply(pictures[0], choice), expected[0])


def test_the_salt_decides_the_noise():
    picture = samples.random(20, 30)
    treatment = _fixed(NOISE)
    first, second, again = (
        treatment.apply(picture, Choice(NOISE, salt)) for salt in (1, 2, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != second).mean() > 0.9


def test_a_picture_that_is_too_large_says_so():
    picture = np.zeros((1, operations.MAX_SIDE + 1, 3), np.uint8)
    with pytest.raises(ImageError, match="perturbations need sides of at most"):
        _fixed(MEAN).apply(picture, Choice(MEAN, 1))


def test_worker_processes_can_have_it():
    treatment = _fixed(None, JPEGS, NOISE)
    copy = pickle.loads(pickle.dumps(treatment))
    assert copy.choose(7) == treatment.choose(7)
    assert repr(copy) == repr(treatment)


LABELS = np.repeat([0, 1, 2], (30, 45, 16))


@pytest.mark.parametrize("copies", [1, 4 / 3, 2, 3])
def test_a_fixed_set_has_equal_parts_in_every_class(copies):
    examples, parts = fixed_set(LABELS, 3, copies, seed=5)
    assert len(examples) == len(parts) == round(copies * len(LABELS))
    for label in range(3):
        counts = np.bincount(parts[LABELS[examples] == label], minlength=3)
        assert np.ptp(counts) <= 2


def test_no_picture_is_there_twice_in_the_same_part():
    examples, parts = fixed_set(LABELS, 3, 3, seed=5)
    assert len(set(zip(examples.tolist(), parts.tolist(), strict=True))) == 3 * 91


def test_a_larger_set_holds_the_smaller_one():
    small, large = (fixed_set(LABELS, 3, copies, seed=5) for copies in (1, 4 / 3))
    for one, other in zip(small, large, strict=True):
        np.testing.assert_array_equal(one, other[: len(one)])


def test_the_seed_decides_the_parts():
    parts = [fixed_set(LABELS, 3, 1, seed)[1].tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
