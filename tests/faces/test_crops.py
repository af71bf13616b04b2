# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of square and of aligned crops."""

import math

import cv2
import numpy as np
import pytest
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces import crops
from fakedet_jax.faces.face import Face
from tests.data.pictures import colourful

POINTS = np.array([(30, 40), (62, 38), (47, 60), (34, 75), (60, 74)], np.float32)


def rotation(degrees, scale, shift):
    """The matrix `[2, 3]` of a similarity transform."""
    angle = math.radians(degrees)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([(cos, -sin, shift[0]), (sin, cos, shift[1])])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((200, 150, 300, 250), (185, 135, 315, 265)),
        ((200, 150, 301, 250), (185, 135, 316, 266)),  # 131.3 pixels.
        ((100, 100, 170, 110), (90, 60, 181, 151)),  # Exactly 91 pixels.
        ((-20, 10, 80, 110), (0, 0, 130, 130)),  # Moved in at the left and the top.
        ((560, 200, 640, 280), (548, 188, 640, 280)),  # Smaller at the right.
        ((100, 380, 200, 480), (85, 365, 200, 480)),  # Smaller at the bottom.
        ((0, 0, 640, 480), (0, 0, 480, 480)),
        ((100.4, 100.4, 110.8, 110.8), (99, 99, 112, 112)),
    ],
)
def test_square_box(box, expected):
    assert crops.square_box(np.array(box, np.float32), 1.3, 480, 640) == expected


def test_every_square_lies_in_the_picture():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(16, 60, 2).tolist()
        start = rng.uniform(-30, [width - 1, height - 1])
        end = np.maximum(start, 0) + rng.uniform(1, 60, 2)
        box = np.concatenate([start, end])
        left, top, right, bottom = crops.square_box(box, 1.3, height, width)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert right - left == bottom - top


def test_native_pixels_are_not_resampled():
    picture = colourful(60, 80)
    face = Face.at((30, 20, 50, 40), POINTS)
    crop = crops.cut(picture, face)
    np.testing.assert_array_equal(crop.pixels, picture[17:43, 27:53])
    np.testing.assert_array_equal(crop.face.box, (3, 3, 23, 23))
    np.testing.assert_array_equal(crop.face.landmarks, POINTS - (27, 17))
    same = crops.cut(picture, face, size=26)
    np.testing.assert_array_equal(same.pixels, crop.pixels)


def test_a_size_is_one_resampling():
    picture = colourful(60, 80)
    crop = crops.cut(picture, Face.at((30, 20, 50, 40), POINTS), size=13)
    cut = Image.fromarray(picture).crop((27, 17, 53, 43))
    expected = np.asarray(cut.resize((13, 13), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(crop.pixels, expected)
    np.testing.assert_array_equal(crop.face.box, (1.5, 1.5, 11.5, 11.5))
    np.testing.assert_allclose(crop.face.landmarks, (POINTS - (27, 17)) / 2)


def test_a_picture_that_is_a_crop_is_taken_whole():
    picture = colourful(60, 80)
    face = Face.at((0, 0, 80, 60))
    np.testing.assert_array_equal(crops.cut(picture, face, scale=None).pixels, picture)
    square = crops.cut(picture, face, scale=None, size=30)
    expected = Image.fromarray(picture).resize(
        (30, 30), Image.Resampling.LANCZOS, box=(10, 0, 70, 60)
    )
    np.testing.assert_array_equal(square.pixels, np.asarray(expected))
    np.testing.assert_array_equal(square.face.box, (-5, 0, 35, 30))


def test_a_plain_box_is_clipped():
    picture = colourful(60, 80)
    crop = crops.cut(picture, Face.at((-9.6, 20.4, 30.6, 99)), scale=None)
    np.testing.assert_array_equal(crop.pixels, picture[20:60, 0:31])


@pytest.mark.parametrize("cut", [crops.cut, lambda *args: crops.align(*args, 32)])
def test_what_is_no_picture_is_refused(cut):
    with pytest.raises(ImageError, match="no RGB picture"):
        cut(np.zeros((64, 64), np.uint8), Face.at((0, 0, 9, 9), POINTS))


def test_similarity_is_found_exactly():
    expected = rotation(37, 1.7, (12, -5))
    found = crops.fit_similarity(POINTS, crops.map_points(expected, POINTS))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_similarity_is_that_of_opencv():
    rng = np.random.default_rng(0)
    targets = crops.map_points(rotation(-20, 0.6, (4, 9)), POINTS)
    targets += rng.normal(0, 2, targets.shape)
    # So generous a threshold makes every point an inlier: plain least squares.
    expected, _ = cv2.estimateAffinePartial2D(
        POINTS, targets, method=cv2.RANSAC, ransacReprojThreshold=1e6, refineIters=100
    )
    np.testing.assert_allclose(
        crops.fit_similarity(POINTS, targets), expected, atol=1e-5
    )


def test_similarity_is_that_of_umeyama():
    rng = np.random.default_rng(1)
    targets = crops.map_points(rotation(100, 2, (0, 0)), POINTS)
    targets += rng.normal(0, 3, targets.shape)
    source = POINTS.astype(np.float64) - POINTS.mean(0)
    left, values, right = np.linalg.svd((targets - targets.mean(0)).T @ source)
    turn = left @ right * (values.sum() / (source**2).sum())
    found = crops.fit_similarity(POINTS, targets)
    np.testing.assert_allclose(found[:, :2], turn, atol=1e-6)


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 7.0),
        POINTS * (-1, 1),  # Mirrored.
        POINTS[[1, 0, 2, 4, 3]],  # Left and right exchanged.
    ],
)
def test_landmarks_unlike_a_face_are_refused(points):
    with pytest.raises(ImageError, match="are not arranged like those of a face"):
        crops.align(colourful(80, 100), Face.at((0, 0, 9, 9), points), 64)


