# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what goes where in a dataset."""

import csv
import dataclasses
import math

import numpy as np
import pytest

from fakedet_jax.data.layouts import Item
from fakedet_jax.faces.extraction import LEFT_OUT, NOTED, WRITTEN, Row
from fakedet_jax.media.exif import TAGS
from fakedet_jax.prepare import assembly, manifest, staging
from fakedet_jax.prepare.assembly import (
    Input,
    assemble,
    assign_splits,
    example_name,
    split_frames,
)
from tests.data.pictures import colourful

PHOTO = Item("a.png", "photo", "real", False, "train")
VIDEO = Item("b.mp4", "video", "swap", True, "test", video="b")
ROW = Row(
    WRITTEN,
    face=0,
    box=(0.0, 0.0, 9.0, 9.0),
    crop_box=(0.0, 0.0, 9.0, 9.0),
    landmarks=((0.0, 0.0),) * 5,
)


@pytest.fixture
def stage(tmp_path):
    """Stages rows of an item."""

    def write(item, *rows, content=""):
        path = tmp_path / f"{item.path}.zip"
        picture = colourful()
        outcomes = [(row, picture if row.status == WRITTEN else None) for row in rows]
        staging.write(path, content, outcomes)
        return Input(item, path)

    return write


def frame(number, **changes):
    return dataclasses.replace(ROW, frame=number, time=number / 25, **changes)


def names_of(result):
    return list(zip(result.facts.names, result.facts.splits, strict=True))


def test_examples_lie_in_the_order_of_splits_paths_and_frames(stage):
    later = dataclasses.replace(PHOTO, path="z.png", split="train")
    inputs = [stage(PHOTO, ROW), stage(VIDEO, frame(7), frame(2)), stage(later, ROW)]
    assert names_of(assemble(inputs)) == [
        ("a.png", "train"),
        ("z.png", "train"),
        ("b.mp4 frame 2", "test"),
        ("b.mp4 frame 7", "test"),
    ]


def test_names_tell_frame_and_further_faces_apart():
    assert example_name(PHOTO, ROW) == "a.png"
    assert example_name(PHOTO, dataclasses.replace(ROW, face=1)) == "a.png face 1"
    assert example_name(VIDEO, frame(3, face=2)) == "b.mp4 frame 3 face 2"


def test_real_classes_come_first_also_where_the_user_named_them(stage):
    mine = dataclasses.replace(PHOTO, path="0.png", class_name="zebra")
    result = assemble([stage(mine, ROW), stage(PHOTO, ROW), stage(VIDEO, frame(0))])
    assert result.classes == ("real", "zebra", "swap")
    assert result.is_fake == (False, False, True)
    assert result.facts.labels.tolist() == [1, 0, 2]


def test_what_is_in_no_split_is_left_out_with_the_reason(stage, tmp_path):
    homeless = dataclasses.replace(PHOTO, split=None)
    inputs = [stage(homeless, ROW), stage(VIDEO, frame(0))]
    result = assemble(inputs)
    assert names_of(result) == [("b.mp4 frame 0", "test")]
    assert result.tally.reasons == {assembly.NO_SPLIT: 1}
    manifest.write(tmp_path / "m.csv", inputs, [])
    assert f"left out,{assembly.NO_SPLIT}" in (tmp_path / "m.csv").read_text()


def test_the_summary_counts_every_row_once(stage):
    inputs = [
        stage(PHOTO, ROW, dataclasses.replace(ROW, face=1)),
        stage(
            VIDEO,
            Row(NOTED, "ends too early"),
            frame(0),
            Row(LEFT_OUT, "is only 9×9 pixels", frame=1),
            Row(LEFT_OUT, "is only 12×9 pixels", frame=2),
        ),
        stage(dataclasses.replace(VIDEO, path="c.mp4"), Row(LEFT_OUT, "is empty")),
    ]
    assert assemble(inputs).tally.summary(num_missing=2) == {
        "files": {
            "photographs": 1,
            "videos": 2,
            "with_faces": 2,
            "without_faces": 1,
            "with_tags": 0,
            "missing": 2,
        },
        "video_frames": {"chosen": 3, "with_faces": 1, "without_faces": 2},
        "rows": {"left out": 3, "noted": 1, "written": 3, "missing": 2, "total": 9},
        "faces": 3,
        "left_out": {"is empty": 1, "is only N×N pixels": 2},
        "noted": {"ends too early": 1},
        "classes": {"real": {"train": 2}, "swap": {"test": 1}},
    }


def test_splits_without_real_or_fake_faces_are_noted(stage):
    result = assemble([stage(PHOTO, ROW), stage(VIDEO, frame(0))])
    assert assembly.find_gaps(result) == [
        "the split train has no fake faces",
        "the split validation has no real and no fake faces",
        "the split test has no real faces",
    ]


def test_large_splits_are_dealt_out_to_several_files(stage, monkeypatch):
    monkeypatch.setattr(assembly, "SHARD_BYTES", 5000)  # A crop has some 2,400.
    inputs = [stage(VIDEO, *(frame(number) for number in range(5)))]
    (shards,) = assemble(inputs).shards.values()
    assert [len(shard) for shard in shards] == [2, 2, 1]


