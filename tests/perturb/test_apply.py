# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.apply."""

import jax
import numpy as np
import pytest

from fakedet_jax.errors import ImageError
from fakedet_jax.perturb import apply, codecs, operations, suites
from fakedet_jax.perturb.perturbation import MIX, OPERATIONS, Mix, Perturbation
from fakedet_jax.runtime import parallel
from tests.perturb import samples

KEY = jax.random.key(3)
CONDITIONS = [
    Perturbation("jpeg", 50),
    Perturbation("gaussian_blur", 1.5),
    Perturbation("resize", 0.5),
    Perturbation("gaussian_noise", 0.01),
]
MIXES = [
    Mix(tuple(Perturbation("jpeg", quality) for quality in (90, 30))),
    Mix(tuple(Perturbation("median_filter", size) for size in (3, 5, 7))),
    Mix((*CONDITIONS, Perturbation("scale_down", 20), Perturbation("scale_up", 50))),
]
NOISE = CONDITIONS[3]
# Of two padded sizes.
PICTURES = samples.pictures(((64, 64), (37, 53), (101, 40), (1, 9), (64, 64)))


def _apply(condition, pictures, key=KEY, **settings):
    return list(apply.apply(condition, pictures, key=key, **settings))


def _mesh(num_devices):
    return parallel.data_mesh(jax.devices()[:num_devices])


def _assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.few(1)
@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_pictures_keep_their_order_and_sizes(condition):
    perturbed = _apply(condition, PICTURES)
    assert [one.shape for one in perturbed] == [one.shape for one in PICTURES]
    assert all(one.dtype == np.uint8 for one in perturbed)
    # The first and the last size are the same: each is its own picture's result.
    first, last = (perturbed[row].astype(int) for row in (1, -1))
    own, other = (PICTURES[row].astype(int) for row in (1, -1))
    assert np.abs(first - own).mean() < np.abs(first - other).mean()
    assert np.abs(last - other).mean() < np.abs(last - own).mean()


def test_the_results_are_those_of_the_operations():
    pictures = [samples.random(40, 50, seed) for seed in range(3)]
    images, sizes = samples.batch(pictures)
    halves = np.full(3, 0.5, np.float32)
    for name in ("gaussian_blur", "resize"):
        expected = jax.jit(getattr(operations, name))(images, sizes, halves)
        _assert_equal(_apply(Perturbation(name, 0.5), pictures), expected)
    compressed = [codecs.jpeg(picture, 50) for picture in pictures]
    _assert_equal(_apply(Perturbation("jpeg", 50), pictures), compressed)


@pytest.mark.parametrize("condition", [*CONDITIONS, MIXES[0]], ids=str)
@pytest.mark.slow
def test_neighbours_and_devices_do_not_matter(condition):
    expected = _apply(condition, PICTURES)
    _assert_equal(_apply(condition, PICTURES, mesh=_mesh(1)), expected)
    _assert_equal(_apply(condition, PICTURES[::-1])[::-1], expected)
    _assert_equal(_apply(condition, PICTURES[3:4]), expected[3:4])


@pytest.mark.parametrize("operation", [*OPERATIONS, MIX])
@pytest.mark.slow
def test_no_condition_of_any_suite_depends_on_the_batch(operation, monkeypatch):
    conditions = [
        condition
        for name in suites.names()
        for condition in suites.create(name).conditions
        if condition.operation == operation
    ]
    pictures = samples.pictures(((64, 64), (37, 53), (1, 9)))
    together = [_apply(condition, pictures) for condition in conditions]
    # Other neighbours, one row in a batch, and one device.
    monkeypatch.setattr(apply, "_DEVICE_PIXELS", 64 * 64)
    assert conditions
    for condition, expected in zip(conditions, together, strict=True):
        alone = _apply(condition, pictures[::-1], mesh=_mesh(1))[::-1]
        _assert_equal(alone, expected)


