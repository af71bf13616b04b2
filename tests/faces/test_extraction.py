# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the way from a file to crops and rows."""

import math

import numpy as np
import pytest
from PIL import ExifTags, Image

from fakedet_jax.faces import extraction
from fakedet_jax.faces.boxes_file import FaceBoxes, read_boxes
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.crops import TEMPLATE
from fakedet_jax.faces.detector import GivenBoxes, WholePicture
from fakedet_jax.faces.extraction import LEFT_OUT, NOTED, WRITTEN, extract
from fakedet_jax.faces.face import Face
from fakedet_jax.media.decode import decode
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.media.video import Evenly, EveryNth
from tests.data.pictures import colourful, encode
from tests.media.media_files import cut, decode_all, write_audio, write_video
from tests.prepare.detectors import Scripted

WHOLE = Cropping(WholePicture(), scale=None)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(colourful(100, 120)))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 20)


def photo_of(path, boxes, **settings):
    how = Cropping(Scripted({None: boxes}), **settings)
    return list(extract(path, path.name, "photo", how))


def rows_of(path, how=WHOLE):
    outcomes = sorted(
        extract(path, path.name, "video", how), key=lambda o: (o[0].frame, o[0].face)
    )
    return [row for row, _ in outcomes]


def reasons(rows):
    return [(row.frame, row.status, row.reason) for row in rows]


def given(faces_by_frame):
    faces = {
        frame: tuple(Face.at(box) for box in boxes)
        for frame, boxes in faces_by_frame.items()
    }
    return GivenBoxes(FaceBoxes({"v.mp4": faces}, "0"))


def test_the_main_face_of_a_photograph_is_the_largest(photo):
    ((row, _),) = photo_of(photo, [(0, 0, 20, 20), (40, 40, 80, 80)])
    assert (row.status, row.face, row.box) == (WRITTEN, 0, (40, 40, 80, 80))


def test_all_faces_of_a_photograph_are_numbered_by_size(photo):
    outcomes = photo_of(photo, [(0, 0, 20, 20), (40, 40, 80, 80)], all_faces=True)
    assert [(row.face, row.box[0]) for row, _ in outcomes] == [(0, 40), (1, 0)]


def test_the_crop_shows_the_region_that_the_row_tells(photo):
    ((row, pixels),) = photo_of(photo, [(40, 40, 80, 80)])
    left, top, right, bottom = map(int, row.crop_box)
    whole = decode(photo.read_bytes())
    np.testing.assert_array_equal(pixels, whole[top:bottom, left:right])
    assert (row.width, row.height) == (120, 100)


def test_landmarks_are_in_pixels_of_the_crop(photo):
    points = np.array([(50, 50), (70, 50), (60, 60), (52, 70), (68, 70)])
    face = Face.at((40, 40, 80, 80), points, 0.9)
    ((row, _),) = photo_of(photo, [face], size=104)
    scale = 104 / (row.crop_box[2] - row.crop_box[0])
    expected = (points - row.crop_box[:2]) * scale
    np.testing.assert_allclose(row.landmarks, expected, rtol=1e-5)
    assert row.score == pytest.approx(0.9)


def test_an_aligned_crop_is_square_and_tells_its_region(photo):
    points = TEMPLATE * 40 + 50
    face = Face.at((30, 30, 70, 70), points)
    ((row, pixels),) = photo_of(photo, [face], align=True, size=52)
    assert pixels.shape == (52, 52, 3)
    np.testing.assert_allclose(row.crop_box, (24, 24, 76, 76), atol=0.1)


@pytest.mark.parametrize("size", [None, 26, 104])
def test_the_side_of_a_crop_is_that_in_the_photograph(photo, size):
    ((row, _),) = photo_of(photo, [(40, 40, 80, 80)], size=size)
    assert row.crop_side == pytest.approx(52)  # 1.3 × 40.


def test_the_side_of_an_aligned_crop_is_that_of_the_turned_square(photo):
    turn = np.deg2rad(30)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    face = Face.at((30, 30, 70, 70), TEMPLATE * 40 @ rotation + 50)
    ((row, _),) = photo_of(photo, [face], align=True, size=104)
    assert row.crop_side == pytest.approx(52, rel=1e-3)
    assert row.crop_box[2] - row.crop_box[0] > 65


def test_a_photograph_without_a_face_says_so(photo):
    ((row, pixels),) = photo_of(photo, [])
    assert (row.status, row.reason, pixels) == (LEFT_OUT, "shows no face", None)


