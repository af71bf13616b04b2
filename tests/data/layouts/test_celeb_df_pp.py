# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Celeb-DF++ in the folders of its authors."""

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.data.layouts.celeb_df_pp import METHODS
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

LAYOUT = layouts.create("celeb_df_pp")
TESTING = "List_of_testing_videos.txt"
_FAKES = "Celeb-synthesis"


@pytest.fixture
def root(tmp_path):
    grow(
        tmp_path,
        "Celeb-real/id0_0000.mp4",
        "YouTube-real/00170.mp4",
        f"{_FAKES}/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4",
        f"{_FAKES}/FaceSwap/BlendFace/id0_id1_0000.mp4",
        f"{_FAKES}/TalkingFace/Real3DPortrait/id1_0003_test_7.mp4",
    )
    write(
        tmp_path,
        TESTING,
        "1 YouTube-real/00170.mp4\n"
        f"0 {_FAKES}/FaceSwap/Celeb-DF/id0_id1_0000.mp4\n"
        f"0 {_FAKES}/TalkingFace/Real3DPortrait/id1_0003_test_7.mp4\n"
        f"0 {_FAKES}/FaceReenact/LIA/id1_id0_0000.mp4\n",
    )
    return tmp_path


def _found(root, **options):
    return {item.path: item for item in LAYOUT.list_items(root, **options).items}


def test_22_methods():
    assert len(METHODS) == len(set(METHODS)) == 22


def test_splits_classes_and_identities(root):
    found = [
        (item.path, item.class_name, item.split, item.identities)
        for item in LAYOUT.list_items(root).items
    ]
    assert found == [
        ("Celeb-real/id0_0000.mp4", "real_celeb", "train", ("id0",)),
        (
            f"{_FAKES}/FaceSwap/BlendFace/id0_id1_0000.mp4",
            *("FaceSwap_BlendFace", "train", ("id0", "id1")),
        ),
        (
            f"{_FAKES}/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4",
            *("FaceSwap_Celeb-DF", "test", ("id0", "id1")),
        ),
        (
            f"{_FAKES}/TalkingFace/Real3DPortrait/id1_0003_test_7.mp4",
            *("TalkingFace_Real3DPortrait", "test", ("id1",)),
        ),
        ("YouTube-real/00170.mp4", "real_youtube", "test", ()),
    ]


def test_a_method_whose_name_begins_with_real_is_fake(root):
    fakes = {item.manipulation for item in _found(root).values() if item.is_fake}
    assert fakes == {"Celeb-DF", "BlendFace", "Real3DPortrait"}


def test_the_folder_of_celeb_df_has_two_names(root):
    (root / _FAKES / "FaceSwap/Celeb-DF-v2").rename(root / _FAKES / "FaceSwap/Celeb-DF")
    listing = LAYOUT.list_items(root)
    by_path = {item.path: item for item in listing.items}
    item = by_path[f"{_FAKES}/FaceSwap/Celeb-DF/id0_id1_0000.mp4"]
    assert (item.split, item.manipulation) == ("test", "Celeb-DF")
    assert not listing.missing


def test_test_videos_are_missing_only_where_their_method_exists(root):
    assert LAYOUT.list_items(root).missing == []
    grow(root, f"{_FAKES}/FaceReenact/LIA/id1_id0_0001.mp4")
    missing = f"{_FAKES}/FaceReenact/LIA/id1_id0_0000.mp4"
    assert LAYOUT.list_items(root).missing == [missing]


def test_methods(root):
    found = _found(root, methods=["BlendFace"])
    assert {item.manipulation for item in found.values()} == {"", "BlendFace"}
    with pytest.raises(RequestError, match=r"folders such as FaceReenact/LIA"):
        LAYOUT.list_items(root, methods=["BlendFace", "LIA"])


def test_what_is_absent_or_unknown_is_told(root):
    grow(root, f"{_FAKES}/FaceSwap/Mine/a.mp4", "Celeb-real/somebody.mp4")
    notes = "\n".join(LAYOUT.list_items(root).notes)
    assert "missing methods (19): 'GHOST'" in notes
    assert f"no published method (1): '{_FAKES}/FaceSwap/Mine'" in notes
    assert "names 4 videos; as published it names 5,418" in notes
    assert "who is in the video (1): 'Celeb-real/somebody.mp4'" in notes


def test_labels_mean_what_the_first_line_says(root):
    text = (root / TESTING).read_text()
    flipped = text.replace("1 Y", "x Y").replace("0 C", "1 C").replace("x Y", "0 Y")
    write(root, TESTING, flipped)
    assert _found(root)["YouTube-real/00170.mp4"].split == "test"
    write(
        root, TESTING, flipped + "0 Celeb-synthesis/FaceSwap/GHOST/id0_id1_0000.mp4\n"
    )
    with pytest.raises(
        RequestError, match=r"line 5: .* label 1 of .*\(1 is fake\), found '0'"
    ):
        LAYOUT.list_items(root)


def test_without_the_list_nothing_is_listed(root):
    (root / TESTING).unlink()
    with pytest.raises(RequestError, match=r"needs List_of_testing_videos.txt"):
        LAYOUT.list_items(root)
