# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Celeb-DF v2 in the folders of its authors."""

import pytest

from fakedet_jax.data import layouts, splits
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

LAYOUT = layouts.create("celeb_df_v2")
TESTING = "List_of_testing_videos.txt"


@pytest.fixture
def root(tmp_path):
    grow(
        tmp_path,
        "Celeb-real/id0_0000.mp4",
        "Celeb-real/id1_0000.mp4",
        "YouTube-real/00170.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
        "Celeb-synthesis/id1_id0_0000.mp4",
    )
    write(
        tmp_path,
        TESTING,
        "1 YouTube-real/00170.mp4\n1 Celeb-real/id1_0000.mp4\n"
        "0 Celeb-synthesis/id1_id0_0000.mp4\n",
    )
    return tmp_path


def test_splits_and_identities(root):
    found = [
        (item.path, item.class_name, item.split, item.identities)
        for item in LAYOUT.list_items(root).items
    ]
    assert found == [
        ("Celeb-real/id0_0000.mp4", "real_celeb", "train", ("id0",)),
        ("Celeb-real/id1_0000.mp4", "real_celeb", "test", ("id1",)),
        (
            "Celeb-synthesis/id0_id1_0000.mp4",
            "celeb_synthesis",
            "train",
            ("id0", "id1"),
        ),
        ("Celeb-synthesis/id1_id0_0000.mp4", "celeb_synthesis", "test", ("id1", "id0")),
        ("YouTube-real/00170.mp4", "real_youtube", "test", ()),
    ]


def test_only_synthesis_is_fake(root):
    fakes = {i.class_name for i in LAYOUT.list_items(root).items if i.is_fake}
    assert fakes == {"celeb_synthesis"}


def test_a_list_of_other_length_is_told(root):
    assert (
        "names 3 videos; as published it names 518" in LAYOUT.list_items(root).notes[0]
    )


def test_shared_identities_of_the_protocol_are_found(root):
    leaks = splits.find_leaks(LAYOUT.list_items(root).items)
    assert leaks == ["2 identities are in train and test: 'id0', 'id1'"]


def test_missing_test_videos_are_told(root):
    (root / "YouTube-real/00170.mp4").unlink()
    assert LAYOUT.list_items(root).missing == ["YouTube-real/00170.mp4"]


def test_without_the_list_nothing_is_listed(root):
    (root / TESTING).unlink()
    with pytest.raises(
        RequestError, match=r"needs List_of_testing_videos.txt, without"
    ):
        LAYOUT.list_items(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 Celeb-real/id0_0000.mp4", "line 1: expected the label 1 .* found '0'"),
        ("1 Celeb-synthesis/id0_id1_0000.mp4", "expected the label 0"),
        ("real Celeb-real/id0_0000.mp4", "found 'real'"),
        ("1 Other/a.mp4", "expected a video in Celeb-real, "),
        ("1 /etc/passwd", "expected a path inside"),
        ("1 Celeb-real/../../a.mp4", "expected a path inside"),
        ("1", "expected 2 words"),
        ("", "found none"),
    ],
)
def test_wrong_lines(root, line, message):
    write(root, TESTING, line + "\n")
    with pytest.raises(RequestError, match=f"{TESTING}'.*{message}"):
        LAYOUT.list_items(root)


def test_names_that_tell_nobody_are_told(root):
    grow(root, "Celeb-real/somebody.mp4")
    listing = LAYOUT.list_items(root)
    assert "'Celeb-real/somebody.mp4'" in listing.notes[1]
    assert {i.path: i for i in listing.items}[
        "Celeb-real/somebody.mp4"
    ].identities == ()


def test_absent_folder(root):
    (root / "YouTube-real/00170.mp4").unlink()
    (root / "YouTube-real").rmdir()
    with pytest.raises(RequestError, match="found 'Celeb-real', 'Celeb-synthesis', "):
        LAYOUT.list_items(root)
