# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the CSV file of face boxes."""

import math

import numpy as np
import pytest

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces.boxes_file import LANDMARK_COLUMNS, read_boxes

HEADER = "path,left,top,right,bottom"
WIDE = f"{HEADER},{','.join(LANDMARK_COLUMNS)},score"


def write(tmp_path, *lines):
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_pictures_with_several_faces(tmp_path):
    path = write(
        tmp_path, HEADER, "a/x.jpg,1,2,3.5,4", "b.jpg,0,0,9,9", "./a/x.jpg,-5,0,5,5"
    )
    boxes = read_boxes(path)
    first, second = boxes.find("a/x.jpg")
    np.testing.assert_array_equal(first.box, (1, 2, 3.5, 4))
    np.testing.assert_array_equal(second.box, (-5, 0, 5, 5))
    assert not first.has_landmarks and math.isnan(first.score)
    assert len(boxes.find("b.jpg")) == 1
    assert len(boxes.sha256) == 64


def test_landmarks_and_scores_may_be_empty(tmp_path):
    points = ",".join(map(str, range(10)))
    path = write(tmp_path, WIDE, f"a,0,0,9,9,{points},0.5", f"b,0,0,9,9{',' * 11}")
    boxes = read_boxes(path)
    (face,) = boxes.find("a")
    np.testing.assert_array_equal(face.landmarks, np.arange(10).reshape(5, 2))
    assert face.score == 0.5
    (face,) = boxes.find("b")
    assert not face.has_landmarks and math.isnan(face.score)


def test_columns_in_another_order_beside_others(tmp_path):
    path = write(tmp_path, "note,bottom,right,top,left,path", "n,4,3,2,1,a")
    np.testing.assert_array_equal(read_boxes(path).find("a")[0].box, (1, 2, 3, 4))


def test_frames_of_a_video(tmp_path):
    path = write(tmp_path, f"{HEADER},frame", "v.mp4,0,0,9,9,3", "v.mp4,1,0,9,9,0")
    boxes = read_boxes(path)
    assert boxes.find("v.mp4", 3)[0].box[0] == 0
    assert boxes.find("v.mp4", 0)[0].box[0] == 1
    assert boxes.find("v.mp4", 1) == []
    with pytest.raises(ImageError, match="face boxes for frames"):
        boxes.find("v.mp4")


def test_a_line_without_frame_holds_for_the_whole_video(tmp_path):
    boxes = read_boxes(write(tmp_path, f"{HEADER},frame", "v.mp4,0,0,9,9,"))
    assert len(boxes.find("v.mp4", 7)) == 1


def test_an_unknown_picture_is_told(tmp_path):
    boxes = read_boxes(write(tmp_path, HEADER, "a,0,0,9,9"))
    with pytest.raises(ImageError, match="no line"):
        boxes.find("b")


def test_paths_must_exist_where_the_data_folder_is_given(tmp_path):
    (tmp_path / "here.jpg").touch()
    path = write(tmp_path, HEADER, "here.jpg,0,0,9,9", "gone.jpg,0,0,9,9")
    with pytest.raises(RequestError, match=r"line 3: .*`data_dir=.*'gone\.jpg'"):
        read_boxes(path, tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER], "expected lines of face boxes, found none"),
        (["path,left,top,right", "a,1,2,3"], "found no bottom"),
        ([f"{HEADER},x1,y1", "a,0,0,9,9,1,1"], "all five landmarks .* found no x2"),
        ([f"{HEADER},left", "a,0,0,9,9,1"], "each column once, found left again"),
        ([HEADER, "a,0,0,9"], "line 2: expected 5 cells, found 4"),
        ([HEADER, "a,0,0,9,9", "b,0,0,x,9"], "line 3: .* column right, found 'x'"),
        ([HEADER, "a,0,nan,9,9"], "line 2: .* column top, found 'nan'"),
        ([HEADER, "a,0,0,inf,9"], "line 2: .* column right, found 'inf'"),
        ([HEADER, "a,0,0,1e9,9"], "line 2: .* column right, found '1e9'"),
        ([HEADER, "a,9,0,9,9"], "line 2: expected left < right"),
        ([HEADER, "a,0,9,9,0"], "line 2: .* top < bottom, found 0,9,9,0"),
        ([HEADER, ",0,0,9,9"], "line 2: expected a path inside"),
        ([HEADER, "/a,0,0,9,9"], "line 2: expected a path inside"),
        ([HEADER, "../a,0,0,9,9"], "line 2: expected a path inside"),
        ([HEADER, "a,0,0,9,9", "a,0,0,9,9"], "line 3: expected each face once"),
        ([WIDE, "a,0,0,9,9,1,2,3,4,5,6,7,8,9,,1"], "line 2: .* column y5, found ''"),
        ([WIDE, f"a,0,0,9,9{',' * 11}1.5"], "line 2: expected a score from 0 to 1"),
        ([f"{HEADER},frame", "v,0,0,9,9,-1"], "line 2: .* number of a frame"),
        ([f"{HEADER},frame", "v,0,0,9,9,1.5"], "line 2: .* number of a frame"),
        (
            [f"{HEADER},frame", "v,0,0,9,9,1", "v,0,0,9,9,"],
            "line 3: expected a frame in all lines of 'v' or in none",
        ),
    ],
)
def test_faults_are_named_by_line(tmp_path, lines, message):
    with pytest.raises(RequestError, match=message) as caught:
        read_boxes(write(tmp_path, *lines))
    assert "\n" not in str(caught.value) and "boxes.csv" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(RequestError, match=r"is missing; give .* `face_boxes`"):
        read_boxes(tmp_path / "boxes.csv")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "boxes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="expected a CSV file in UTF-8"):
        read_boxes(tmp_path / "boxes.csv")
