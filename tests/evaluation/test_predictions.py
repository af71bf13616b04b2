# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.predictions."""

import csv
import dataclasses
import functools
import io
import logging
import math
from pathlib import Path

import pytest

from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.evaluation.operating_point import OperatingPoint
from fakedet_jax.evaluation.predictions import (
    FRAME_HEADER,
    HEADER,
    FileResult,
    PredictionOutput,
)
from fakedet_jax.faces.extraction import DAMAGED, LEFT_OUT, NO_FACE, NOTED, WRITTEN, Row
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media.framing import Framing

PHOTO = FaceFile(Path("a.png"), "a.png")
VIDEO = FaceFile(Path("v.mp4"), "v.mp4")


class Copies:
    """Remembers what is to be drawn."""

    def __init__(self):
        self.added = []

    def add(self, number, scored, looked_at):
        self.added.append((number, scored, sorted(looked_at)))


def scored(frame, score, face=0, time=math.nan, detector_score=math.nan):
    box = (1, 2, 3, 4.5)
    return Row(WRITTEN, "", frame, time, face, detector_score, box), score


def left_out(reason, frame=-1, face=-1):
    return Row(LEFT_OUT, reason, frame=frame, face=face), None


def write(*files, threshold=0.5, unsure_between=None, copies=None, **settings):
    """What becomes of files and their rows: the output and its two tables."""
    start = functools.partial(FileResult, **settings)
    table, frames = io.StringIO(), io.StringIO()
    given = [file for file, _ in files]
    point = OperatingPoint(threshold, unsure_between)
    output = PredictionOutput(given, point, table, frames, copies, None, start)
    for number, (_, rows) in enumerate(files):
        for row, score in rows:
            is_known = score is not None and math.isfinite(score)
            odds = float(log_odds.of_scores(score)) if is_known else score
            output.add(number, row, None if odds is None else [odds])
        output.finish(number)
    parsed = [list(csv.reader(io.StringIO(t.getvalue()))) for t in (table, frames)]
    assert parsed[0].pop(0) == list(HEADER)
    output.written_sides = [row.pop() for row in parsed[0]]
    output.written_counts = [row[-3:] for row in parsed[0]]
    for row in parsed[0]:
        del row[-3:]
    output.written_log_odds = [_check_odds(row, 2) for row in parsed[0]]
    output.written_notes = [row.pop() for row in parsed[0]]
    assert parsed[1].pop(0) == list(FRAME_HEADER)
    for row in parsed[1]:
        _check_odds(row, 4)
    return output, *parsed


def _check_odds(row, place):
    """Takes log-odds off a row, whose score they must give, and rounds the score."""
    odds, score = row.pop(), row[place]
    if score:
        assert float(score) == pytest.approx(log_odds.scores(float(odds)), rel=1e-12)
        row[place] = f"{float(score):.12g}"
    assert bool(odds) == bool(score)
    return odds and float(odds)


def test_the_score_of_a_video_is_the_mean_of_its_frames():
    _, rows, _ = write((VIDEO, [scored(0, 0.1), scored(9, 0.2), scored(5, 0.6)]))
    assert rows == [["v.mp4", "0", "0.3", "real", ""]]


@pytest.mark.parametrize(("second", "decision"), [(0.5, "fake"), (0.49, "real")])
def test_the_mean_is_what_is_decided_on(second, decision):
    _, rows, _ = write((VIDEO, [scored(0, 0.9), scored(1, second)]), threshold=0.7)
    assert rows[0][3] == decision


def test_scores_between_two_thresholds_are_unsure():
    copies = Copies()
    rows = [(PHOTO, [scored(-1, score)]) for score in (0.2, 0.5, 0.8)]
    output, table, frames = write(*rows, unsure_between=(0.3, 0.7), copies=copies)
    assert [row[3] for row in table] == ["real", "unsure", "fake"]
    reason = "unsure: score between the thresholds 0.3 and 0.7"
    assert output.written_notes == ["", reason, ""]
    assert [row[5] for row in frames] == ["real", "unsure", "fake"]
    assert output.counts == {"real": 1, "unsure": 1, "fake": 1, "error": 0}
    drawn = [mark.text for _, ((_, mark),), _ in copies.added]
    assert drawn == ["real 0.20", "unsure 0.50", "fake 0.80"]


def _stable(*rows):
    """The table of a video whose frames have log-odds as they are and changed."""
    table = io.StringIO()
    output = PredictionOutput([VIDEO], OperatingPoint(0.5), table, stability=True)
    for frame, odds in enumerate(rows):
        output.add(0, scored(frame, None)[0], odds)
    output.finish(0)
    (row,) = csv.DictReader(io.StringIO(table.getvalue()))
    return row