def test_a_face_of_few_pixels_is_left_out(photo):
    ((row, pixels),) = photo_of(photo, [(10, 10, 18, 18)])
    assert row.status == LEFT_OUT and pixels is None
    assert "only 10×10 pixels; at least 16×16" in row.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"no picture", "is not a picture in a known format"),
        (encode(colourful(64, 64), "JPEG")[:500], "is truncated"),
    ],
)
def test_an_unusable_photograph_has_its_reason(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    ((row, _),) = extract(path, "a.jpg", "photo", WHOLE)
    assert row.status == LEFT_OUT and row.reason.startswith(reason)


def test_a_turned_photograph_is_cut_upright(tmp_path):
    path = tmp_path / "a.jpg"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    path.write_bytes(encode(colourful(32, 64), "JPEG", exif=exif))
    ((row, pixels),) = extract(path, "a.jpg", "photo", WHOLE)
    assert (row.width, row.height, pixels.shape) == (32, 64, (64, 32, 3))


def tagged(**tags):
    """A photograph with camera settings, by the names of Pillow."""
    image = Image.Exif()
    image.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base[name]: value for name, value in tags.items()}
    )
    return encode(colourful(32, 32), "JPEG", exif=image)


def tags_of(path, encoded, how=WHOLE, **settings):
    path.write_bytes(encoded)
    ((row, pixels),) = extract(path, path.name, "photo", how, **settings)
    return row, pixels


def test_the_tags_of_a_photograph_are_in_its_row(tmp_path):
    encoded = tagged(ISOSpeedRatings=200, FocalLength=50.0)
    row, _ = tags_of(tmp_path / "a.jpg", encoded)
    np.testing.assert_array_equal(row.tags, [200, np.nan, np.nan, 50])


def test_a_photograph_without_tags_has_none_of_them(photo):
    ((row, _),) = extract(photo, "a.png", "photo", WHOLE)
    assert row.status == WRITTEN
    np.testing.assert_array_equal(row.tags, [np.nan] * 4)


def test_a_photograph_without_a_face_keeps_its_tags(tmp_path):
    how = Cropping(Scripted({}))
    row, _ = tags_of(tmp_path / "a.jpg", tagged(ISOSpeedRatings=200), how)
    assert (row.reason, row.tags[0]) == (extraction.NO_FACE, 200)


def test_a_video_has_no_tags(video):
    assert {row.tags for row in rows_of(video)} == {()}


def test_given_tags_replace_those_of_the_file(tmp_path):
    given = (math.nan, 2.0, 0.5, math.nan)
    encoded = tagged(ISOSpeedRatings=200, FNumber=8.0)
    row, _ = tags_of(tmp_path / "a.jpg", encoded, tags=given)
    np.testing.assert_array_equal(row.tags, given)


def test_one_tag_is_enough_where_tags_are_needed(tmp_path):
    encoded = tagged(ISOSpeedRatings=200)
    row, pixels = tags_of(tmp_path / "a.jpg", encoded, needs_tags=True)
    assert row.status == WRITTEN and pixels is not None


def test_given_tags_are_enough_where_tags_are_needed(tmp_path):
    encoded = encode(colourful(32, 32))
    given = (100.0, math.nan, math.nan, math.nan)
    row, _ = tags_of(tmp_path / "a.png", encoded, tags=given, needs_tags=True)
    assert (row.status, row.tags[0]) == (WRITTEN, 100)


@pytest.mark.parametrize(
    ("encoded", "given", "reason"),
    [
        (encode(colourful(32, 32)), None, ": no EXIF data"),
        (
            tagged(ISOSpeedRatings=0, Flash=1),
            None,
            " (ISO: implausible: 0 is not in [1, 1e+07]; aperture: absent; "
            "exposure time: absent; focal length: absent)",
        ),
        (
            tagged(Flash=1),
            None,
            " (ISO: absent; aperture: absent; exposure time: absent; focal length: "
            "absent)",
        ),
        (
            tagged(ISOSpeedRatings=200),
            (math.nan,) * 4,
            ": empty in the file of tags",
        ),
    ],
)
def test_why_tags_are_missing_where_they_are_needed(tmp_path, encoded, given, reason):
    how = Cropping(Scripted({}))  # It would find that there is no face.
    row, pixels = tags_of(tmp_path / "a.jpg", encoded, how, tags=given, needs_tags=True)
    assert row.status == LEFT_OUT and pixels is None
    assert row.reason == f"has no usable EXIF tag{reason}"


