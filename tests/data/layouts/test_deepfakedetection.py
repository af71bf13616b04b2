# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""DeepFakeDetection in the folders of the download script of FaceForensics++."""

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow

LAYOUT = layouts.create("deepfakedetection")
_REAL = "original_sequences/actors/c23/videos"
_FAKE = "manipulated_sequences/DeepFakeDetection/c23/videos"


@pytest.fixture
def root(tmp_path):
    return grow(
        tmp_path,
        f"{_REAL}/01__exit_phone_room.mp4",
        f"{_REAL}/28__walking_outside_cafe_disgusted.mp4",
        f"{_FAKE}/01_02__exit_phone_room__YVGY8LOK.mp4",
        f"{_FAKE}/notes_of_mine.mp4",
    )


def test_actors_and_fakes(root):
    listing = LAYOUT.list_items(root)
    found = {item.path.rpartition("/")[2]: item for item in listing.items}
    assert len(found) == 3
    fake = found["01_02__exit_phone_room__YVGY8LOK.mp4"]
    assert fake == layouts.Item(
        path=f"{_FAKE}/01_02__exit_phone_room__YVGY8LOK.mp4",
        kind="video",
        class_name="DeepFakeDetection",
        is_fake=True,
        split="test",
        video="DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK",
        identities=("actor 01", "actor 02"),
        manipulation="DeepFakeDetection",
        quality="c23",
    )
    real = found["28__walking_outside_cafe_disgusted.mp4"]
    assert (real.is_fake, real.identities, real.split) == (
        *(False, ("actor 28",)),
        "test",
    )
    assert any("notes_of_mine" in note for note in listing.notes)


def test_a_missing_folder_is_named(root):
    with pytest.raises(RequestError, match="original_sequences/actors/c40/videos"):
        LAYOUT.list_items(root, qualities=["c40"])


def test_faceforensics_says_where_these_videos_belong(root):
    grow(root, "original_sequences/youtube/c23/videos/004.mp4")
    grow(root, "manipulated_sequences/Deepfakes/c23/videos/004_005.mp4")
    other = layouts.create("faceforensics")
    notes = other.list_items(root, split_by="identity", methods=["Deepfakes"]).notes
    assert sum("`dataset=deepfakedetection` reads it" in note for note in notes) == 2