def test_a_decision_that_a_mild_change_turns_round_is_unsure():
    sure = _stable([2.0, 1.0, 3.0, 1.0])
    assert (sure["decision"], sure["note"]) == ("fake", "")
    row = _stable([2.0, -1.0, 3.0, 1.0])
    assert row["decision"] == "unsure"
    found = [float(row[name]) for name in ("score", "least", "most")]
    assert found == pytest.approx(log_odds.scores([2.0, -1.0, 3.0]))
    assert row["note"] == "unsure: real after JPEG 75"
    both = _stable([2.0, 3.0, -1.0, -2.0])
    assert both["note"] == (
        "unsure: real after resize 0.75 and back, real after shift by a pixel"
    )


def test_why_a_face_is_unsure_stands_beside_how_it_is_framed():
    table = io.StringIO()
    point = OperatingPoint(0.5, (0.4, 0.6))
    output = PredictionOutput([PHOTO], point, table, stability=True)
    row = dataclasses.replace(scored(-1, None)[0], note="is not square")
    output.add(0, row, [0.0, 2.0, 0.0, 0.0])
    output.finish(0)
    (found,) = csv.DictReader(io.StringIO(table.getvalue()))
    assert found["note"] == (
        "is not square; unsure: score between the thresholds 0.4 and 0.6"
    )
    # Files are counted by how they are framed.
    assert output.notes == {"is not square": 1}


def test_changed_scores_of_a_video_are_means_of_its_frames():
    # One frame flips, but the mean of all does not.
    row = _stable([2.0, -0.1, 2.0, 2.0], [3.0, 4.0, 3.0, 3.0])
    assert row["decision"] == "fake"
    means = log_odds.scores([[2.0, -0.1], [3.0, 4.0]]).mean(0)
    assert float(row["least"]) == pytest.approx(means.min())
    assert float(row["most"]) == pytest.approx(means.max())


def test_each_face_has_its_row():
    rows = [scored(0, 0.25, face=1), scored(0, 0.9, face=0), scored(1, 0.75, face=1)]
    _, table, _ = write((VIDEO, rows))
    assert [row[1:3] for row in table] == [["0", "0.9"], ["1", "0.5"]]


def test_the_log_odds_of_a_video_are_those_of_its_mean_score():
    output, _, _ = write((VIDEO, [scored(0, 0.2), scored(1, 0.7)]))
    assert output.written_log_odds == [pytest.approx(math.log(0.45 / 0.55))]


def test_a_video_has_a_row_for_all_faces():
    rows = [scored(0, 0.25, face=1), scored(0, 0.9), scored(1, 0.75, face=1)]
    output, table, _ = write((VIDEO, rows), all_faces=True)
    assert [row[1:4] for row in table] == [
        ["0", "0.9", "fake"],
        ["1", "0.5", "fake"],
        # One forged face makes a forged video.
        ["all", "0.9", "fake"],
    ]
    means = [float(mean) for mean, _, _ in output.written_counts]
    assert means == pytest.approx([0.9, 0.5, 0.7])
    assert [row[1:] for row in output.written_counts] == [
        ["1", "1"],
        ["1", "2"],
        ["2", "3"],
    ]
    # Faces are counted, and the video is not one more.
    assert output.counts == {"fake": 2, "real": 0, "error": 0}


def test_a_video_without_a_score_has_the_reason_for_all_faces():
    output, table, _ = write((VIDEO, [left_out(NO_FACE, 0)]), all_faces=True)
    reason = "has no usable frame (1 × shows no face)"
    assert [row[1:] for row in table] == [
        ["0", "", "", reason],
        ["all", "", "", reason],
    ]
    assert output.written_counts == [["", "", ""]] * 2
    assert output.counts["error"] == 1


def test_a_photograph_has_no_row_for_all_faces():
    _, table, _ = write((PHOTO, [scored(-1, 0.25)]), all_faces=True)
    assert [row[1] for row in table] == ["0"]


def test_a_face_in_few_frames_has_no_row(caplog):
    rows = [scored(0, 0.25), scored(1, 0.35), scored(1, 0.9, face=1)]
    _, table, frames = write((VIDEO, rows), all_faces=True, min_track_frames=2)
    assert [row[1:3] for row in table] == [["0", "0.3"], ["all", "0.3"]]
    assert len(frames) == 3
    assert "1 face seen in fewer than 2 frames has no row" in caplog.text
    _, table, _ = write((VIDEO, rows), all_faces=True, min_track_frames=3)
    reason = "shows no face in at least 3 frames"
    assert [row[1:] for row in table] == [
        ["0", "", "", reason],
        ["all", "", "", reason],
    ]
    # Faces with a reason of their own keep their rows.
    rows.append(left_out("face too small", 0, face=2))
    _, table, _ = write((VIDEO, rows), all_faces=True, min_track_frames=3)
    assert [row[1] for row in table] == ["2", "all"]
    assert "face too small" in table[0][4]
    # It is for videos.
    _, table, _ = write((PHOTO, [scored(-1, 0.25)]), min_track_frames=2)
    assert table[0][2] == "0.25"