def test_the_digest_depends_on_names_labels_and_crops(stage):
    first = assemble([stage(PHOTO, ROW)]).digest
    assert assemble([stage(PHOTO, ROW)]).digest == first
    other = dataclasses.replace(PHOTO, path="b.png")
    assert assemble([stage(other, ROW)]).digest != first
    changed = Input(PHOTO, stage(PHOTO).staged.with_name("other.zip"))
    staging.write(changed.staged, "", [(ROW, colourful(seed=9))])
    assert assemble([changed]).digest != first


TAGGED = dataclasses.replace(ROW, tags=(100.0, math.nan, 0.008, math.nan))


def test_tags_are_facts_and_features_of_the_examples(stage):
    result = assemble([stage(PHOTO, TAGGED), stage(VIDEO, frame(0))])
    expected = [[100, np.nan, np.float32(0.008), np.nan], [np.nan] * 4]
    np.testing.assert_array_equal(result.facts.tags, expected)
    contents = result.contents({})
    examples = [shard() for shards in contents.shards.values() for shard in shards]
    written = [features["exif"] for shard in examples for _, features in shard]
    np.testing.assert_array_equal(written, expected)


def test_landmarks_are_facts(stage):
    points = tuple((float(number), number / 2) for number in range(5))
    row = dataclasses.replace(ROW, landmarks=points)
    facts = assemble([stage(PHOTO, row)]).facts
    np.testing.assert_array_equal(facts.landmarks, [points])


def test_photographs_with_tags_are_counted_once(stage):
    inputs = [
        stage(PHOTO, TAGGED, dataclasses.replace(TAGGED, face=1)),
        stage(dataclasses.replace(PHOTO, path="b.png"), ROW),
        stage(VIDEO, frame(0)),
    ]
    assert assemble(inputs).tally.summary(0)["files"]["with_tags"] == 1


def test_the_digest_depends_on_tags(stage):
    assert (
        assemble([stage(PHOTO, TAGGED)]).digest != assemble([stage(PHOTO, ROW)]).digest
    )


def test_the_manifest_tells_tags(stage, tmp_path):
    left_out = Row(LEFT_OUT, "shows no face", tags=(math.nan, 2.8, 1 / 60, 50.0))
    inputs = [stage(PHOTO, TAGGED, left_out), stage(VIDEO, Row(LEFT_OUT, "is empty"))]
    manifest.write(tmp_path / "m.csv", inputs, [])
    with (tmp_path / "m.csv").open(newline="") as file:
        rows = [[row[name] for name in TAGS] for row in csv.DictReader(file)]
    assert rows == [
        ["", "2.8", "0.0166667", "50"],
        ["100", "", "0.008", ""],
        ["", "", "", ""],
    ]


def test_frames_of_a_video_are_divided_in_their_order(stage, tmp_path):
    rows = [frame(10 * number) for number in range(10)]
    inputs = split_frames([stage(VIDEO, *reversed(rows)), stage(PHOTO, ROW)], 0.1)
    assert names_of(assemble(inputs)) == [
        *((f"b.mp4 frame {number}", "train") for number in range(0, 70, 10)),
        ("a.png", "train"),
        ("b.mp4 frame 70", "validation"),
        ("b.mp4 frame 80", "test"),
        ("b.mp4 frame 90", "test"),
    ]
    manifest.write(tmp_path / "m.csv", inputs, [])
    assert (tmp_path / "m.csv").read_text().count(",test,") == 2


def test_copies_of_a_photograph_get_the_same_split(stage):
    inputs = [
        stage(
            dataclasses.replace(PHOTO, path=f"{number}.png", split=None),
            ROW,
            content=str(number // 2),
        )
        for number in range(40)
    ]
    assigned, notes = assign_splits(
        inputs, validation_fraction=0.05, seed=0, dataset="folder"
    )
    splits = [entry.item.split for entry in assigned]
    assert splits[::2] == splits[1::2] and len(set(splits)) > 1
    assert notes == []


def test_validation_is_held_out_where_the_dataset_has_none(stage):
    inputs = [
        stage(dataclasses.replace(PHOTO, path=f"{number:02}.png"), ROW, content="1")
        if number
        else stage(VIDEO, frame(0))
        for number in range(3)
    ]
    inputs += [
        stage(
            dataclasses.replace(PHOTO, path=f"c{number}.png"), ROW, content=str(number)
        )
        for number in range(20)
    ]
    assigned, _ = assign_splits(
        inputs, validation_fraction=0.3, seed=0, dataset="folder"
    )
    splits = [entry.item.split for entry in assigned]
    assert splits[0] == "test" and splits[1] == splits[2]
    assert {"train", "validation"} <= set(splits)


def test_too_few_files_for_validation_are_noted(stage):
    inputs = [stage(PHOTO, ROW)]
    assigned, notes = assign_splits(
        inputs, validation_fraction=0.05, seed=0, dataset="folder"
    )
    assert [entry.item.split for entry in assigned] == ["train"]
    assert "there is no split validation" in notes[0]
