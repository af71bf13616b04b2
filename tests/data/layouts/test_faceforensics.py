# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""FaceForensics++ in the folders of its download script."""

import json

import pytest

from fakedet_jax.data import layouts, splits
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

PAIRS = {"train": ["000", "003"], "val": ["071", "054"], "test": ["519", "515"]}
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
LAYOUT = layouts.create("faceforensics")


@pytest.fixture
def root(tmp_path):
    for pair in PAIRS.values():
        make_videos(tmp_path, "c23", METHODS, pair)
    for name, pair in PAIRS.items():
        write(tmp_path, f"splits/{name}.json", json.dumps([pair]))
    return tmp_path


def make_videos(root, quality, methods, pair):
    a, b = pair
    real = f"original_sequences/youtube/{quality}/videos"
    grow(root, f"{real}/{a}.mp4", f"{real}/{b}.mp4")
    for method in methods:
        fake = f"manipulated_sequences/{method}/{quality}/videos"
        grow(root, f"{fake}/{a}_{b}.mp4", f"{fake}/{b}_{a}.mp4")


def test_all_there(root):
    listing = LAYOUT.list_items(root)
    assert len(listing.items) == 6 + 4 * 6
    assert listing.missing == []
    assert listing.notes == []
    assert splits.find_leaks(listing.items) == []


def test_a_fake(root):
    items = {item.path: item for item in LAYOUT.list_items(root).items}
    path = "manipulated_sequences/FaceSwap/c23/videos/519_515.mp4"
    assert items[path] == layouts.Item(
        path=path,
        kind="video",
        class_name="FaceSwap",
        is_fake=True,
        split="test",
        video="FaceSwap/519_515",
        identities=("519", "515"),
        manipulation="FaceSwap",
        quality="c23",
    )


def test_a_real_video(root):
    items = {item.path: item for item in LAYOUT.list_items(root).items}
    path = "original_sequences/youtube/c23/videos/054.mp4"
    assert items[path] == layouts.Item(
        path=path,
        kind="video",
        class_name="real",
        is_fake=False,
        split="validation",
        video="youtube/054",
        identities=("054",),
        quality="c23",
    )


def test_a_recording_has_one_id_in_all_qualities(root):
    for pair in PAIRS.values():
        make_videos(root, "c40", ["Deepfakes"], pair)
    items = LAYOUT.list_items(
        root, qualities=["c23", "c40"], methods=["Deepfakes"]
    ).items
    assert len(items) == 2 * 12
    assert len({item.video for item in items}) == 12


def test_missing_videos_are_told(root):
    path = "manipulated_sequences/Deepfakes/c23/videos/003_000.mp4"
    (root / path).unlink()
    listing = LAYOUT.list_items(root)
    assert listing.missing == [path]
    assert len(listing.items) == 29


def test_absent_quality(root):
    with pytest.raises(RequestError, match="original_sequences/youtube/raw/videos"):
        LAYOUT.list_items(root, qualities=["raw"])


def test_absent_method(root):
    with pytest.raises(RequestError, match=r"FaceShifter/c23/videos \(`qualities` and"):
        LAYOUT.list_items(root, methods=["FaceShifter"])


@pytest.mark.parametrize("options", [{"methods": ["x"]}, {"qualities": []}])
def test_wrong_options(root, options):
    (option,) = options
    with pytest.raises(RequestError, match=f"^`{option}`: expected some of "):
        LAYOUT.list_items(root, **options)


def test_absent_splits(root):
    for name in PAIRS:
        (root / f"splits/{name}.json").unlink()
    with pytest.raises(
        RequestError, match=r"needs splits/train.json.*with `split_by=identity`"
    ):
        LAYOUT.list_items(root)


def test_split_by_identity_keeps_pairs_together(root):
    for number in range(100, 180, 2):
        make_videos(root, "c23", METHODS, (f"{number:03}", f"{number + 1:03}"))
    items = LAYOUT.list_items(root, split_by="identity").items
    assert {item.split for item in items} == {None}
    divided = splits.assign(items, validation_fraction=0.2)
    assert splits.find_leaks(divided) == []
    assert {item.split for item in divided} == set(splits.SPLITS)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "[1]", '[["1", "2"]]', '[["001"]]', "[[1, 2]]", "nonsense"]
)
def test_damaged_splits(root, text):
    write(root, "splits/val.json", text)
    with pytest.raises(RequestError, match=r"val.json': .*expected .* fetch the file"):
        LAYOUT.list_items(root)


def test_video_in_two_splits(root):
    write(root, "splits/test.json", '[["519", "000"]]')
    with pytest.raises(RequestError, match=r"test.json.*found '000' in train and test"):
        LAYOUT.list_items(root)


def test_videos_outside_the_splits_are_told_and_left_open(root):
    make_videos(root, "c23", [], ("700", "701"))
    path = "manipulated_sequences/Deepfakes/c23/videos/000_071.mp4"
    grow(root, path)
    listing = LAYOUT.list_items(root)
    assert [item.path for item in listing.items if item.split is None] == [
        path,
        "original_sequences/youtube/c23/videos/700.mp4",
        "original_sequences/youtube/c23/videos/701.mp4",
    ]
    assert listing.notes[0].startswith("in none of the official splits (3): ")


def test_other_names_and_collections_are_told(root):
    grow(
        root,
        "original_sequences/youtube/c23/videos/000_003.mp4",
        "original_sequences/actors/c23/videos/01__walking.mp4",
    )
    listing = LAYOUT.list_items(root)
    assert len(listing.items) == 30
    assert "actors is left out" in listing.notes[0]
    assert "c23/videos/000_003.mp4" in listing.notes[1]


def test_equal_stems_are_both_listed(root):
    grow(root, "original_sequences/youtube/c23/videos/000.avi")
    assert len(LAYOUT.list_items(root).items) == 31


def test_everything_missing(root):
    for path in root.glob("*_sequences/**/*.mp4"):
        path.unlink()
    with pytest.raises(RequestError, match=r"are missing in .*000.mp4.* and 25 more"):
        LAYOUT.list_items(root)


def test_real_clips(shared_data):
    items = LAYOUT.list_items(
        shared_data / "videos/faceforensics",
        methods=["Deepfakes"],
        split_by="identity",
    ).items
    assert [item.identities for item in items] == [("519", "515"), ("519",)]


def test_masks_belong_to_the_fakes_of_all_qualities(tmp_path):
    fakes = "manipulated_sequences/Deepfakes"
    grow(
        tmp_path,
        *(f"original_sequences/youtube/{q}/videos/004.mp4" for q in ("c23", "c40")),
        *(f"{fakes}/{q}/videos/004_005.mp4" for q in ("c23", "c40")),
        f"{fakes}/c23/videos/005_004.mp4",
        f"{fakes}/masks/videos/004_005.mp4",
    )
    listing = LAYOUT.list_items(
        tmp_path, split_by="identity", methods=["Deepfakes"], qualities=["c23", "c40"]
    )
    masks = {item.path: item.mask for item in listing.items if item.mask}
    assert masks == {
        f"{fakes}/{q}/videos/004_005.mp4": f"{fakes}/masks/videos/004_005.mp4"
        for q in ("c23", "c40")
    }