def test_a_face_needs_a_tenth_of_the_frames_where_one_has_them():
    rows = [scored(frame, 0.25) for frame in range(20)]
    rows += [scored(3, 0.9, face=1), scored(4, 0.9, face=2), scored(5, 0.9, face=2)]
    _, table, _ = write((VIDEO, rows), all_faces=True)
    assert [row[1] for row in table] == ["0", "2", "all"]
    _, table, _ = write((VIDEO, [scored(n, 0.9, face=n) for n in range(20)]))
    assert len(table) == 20


def test_a_face_that_is_too_small_has_its_reason_beside_the_others():
    rows = [scored(-1, 0.25), left_out("has a small face", face=1)]
    output, table, _ = write((PHOTO, rows))
    assert [row[1:] for row in table] == [
        ["0", "0.25", "real", ""],
        ["1", "", "", "has a small face"],
    ]
    assert (output.num_scored, output.num_failed) == (1, 0)
    assert output.counts == {"fake": 0, "real": 1, "error": 1}


@pytest.mark.parametrize(
    ("file", "rows", "reason"),
    [
        (PHOTO, [left_out(NO_FACE)], "shows no face"),
        (VIDEO, [left_out("is empty (0 bytes)")], "is empty (0 bytes)"),
        (
            VIDEO,
            [left_out(DAMAGED, 2), left_out(NO_FACE, 0), left_out(NO_FACE, 1)],
            "has no usable frame (2 × shows no face, 1 × is damaged)",
        ),
        (
            VIDEO,
            [left_out(NO_FACE, 0), (Row(NOTED, "ends too early"), None)],
            "has no usable frame (1 × shows no face)",
        ),
        (
            VIDEO,
            [left_out("has a small face", 0, 0), left_out(NO_FACE, 1)],
            "has no usable frame (1 × has a small face)",
        ),
    ],
)
def test_a_file_without_a_score_has_one_row_with_the_reason(file, rows, reason):
    output, table, _ = write((file, rows))
    assert table == [[str(file.path), "0", "", "", reason]]
    assert (output.num_scored, output.num_failed) == (0, 1)


def test_every_scored_face_and_every_frame_left_out_is_in_the_second_table():
    rows = [scored(3, 0.75, time=0.12, detector_score=0.9), left_out(NO_FACE, 0)]
    _, _, frames = write((VIDEO, rows), (PHOTO, [scored(-1, 0.25)]))
    box = ["1.00", "2.00", "3.00", "4.50"]
    assert frames == [
        ["v.mp4", "", "0", "", "", "", *[""] * 4, "", "shows no face"],
        ["v.mp4", "0", "3", "0.120000", "0.75", "fake", *box, "0.900000", ""],
        ["a.png", "0", "", "", "0.25", "real", *box, "", ""],
    ]


def test_what_is_odd_about_a_scored_file_is_one_warning(caplog):
    noted = (Row(NOTED, "ends too early"), None)
    with caplog.at_level(logging.WARNING):
        write((VIDEO, [scored(0, 0.1), noted]), (VIDEO, [left_out(NO_FACE, 0), noted]))
    assert caplog.messages == ["v.mp4 was scored, but ends too early"]


def test_what_is_to_be_drawn_is_handed_on_with_decisions():
    copies = Copies()
    rows = [scored(4, 0.75), left_out(NO_FACE, 0), scored(2, 0.25)]
    write((PHOTO, [left_out(NO_FACE)]), (VIDEO, rows), copies=copies)
    ((number, marks, looked_at),) = copies.added
    assert (number, looked_at) == (1, [0, 2, 4])
    assert [row.frame for row, _ in marks] == [2, 4]
    assert [mark.text for _, mark in marks] == ["real 0.25", "fake 0.75"]


