# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the manipulations of faces."""

import collections
import math

import numpy as np
import pytest

from fakedet_jax.errors import ImageError
from fakedet_jax.faces import crops, regions
from fakedet_jax.systems.exif_anomaly import manipulations
from tests.data.pictures import colourful

EDITS = ("mouth_rotation", "mouth_flip", "eye_flip")


def landmarks(height, width=None, degrees=0.0, shift=(0, 0)):
    """Those of an upright or turned face in the middle of a crop."""
    width = height if width is None else width
    angle = math.radians(degrees)
    turn = np.array(
        [(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))]
    )
    size = min(height, width)
    points = (crops.TEMPLATE / crops.SCALE * size) @ turn
    return points + np.array([width / 2 + shift[0], height / 2 + shift[1]])


def noise(height, width=None, seed=0):
    """Every pixel another: `[height, width, 3]`."""
    shape = (height, height if width is None else width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def manipulate(crop, points, kind, seed=0):
    return manipulations.manipulate(crop, points, kind, np.random.default_rng(seed))


def weights(region, crop):
    return region.weights(0, 0, crop.shape[1], crop.shape[0])


def edited_regions(points, kind):
    """Those that an edit may touch."""
    if kind.startswith("mouth"):
        return [regions.mouth_region(points)]
    if kind == "warp":
        return [regions.face_region(points)]
    return [regions.eye_region(points, eye) for eye in (0, 1)]


@pytest.mark.parametrize("degrees", [0, 17, -40])
@pytest.mark.parametrize("size", [(64, 64), (224, 200), (512, 512)])
@pytest.mark.parametrize("kind", manipulations.KINDS)
def test_only_the_region_changes(kind, size, degrees):
    crop, points = noise(*size), landmarks(*size, degrees)
    before = crop.copy()
    found = manipulate(crop, points, kind)
    assert found.shape == crop.shape and found.dtype == np.uint8
    np.testing.assert_array_equal(crop, before)
    shown = np.max([weights(r, crop) for r in edited_regions(points, kind)], axis=0)
    np.testing.assert_array_equal(found[shown == 0], crop[shown == 0])
    assert (found != crop).any(-1)[shown > 0.9].mean() > 0.3


@pytest.mark.parametrize("seed", range(8))
def test_one_eye_is_edited_and_both_are_drawn(seed):
    crop, points = noise(128), landmarks(128)
    found = manipulate(crop, points, "eye_flip", seed)
    changed = [
        (found != crop)[weights(regions.eye_region(points, eye), crop) == 1].any()
        for eye in (0, 1)
    ]
    expected = int(np.random.default_rng(seed).integers(2))
    assert changed == [expected == 0, expected == 1]


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_twice_gives_the_core_back(kind):
    crop, points = noise(200), landmarks(200)
    found = manipulate(manipulate(crop, points, kind), points, kind)
    core = np.max([weights(r, crop) for r in edited_regions(points, kind)], axis=0) == 1
    assert core.sum() > 200
    np.testing.assert_array_equal(found[core], crop[core])


def test_a_rotated_mouth_by_hand():
    # Corners at (40, 80) and (60, 80), and lips 0.06 × 30 pixels lower, which is to the
    # nearest half 82: pixel (x, y) gets that of (99 - x, 163 - y).
    points = np.array([(38, 50), (62, 50), (50, 64), (40, 80), (60, 80)])
    crop = np.zeros((100, 100, 3), np.uint8)
    crop[77, 43] = (10, 20, 30)  # In the upper lip, at the left.
    crop[83, 54] = (200, 0, 100)  # In the lower lip, right of the middle.
    expected = np.zeros_like(crop)
    expected[86, 56] = (10, 20, 30)
    expected[80, 45] = (200, 0, 100)
    found = manipulate(crop, points, "mouth_rotation")
    core = weights(regions.mouth_region(points), crop) == 1
    np.testing.assert_array_equal(found[core], expected[core])
    assert core[86, 56] and core[80, 45]


def test_a_mirrored_mouth_by_hand():
    points = np.array([(38, 50), (62, 50), (50, 64), (40, 80), (60, 80)])
    crop = noise(100)
    found = manipulate(crop, points, "mouth_flip")
    core = weights(regions.mouth_region(points), crop) == 1
    np.testing.assert_array_equal(found[core], crop[:, ::-1][core])


def test_a_turned_face_is_mirrored_along_its_eyes():
    # A face that lies on its side: left and right of it are up and down.
    crop, points = noise(100), landmarks(100, degrees=90)
    region = regions.mouth_region(points)
    assert region.centre[1] == 50
    found = manipulate(crop, points, "mouth_flip")
    core = weights(region, crop) == 1
    np.testing.assert_allclose(found[core], crop[::-1][core], atol=1)


def test_a_symmetric_mouth_stays_as_it_is():
    crop = colourful(100, 100)
    crop = np.concatenate([crop[:, :50], crop[:, 49::-1]], axis=1)
    found = manipulate(crop, landmarks(100), "mouth_flip")
    np.testing.assert_array_equal(found, crop)


@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize("kind", EDITS)
def test_the_rim_has_no_seam(kind, size):
    points = landmarks(size, degrees=10)
    for region in edited_regions(points, kind):
        shown = region.weights(0, 0, size, size)
        assert shown.min() == 0 and shown.max() == 1
        steps = [np.abs(np.diff(shown, axis=axis)).max() for axis in (0, 1)]
        # The steepest place of half a cosine over 40 % of the shorter half axis.
        assert max(steps) <= np.pi / 2 / (0.4 * min(region.radii)) + 1e-5


def test_the_warp_of_a_plain_slope_is_piecewise_affine_and_continuous():
    crop = np.zeros((256, 256, 3), np.uint8)
    crop[..., 0] = np.arange(256)
    crop[..., 1] = np.arange(256)[:, None]
    found = manipulate(crop, landmarks(256), "warp").astype(int)
    # The colours say where pixels come from; along rows and columns none are left out
    # and none are turned over.
    for channel, axis in ((0, 1), (1, 0)):
        steps = np.diff(found[..., channel], axis=axis)
        assert steps.min() >= 0 and steps.max() <= 3
        # Affine but for rounding: hardly any second differences.
        assert (np.abs(np.diff(steps, axis=axis)) <= 1).mean() > 0.97
    moved = np.abs(found[..., :2] - crop[..., :2]).max(-1)
    assert 2 <= moved.max() <= 0.3 * 0.4 * 72 + 1


def test_the_grid_is_interpolated_exactly_where_it_is_linear():
    x, y = np.linspace(0.1, 3.9, 23), np.linspace(0.2, 4.9, 31)
    rows, columns = np.mgrid[:6, :5].astype(np.float32)
    found = manipulations._interpolate(np.stack([2 * columns - rows, rows]), x, y)
    expected = np.stack(np.broadcast_arrays(2 * x[None] - y[:, None], y[:, None]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_triangles_are_cut_along_the_diagonal():
    corners = np.array([[[0, 0], [0, 1]]], np.float32)  # A roof's slope.
    found = manipulations._interpolate(
        np.pad(corners, ((0, 0), (0, 1), (0, 1))),
        np.array([0.25, 0.75]),
        np.array([0.5]),
    )
    np.testing.assert_allclose(found[0, 0], [0.25, 0.5])


@pytest.mark.parametrize("size", [(64, 64), (180, 224), (512, 400)])
@pytest.mark.parametrize("kind", manipulations.KINDS)
def test_without_landmarks_every_kind_is_the_warp(kind, size):
    crop, unknown = noise(*size), np.full((5, 2), np.nan)
    found = manipulate(crop, unknown, kind)
    expected = manipulate(crop, landmarks(*size), "warp")
    np.testing.assert_array_equal(found, expected)
    assert (found != crop).any()


def test_one_unknown_landmark_is_as_bad_as_five():
    crop, points = noise(96), landmarks(96)
    points[1] = np.nan
    found = manipulate(crop, points, "mouth_flip")
    np.testing.assert_array_equal(found, manipulate(crop, landmarks(96), "warp"))


@pytest.mark.parametrize("kind", manipulations.KINDS)
def test_the_same_seed_gives_the_same_face(kind):
    crop, points = noise(96), landmarks(96)
    first = manipulate(crop, points, kind, seed=5)
    np.testing.assert_array_equal(manipulate(crop, points, kind, seed=5), first)


@pytest.mark.parametrize("kind", ["eye_flip", "warp"])
def test_seeds_differ(kind):
    crop, points = noise(96), landmarks(96)
    found = {manipulate(crop, points, kind, seed).tobytes() for seed in range(8)}
    assert len(found) == (2 if kind == "eye_flip" else 8)


@pytest.mark.parametrize("kind", manipulations.KINDS)
def test_a_region_may_reach_beyond_the_crop(kind):
    crop = noise(100)
    points = landmarks(100, shift=(42, 22))  # Half of the mouth and an eye lie inside.
    found = manipulate(crop, points, kind)
    assert found.shape == crop.shape and (found != crop).any()


def test_the_eye_in_the_crop_is_taken():
    crop, points = noise(100), landmarks(100, shift=(45, 0))
    first = manipulate(crop, points, "eye_flip", seed=0)
    second = manipulate(crop, points, "eye_flip", seed=1)
    assert np.random.default_rng(0).integers(2) != np.random.default_rng(1).integers(2)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("far", [0, 1])
def test_of_a_turned_face_the_nearer_eye_is_taken(far):
    crop, points = noise(128), landmarks(128)
    points[2, 0] += 8 if far else -8
    shown = weights(regions.eye_region(points, far), crop)
    for seed in range(4):
        found = manipulate(crop, points, "eye_flip", seed)
        np.testing.assert_array_equal(found[shown > 0], crop[shown > 0])


def test_of_a_turned_face_the_region_around_an_eye_is_narrower():
    points = landmarks(128)
    ahead = regions.eye_region(points, 0).radii
    points[2, 0] -= 3
    turned = regions.eye_region(points, 0).radii
    assert turned[0] < ahead[0] and turned[1] == ahead[1]


def test_the_region_around_a_mouth_follows_its_width():
    points = landmarks(128)
    ahead = regions.mouth_region(points).radii[0]
    points[3:, 0] = 64 + 0.7 * (points[3:, 0] - 64)
    assert regions.mouth_region(points).radii[0] < ahead
    points[3:, 0] = 64
    assert regions.mouth_region(points).radii[0] > 10


@pytest.mark.parametrize(
    ("kind", "shift", "message"),
    [
        ("mouth_flip", (0, 40), "mouth outside of its 100×100 pixels"),
        ("mouth_rotation", (0, 40), "mouth outside of its 100×100 pixels"),
        ("eye_flip", (0, -50), "no eye that is well seen within its 100×100"),
        ("warp", (150, 0), "hardly any face within its 100×100 pixels"),
    ],
)
def test_what_lies_outside_is_refused(kind, shift, message):
    with pytest.raises(ImageError, match=message):
        manipulate(noise(100), landmarks(100, shift=shift), kind)


@pytest.mark.parametrize(
    "change", [lambda p: p * 0 + 50, lambda p: p * 1e6], ids=["one place", "far apart"]
)
@pytest.mark.parametrize("kind", manipulations.KINDS)
def test_landmarks_unlike_a_face_are_refused(kind, change):
    with pytest.raises(ImageError, match="not those of a face in 100×100 pixels"):
        manipulate(noise(100), change(landmarks(100)), kind)


def test_what_is_no_picture_is_refused():
    with pytest.raises(ImageError, match="no RGB picture"):
        manipulate(np.zeros((64, 64), np.uint8), landmarks(64), "warp")


def test_unknown_kind_is_refused_with_the_known():
    with pytest.raises(ValueError, match="eye_flip, warp, found 'nose'"):
        manipulate(noise(64), landmarks(64), "nose")


def test_landmarks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"landmarks \[5, 2\], found \[4, 2\]"):
        manipulate(noise(64), landmarks(64)[:4], "warp")


def test_half_stay_as_they_are_and_the_kinds_share_the_rest():
    rng = np.random.default_rng(0)
    counts = collections.Counter(manipulations.draw(rng) for _ in range(8000))
    assert set(counts) == {None, *manipulations.KINDS}
    assert counts.pop(None) == pytest.approx(4000, abs=150)
    for count in counts.values():
        assert count == pytest.approx(1000, abs=100)
