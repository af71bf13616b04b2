# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.perturb.operations, against OpenCV and NumPy."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import operations
from tests.perturb import samples

_BLUR = jax.jit(operations.gaussian_blur, static_argnames="kernel_size")
_RESIZE = jax.jit(operations.resize)
_NOISE = jax.jit(operations.gaussian_noise)
_MEAN = jax.jit(operations.mean_filter)
_MEDIAN = jax.jit(operations.median_filter)
_GAUSSIAN = jax.jit(operations.gaussian_filter)
_GAMMA = jax.jit(operations.gamma_correction)
_SCALE = jax.jit(operations.scale)

# Each filter and OpenCV's.
_FILTERS = {
    "mean": (_MEAN, lambda picture, size: cv2.blur(picture, (size, size))),
    "median": (_MEDIAN, cv2.medianBlur),
    "gaussian": (
        _GAUSSIAN,
        lambda picture, size: cv2.GaussianBlur(picture, (size, size), 0),
    ),
}
_GAMMAS = (0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2)


def _keys(number, seed=0):
    return jax.vmap(jax.random.fold_in, (None, 0))(
        jax.random.key(seed), jnp.arange(number)
    )


def _blur(images, sizes, sigma=1.5, **settings):
    return _BLUR(images, sizes, np.full(len(images), sigma, np.float32), **settings)


def _resize(images, sizes, scale=0.35):
    return _RESIZE(images, sizes, np.full(len(images), scale, np.float32))


def _noise(images, sizes, variance=0.01, keys=None):
    keys = _keys(len(images)) if keys is None else keys
    return _NOISE(images, sizes, np.full(len(images), variance, np.float32), keys)


def _median(images, sizes, kernel_size=5):
    return _MEDIAN(images, sizes, np.full(len(images), kernel_size, np.int32))


def _mean(images, sizes, kernel_size=5):
    return _MEAN(images, sizes, np.full(len(images), kernel_size, np.int32))


def _assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def _assert_within_one(found, expected):
    """Compares lists of pictures."""
    samples_of = [np.concatenate([one.ravel() for one in x]) for x in (found, expected)]
    difference = np.abs(np.subtract(*samples_of, dtype=int))
    assert difference.max() <= 1
    # Not just close: nearly all are equal, so that errors cannot add up to a shift.
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("sigma", [0.5, 1, 1.5, 2, 3])
def test_the_blur_is_that_of_opencv(sigma):
    pictures = samples.pictures()
    images, sizes = samples.batch(pictures)
    blurred = samples.unbatch(_blur(images, sizes, sigma), sizes)
    expected = [cv2.GaussianBlur(picture, (3, 3), sigma) for picture in pictures]
    _assert_within_one(blurred, expected)


@pytest.mark.parametrize("kernel_size", [1, 5, 7])
def test_the_blur_has_kernels_of_other_sizes(kernel_size):
    pictures = [samples.random(40, 31), samples.random(4, 9)]
    images, sizes = samples.batch(pictures)
    blurred = _blur(images, sizes, 1.2, kernel_size=kernel_size)
    kernel = (kernel_size, kernel_size)
    expected = [cv2.GaussianBlur(picture, kernel, 1.2) for picture in pictures]
    _assert_within_one(samples.unbatch(blurred, sizes), expected)


@pytest.mark.parametrize("kernel_size", [0, 2, 4, -1])
def test_a_kernel_without_a_centre_is_refused(kernel_size):
    images, sizes = samples.batch([samples.random(8, 8)])
    with pytest.raises(RequestError, match=f"odd kernel size, found {kernel_size}"):
        operations.gaussian_blur(images, sizes, jnp.ones(1), kernel_size=kernel_size)


@pytest.mark.parametrize("scale", [0.9, 0.75, 0.5, 0.35, 0.25, 0.01])
def test_the_resize_is_that_of_opencv(scale):
    pictures = samples.pictures()
    images, sizes = samples.batch(pictures)
    resized = samples.unbatch(_resize(images, sizes, scale), sizes)
    expected = []
    for picture in pictures:
        height, width = picture.shape[:2]
        small = [
            max(1, round(float(np.float32(scale) * np.float32(side))))
            for side in (width, height)
        ]
        for size in (small, (width, height)):
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        expected.append(picture)
    _assert_within_one(resized, expected)


