# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakes that are made of a photograph and itself."""

import collections
import colorsys
import dataclasses

import cv2
import numpy as np
import pytest

from fakedet_jax.errors import ImageError
from fakedet_jax.faces import regions, self_blended
from fakedet_jax.faces.self_blended import Colours, Plan
from tests.data.pictures import colourful

NOTHING = Plan(Colours(), 1, 0.0, True, (1.0, 1.0), (0.0, 0.0), 1.0)


def noise(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_plan_without_changes_changes_nothing():
    picture = noise(20, 31)
    mask = rng().random((20, 31), np.float32)
    np.testing.assert_array_equal(self_blended.blend(picture, mask, NOTHING), picture)


def test_a_blend_by_hand():
    # 10 levels redder where the source shows: half of it in the first pixel, a quarter
    # in the second, nothing in the third.
    picture = np.full((2, 3, 3), 100, np.uint8)
    mask = np.float32([[1, 0.5, 0]] * 2)
    colours = Colours(rgb=(10.0, 0.0, 0.0))
    plan = dataclasses.replace(NOTHING, colours=colours, ratio=0.5)
    found = self_blended.blend(picture, mask, plan)
    assert found[0, :, 0].tolist() == [105, 102, 100]  # 102.5 is rounded to even.
    assert (found[..., 1:] == 100).all()
    # And the other way round: the target is redder.
    found = self_blended.blend(
        picture, mask, dataclasses.replace(plan, changes_source=False)
    )
    assert found[0, :, 0].tolist() == [105, 108, 110]


@pytest.mark.parametrize("changes_source", [True, False])
def test_outside_of_the_mask_is_the_target(changes_source):
    picture = colourful(64, 64)
    plan = dataclasses.replace(self_blended.draw(rng(3)), changes_source=changes_source)
    mask = self_blended.draw_mask(64, 64, None, rng())
    found = self_blended.blend(picture, mask, plan)
    outside = mask == 0
    assert 0.1 < outside.mean() < 0.9
    same = (found == picture)[outside]
    assert same.all() if changes_source else not same.all()
    assert (found != picture)[mask > 0.9].any()


def test_colours_change_as_the_standard_library_says():
    picture = noise(6, 7).astype(np.float32)
    colours = Colours((9.0, -7.0, 3.5), 0.03, -0.2, 0.1, -0.05, 0.08)
    found = self_blended.change_colours(picture, colours)
    assert found.dtype == np.float32
    for pixel, other in zip(picture.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        shifted = np.clip(pixel + colours.rgb, 0, 255) / 255
        hue, saturation, value = colorsys.rgb_to_hsv(*shifted.tolist())
        rgb = colorsys.hsv_to_rgb(
            (hue + 0.03) % 1, max(saturation - 0.2, 0), min(value + 0.1, 1)
        )
        expected = np.clip(255 * (np.array(rgb) * 1.08 - 0.05), 0, 255)
        np.testing.assert_allclose(other, expected, atol=0.02)


def test_grey_stays_grey():
    grey = np.repeat(noise(5, 5)[..., :1], 3, -1).astype(np.float32)
    found = self_blended.change_colours(grey, Colours(saturation=0.1, value=0.05))
    assert np.ptp(found, -1).max() < 1e-3


@pytest.mark.parametrize("factor", [2, 4])
def test_a_picture_shrinks_as_with_opencv(factor):
    picture = noise(48, 64).astype(np.float32)
    size = (64 // factor, 48 // factor)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    expected = cv2.resize(small, (64, 48), interpolation=cv2.INTER_LINEAR)
    found = self_blended.shrink(picture, factor)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_picture_is_sharpened_as_with_opencv():
    picture = colourful(40, 50).astype(np.float32)
    blurred = cv2.GaussianBlur(picture, (9, 9), 1, borderType=cv2.BORDER_REPLICATE)
    expected = np.clip(picture + 1.5 * (picture - blurred), 0, 255)
    found = self_blended.sharpen(picture, 1.5)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_picture_moves_as_with_opencv():
    picture = colourful(40, 60).astype(np.float32)
    found = self_blended.move(picture, (1.05, 0.95), (0.03, -0.02))
    # From a pixel to where it came from, with centres of pixels at whole numbers.
    x = (59 / 2) - (59 / 2 + 0.03 * 60) / 1.05
    y = (39 / 2) - (39 / 2 - 0.02 * 40) / 0.95
    back = np.array([(1 / 1.05, 0, x), (0, 1 / 0.95, y)])
    expected = cv2.warpAffine(
        picture,
        back,
        (60, 40),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # OpenCV interpolates at multiples of 1/32 pixel.
    np.testing.assert_allclose(found[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1.5)
    assert np.abs(found - picture).mean() > 2


def test_a_whole_pixel_to_the_right_and_down():
    picture = noise(50, 100).astype(np.float32)
    found = self_blended.move(picture, (1.0, 1.0), (0.01, 0.02))
    np.testing.assert_allclose(found[1:, 1:], picture[:-1, :-1], atol=0.3)


@pytest.mark.parametrize("seed", range(6))
def test_the_mask_is_about_the_ellipse_of_the_face(seed):
    mask = self_blended.draw_mask(128, 128, None, rng(seed))
    assert mask.dtype == np.float32 and mask.shape == (128, 128)
    assert mask.min() == 0 and mask.max() > 0.99
    region = regions.face_region(regions.upright_landmarks(128, 128))
    centres = np.arange(128) + 0.5
    radius = region.radius(centres[None], centres[:, None])
    assert (mask[radius < 0.35] > 0.9).all()
    assert (mask[radius > 1.5] == 0).all()
    # A soft rim, and no ellipse.
    assert 0.02 < ((mask > 0.01) & (mask < 0.99)).mean() < 0.3
    assert (mask > 0.5)[(radius > 0.6) & (radius < 1.1)].std() > 0


def test_the_mask_follows_the_landmarks():
    points = regions.upright_landmarks(128, 128) / 2
    # In the upper left quarter, at half the size.
    mask = self_blended.draw_mask(128, 128, points, rng())
    y, x = (axis[mask > 0.5].mean() for axis in np.indices(mask.shape))
    assert abs(x - 32) < 8 and abs(y - 32) < 8
    assert (mask[80:] == 0).all() and (mask[:, 80:] == 0).all()


@pytest.mark.parametrize(
    "landmarks",
    [np.full((5, 2), np.nan), np.zeros((5, 2)), regions.upright_landmarks(64, 64) + 90],
    ids=("unknown", "one point", "outside"),
)
def test_landmarks_of_no_face_mean_a_crop(landmarks):
    found = self_blended.self_blend(colourful(64, 64), landmarks, rng())
    expected = self_blended.self_blend(colourful(64, 64), None, rng())
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (300, 20)])
def test_pictures_of_all_sizes_become_fakes(size):
    for seed in range(5):
        picture = noise(*size, seed)
        before = picture.copy()
        found = self_blended.self_blend(picture, None, rng(seed))
        assert found.shape == picture.shape and found.dtype == np.uint8
        np.testing.assert_array_equal(picture, before)
        assert (found != picture).any()


def test_the_seed_decides():
    picture = colourful(48, 48)
    first, second, other = (
        self_blended.self_blend(picture, None, rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_what_is_drawn_is_within_the_limits_of_the_paper():
    plans = [self_blended.draw(rng(seed)) for seed in range(600)]
    ratios = collections.Counter(plan.ratio for plan in plans)
    assert set(ratios) == {0.25, 0.5, 0.75, 1.0}
    assert 250 < ratios[1.0] < 350
    resize = np.array([plan.resize for plan in plans])
    shift = np.array([plan.shift for plan in plans])
    assert 0.95 <= resize.min() < 0.955 and 1.045 < resize.max() <= 1.05
    assert -0.03 <= shift.min() < -0.029 and 0.029 < shift.max() <= 0.03
    # All four numbers are drawn on their own.
    drawn = np.hstack([resize, shift])
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 0.2
    assert 250 < sum(plan.changes_source for plan in plans) < 350
    assert 250 < sum(plan.factor == 1 for plan in plans) < 350


def test_something_else_than_a_picture_is_refused():
    with pytest.raises(ImageError, match="is no RGB picture"):
        self_blended.self_blend(np.zeros((20, 20), np.uint8), None, rng())
