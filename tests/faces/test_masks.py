# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the choice of the forged face by a mask."""

import numpy as np
import pytest

from fakedet_jax.faces import extraction, masks
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import LEFT_OUT, NOTED, WRITTEN, extract
from fakedet_jax.faces.face import Face
from fakedet_jax.media.video import EveryNth
from tests.faces.test_extraction import given
from tests.media.media_files import write_video
from tests.prepare.detectors import Scripted

LARGE, SMALL = (2, 2, 42, 46), (70, 10, 90, 32)
NUM_FRAMES = 6


def mask_of(box, shape=(64, 96)):
    picture = np.zeros((*shape, 3), np.uint8)
    if box is not None:
        left, top, right, bottom = box
        # Masks are smaller than boxes.
        picture[top + 4 : bottom - 2, left + 2 : right - 2] = 255
    return picture


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of one shot, in which two faces may be found."""
    grey = [np.full((64, 96, 3), 90, np.uint8)] * NUM_FRAMES
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", grey)


@pytest.fixture
def masked(tmp_path, video):
    def rows(boxes_of_masks, found=None, *, searches=True, **settings):
        mask = write_video(
            tmp_path / "mask.mp4", [mask_of(box) for box in boxes_of_masks]
        )
        faces = found or {frame: [LARGE, SMALL] for frame in range(NUM_FRAMES)}
        detector = Scripted(faces) if searches else given(faces)
        how = Cropping(detector, selection=EveryNth(1), **settings)
        outcomes = extract(video, "v.mp4", "video", how, mask=mask)
        return sorted((row for row, _ in outcomes), key=lambda r: (r.frame, r.face))

    return rows


@pytest.mark.parametrize("searches", [True, False])
@pytest.mark.parametrize("box", [LARGE, SMALL])
def test_the_forged_face_is_the_main_one(masked, box, searches):
    rows = masked([box] * NUM_FRAMES, searches=searches)
    assert [(row.status, row.face) for row in rows] == [(WRITTEN, 0)] * NUM_FRAMES
    for row in rows:
        assert row.box == pytest.approx(box)


@pytest.mark.parametrize("searches", [True, False])
def test_of_all_faces_the_forged_ones_count(masked, searches):
    rows = masked([SMALL] * NUM_FRAMES, searches=searches, all_faces=True)
    assert len(rows) == NUM_FRAMES
    assert [row.box[0] for row in rows] == pytest.approx([SMALL[0]] * NUM_FRAMES)


def test_a_face_within_another_is_told_apart(masked):
    inner = (10, 10, 30, 32)
    found = {frame: [LARGE, inner] for frame in range(NUM_FRAMES)}
    for row in masked([inner] * NUM_FRAMES, found):
        assert row.box == pytest.approx(inner)


def test_frames_with_an_empty_mask_say_so(masked):
    rows = masked([SMALL, None, SMALL, None, SMALL, SMALL])
    skipped = [(row.frame, row.status, row.reason) for row in rows if row.reason]
    assert skipped == [(f, LEFT_OUT, extraction.UNFORGED) for f in (1, 3)]
    assert [row.frame for row in rows if row.status == WRITTEN] == [0, 2, 4, 5]


def test_frames_in_which_the_forged_face_was_not_found_say_so(masked):
    found = {frame: [LARGE, SMALL] for frame in range(NUM_FRAMES)}
    found[2] = [LARGE]
    rows = masked([SMALL] * NUM_FRAMES, found)
    assert [(row.frame, row.reason) for row in rows if row.status == LEFT_OUT] == [
        (2, extraction.OTHERS_FORGED)
    ]


def test_where_the_forged_face_has_jumped_the_mask_counts(masked):
    far = (60, 40, 80, 62)
    found = {frame: [LARGE, SMALL] for frame in range(NUM_FRAMES)}
    found[3] = [LARGE, far]
    rows = masked([*[SMALL] * 3, far, *[SMALL] * 2], found)
    assert rows[3].box == pytest.approx(far)


def test_a_mask_that_is_empty_throughout_is_not_used(masked):
    rows = masked([None] * NUM_FRAMES)
    (noted,) = [row.reason for row in rows if row.status == NOTED]
    assert noted == "has a mask that is empty; faces were chosen by their size"
    lefts = [row.box[0] for row in rows if row.status == WRITTEN]
    assert lefts == pytest.approx([LARGE[0]] * NUM_FRAMES)


def test_frames_beyond_the_end_of_the_mask_follow_the_forged_face(masked):
    rows = masked([SMALL] * 4)
    assert [row.box[0] for row in rows if row.status == WRITTEN] == pytest.approx(
        [SMALL[0]] * NUM_FRAMES
    )
    (noted,) = [row.reason for row in rows if row.status == NOTED]
    assert noted.startswith("has no mask for 2 of 6 frames, such as number 4;")


def test_a_mask_that_cannot_be_read_is_noted(tmp_path):
    path = tmp_path / "mask.mp4"
    path.write_bytes(b"no video")
    forged = masks.measure(path, {0: [Face.at(LARGE)]})
    assert not forged.overlaps
    assert forged.note.startswith("has a mask that ")
    assert forged.note.endswith("; faces were chosen by their size")


def test_the_overlap_is_that_of_the_pixels(tmp_path):
    mask = write_video(tmp_path / "mask.mp4", [mask_of(LARGE)])
    faces = [Face.at(LARGE), Face.at(SMALL), Face.at((-10, 2, 42, 46))]
    (overlaps,) = masks.measure(mask, {0: faces}).overlaps.values()
    forged = 36 * 38
    assert overlaps == pytest.approx([forged / (40 * 44), 0, forged / (52 * 44)], 0.06)
