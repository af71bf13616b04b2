# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CelebA with its lists."""

import shutil

import pytest

from fakedet_jax.data import layouts, splits
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

LAYOUT = layouts.create("celeba")
PARTITION, IDENTITIES = "list_eval_partition.txt", "identity_CelebA.txt"


@pytest.fixture
def root(tmp_path):
    grow(tmp_path, *(f"img_align_celeba/00000{number}.jpg" for number in (1, 2, 3)))
    write(tmp_path, PARTITION, "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    write(tmp_path, IDENTITIES, "000001.jpg 2880\n000002.jpg 2937\n000003.jpg 8692\n")
    return tmp_path


def test_all_there(root):
    listing = LAYOUT.list_items(root)
    assert [(i.path, i.split, i.identities) for i in listing.items] == [
        ("img_align_celeba/000001.jpg", "train", ("2880",)),
        ("img_align_celeba/000002.jpg", "validation", ("2937",)),
        ("img_align_celeba/000003.jpg", "test", ("8692",)),
    ]
    assert {item.class_name for item in listing.items} == {"real_celeba"}
    assert (listing.missing, listing.notes) == ([], [])


def test_folders_as_published(root):
    for folder, name in (
        ("Img", "img_align_celeba"),
        ("Eval", PARTITION),
        ("Anno", IDENTITIES),
    ):
        (root / folder).mkdir()
        shutil.move(root / name, root / folder / name)
    items = LAYOUT.list_items(root).items
    assert items[0].path == "Img/img_align_celeba/000001.jpg"
    assert [item.split for item in items] == ["train", "validation", "test"]


def test_png_pictures_have_the_numbers_of_the_lists(root):
    for path in (root / "img_align_celeba").iterdir():
        path.rename(path.with_suffix(".png"))
    assert LAYOUT.list_items(root).items[2].split == "test"


def test_identity_on_two_sides_is_told(root):
    write(root, IDENTITIES, "000001.jpg 1\n000002.jpg 2\n000003.jpg 1\n")
    listing = LAYOUT.list_items(root)
    assert listing.notes == [f"identities in several splits of {PARTITION} (1): '1'"]
    assert splits.find_leaks(listing.items) == ["1 identity is in train and test: '1'"]


def test_missing_pictures_are_told(root):
    (root / "img_align_celeba/000002.jpg").unlink()
    assert LAYOUT.list_items(root).missing == ["img_align_celeba/000002.jpg"]


def test_all_pictures_missing(root):
    for path in (root / "img_align_celeba").iterdir():
        path.unlink()
    with pytest.raises(RequestError, match=r"are missing in .*000001.jpg"):
        LAYOUT.list_items(root)


def test_without_the_partition(root):
    (root / PARTITION).unlink()
    with pytest.raises(RequestError, match=f"needs the list {PARTITION} in"):
        LAYOUT.list_items(root)
    items = LAYOUT.list_items(root, split_by="identity").items
    assert {item.split for item in items} == {None}


def test_without_identities(root):
    (root / IDENTITIES).unlink()
    assert "cannot be checked" in LAYOUT.list_items(root).notes[0]
    with pytest.raises(RequestError, match=f"needs the list {IDENTITIES} in"):
        LAYOUT.list_items(root, split_by="identity")


def test_pictures_outside_the_lists_are_told(root):
    grow(root, "img_align_celeba/999999.jpg")
    listing = LAYOUT.list_items(root)
    assert listing.items[3].split is None
    path = "'img_align_celeba/999999.jpg'"
    assert listing.notes == [
        f"without an identity in {IDENTITIES} (1): {path}",
        f"not in {PARTITION}, split to be assigned (1): {path}",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("000001.jpg 3", "expected 0, 1 or 2 .* found '3' after '000001'"),
        ("000001.jpg 1", "line 4: expected one line for '000001.jpg'"),
        ("../000001.jpg 1", "line 4: expected a path inside"),
        ("000009.jpg", "line 4: expected 2 words"),
    ],
)
def test_wrong_lines(root, line, message):
    lines = (root / PARTITION).read_text()
    if "3" in line:
        lines = ""
    write(root, PARTITION, lines + line + "\n")
    with pytest.raises(RequestError, match=message):
        LAYOUT.list_items(root)


def test_wrong_option(root):
    with pytest.raises(RequestError, match="`split_by`: expected official, identity"):
        LAYOUT.list_items(root, split_by="x")
