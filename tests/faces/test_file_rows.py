# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.faces.file_rows."""

from fakedet_jax.faces.extraction import LEFT_OUT, NO_FACE, NOTED, WRITTEN, Row
from fakedet_jax.faces.file_rows import FileRows


def gather(*rows, is_video=False):
    found = FileRows(is_video)
    for row, result in rows:
        found.add(row, result)
    return found


def written(face, frame=-1):
    return Row(WRITTEN, frame=frame, face=face)


def left_out(reason, face=-1, frame=-1):
    return Row(LEFT_OUT, reason, face=face, frame=frame), None


def test_results_are_grouped_by_face():
    found = gather(
        (written(1, 0), "a"),
        (written(0, 0), "b"),
        (written(1, 5), "c"),
        is_video=True,
    )
    assert found.results() == {1: ["a", "c"], 0: ["b"]}
    assert found.skipped() == {}


def test_a_result_may_be_false():
    assert gather((written(0), 0)).results() == {0: [0]}


def test_a_face_without_a_result_has_its_reason():
    found = gather((written(0), "a"), left_out("is small", face=1))
    assert found.skipped() == {1: "is small"}


def test_a_file_without_a_face_has_its_reason_as_face_0():
    assert gather(left_out(NO_FACE)).skipped() == {0: NO_FACE}


def test_frames_without_a_face_are_no_reason_where_others_have_results():
    found = gather((written(0, 0), "a"), left_out(NO_FACE, frame=5), is_video=True)
    assert found.skipped() == {}


def test_reasons_of_frames_are_counted():
    frames = [left_out(NO_FACE, frame=number) for number in range(3)]
    found = gather(*frames, left_out("is damaged", frame=3), is_video=True)
    reason = "has no usable frame (3 × shows no face, 1 × is damaged)"
    assert found.skipped() == {0: reason}


def test_a_noted_row_is_a_problem_of_the_file():
    found = gather((written(0, 0), "a"), (Row(NOTED, "ends too early"), None))
    assert found.problems == ["ends too early"]
    assert [row.frame for row, _ in found.rows] == [0]