@pytest.mark.parametrize("limit", [1, 10_000])
def test_little_memory_gives_the_same(monkeypatch, limit):
    expected = _apply(NOISE, PICTURES)
    monkeypatch.setattr(apply, "_MAX_HELD_BYTES", limit)
    _assert_equal(_apply(NOISE, PICTURES), expected)


def test_pictures_are_taken_only_as_they_are_needed(monkeypatch):
    monkeypatch.setattr(apply, "_MAX_HELD_BYTES", 10 * 20 * 20 * 3)
    taken = []

    def endless():
        while True:
            taken.append(True)
            yield samples.random(20, 20)

    for condition in (*CONDITIONS, MIXES[0]):
        taken.clear()
        perturbed = apply.apply(condition, endless(), key=KEY, num_threads=2)
        for _ in range(3):
            next(perturbed)
        perturbed.close()
        assert len(taken) <= 16


def test_many_batches_give_what_one_gives(monkeypatch):
    pictures = [samples.random(33, 44, seed) for seed in range(37)]
    expected = _apply(NOISE, pictures)
    monkeypatch.setattr(apply, "_DEVICE_PIXELS", 64 * 64)
    perturbed = apply.apply(NOISE, iter(pictures), key=KEY)
    _assert_equal(list(perturbed), expected)


def test_equal_pictures_have_equal_noise_and_others_have_not():
    picture = samples.random(64, 64)
    other = picture.copy()
    other[0, 0, 0] ^= 1
    first, second, third = _apply(NOISE, [picture, picture.copy(), other])
    np.testing.assert_array_equal(first, second)
    assert (first != third).mean() > 0.9


def test_the_key_decides_the_noise():
    pictures = [samples.random(32, 32)]
    first = _apply(NOISE, pictures)
    _assert_equal(_apply(NOISE, pictures), first)
    other = _apply(NOISE, pictures, key=jax.random.key(4))
    assert (first[0] != other[0]).mean() > 0.9


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_no_pictures_give_none(condition):
    assert _apply(condition, []) == []


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_picture_that_is_too_large_says_so(condition):
    picture = np.zeros((1, operations.MAX_SIDE + 1, 3), np.uint8)
    with pytest.raises(ImageError, match=r"is 32768×1 pixels; .* at most 32767"):
        _apply(condition, [picture])


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_each_picture_of_a_mix_is_one_of_its_choices(mix):
    pictures = [samples.random(30, 40, seed) for seed in range(12)]
    choices = [_apply(choice, pictures) for choice in mix.choices]
    found = []
    for row, perturbed in enumerate(_apply(mix, pictures)):
        equal = [np.array_equal(perturbed, choice[row]) for choice in choices]
        assert sum(equal) == 1
        found.append(equal.index(True))
    assert len(set(found)) > 1


def test_the_key_decides_what_a_mix_draws():
    pictures = [samples.random(8, 8, seed) for seed in range(64)]
    drawn = [
        [apply.draw(MIXES[0], picture, jax.random.key(seed)) for picture in pictures]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    # Of two choices each is likely.
    assert 16 < drawn[0].count(MIXES[0].choices[0]) < 48


def test_a_mix_needs_little_memory(monkeypatch):
    expected = _apply(MIXES[2], PICTURES)
    monkeypatch.setattr(apply, "_MAX_HELD_BYTES", 10_000)
    _assert_equal(_apply(MIXES[2], PICTURES), expected)


def test_scaled_pictures_keep_their_new_sizes():
    perturbed = _apply(Perturbation("scale_up", 50), PICTURES[2:6])
    assert [one.shape[:2] for one in perturbed] == [(56, 80)] * 2 + [(152, 60)] * 2


def test_pictures_of_many_sizes_share_few_compilations():
    shapes = {
        apply._padded_shape(np.zeros((height, width, 3), np.uint8))
        for height in range(1, 257, 5)
        for width in range(1, 257, 5)
    }
    assert len(shapes) == 16
    for side in (1, 64, 65, 500, 513, 1000, 4097):
        assert side <= apply._padded(side) <= max(side + 63, 1.25 * side)
        assert apply._padded(side) % 64 == 0
