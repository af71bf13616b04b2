# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The two collections from Flickr: FFHQ and FDF."""

import json

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow, write

FFHQ = layouts.create("ffhq")
FDF = layouts.create("fdf")


@pytest.fixture
def ffhq(tmp_path):
    numbers = (0, 59_999, 60_000, 69_999)
    names = [f"{number // 1000 * 1000:05}/{number:05}.png" for number in numbers]
    return grow(tmp_path, *(f"images1024x1024/{name}" for name in names))


@pytest.fixture
def fdf(tmp_path):
    grow(tmp_path, "images/128/0.png", "images/128/1.png", "images/64/0.png")
    categories = {"0": "training", "1": "validation"}
    entries = {key: {"category": value} for key, value in categories.items()}
    write(tmp_path, "fdf_metainfo.json", json.dumps(entries))
    return tmp_path


def test_ffhq_splits_at_60000(ffhq):
    listing = FFHQ.list_items(ffhq)
    assert [(item.path[-9:-4], item.split) for item in listing.items] == [
        ("00000", "train"),
        ("59999", "train"),
        ("60000", "validation"),
        ("69999", "validation"),
    ]
    assert not any(item.is_fake for item in listing.items)
    assert listing.notes == ["4 pictures exist, 70,000 are published"]


def test_ffhq_without_the_folder_above(ffhq):
    items = FFHQ.list_items(ffhq / "images1024x1024", held_out_as="test").items
    assert items[-1].path == "69000/69999.png"
    assert items[-1].split == "test"


def test_ffhq_thumbnails(ffhq):
    with pytest.raises(RequestError, match="the folder thumbnails128x128 in"):
        FFHQ.list_items(ffhq, source_size=128)
    grow(ffhq, "thumbnails128x128/00000/00001.png")
    assert len(FFHQ.list_items(ffhq, source_size=128).items) == 1


def test_ffhq_leaves_other_files_out_aloud(ffhq):
    grow(ffhq, "images1024x1024/00000/70000.png", "images1024x1024/seed1.png")
    notes = FFHQ.list_items(ffhq).notes
    assert notes[0].startswith("left out, names are not numbers below 70000 (2): ")


def test_ffhq_wrong_options(ffhq):
    with pytest.raises(RequestError, match="`source_size`: expected 1024, 128"):
        FFHQ.list_items(ffhq, source_size=64)
    with pytest.raises(RequestError, match="`held_out_as`: expected validation, test"):
        FFHQ.list_items(ffhq, held_out_as="train")


def test_ffhq_without_pictures(tmp_path):
    grow(tmp_path, "images1024x1024/a.png")
    with pytest.raises(RequestError, match=r"pictures such as 00000/00000.png in"):
        FFHQ.list_items(tmp_path)


def test_fdf_splits_are_those_of_the_metadata(fdf):
    listing = FDF.list_items(fdf)
    assert [(item.path, item.split) for item in listing.items] == [
        ("images/128/0.png", "train"),
        ("images/128/1.png", "validation"),
    ]
    assert listing.notes == []


def test_fdf_smaller_size_and_validation_as_test(fdf):
    listing = FDF.list_items(fdf, source_size=64)
    assert [item.path for item in listing.items] == ["images/64/0.png"]
    assert listing.notes == ["1 of the 2 faces in fdf_metainfo.json exist"]
    items = FDF.list_items(fdf, held_out_as="test").items
    assert [item.split for item in items] == ["train", "test"]


def test_fdf_without_metadata(fdf):
    (fdf / "fdf_metainfo.json").unlink()
    listing = FDF.list_items(fdf)
    assert {item.split for item in listing.items} == {None}
    assert "there is no fdf_metainfo.json" in listing.notes[0]


def test_fdf_pictures_outside_the_metadata(fdf):
    grow(fdf, "images/128/7.png", "images/128/x.png")
    listing = FDF.list_items(fdf)
    assert [item.split for item in listing.items] == ["train", "validation", None]
    assert "'images/128/7.png'" in listing.notes[0]
    assert "'images/128/x.png'" in listing.notes[1]


@pytest.mark.parametrize("value", [{"category": "test"}, {"category": []}, {}, 3])
def test_fdf_wrong_metadata(fdf, value):
    write(fdf, "fdf_metainfo.json", json.dumps({"0": value}))
    with pytest.raises(RequestError, match="'0': expected the category training or"):
        FDF.list_items(fdf)


def test_fdf256(tmp_path):
    grow(tmp_path, "train/images/0.png", "val/images/0.png")
    items = FDF.list_items(tmp_path).items
    assert [(item.path, item.split) for item in items] == [
        ("train/images/0.png", "train"),
        ("val/images/0.png", "validation"),
    ]
