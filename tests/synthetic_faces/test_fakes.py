# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from fakedet_jax.synthetic_faces import fakes


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _checkerboard(picture: np.ndarray) -> float:
    """How far the finest checkerboard stands out of its neighbourhood."""
    spectrum = np.abs(np.fft.fft2(picture[..., 1].astype(np.float64)))
    around = spectrum[60:69, 60:69].copy()
    peak = around[4, 4]
    around[4, 4] = np.nan
    return float(peak / np.nanmedian(around))


def test_synthesis_leaves_the_period_of_its_upsampling(portrait):
    picture, _ = portrait
    fake = fakes.synthesise(picture, 1.0, _rng())
    assert _checkerboard(fake) > 5 * max(_checkerboard(picture), 1)


def test_synthesis_draws_what_it_is_told(portrait):
    picture, _ = portrait
    fake = fakes.synthesise(picture, 1.0, _rng())
    difference = cv2.blur(fake.astype(np.float32) - picture, (9, 9))
    assert np.abs(difference).mean() < 4


def test_the_grain_of_a_synthesis_is_what_was_asked_for(portrait):
    picture, _ = portrait
    first, second = (
        fakes.synthesise(picture, 8.0, np.random.default_rng(seed)).astype(np.float32)
        for seed in (1, 2)
    )
    assert (first - second).std() / 2**0.5 == pytest.approx(8, rel=0.4)


def test_a_transposed_convolution_is_the_gradient_of_a_strided_one():
    # Checked against OpenCV: zeros between the pixels, then a convolution.
    rng = _rng()
    image = rng.standard_normal((8, 8, 1)).astype(np.float32)
    kernel = rng.standard_normal((4, 4, 1, 1)).astype(np.float32)
    ours = fakes._transposed_convolution(image, kernel)[..., 0]
    sparse = np.zeros((16, 16), np.float32)
    sparse[::2, ::2] = image[..., 0]
    theirs = cv2.filter2D(
        sparse,
        -1,
        kernel[::-1, ::-1, 0, 0].copy(),
        anchor=(2, 2),
        borderType=cv2.BORDER_CONSTANT,
    )
    np.testing.assert_allclose(ours[3:-3, 3:-3], theirs[3:-3, 3:-3], atol=1e-5)


def test_an_edit_stays_in_the_changed_region(portrait):
    picture, _ = portrait
    after = picture.copy()
    after[40:60, 40:60] = 255 - after[40:60, 40:60]
    fake = fakes.edit_attribute(picture, picture, after, 1.0, _rng())
    changed = np.any(fake != picture, axis=-1)
    assert changed[40:60, 40:60].mean() > 0.95
    changed[20:80, 20:80] = False
    assert not changed.any()


def test_an_expression_moves_the_mouth_and_leaves_the_rest(portrait):
    picture, exposure = portrait
    fake = fakes.manipulate_expression(picture, exposure.landmarks, _rng())
    changed = np.abs(fake.astype(np.int32) - picture).max(axis=-1)
    x, y = np.round(exposure.landmarks[3]).astype(int)
    assert changed[y - 3 : y + 4, x - 3 : x + 4].mean() > 3
    assert not changed[:20].any()
    assert not changed[-20:, :8].any()


def test_a_swap_leaves_the_surroundings(portrait):
    picture, exposure = portrait
    donor = picture[:, ::-1].copy()
    points = exposure.landmarks.copy()
    points[:, 0] = 127 - points[:, 0]
    points = points[[1, 0, 2, 4, 3]]
    fake = fakes.swap_face(picture, exposure.landmarks, donor, points, _rng())
    changed = np.any(fake != picture, axis=-1)
    x, y = np.round(exposure.landmarks[2]).astype(int)
    assert changed[y - 8 : y + 8, x - 8 : x + 8].mean() > 0.9
    assert not changed[:8].any() and not changed[:, :4].any()


def test_a_swap_takes_the_colours_of_its_place(portrait):
    picture, exposure = portrait
    donor = (picture * np.array([0.5, 0.8, 1.0])).astype(np.uint8)
    fake = fakes.swap_face(
        picture, exposure.landmarks, donor, exposure.landmarks, _rng()
    )
    x, y = np.round(exposure.landmarks[2]).astype(int)
    part = (slice(y - 15, y + 15), slice(x - 15, x + 15))
    here, there = (p[part].mean(axis=(0, 1)) for p in (picture, fake))
    np.testing.assert_allclose(here, there, atol=6)


def test_landmarks_are_mapped_by_a_similarity():
    rng = _rng()
    source = rng.uniform(30, 90, (5, 2)).astype(np.float32)
    turn = np.array([[0.8, -0.3], [0.3, 0.8]], np.float32)
    target = source @ turn.T + np.float32(5)
    matrix, offset = fakes._similarity(source, target)
    np.testing.assert_allclose(matrix, turn, atol=1e-5)
    np.testing.assert_allclose(offset, [5, 5], atol=1e-3)


@pytest.mark.parametrize("size", [32, 50, 128])
def test_shrinking_averages_areas(size):
    image = _rng().uniform(0, 255, (128, 128, 3)).astype(np.float32)
    theirs = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(fakes._shrink(image, size), theirs, atol=1e-2)
