# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of faces and of the geometry of boxes."""

import math

import numpy as np
import pytest

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.face import (
    Face,
    check_box,
    check_picture,
    intersection_over_union,
    largest_first,
)


def test_dtypes_and_unknowns():
    face = Face.at((1, 2, 4, 6))
    assert (face.box.dtype, face.landmarks.dtype) == (np.float32, np.float32)
    assert face.area == 12
    assert np.isnan(face.landmarks).all() and math.isnan(face.score)
    assert not face.has_landmarks
    assert Face.at((1, 2, 4, 6), np.ones((5, 2))).has_landmarks


def test_the_largest_comes_first_whatever_the_order():
    faces = [
        Face.at((0, 0, 9, 9), score=0.8),
        Face.at((0, 0, 2, 2), score=0.5),
        Face.at((0, 0, 2, 2), score=0.9),
        Face.at((1, 0, 3, 2), score=0.9),
        Face.at((1, 0, 3, 2)),
    ]
    expected = [0, 2, 3, 1, 4]
    assert largest_first(faces) == [faces[index] for index in expected]
    assert largest_first(faces[::-1]) == [faces[index] for index in expected]


def test_intersection_over_union_by_pixels():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 12, (9, 2, 2)), axis=1)
    boxes = np.concatenate([corners[:, 0], corners[:, 1] + 1], axis=1)
    masks = np.zeros((9, 13, 13), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    shared = (masks[:, None] & masks[None]).sum((2, 3))
    either = (masks[:, None] | masks[None]).sum((2, 3))
    np.testing.assert_allclose(intersection_over_union(boxes, boxes), shared / either)


def test_no_boxes_have_no_overlaps():
    assert intersection_over_union(np.zeros((0, 4)), np.ones((2, 4))).shape == (0, 2)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((32, 32), np.uint8), "no RGB picture: .* found uint8 .32, 32."),
        (np.zeros((32, 32, 4), np.uint8), "no RGB picture"),
        (np.zeros((32, 32, 3), np.float32), "no RGB picture: .* found float32"),
        (np.zeros((15, 32, 3), np.uint8), "only 32×15 pixels"),
    ],
)
def test_what_is_no_picture_is_refused(picture, reason):
    with pytest.raises(ImageError, match=reason):
        check_picture(picture)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((0, 0, math.nan, 5), "not four numbers"),
        ((0, 0, math.inf, 5), "not four numbers"),
        ((0, 0, 5), "not four numbers"),
        ((5, 0, 5, 5), "without area"),
        ((0, 9, 5, 5), "without area"),
        ((-9, 0, 0, 5), "outside of its 40×30 pixels"),
        ((0, 30, 5, 39), "outside"),
        ((39.5, 0, 50, 5), "outside"),
    ],
)
def test_boxes_that_mark_nothing_are_refused(box, reason):
    with pytest.raises(ImageError, match=reason):
        check_box(np.array(box), height=30, width=40)


def test_a_box_may_reach_beyond_the_picture():
    check_box(np.array((-5, -5, 90, 90)), height=30, width=40)
