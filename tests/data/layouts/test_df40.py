# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""DF40 in the folders of its authors and of its archives."""

import json

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.data.layouts.df40 import METHODS
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

LAYOUT = layouts.create("df40")
_SPLITS = {"train": ["001", "870"], "val": ["000", "003"], "test": ["025", "067"]}
_REAL = "FaceForensics++/original_sequences/youtube/c23/frames"


@pytest.fixture
def root(tmp_path):
    grow(
        tmp_path,
        "DF40/simswap/ff/frames/025_067/000.png",
        "DF40/simswap/ff/landmarks/025_067/000.npy",
        "DF40/simswap/cdf/frames/id0_id16_0003/000.png",
        "DF40/DiT/cdf/Fake_from_Youtube-real/00043/458.png",
        "DF40/heygen/heygen_new/fake/frames/a/1.png",
        "DF40/heygen/heygen_new/real/b/1.png",
        "DF40/stargan/fake/fake/7.jpg",
        "DF40_train/simswap/frames/001_870/000.png",
        "DF40_train/StyleGAN2/ff/001/seed0188.png",
        f"{_REAL}/001/000.png",
        f"{_REAL}/025/000.png",
        "Celeb-DF-v2/Celeb-real/frames/id16_0003/000.png",
        "Celeb-DF-v2/YouTube-real/frames/00043/000.png",
    )
    for name, pair in _SPLITS.items():
        write(tmp_path, f"FaceForensics++/{name}.json", json.dumps([pair]))
    return tmp_path


def _list(root, **options):
    listing = LAYOUT.list_items(root, **options)
    assert all(item.kind == "photo" for item in listing.items)
    return {item.path: item for item in listing.items}


def test_40_methods():
    assert len(METHODS) == len(set(METHODS)) == 40


def test_splits_classes_and_identities(root):
    found = {
        path: (item.class_name, item.split, item.video, item.identities)
        for path, item in _list(root).items()
    }
    assert found == {
        "DF40/simswap/ff/frames/025_067/000.png": (
            *("simswap", "test", "simswap/ff/025_067", ("ff 025", "ff 067")),
        ),
        "DF40/simswap/cdf/frames/id0_id16_0003/000.png": (
            *("simswap", "test", "simswap/cdf/id0_id16_0003", ("cdf id0", "cdf id16")),
        ),
        "DF40/DiT/cdf/Fake_from_Youtube-real/00043/458.png": (
            *("DiT", "test", "DiT/cdf/00043", ("cdf 00043",)),
        ),
        "DF40/heygen/heygen_new/fake/frames/a/1.png": (
            *("heygen", "test", "heygen/fake/a", ()),
        ),
        "DF40/heygen/heygen_new/real/b/1.png": (
            *("real_heygen", "test", "heygen/real/b", ()),
        ),
        "DF40/stargan/fake/fake/7.jpg": ("stargan", "test", "", ()),
        "DF40_train/simswap/frames/001_870/000.png": (
            *("simswap", "train", "simswap/ff/001_870", ("ff 001", "ff 870")),
        ),
        "DF40_train/StyleGAN2/ff/001/seed0188.png": (
            *("StyleGAN2", "train", "StyleGAN2/ff/001", ("ff 001",)),
        ),
        f"{_REAL}/001/000.png": ("real_ff", "train", "real_ff/001", ("ff 001",)),
        f"{_REAL}/025/000.png": ("real_ff", "test", "real_ff/025", ("ff 025",)),
        "Celeb-DF-v2/Celeb-real/frames/id16_0003/000.png": (
            *("real_cdf", "test", "real_cdf/id16_0003", ("cdf id16",)),
        ),
        "Celeb-DF-v2/YouTube-real/frames/00043/000.png": (
            *("real_cdf", "test", "real_cdf/00043", ("cdf 00043",)),
        ),
    }


def test_manipulations_are_those_of_fakes(root):
    for item in _list(root).values():
        assert item.manipulation == (item.class_name if item.is_fake else "")


def test_no_test_video_is_trained_on(root):
    grow(root, "DF40_train/simswap/frames/025_067/000.png")
    grow(root, "DF40_train/simswap/cdf/id0_id1_0000/000.png")
    listing = LAYOUT.list_items(root)
    assert sum(item.path.startswith("DF40_train") for item in listing.items) == 2
    assert any("in DF40_train, but for tests (2)" in note for note in listing.notes)


def test_validation_needs_fakes(root):
    name = f"{_REAL}/003/000.png"
    grow(root, name)
    assert _list(root)[name].split == "train"
    grow(root, "DF40_train/simswap/frames/000_003/000.png")
    found = _list(root)
    assert found[name].split == "validation"
    assert found["DF40_train/simswap/frames/000_003/000.png"].split == "validation"


@pytest.mark.parametrize(
    ("domain", "classes"),
    [
        ("ff", {"simswap", "StyleGAN2", "real_ff"}),
        ("cdf", {"simswap", "DiT", "real_cdf"}),
        ("own", {"heygen", "real_heygen", "stargan"}),
    ],
)
def test_domains(root, domain, classes):
    found = _list(root, domains=[domain]).values()
    assert {item.class_name for item in found} == classes


def test_methods(root):
    found = _list(root, methods=["StyleGAN2"]).values()
    assert {item.class_name for item in found} == {"StyleGAN2", "real_ff", "real_cdf"}


def test_spellings_of_the_archives(root):
    grow(root, "DF40/Whichisreal/fake/1.jpg", "DF40/pixart/ff/001/a.png")
    names = {item.class_name for item in _list(root).values()}
    assert {"whichfaceisreal", "PixArt"} < names


def test_what_is_left_out_is_told(root):
    grow(
        root,
        "DF40/mine/fake/a.png",
        "DF40/e4s/a.png",
        "DF40/e4s/ff/a.mp4",
        f"{_REAL}/999/000.png",
    )
    notes = "\n".join(LAYOUT.list_items(root).notes)
    assert "no published method (1): 'DF40/mine'" in notes
    assert "in no folder ff, cdf, fake, real (1): 'DF40/e4s/a.png'" in notes
    assert "videos (1): 'DF40/e4s/ff/a.mp4'" in notes
    assert "in no split of FaceForensics++ (1)" in notes


def test_lists_are_needed_for_training_alone(root):
    for name in _SPLITS:
        (root / f"FaceForensics++/{name}.json").unlink()
    with pytest.raises(RequestError, match="not needed where DF40 and Celeb-DF"):
        LAYOUT.list_items(root)
    (root / "DF40_train").rename(root / "elsewhere")
    (root / _REAL).rename(root / "others")
    listing = LAYOUT.list_items(root)
    assert {item.split for item in listing.items} == {"test"}
    assert any("no real faces of the domain ff" in note for note in listing.notes)
