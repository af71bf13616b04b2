# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from fakedet_jax.synthetic_faces import lens
from fakedet_jax.synthetic_faces.scene import SCENE_EXTENT, SCENE_SIZE, Scene


def _scene(background: np.ndarray) -> Scene:
    """A scene without a person."""
    shape = (SCENE_SIZE, SCENE_SIZE)
    return Scene(
        subject=np.zeros((*shape, 3), np.float32),
        alpha=np.zeros(shape, np.float32),
        background=np.repeat(background[..., None], 3, axis=-1).astype(np.float32),
        landmarks=np.zeros((5, 2)),
        face=np.zeros((9, 2)),
    )


def _stripes(axis: int) -> np.ndarray:
    wave = 0.5 + 0.4 * np.cos(np.arange(SCENE_SIZE) * (2 * np.pi / 18))
    plane = np.broadcast_to(wave, (SCENE_SIZE, SCENE_SIZE))
    return plane if axis == 1 else plane.T


def _contrast(f_number: float, motion: float, direction: float, axis: int) -> float:
    light = lens.through_lens(_scene(_stripes(axis)), f_number, motion, direction)
    return float(light.std())


def test_a_wide_aperture_blurs_the_background():
    contrasts = [_contrast(f, 0, 0, 1) for f in (1.4, 2.8, 5.6)]
    assert contrasts[0] < 0.6 * contrasts[1] < 0.9 * contrasts[2]


def test_a_wide_aperture_darkens_the_corners():
    corners = [lens.vignetting(f)[0, 0] for f in (1.4, 2.8, 5.6, 16)]
    assert corners == sorted(corners)
    assert corners[0] < 0.8 * corners[-1]


def test_motion_blurs_along_its_direction_only():
    still = [_contrast(8, 0, 0, axis) for axis in (0, 1)]
    moved = [_contrast(8, 8, 0, axis) for axis in (0, 1)]
    assert moved[0] == pytest.approx(still[0], rel=1e-4)
    assert moved[1] < 0.7 * still[1]


def test_motion_blur_is_the_mean_along_the_path():
    length = 6.0
    period = 18 / (SCENE_SIZE / (lens.PICTURE_SIZE * SCENE_EXTENT))  # in pixels
    expected = np.sinc(length / period)
    ratio = _contrast(8, length, math.pi / 2, 0) / _contrast(8, 0, 0, 0)
    assert ratio == pytest.approx(expected, rel=1e-3)


def test_motion_grows_with_the_exposure_time():
    lengths = [lens.motion_length(1 / shutter) for shutter in (500, 125, 30, 8)]
    assert lengths == sorted(lengths)
    assert lengths[0] < 1 < 6 < lengths[-1]


@pytest.mark.parametrize("focal_length", [24, 70, 135])
def test_a_point_is_seen_where_the_distortion_puts_it(focal_length):
    axis = (np.arange(SCENE_SIZE) + 0.5) * (2 / SCENE_SIZE) - 1
    x, y = np.meshgrid(axis * SCENE_EXTENT, axis * SCENE_EXTENT)
    point = np.array([0.62, -0.55])
    spot = np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * 0.03**2))
    light = np.repeat(spot[..., None], 3, axis=-1).astype(np.float32)
    green = lens.onto_sensor(light, focal_length)[..., 1].astype(np.float64)
    rows, columns = np.indices(green.shape)
    seen = [(columns * green).sum(), (rows * green).sum()] / green.sum()
    expected = lens.frame_to_pixels(point[None], focal_length)[0]
    np.testing.assert_allclose(seen, expected, atol=0.15)


def _edge_bow(focal_length: float) -> float:
    """How far the middle of an upright line stands out from its ends, in pixels."""
    ends = np.array([[0.7, -0.7], [0.7, 0.0], [0.7, 0.7]])
    top, middle, bottom = lens.frame_to_pixels(ends, focal_length)[:, 0]
    return float(middle - (top + bottom) / 2)


def test_short_lenses_bulge_and_long_ones_pinch():
    bows = [_edge_bow(focal) for focal in (24, 35, 70, 135)]
    assert bows == sorted(bows, reverse=True)
    assert bows[0] > 1.5
    assert bows[2] == pytest.approx(0, abs=1e-6)
    assert bows[3] < -0.8


def test_colour_fringes_change_sides_with_the_focal_length():
    def red_beyond_blue(focal_length: float) -> float:
        ramp = np.broadcast_to(np.linspace(0, 1, SCENE_SIZE), (SCENE_SIZE, SCENE_SIZE))
        light = np.repeat(ramp[..., None], 3, axis=-1).astype(np.float32)
        edge = lens.onto_sensor(light, focal_length)[64, -10]
        return float(edge[2] - edge[0])

    assert red_beyond_blue(24) > 0.01 > -0.01 > red_beyond_blue(135)
