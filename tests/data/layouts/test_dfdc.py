# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The Deepfake Detection Challenge in its parts."""

import json

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

LAYOUT = layouts.create("dfdc")
FAKE = {"label": "FAKE", "split": "train", "original": "b.mp4"}
REAL = {"label": "REAL", "split": "train", "original": None}


@pytest.fixture
def root(tmp_path):
    for part in (0, 1):
        folder = f"dfdc_train_part_{part}"
        grow(tmp_path, f"{folder}/a.mp4", f"{folder}/b.mp4")
        write(tmp_path, f"{folder}/metadata.json", metadata({"a": FAKE, "b": REAL}))
    grow(tmp_path, "test/c.mp4", "test/d.mp4")
    write(tmp_path, "test/labels.csv", "filename,label\nc.mp4,0\nd.mp4,1\n")
    return tmp_path


def metadata(entries):
    return json.dumps({f"{name}.mp4": value for name, value in entries.items()})


def test_all_there(root):
    listing = LAYOUT.list_items(root)
    found = [(i.path, i.class_name, i.split, i.identities) for i in listing.items]
    assert found == [
        ("dfdc_train_part_0/a.mp4", "dfdc", "train", ("dfdc_train_part_0/b",)),
        ("dfdc_train_part_0/b.mp4", "real_dfdc", "train", ("dfdc_train_part_0/b",)),
        ("dfdc_train_part_1/a.mp4", "dfdc", "train", ("dfdc_train_part_1/b",)),
        ("dfdc_train_part_1/b.mp4", "real_dfdc", "train", ("dfdc_train_part_1/b",)),
        ("test/c.mp4", "real_dfdc", "test", ()),
        ("test/d.mp4", "dfdc", "test", ()),
    ]
    assert listing.missing == []
    assert listing.notes == []


def test_videos_have_different_ids_in_different_parts(root):
    videos = [item.video for item in LAYOUT.list_items(root).items]
    assert len(set(videos)) == 6


def test_parts_in_a_folder_train(root):
    (root / "train").mkdir()
    for part in (0, 1):
        name = f"dfdc_train_part_{part}"
        (root / name).rename(root / "train" / name)
    assert len(LAYOUT.list_items(root).items) == 6


def test_one_part_alone(root):
    items = LAYOUT.list_items(root / "dfdc_train_part_0").items
    assert [(item.path, item.video) for item in items] == [
        ("a.mp4", "a"),
        ("b.mp4", "b"),
    ]


def test_metadata_of_the_test_set(root):
    (root / "test/labels.csv").unlink()
    entries = {"c": {"is_fake": 0, "split": "test"}, "d": {"is_fake": 1}}
    write(root, "test/metadata.json", metadata(entries))
    items = LAYOUT.list_items(root).items[-2:]
    assert [(item.is_fake, item.split) for item in items] == [
        (False, "test"),
        (True, "test"),
    ]


def test_missing_and_unlabelled_videos_are_told(root):
    (root / "dfdc_train_part_0/a.mp4").unlink()
    (root / "test/c.mp4").rename(root / "test/e.mp4")
    listing = LAYOUT.list_items(root)
    assert listing.missing == ["dfdc_train_part_0/a.mp4", "test/c.mp4"]
    assert listing.notes == [
        "left out, not in any list of labels (1): 'test/e.mp4'",
    ]


@pytest.mark.parametrize(
    "entry",
    [{"label": "fake"}, {}, [], "REAL", {"is_fake": 2}, {**REAL, "split": "dev"}],
)
def test_wrong_entries(root, entry):
    write(root, "dfdc_train_part_0/metadata.json", metadata({"a": entry}))
    with pytest.raises(RequestError, match=r"metadata.json', 'a.mp4': expected"):
        LAYOUT.list_items(root)


def test_entry_that_leads_out(root):
    write(root, "dfdc_train_part_0/metadata.json", metadata({"../a": REAL}))
    with pytest.raises(RequestError, match="expected a path inside"):
        LAYOUT.list_items(root)


def test_original_in_another_folder(root):
    entry = {**FAKE, "original": "../x/b.mp4"}
    write(root, "dfdc_train_part_0/metadata.json", metadata({"a": entry}))
    with pytest.raises(RequestError, match="expected a path inside"):
        LAYOUT.list_items(root)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("c.mp4,2", "line 2: expected the label 0 .real. or 1 .fake., found '2'"),
        ("c.mp4,0\nc.mp4,1", "line 3: expected one label"),
        ("x/c.mp4,0", "without folders"),
    ],
)
def test_wrong_labels(root, rows, message):
    write(root, "test/labels.csv", f"filename,label\n{rows}\n")
    with pytest.raises(RequestError, match=message):
        LAYOUT.list_items(root)


def test_test_videos_without_labels(root):
    (root / "test/labels.csv").unlink()
    with pytest.raises(RequestError, match=r"labels.csv or metadata.json beside"):
        LAYOUT.list_items(root)