def test_a_scale_of_one_changes_nothing():
    pictures = samples.pictures()
    images, sizes = samples.batch(pictures)
    resized = samples.unbatch(_resize(images, sizes, 1), sizes)
    for found, expected in zip(resized, pictures, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_flat_pictures_stay_flat():
    images = np.array([0, 1, 127, 255], np.uint8)[:, None, None, None]
    images = np.broadcast_to(images, (4, 20, 30, 3))
    sizes = np.tile(np.int32([20, 30]), (4, 1))
    for sigma in (0.3, 1, 5):
        np.testing.assert_array_equal(_blur(images, sizes, sigma), images)
    for scale in (0.9, 0.35):
        np.testing.assert_array_equal(_resize(images, sizes, scale), images)


@pytest.mark.parametrize("side", [operations.MAX_SIDE, 20_000])
def test_the_longest_sides_fit_the_integers(side):
    ramp = np.repeat(np.linspace(0, 255, side)[None, :, None], 3, 2).astype(np.uint8)
    found = np.asarray(_resize(ramp[None], np.int32([[1, side]]), 0.9))[0]
    assert np.abs(found.astype(int) - ramp).max() <= 1


@pytest.mark.parametrize("perturb", [_blur, _resize, _noise, _median, _mean])
@pytest.mark.parametrize(("extra", "fill"), [(64, 0), (27, 255)])
@pytest.mark.slow
def test_the_padding_does_not_matter(perturb, extra, fill):
    pictures = samples.pictures()
    images, sizes = samples.batch(pictures)
    wider, _ = samples.batch(pictures, extra=extra, fill=fill)
    expected = samples.unbatch(perturb(images, sizes), sizes)
    found = samples.unbatch(perturb(wider, sizes), sizes)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.few(2)
@pytest.mark.parametrize("perturb", [_blur, _resize, _noise, _median, _mean])
def test_a_batch_gives_what_single_pictures_give(perturb):
    pictures = [samples.random(64, 64, seed) for seed in range(3)]
    images, sizes = samples.batch(pictures)
    keys = _keys(3)
    settings = {"keys": keys} if perturb is _noise else {}
    together = np.asarray(perturb(images, sizes, **settings))
    for row in range(3):
        own = slice(row, row + 1)
        settings = {"keys": keys[own]} if perturb is _noise else {}
        single = perturb(images[own], sizes[own], **settings)
        np.testing.assert_array_equal(single[0], together[row])


def test_each_picture_has_its_own_strength():
    pictures = [samples.random(24, 24)] * 2
    images, sizes = samples.batch(pictures)
    for function, strengths in ((_BLUR, (0.5, 3)), (_RESIZE, (0.9, 0.3))):
        both = function(images, sizes, np.float32(strengths))
        for row, strength in enumerate(strengths):
            single = function(images[:1], sizes[:1], np.float32([strength]))
            np.testing.assert_array_equal(both[row], single[0])


@pytest.mark.parametrize("variance", [0.001, 0.005])
def test_the_noise_has_the_mean_and_variance_asked_for(variance):
    # From mid-grey, five standard deviations do not reach the ends.
    images = np.full((4, 192, 192, 3), 128, np.uint8)
    sizes = np.tile(np.int32([192, 192]), (4, 1))
    noise = (np.asarray(_noise(images, sizes, variance), float) - 128) / 255
    num_samples = noise.size
    rounding = 1 / (12 * 255**2)
    total = variance + rounding
    assert abs(noise.mean()) < 5 * np.sqrt(total / num_samples)
    assert noise.var() == pytest.approx(total, rel=5 * np.sqrt(2 / num_samples))


def test_the_noise_is_normal():
    from scipy import stats

    images = np.full((1, 128, 128, 3), 128, np.uint8)
    noise = np.asarray(_noise(images, np.int32([[128, 128]]), 0.01), float).ravel()
    # Spread over the width of a grey level again, so that no two samples tie.
    noise += np.random.default_rng(0).uniform(-0.5, 0.5, noise.size)
    result = stats.kstest((noise - 128) / 25.5, "norm")
    assert result.pvalue > 1e-3


def test_the_noise_of_neighbours_is_independent():
    images = np.full((2, 128, 128, 3), 128, np.uint8)
    sizes = np.tile(np.int32([128, 128]), (2, 1))
    noise = np.asarray(_noise(images, sizes, 0.01), float) - 128
    neighbours = {
        "row": (noise[:, :-1], noise[:, 1:]),
        "column": (noise[:, :, :-1], noise[:, :, 1:]),
        "run": (noise[:, :, :64], noise[:, :, 64:]),
        "channel": (noise[..., :2], noise[..., 1:]),
        "picture": (noise[:1], noise[1:]),
    }
    for name, (one, other) in neighbours.items():
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(one.size), name


def test_the_noise_is_clipped_and_not_wrapped():
    images = np.zeros((2, 64, 64, 3), np.uint8)
    images[1] = 255
    noisy = np.asarray(_noise(images, np.tile(np.int32([64, 64]), (2, 1)), 0.05))
    assert (noisy[0] == 0).mean() == pytest.approx(0.5, abs=0.05)
    assert (noisy[1] == 255).mean() == pytest.approx(0.5, abs=0.05)


def test_no_variance_is_no_noise():
    images, sizes = samples.batch(samples.pictures())
    np.testing.assert_array_equal(_noise(images, sizes, 0), images)


def test_the_seed_decides_the_noise():
    images, sizes = samples.batch([samples.random(32, 32)])
    first = _noise(images, sizes, keys=_keys(1))
    np.testing.assert_array_equal(first, _noise(images, sizes, keys=_keys(1)))
    assert (first != _noise(images, sizes, keys=_keys(1, seed=1))).mean() > 0.9


@pytest.mark.parametrize("name", _FILTERS)
@pytest.mark.parametrize("kernel_size", operations.KERNEL_SIZES)
def test_a_filter_is_that_of_opencv_even_on_pictures_below_its_size(name, kernel_size):
    run, reference = _FILTERS[name]
    pictures = samples.pictures()
    images, sizes = samples.batch(pictures)
    filtered = run(images, sizes, np.full(len(images), kernel_size, np.int32))
    expected = [reference(picture, kernel_size) for picture in pictures]
    _assert_equal(samples.unbatch(filtered, sizes), expected)


@pytest.mark.parametrize("name", _FILTERS)
def test_a_batch_may_have_kernels_of_every_size(name):
    run, reference = _FILTERS[name]
    pictures = [samples.random(20, 30, seed) for seed in range(3)]
    images, sizes = samples.batch(pictures)
    found = np.asarray(run(images, sizes, np.int32(operations.KERNEL_SIZES)))
    _assert_equal(found, map(reference, pictures, operations.KERNEL_SIZES))


def _gamma_table(gamma):
    return np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)


