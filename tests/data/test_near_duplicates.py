# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Perceptual hashes: robust to encoding, apart for other faces, found quickly."""

import io

import numpy as np
import pytest
import scipy.fft
from PIL import Image

from fakedet_jax.data.near_duplicates import (
    MAX_DISTANCE,
    NearDuplicate,
    find_pairs,
    perceptual_hash,
)
from fakedet_jax.synthetic_faces.examples import make_examples
from tests.data.pictures import colourful, encode


@pytest.fixture(scope="module")
def faces():
    """Generated photographs, one each of six people."""
    return [decode(make_one(identity)) for identity in range(6)]


def make_one(identity):
    return make_examples(seed=0, identity=identity, num_identities=20)[0].encoded


def decode(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def distance(first, second):
    return int(np.bitwise_count(perceptual_hash(first) ^ perceptual_hash(second)))


def brute_force(a, b, max_distance):
    apart = np.bitwise_count(a[:, None] ^ b[None])
    return {
        (int(i), int(j), int(apart[i, j]))
        for i, j in np.argwhere(apart <= max_distance)
    }


def as_triples(pairs):
    return [(*pair.indices, pair.distance) for pair in pairs]


def hashes_with_relatives(count, seed):
    """Random hashes, and copies of them with 0 to 9 bits changed."""
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 2**64, count, np.uint64)
    b = a[rng.permutation(count)]
    for number, index in enumerate(range(count)):
        for bit in rng.choice(64, number % 10, replace=False):
            b[index] ^= np.uint64(1) << np.uint64(bit)
    return a, b


@pytest.mark.parametrize("max_distance", [0, 1, 3, 6, 15])
def test_pairs_are_those_of_brute_force(max_distance):
    a, b = hashes_with_relatives(400, seed=max_distance)
    found = as_triples(find_pairs({"train": a, "test": b}, max_distance))
    assert len(found) == len(set(found))
    assert set(found) == brute_force(a, b, max_distance)


def test_pairs_of_crowded_hashes_in_small_chunks(monkeypatch):
    monkeypatch.setattr("fakedet_jax.data.near_duplicates._CHUNK", 7)
    rng = np.random.default_rng(0)
    a, b = (rng.integers(1, 2**7, 60, np.uint64) for _ in range(2))
    found = as_triples(find_pairs({"train": a, "test": b}))
    assert sorted(found) == sorted(brute_force(a, b, MAX_DISTANCE))


def test_pairs_between_all_splits_but_not_within():
    one = np.array([5, 5], np.uint64)
    pairs = find_pairs({"train": one, "validation": one[:1], "test": one[:1]})
    assert pairs == [
        NearDuplicate(("train", "test"), (0, 0), 0),
        NearDuplicate(("train", "test"), (1, 0), 0),
        NearDuplicate(("train", "validation"), (0, 0), 0),
        NearDuplicate(("train", "validation"), (1, 0), 0),
        NearDuplicate(("validation", "test"), (0, 0), 0),
    ]


def test_nothing_to_compare():
    assert find_pairs({}) == []
    assert find_pairs({"train": np.zeros(0, np.uint64), "test": np.ones(1)}) == []


def test_pictures_of_one_colour_are_near_none():
    flat = np.full((20, 30, 3), 77, np.uint8)
    assert perceptual_hash(flat) == 0
    assert find_pairs({"train": [perceptual_hash(flat)], "test": [np.uint64(1)]}) == []
    assert perceptual_hash(colourful()) != 0


def test_a_hundred_thousand_hashes_take_little_time_and_memory():
    rng = np.random.default_rng(1)
    a, b = (rng.integers(1, 2**64, 50_000, np.uint64) for _ in range(2))
    b[::1000] = a[::1000] ^ np.uint64(0b111)
    pairs = find_pairs({"train": a, "test": b})
    assert [pair.indices for pair in pairs] == [(i, i) for i in range(0, 50_000, 1000)]


def test_wrong_distance():
    with pytest.raises(ValueError, match="16 is not from 0 to 15"):
        find_pairs({}, 16)


def test_hash_follows_its_definition():
    picture = colourful(32, 32, seed=4)
    grey = np.asarray(Image.fromarray(picture).convert("L"), float)
    frequencies = scipy.fft.dctn(grey)[1:9, 1:9]
    bits = (frequencies > np.median(frequencies)).ravel()
    assert int(perceptual_hash(picture)) == int(
        "".join("01"[int(bit)] for bit in bits), 2
    )


@pytest.mark.parametrize("quality", [95, 75, 40])
def test_jpeg_stays_near(faces, quality):
    for face in faces:
        copy = decode(encode(face, "JPEG", quality=quality))
        assert distance(face, copy) <= MAX_DISTANCE


@pytest.mark.parametrize("scale", [0.5, 0.8, 2])
def test_resizing_stays_near(faces, scale):
    for face in faces:
        height, width = (round(side * scale) for side in face.shape[:2])
        copy = Image.fromarray(face).resize((width, height), Image.Resampling.BICUBIC)
        assert distance(face, np.asarray(copy)) <= MAX_DISTANCE


def test_different_pictures_are_far(faces):
    pictures = [colourful(seed=seed) for seed in range(100)] + faces
    hashes = np.array([perceptual_hash(picture) for picture in pictures])
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert apart[np.triu_indices(len(hashes), 1)].min() > 2 * MAX_DISTANCE


def test_real_faces_are_far(shared_data):
    paths = sorted((shared_data / "faces256/test").glob("*/*"))[:150]
    hashes = np.array([perceptual_hash(decode(path.read_bytes())) for path in paths])
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert apart[np.triu_indices(len(hashes), 1)].min() > 2 * MAX_DISTANCE
