# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds pictures in two splits that are re-encoded or resized copies of each other.

A perceptual hash has a bit for each of 64 low frequencies of the brightness, set if it
is above their median (after Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010). JPEG compression and resizing hardly change it, although
they change the bytes of the file. Crops and mirrored copies are not found.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

NUM_BITS = 64
MAX_DISTANCE = 3

_SIDE = 32  # Side of the square that pictures are resized to.
_NUM_FREQUENCIES = 8
_CHUNK = 2**22  # Candidates compared at a time.


@dataclasses.dataclass(frozen=True, order=True)
class NearDuplicate:
    """Two pictures in different splits that look the same.

    Attributes:
        splits: The two splits, in the order in which they were given.
        indices: Index of each picture in its split.
        distance: Number of bits that differ.
    """

    splits: tuple[str, str]
    indices: tuple[int, int]
    distance: int


def perceptual_hash(picture: np.ndarray) -> np.uint64:
    """Hashes the appearance of a picture.

    Args:
        picture: uint8 `[height, width, 3]`.

    Returns:
        64 bits: the frequencies row by row, the lowest in the highest bit. The hash is
        0 only for pictures of a single colour.

    >>> int(perceptual_hash(np.zeros((16, 16, 3), np.uint8)))
    0
    """
    image = Image.fromarray(picture).convert("L")
    # Ignores the aspect ratio, so that copies squeezed to a square are found too.
    small = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    rows = _cosines()
    frequencies = rows @ np.asarray(small, np.float64) @ rows.T
    # Rounded, so that a picture of one colour has the same hash on every machine.
    frequencies = np.round(frequencies, 3)
    bits = frequencies > np.median(frequencies)
    return np.packbits(bits).view(">u8").astype(np.uint64)[0]


def find_pairs(
    hashes_by_split: Mapping[str, np.ndarray], max_distance: int = MAX_DISTANCE
) -> list[NearDuplicate]:
    """Finds pairs of pictures in different splits whose hashes differ in few bits.

    Hashes that differ in d bits agree in at least one of d + 1 bands of bits, so only
    hashes that share a band are compared.

    Args:
        hashes_by_split: uint64 `[num_pictures]` for each split. The hash 0 matches
            nothing, as all pictures of one colour have it.
        max_distance: Number of bits that may differ, 0 to 15. The time grows steeply
            with it.

    Returns:
        All pairs, sorted.

    Raises:
        ValueError: `max_distance` is out of range.
    """
    if not 0 <= max_distance <= 15:
        raise ValueError(f"max_distance: {max_distance} is not from 0 to 15")
    found = []
    for (first, a), (second, b) in itertools.combinations(hashes_by_split.items(), 2):
        for left, right, distance in _near(a, b, max_distance):
            found += [
                NearDuplicate((first, second), (i, j), k)
                for i, j, k in zip(
                    left.tolist(), right.tolist(), distance.tolist(), strict=True
                )
            ]
    return sorted(found)


def _near(
    a: np.ndarray, b: np.ndarray, max_distance: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields indices into `a` and `b` and distances, every near pair once."""
    shown_a, shown_b = np.flatnonzero(a), np.flatnonzero(b)
    a, b = np.asarray(a, np.uint64)[shown_a], np.asarray(b, np.uint64)[shown_b]
    earlier: list[np.uint64] = []
    for mask in _bands(max_distance + 1):
        order = np.argsort(b & mask, kind="stable")
        keys = (b & mask)[order]
        starts = np.searchsorted(keys, a & mask, "left")
        counts = np.searchsorted(keys, a & mask, "right") - starts
        ends = np.cumsum(counts)
        for begin in range(0, int(ends[-1]) if len(ends) else 0, _CHUNK):
            candidates = np.arange(begin, min(begin + _CHUNK, int(ends[-1])))
            left = np.searchsorted(ends, candidates, "right")
            within = candidates - (ends[left] - counts[left])
            right = order[starts[left] + within]
            difference = a[left] ^ b[right]
            distance = np.bitwise_count(difference)
            keep = distance <= max_distance
            for band in earlier:  # Pairs that agree in an earlier band were found.
                keep &= (difference & band) != 0
            yield shown_a[left[keep]], shown_b[right[keep]], distance[keep]
        earlier.append(mask)


def _bands(count: int) -> list[np.uint64]:
    """Masks that divide the bits of a hash into bands."""
    edges = [NUM_BITS * band // count for band in range(count + 1)]
    return [
        np.uint64((1 << high) - (1 << low)) for low, high in itertools.pairwise(edges)
    ]


@functools.cache
def _cosines() -> np.ndarray:
    """Rows 1 to 8 of the discrete cosine transform, without the mean: `[8, 32]`."""
    frequency = np.arange(1, _NUM_FREQUENCIES + 1)[:, None]
    return np.cos(np.pi / _SIDE * (np.arange(_SIDE) + 0.5) * frequency)