@pytest.mark.parametrize("gamma", [*_GAMMAS, 0.01, 100])
def test_the_gamma_correction_is_a_table(gamma):
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    found = _GAMMA(levels, np.int32([[16, 16]]), np.float32([gamma]))
    np.testing.assert_array_equal(found[0], cv2.LUT(levels[0], _gamma_table(gamma)))


def test_no_level_of_the_usual_gammas_is_near_a_tie():
    # So that no device's rounding of a power can decide a level.
    for gamma in _GAMMAS:
        exact = 255 * (np.arange(256) / 255) ** gamma
        assert np.abs(exact % 1 - 0.5).min() > 5e-4


@pytest.mark.parametrize("percentage", [55, 99, 100, 101, 190, 200])
def test_the_scaling_is_that_of_opencv_and_keeps_the_new_size(percentage):
    pictures = samples.pictures()
    images, sizes = samples.batch(pictures)
    percentages = np.full(len(images), percentage, np.int32)
    scaled, new_sizes = _SCALE(images, sizes, percentages)
    expected = []
    for picture in pictures:
        height, width = (
            max(1, (percentage * side + 50) // 100) for side in picture.shape[:2]
        )
        large = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        expected.append(large.reshape(height, width, 3))
    found = samples.unbatch(scaled, np.asarray(new_sizes))
    assert [one.shape for one in found] == [one.shape for one in expected]
    _assert_within_one(found, expected)


def test_the_longest_sides_can_be_doubled():
    side = operations.MAX_SIDE
    ramp = np.repeat(np.linspace(0, 255, side)[None, :, None], 3, 2).astype(np.uint8)
    found, sizes = _SCALE(ramp[None], np.int32([[1, side]]), np.int32([200]))
    assert sizes.tolist() == [[2, 2 * side]]
    # Each pixel of the ramp becomes two of nearly its level.
    doubled = np.repeat(ramp, 2, 1)
    assert np.abs(np.asarray(found)[0, :1, : 2 * side].astype(int) - doubled).max() <= 1


def test_sizes_and_strengths_share_a_compilation():
    traced = []

    @jax.jit
    def run(images, sizes, strengths):
        traced.append(True)
        return operations.resize(images, sizes, strengths)

    images = np.zeros((2, 64, 64, 3), np.uint8)
    for size, strength in ((64, 0.5), (33, 0.9)):
        run(images, np.full((2, 2), size, np.int32), np.full(2, strength, np.float32))
    assert len(traced) == 1