@pytest.mark.parametrize("needs_tags", [False, True])
def test_a_damaged_photograph_with_tags_has_its_own_reason(tmp_path, needs_tags):
    encoded = tagged(ISOSpeedRatings=200)[:600]
    row, _ = tags_of(tmp_path / "a.jpg", encoded, needs_tags=needs_tags)
    assert row.reason.startswith("is truncated")
    assert row.tags[0] == 200


def test_a_format_without_pixels_for_us_does_not_ask_for_its_tags(tmp_path):
    jxl = b"\xff\x0a" + bytes(40)
    row, _ = tags_of(tmp_path / "a.jxl", jxl, needs_tags=True)
    assert row.reason.startswith("is a JPEG XL picture")


def test_a_photograph_that_is_decoded_at_a_part_of_its_size_is_noted(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(colourful(1200, 1000), "JPEG"))
    how = Cropping(WholePicture(), None, media=MediaConfig(max_megapixels=1))
    (note, _), (row, pixels) = extract(path, path.name, "photo", how)
    assert note.status == NOTED and "decoded at 1/2 of its size" in note.reason
    assert row.status == WRITTEN and pixels.shape == (600, 500, 3)


def test_given_boxes_do_not_fit_a_part_of_the_size(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(colourful(1200, 1000), "JPEG"))
    (tmp_path / "boxes.csv").write_text(
        "path,left,top,right,bottom\na.jpg,100,100,900,900\n"
    )
    boxes = GivenBoxes(read_boxes(tmp_path / "boxes.csv"))
    how = Cropping(boxes, media=MediaConfig(max_megapixels=1))
    ((row, _),) = extract(path, path.name, "photo", how)
    assert row.status == LEFT_OUT and "boxes are of the full size" in row.reason


def test_chosen_frames_of_a_video_are_cut_pixel_for_pixel(video):
    how = Cropping(WholePicture(), scale=None, selection=Evenly(4))
    outcomes = list(extract(video, "v.mp4", "video", how))
    assert [row.frame for row, _ in outcomes] == [0, 6, 13, 19]
    decoded = decode_all(video)
    for row, pixels in outcomes:
        np.testing.assert_array_equal(pixels, decoded[row.frame])
        assert row.time == pytest.approx(row.frame / 25)


def test_a_turned_video_is_cut_upright(tmp_path):
    path = write_video(tmp_path / "v.mp4", 2, display={"degrees": 90})
    row = rows_of(path)[0]
    assert (row.width, row.height) == (48, 64)


def test_a_video_of_one_frame_gives_it_once(tmp_path):
    rows = rows_of(write_video(tmp_path / "v.mp4", 1))
    assert reasons(rows) == [(0, WRITTEN, "")]


def test_a_video_that_cannot_be_read_has_one_row(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"")
    write_audio(tmp_path / "w.mp4")
    for name in ("v.mp4", "w.mp4"):
        (row,) = rows_of(tmp_path / name)
        assert (row.status, row.frame) == (LEFT_OUT, -1) and row.reason


def test_what_is_lost_of_a_cut_video_is_noted(tmp_path):
    path = cut(write_video(tmp_path / "v.mkv", 60), 0.5)
    rows = rows_of(path)
    assert rows[0].status == NOTED and "ends too early" in rows[0].reason
    assert sum(row.status == WRITTEN for row in rows) > 0


def test_every_chosen_frame_has_a_row(video):
    near, far = (0, 0, 20, 20), (40, 20, 60, 40)
    boxes = {0: [near], 5: [near], 15: [far], 19: []}
    how = Cropping(Scripted(boxes), selection=Evenly(5))
    assert reasons(rows_of(video, how)) == [
        (0, WRITTEN, ""),
        (5, WRITTEN, ""),
        (10, LEFT_OUT, extraction.NO_FACE),
        (14, LEFT_OUT, extraction.NO_FACE),
        (19, LEFT_OUT, extraction.NO_FACE),
    ]


def test_where_the_main_face_has_jumped_the_largest_one_counts(video):
    near, far = (0, 0, 20, 20), (40, 20, 60, 40)
    boxes = {0: [near], 1: [near], 2: [(2, 40, 14, 52), far]}
    how = Cropping(Scripted(boxes), selection=EveryNth(1))
    rows = rows_of(video, how)
    assert [(row.status, row.face) for row in rows[:3]] == [(WRITTEN, 0)] * 3
    assert rows[2].box == far


