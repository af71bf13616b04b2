# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of drawing faces and following them through videos."""

import dataclasses

import numpy as np
import pytest
from PIL import ImageColor

from fakedet_jax.faces.annotation import Mark, MovingMark, draw
from tests.data.pictures import colourful

GROUND = np.full((300, 400, 3), 128, np.uint8)
FAKE = Mark((100, 120, 200, 240), 0.93, "fake")
REAL = Mark((100, 120, 200, 240), 0.07, "real")


def rgb(mark):
    return ImageColor.getrgb(mark.colour)


def changed(picture):
    """Left, top, right, bottom of what was drawn."""
    rows, columns = np.nonzero((picture != 128).any(-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_fakes_are_orange_and_real_faces_blue():
    red, _, blue = rgb(FAKE)
    assert red > 2 * blue
    red, _, blue = rgb(REAL)
    assert blue > 2 * red


@pytest.mark.parametrize("mark", [FAKE, REAL])
def test_the_box_is_drawn_along_its_pixels(mark):
    picture = draw(GROUND, [mark])
    assert tuple(picture[200, 100]) == tuple(picture[239, 150]) == rgb(mark)
    assert tuple(picture[200, 199]) == rgb(mark)
    assert (picture[150:230, 110:190] == 128).all()


def test_the_label_is_above_the_box():
    left, top, right, bottom = changed(draw(GROUND, [FAKE]))
    assert (left, right, bottom) == (100, 200, 240)
    assert 90 < top < 110


def test_the_number_of_a_face_stands_before_its_decision():
    assert dataclasses.replace(FAKE, number=3).text == "3: fake 0.93"


def test_labels_do_not_cover_each_other():
    boxes = [(100, 120, 160, 180), (110, 124, 170, 184), (120, 128, 180, 188)]
    marks = [Mark(box, 0.5, "fake") for box in boxes]
    grounds = sum((draw(GROUND, [mark]) == rgb(FAKE)).all(-1).sum() for mark in marks)
    together = (draw(GROUND, marks) == rgb(FAKE)).all(-1).sum()
    # Lines of the boxes cross, and labels hide some of them.
    assert together > 0.8 * grounds


@pytest.mark.parametrize(
    "box",
    [(0, 0, 400, 300), (-50, -60, 30, 20), (380, 290, 500, 400), (390, 0, 391, 1)],
)
def test_everything_is_drawn_within_the_picture(box):
    picture = draw(GROUND, [Mark(box, 0.5, "fake")])
    assert picture.shape == GROUND.shape
    labelled = (picture == rgb(FAKE)).all(-1).sum()
    assert labelled > 300  # Most of the ground of a label is there.


def test_letters_grow_with_the_face():
    heights = []
    for side in (20, 200):
        wide = np.full((2000, 2000, 3), 128, np.uint8)
        _, top, _, _ = changed(
            draw(wide, [Mark((900, 900, 900 + side, 1000), 1, "fake")])
        )
        heights.append(900 - top)
    assert heights[0] < heights[1]


def test_a_small_picture_is_enlarged():
    small = colourful(24, 32)
    picture = draw(small, [])
    assert picture.shape == (240, 320, 3)
    np.testing.assert_array_equal(picture[::10, ::10], small)


def test_a_narrow_picture_stays_affordable():
    assert draw(np.zeros((16, 60_000, 3), np.uint8), [FAKE]).size < 4e7


def test_the_picture_itself_stays_as_it_is():
    picture = GROUND.copy()
    picture.setflags(write=False)
    draw(picture, [FAKE])
    np.testing.assert_array_equal(picture, GROUND)


def moving(frames, looked_at):
    marks = [
        Mark(
            (10.0 * frame, 0, 10.0 * frame + 5, 5),
            frame / 100,
            ("real", "fake")[frame > 50],
        )
        for frame in frames
    ]
    return MovingMark(frames, marks, looked_at)


def test_boxes_move_evenly_between_scored_frames():
    found = moving([10, 20], [10, 20]).at(13)
    assert found.box == pytest.approx((130, 0, 135, 5))


def test_the_score_is_that_of_the_nearest_scored_frame():
    followed = moving([40, 60], [40, 60])
    assert [followed.at(frame).score for frame in (40, 49, 51, 60)] == [
        0.4,
        0.4,
        0.6,
        0.6,
    ]
    assert [followed.at(frame).decision for frame in (49, 51)] == ["real", "fake"]


def test_a_face_is_shown_half_way_to_where_it_was_not_found():
    followed = moving([20, 30], [0, 10, 20, 30, 40])
    shown = [frame for frame in range(60) if followed.at(frame)]
    assert shown == list(range(15, 36))
    assert followed.at(15).box == followed.at(20).box
    assert followed.at(35).box == followed.at(30).box


def test_a_face_is_shown_up_to_the_ends_of_the_video():
    followed = moving([7], [7])
    assert followed.at(0) == followed.at(7) == followed.at(1000)


def test_what_the_network_saw_is_a_thinner_box_of_the_same_colour():
    mark = Mark((100, 120, 200, 240), 0.93, "fake", seen=(80, 100, 230, 250))
    picture = draw(GROUND, [mark])
    assert tuple(picture[200, 80]) == tuple(picture[249, 150]) == rgb(FAKE)
    thin = (picture[180, :90] != 128).any(-1).sum()
    thick = (picture[180, 95:110] != 128).any(-1).sum()
    assert 0 < thin < thick


def test_what_the_network_saw_moves_with_the_face():
    first = Mark((0, 0, 10, 10), 0.2, "real", seen=(0, 0, 20, 20))
    second = Mark((10, 0, 20, 10), 0.2, "real", seen=(10, 0, 30, 20))
    moving = MovingMark([0, 10], [first, second], [0, 10])
    assert moving.at(5).seen == (5, 0, 25, 20)


def cut_at(frames, looked_at, *cuts):
    marks = [Mark((10.0 * f, 0, 10.0 * f + 5, 5), f / 100, "real") for f in frames]
    return MovingMark(frames, marks, looked_at, cuts)


def test_boxes_do_not_move_over_a_cut():
    followed = cut_at([10, 20], [10, 20], 16)
    assert [followed.at(f).box[0] for f in (10, 15, 16, 20)] == [100, 100, 200, 200]
    assert [followed.at(f).score for f in (15, 16)] == [0.1, 0.2]


def test_a_shot_without_a_scored_frame_has_no_mark():
    followed = cut_at([10, 20], [10, 20], 13, 16)
    shown = [bool(followed.at(f)) for f in (12, 13, 15, 16)]
    assert shown == [True, False, False, True]


def test_a_cut_at_a_scored_frame_begins_with_its_mark():
    followed = cut_at([10, 20, 30], [10, 20, 30], 20)
    assert [followed.at(f).box[0] for f in (19, 20, 25)] == [100, 200, 250]


def test_a_face_is_shown_up_to_the_cuts_around_it():
    followed = cut_at([20, 30], [0, 10, 20, 30, 40], 12, 39)
    shown = [frame for frame in range(60) if followed.at(frame)]
    assert shown == list(range(12, 39))
    alone = cut_at([20], [20], 12, 39)
    assert [frame for frame in range(60) if alone.at(frame)] == list(range(12, 39))


def test_a_cut_beyond_the_next_search_changes_nothing():
    followed = cut_at([20, 30], [0, 10, 20, 30, 40], 5, 45)
    shown = [frame for frame in range(60) if followed.at(frame)]
    assert shown == list(range(15, 36))
