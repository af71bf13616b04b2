# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""One's own photographs and videos, in class folders or with a table of labels."""

import pytest

from fakedet_jax.data import layouts, splits
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

LAYOUT = layouts.create("folder")


@pytest.fixture
def labelled(tmp_path):
    return grow(tmp_path / "data", "a.png", "b/c.mp4", "b/d.png")


def list_labelled(root, text, **options):
    table = write(root.parent, "labels.csv", text)
    return LAYOUT.list_items(root, labels=table, **options)


def test_photos_and_videos_of_classes(tmp_path):
    grow(tmp_path, "real/a.png", "Deepfakes/b.mp4", "Deepfakes/deep/c.avi")
    found = LAYOUT.list_items(tmp_path).items
    assert [(i.path, i.kind, i.class_name, i.is_fake, i.video) for i in found] == [
        ("Deepfakes/b.mp4", "video", "Deepfakes", True, "Deepfakes/b.mp4"),
        ("Deepfakes/deep/c.avi", "video", "Deepfakes", True, "Deepfakes/deep/c.avi"),
        ("real/a.png", "photo", "real", False, ""),
    ]
    assert {item.split for item in found} == {None}


def test_split_folders(tmp_path):
    grow(tmp_path, "train/real/a.png", "Val/gan/b.png", "test/real/c.png")
    assert [item.split for item in LAYOUT.list_items(tmp_path).items] == [
        "validation",
        "test",
        "train",
    ]


def test_real_classes(tmp_path):
    grow(tmp_path, "photos/a.png", "gan/b.png")
    items = LAYOUT.list_items(tmp_path, real_classes=["photos"]).items
    assert [item.is_fake for item in items] == [True, False]
    with pytest.raises(RequestError, match="`real_classes`: no class is named 'x'"):
        LAYOUT.list_items(tmp_path, real_classes=["x"])


def test_two_folders_for_one_split(tmp_path):
    grow(tmp_path, "val/real/a.png", "valid/real/b.png")
    with pytest.raises(RequestError, match="both 'val' and 'valid'"):
        LAYOUT.list_items(tmp_path)


def test_empty_class(tmp_path):
    grow(tmp_path, "real/a.png", "fake/notes.txt")
    with pytest.raises(RequestError, match="fake' holds no pictures and no videos"):
        LAYOUT.list_items(tmp_path)


def test_what_lies_beside_is_told(tmp_path):
    grow(tmp_path, "train/real/a.png", "train/b.mp4", "c.png", "other/d.png")
    listing = LAYOUT.list_items(tmp_path)
    assert [item.path for item in listing.items] == ["train/real/a.png"]
    assert listing.notes == [
        "left out, folders beside those of the splits (1): 'other'",
        "left out, beside the class folders (2): 'c.png', 'train/b.mp4'",
    ]


def test_labels_with_all_columns(labelled):
    listing = list_labelled(
        labelled,
        "video,path,label,split,identity\n"
        ",a.png,real,train,Ann\n"
        ",b/c.mp4,swap,val,Ann; Bob;\n"
        "clip 7,./b/d.png,swap,,\n",
    )
    assert [
        (i.path, i.class_name, i.is_fake, i.split, i.identities, i.video)
        for i in listing.items
    ] == [
        ("a.png", "real", False, "train", ("Ann",), ""),
        ("b/c.mp4", "swap", True, "validation", ("Ann", "Bob"), "b/c.mp4"),
        ("b/d.png", "swap", True, None, (), "clip 7"),
    ]
    assert listing.notes == []


def test_labels_of_digits(labelled):
    items = list_labelled(labelled, "path,label\na.png,0\nb/c.mp4,1\n").items
    assert [(item.class_name, item.is_fake) for item in items] == [
        ("real", False),
        ("fake", True),
    ]


def test_unlisted_files_are_told(labelled):
    notes = list_labelled(labelled, "path,label\na.png,0\n").notes
    assert notes == ["left out, not in the table of labels (2): 'b/c.mp4', 'b/d.png'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,0\nx.png,1\n", r"line 3: .* found 'x.png', which do not"),
        ("path,label\na.png,0\na.png,0\n", "line 3: expected each file once"),
        ("path,label\na.png,\n", "line 2: expected a label"),
        ("path,label\na.png,2\n", "line 2: expected the label 0, False or real"),
        ("path,label\n../a.png,0\n", "line 2: expected a path inside"),
        ("path,label,split\na.png,0,dev\n", "line 2: expected the split .* 'dev'"),
        ("path,label\n", "found none"),
        ("path\na.png\n", "found no label"),
    ],
)
def test_wrong_tables(labelled, text, message):
    with pytest.raises(RequestError, match=message):
        list_labelled(labelled, text)


def test_absent_table(labelled):
    with pytest.raises(RequestError, match="is missing; give the table of labels"):
        LAYOUT.list_items(labelled, labels=labelled / "absent.csv")


def test_table_in_the_folder_is_no_item(labelled):
    table = write(labelled, "labels.csv", "path,label\na.png,0\n")
    assert len(LAYOUT.list_items(labelled, labels=table).items) == 1


def test_files_of_a_folder_stay_together(tmp_path):
    grow(tmp_path, "real/1/a.png", "real/1/b.png", "real/c.png", "gan/x/1/d.png")
    listing = LAYOUT.list_items(tmp_path)
    assert {item.path: item.folder for item in listing.items} == {
        "real/1/a.png": "1",
        "real/1/b.png": "1",
        "real/c.png": "",
        "gan/x/1/d.png": "x/1",
    }
    assert "2 folders within the classes stay in one split" in listing.notes[-1]
    apart = LAYOUT.list_items(tmp_path, subfolders="apart")
    assert {item.folder for item in apart.items} == {""} and not apart.notes


def test_one_folder_is_in_one_split(tmp_path):
    grow(tmp_path, *(f"real/{n % 20}/{n}.png" for n in range(200)), "gan/a.png")
    items = splits.assign(LAYOUT.list_items(tmp_path).items)
    of_folder = {}
    for item in items:
        of_folder.setdefault(item.folder, set()).add(item.split)
    assert all(len(found) == 1 for name, found in of_folder.items() if name)


def test_spellings_of_labels_in_a_table(tmp_path):
    names = [f"{number}.png" for number in range(6)]
    grow(tmp_path, *names)
    labels = ["0", "1.0", "False", "TRUE", "REAL", "fake"]
    lines = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label", *lines]))
    items = LAYOUT.list_items(tmp_path, labels=table).items
    assert [item.is_fake for item in items] == [False, True] * 3
    assert {item.class_name for item in items} == {"real", "fake"}
