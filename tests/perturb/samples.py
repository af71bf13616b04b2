# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of every kind and size for the tests of perturbations, and a small suite."""

import contextlib
from collections.abc import Iterator

import numpy as np

from fakedet_jax.perturb import suites
from fakedet_jax.perturb.perturbation import Mix, Perturbation
from tests.data.pictures import colourful

# Odd and even, wide and high, of one pixel, and beyond the padding of others.
SIZES = ((64, 64), (37, 53), (101, 40), (16, 70), (2, 5), (1, 9), (3, 1), (1, 1))

_GRID = (
    Perturbation("jpeg", 90),
    Perturbation("jpeg", 10),
    Perturbation("scale_down", 45),
    Perturbation("scale_up", 50),
    Perturbation("gaussian_noise", 0.05),
)
# A mix that repeats other conditions, and one that draws noise of its own.
SMALL_SUITE = suites.Suite(
    name="small", version=3, seed=7, conditions=(*_GRID, Mix(_GRID[:2]), Mix(_GRID))
)


@contextlib.contextmanager
def small_suite() -> Iterator[None]:
    """Makes the suite `small` known."""
    suites.register(SMALL_SUITE)
    try:
        yield
    finally:
        suites.unregister(SMALL_SUITE.name)


def random(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Independent samples: the hardest picture to resample."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def pictures(sizes: tuple[tuple[int, int], ...] = SIZES) -> list[np.ndarray]:
    """A random and a smooth picture of each size."""
    return [
        make(*size, seed=seed)
        for seed, size in enumerate(sizes)
        for make in (random, colourful)
    ]


def batch(
    pictures: list[np.ndarray], *, extra: int = 0, fill: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Pads pictures of any sizes to one size: images and sizes."""
    sizes = np.array([picture.shape[:2] for picture in pictures], np.int32)
    height, width = sizes.max(0) + extra
    images = np.full((len(pictures), height, width, 3), fill, np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        image[: picture.shape[0], : picture.shape[1]] = picture
    return images, sizes


def unbatch(images: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Cuts the pictures out of a batch."""
    return [
        image[:height, :width]
        for image, (height, width) in zip(np.asarray(images), sizes, strict=True)
    ]