def test_frames_with_much_smaller_faces_only_say_so(video):
    near, small = (0, 0, 20, 20), (40, 20, 49, 29)
    boxes = {0: [near], 1: [near], 2: [small]}
    how = Cropping(Scripted(boxes), selection=EveryNth(1))
    rows = rows_of(video, how)
    assert [row.reason for row in rows[:3]] == ["", "", extraction.OTHER_FACES]


def test_all_faces_of_a_video_are_numbered_by_track(video):
    boxes = {
        frame: [(0, 0, 20, 20 + frame), (40, 20, 60, 40)][:: (-1) ** frame]
        for frame in range(3)
    }
    how = Cropping(Scripted(boxes), all_faces=True, selection=EveryNth(1))
    rows = [row for row in rows_of(video, how) if row.status == WRITTEN]
    sides = {(row.face, row.box[0] > 30) for row in rows}
    assert len(rows) == 6 and len(sides) == 2


def test_boxes_that_were_searched_for_are_smoothed(video):
    boxes = {frame: [(frame % 2, 0, 20 + frame % 2, 20)] for frame in range(20)}
    how = Cropping(Scripted(boxes), selection=EveryNth(1))
    lefts = [row.box[0] for row in rows_of(video, how)]
    assert np.ptp(lefts[5:-5]) < 0.2


def test_given_boxes_are_taken_as_they_are_also_where_a_face_jumps(video):
    boxes = {
        frame: [(30 * (frame % 2), 0, 20 + 30 * (frame % 2), 20)] for frame in (0, 1)
    }
    how = Cropping(given(boxes), selection=EveryNth(1))
    rows = [row for row in rows_of(video, how) if row.status == WRITTEN]
    assert [row.box[0] for row in rows] == [0, 30]


def test_a_large_video_is_read_again_with_the_same_result(video, monkeypatch):
    how = Cropping(given({None: [(0, 0, 30, 30)]}), selection=Evenly(5))
    held = list(extract(video, "v.mp4", "video", how))
    monkeypatch.setattr(extraction, "MAX_HELD_BYTES", 0)
    again = list(extract(video, "v.mp4", "video", how))
    assert [repr(row) for row, _ in held] == [repr(row) for row, _ in again]
    for (_, first), (_, second) in zip(held, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_video_without_boxes_says_so_for_each_frame(video):
    how = Cropping(GivenBoxes(FaceBoxes({}, "0")), selection=Evenly(2))
    assert reasons(rows_of(video, how)) == [
        (frame, LEFT_OUT, "has no line in the file of face boxes") for frame in (0, 19)
    ]


def test_photographs_have_neither_frame_nor_time(photo):
    ((row, _),) = extract(photo, "a.png", "photo", WHOLE)
    assert row.frame == -1 and math.isnan(row.time)


def test_the_face_of_a_4k_photograph_keeps_its_pixels(tmp_path):
    picture = colourful(2160, 3840)
    path = tmp_path / "4k.png"
    path.write_bytes(encode(picture))
    ((row, pixels),) = photo_of(path, [(1000, 500, 1400, 900)])
    assert (row.width, row.height) == (3840, 2160)
    left, top, right, bottom = map(round, row.crop_box)
    np.testing.assert_array_equal(pixels, picture[top:bottom, left:right])
    assert pixels.shape == (520, 520, 3)


def test_a_whole_picture_is_told_as_a_crop_of_it_would_be():
    picture, how = colourful(40, 56), Cropping(WholePicture(), scale=None)
    assert how.takes_whole
    (face,) = how.detector.detect(picture)
    expected, pixels = extraction._cut(picture, face, 0, extraction.Row(WRITTEN), how)
    (found,) = extraction.from_picture(picture, "a.png", how)
    assert repr(found[0]) == repr(expected)
    np.testing.assert_array_equal(found[1], pixels)


def test_a_whole_picture_that_is_too_small_is_left_out():
    how = Cropping(WholePicture(), scale=None)
    ((row, pixels),) = extraction.from_picture(colourful(9, 30), "a.png", how)
    assert (row.status, pixels) == (LEFT_OUT, None)
    assert row.reason == "is only 30×9 pixels; at least 16×16 are needed"


@pytest.mark.parametrize(
    "settings", [{"scale": 1.3}, {"size": 32}, {"align": True, "size": 32}]
)
def test_what_is_cut_or_resized_is_not_whole(settings):
    assert not Cropping(WholePicture(), **{"scale": None, **settings}).takes_whole