def test_a_detector_without_scores_leaves_the_cell_empty():
    _, _, frames = write((PHOTO, [scored(-1, 0.5)]))
    assert frames[0][-2] == ""


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_an_error(score):
    copies = Copies()
    output, table, frames = write((PHOTO, [scored(-1, score)]), copies=copies)
    reason = "has a score that is not a finite number"
    assert table == [["a.png", "0", "", "", reason]]
    assert (frames[0][4:6], frames[0][-1]) == (["", ""], reason)
    assert output.counts == {"fake": 0, "real": 0, "error": 1}
    assert (output.num_scored, output.num_failed, copies.added) == (0, 1, [])


def test_a_frame_whose_score_is_not_finite_is_left_out_of_the_mean():
    rows = [scored(0, 0.25), scored(1, math.nan), scored(2, 0.75)]
    output, table, frames = write((VIDEO, rows))
    assert table == [["v.mp4", "0", "0.5", "fake", ""]]
    assert [row[5] for row in frames] == ["real", "", "fake"]
    assert output.counts["error"] == 0


def test_a_video_without_a_finite_score_counts_its_frames():
    rows = [scored(0, math.nan), scored(1, math.inf), left_out(NO_FACE, 2)]
    _, table, _ = write((VIDEO, rows))
    assert table[0][4] == (
        "has no usable frame (2 × has a score that is not a finite number)"
    )


@pytest.mark.parametrize("odds", [-1.96, 1e-9, 0.7])
def test_the_written_score_decides_as_the_table_does(odds):
    threshold = float(log_odds.scores(odds))
    table = io.StringIO()
    output = PredictionOutput([PHOTO] * 3, OperatingPoint(threshold), table)
    for number, change in enumerate((-1e-12, 0, 1e-12)):
        output.add(number, scored(-1, None)[0], [odds + change])
        output.finish(number)
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    for row in rows:
        is_fake = metrics.decide(float(row["score"]), threshold)
        assert is_fake == (row["decision"] == "fake")
    assert [row["decision"] for row in rows] == ["real", "fake", "fake"]


def test_what_there_is_to_say_of_a_file_is_in_its_rows_and_counted():
    note = "is not square: haar searched for the face"
    found = dataclasses.replace(scored(-1, 0.25)[0], note=note), 0.25
    lost = dataclasses.replace(left_out(NO_FACE)[0], note=note), None
    output, table, _ = write(
        (PHOTO, [found]), (PHOTO, [lost]), (PHOTO, [scored(-1, 0.5)])
    )
    assert output.written_notes == [note, note, ""]
    assert [row[-1] for row in table] == ["", "shows no face", ""]
    assert output.notes == {note: 2}


def _sized(frame, score, side, face=0):
    row, _ = scored(frame, score, face)
    return dataclasses.replace(row, crop_side=side), score


def test_a_row_tells_how_large_the_face_was():
    frames = [_sized(0, 0.1, 30.0), _sized(1, 0.2, 33.0), _sized(2, 0.2, 200.0)]
    other = [_sized(0, 0.9, 120.4, face=1), (scored(1, 0.9, face=2)[0], math.nan)]
    output, table, _ = write(
        (VIDEO, [*frames, *other]),
        (PHOTO, [left_out(NO_FACE)]),
        (PHOTO, [scored(-1, 0.5)]),
        all_faces=True,
        framing=Framing(100, 80, 0.8),
    )
    assert [row[1] for row in table] == ["0", "1", "2", "all", "0", "0"]
    # The median of a track; of the video that of the face whose score it has.
    assert output.written_sides == ["33", "120", "", "120", "", ""]
    note = "the face is enlarged 3.8 times"  # 100 / (33 × 0.8)
    assert output.written_notes == [note, "", "", "", "", ""]


@pytest.mark.parametrize(("side", "is_told"), [(51, False), (50, True)])
def test_a_face_is_enlarged_from_twice_on(side, is_told):
    row = dataclasses.replace(_sized(-1, 0.45, float(side))[0], note="is large")
    output, _, _ = write(
        (PHOTO, [(row, 0.45)]), unsure_between=(0.4, 0.5), framing=Framing.square(100)
    )
    reason = "unsure: score between the thresholds 0.4 and 0.5"
    expected = ["is large", *(["the face is enlarged 2.0 times"] * is_told), reason]
    assert output.written_notes == ["; ".join(expected)]


def test_what_the_network_saw_is_drawn():
    copies = Copies()
    row = dataclasses.replace(scored(-1, 0.25)[0], crop_box=(10, 20, 70, 60))
    table = io.StringIO()
    point = OperatingPoint(0.5)
    output = PredictionOutput([PHOTO], point, table, None, copies, Framing.square(16))
    output.add(0, row, [-1.0])
    output.finish(0)
    ((_, ((_, mark),), _),) = copies.added
    # The central square of a crop of 60 × 40 pixels.
    assert mark.seen == (20, 20, 60, 60)