@pytest.mark.parametrize("degrees", [0, 30, 180])
def test_aligned_landmarks_lie_on_the_template(degrees):
    template = (crops.TEMPLATE / 1.3 + 0.5) * 64
    turned = rotation(degrees, 1.2, (0, 0))
    turned[:, 2] = 60 - turned[:, :2] @ (32, 32)
    face = Face.at((40, 40, 80, 80), crops.map_points(turned, template))
    crop = crops.align(colourful(120, 120), face, 64)
    assert crop.pixels.shape == (64, 64, 3) and crop.pixels.dtype == np.uint8
    np.testing.assert_allclose(crop.face.landmarks, template, atol=1e-4)


def face_on_grid(offset, size, scale=1.0):
    """A face whose aligned crop is an upright square of the picture at `offset`."""
    template = (crops.TEMPLATE / crops.SCALE + 0.5) * size * scale
    return Face.at((20, 20, 60, 60), template + offset)


def test_an_upright_face_of_the_same_size_keeps_its_pixels():
    picture = colourful(100, 120)
    crop = crops.align(picture, face_on_grid((20, 10), 64), 64)
    np.testing.assert_allclose(crop.pixels, picture[10:74, 20:84], atol=1)


def test_shrinking_averages():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (100, 120, 3), np.uint8)
    crop = crops.align(picture, face_on_grid((20, 10), 16, scale=4), 16)
    expected = picture[10:74, 20:84].reshape(16, 4, 16, 4, 3).mean((1, 3))
    np.testing.assert_allclose(crop.pixels, expected, atol=1.5)


def test_a_turned_crop_is_that_of_opencv():
    picture = colourful(200, 240)
    turned = rotation(25, 1.1, (70, 30))
    template = (crops.TEMPLATE / crops.SCALE + 0.5) * 80
    face = Face.at((90, 60, 160, 140), crops.map_points(turned, template))
    crop = crops.align(picture, face, 80)
    # OpenCV's coordinates are those of the centres of pixels.
    transform = crop.transform.copy()
    transform[:, 2] += transform[:, :2] @ (0.5, 0.5) - 0.5
    expected = cv2.warpAffine(picture, transform, (80, 80), flags=cv2.INTER_CUBIC)
    assert np.abs(crop.pixels.astype(int) - expected).mean() < 1


def test_beyond_the_picture_its_border_is_repeated():
    picture = colourful(100, 120)
    crop = crops.align(picture, face_on_grid((-10, -10), 64), 64)
    np.testing.assert_allclose(
        crop.pixels[:9, 20:64], np.tile(picture[:1, 10:54], (9, 1, 1)), atol=1
    )


def test_an_aligned_crop_without_landmarks_is_refused():
    with pytest.raises(ImageError, match="without landmarks"):
        crops.align(colourful(80, 100), Face.at((0, 0, 9, 9)), 64)


@pytest.mark.parametrize("change", [lambda p: p + 500, lambda p: (p - 50) * 99 + 50])
def test_landmarks_outside_of_the_picture_are_refused(change):
    face = Face.at((0, 0, 9, 9), change(POINTS))
    with pytest.raises(ImageError, match="not within its 100×80 pixels"):
        crops.align(colourful(80, 100), face, 64)
