# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Hybrid Fake Faces in the folders that are understood."""

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow

LAYOUT = layouts.create("hff")
REAL = ("CelebA", "CelebA-HQ", "YouTube_frames")
FAKE = ("PGGAN", "StyleGAN", "Glow", "Face2Face", "StarGAN")
CLASSES = {
    *("real_celeba", "real_celebahq", "real_youtube"),
    *("pggan", "stylegan", "glow", "face2face", "stargan"),
}


def names_of(real="", fake=""):
    return [f"{real}{name}/x.png" for name in REAL] + [
        f"{fake}{name}/x.png" for name in FAKE
    ]


@pytest.mark.parametrize("sides", [("", ""), ("real/", "fake/")])
@pytest.mark.parametrize("splits", [(), ("train", "val", "test")])
def test_understood_folders(tmp_path, sides, splits):
    for split in splits or ("",):
        grow(tmp_path / split, *names_of(*sides))
    items = LAYOUT.list_items(tmp_path).items
    assert len(items) == 8 * max(len(splits), 1)
    assert {item.class_name for item in items} == CLASSES
    assert all(item.is_fake != item.class_name.startswith("real") for item in items)
    expected = {"train", "validation", "test"} if splits else {None}
    assert {item.split for item in items} == expected


@pytest.mark.parametrize("name", ["real_celebahq", "CELEBA_HQ", "celeba hq"])
def test_spellings(tmp_path, name):
    grow(tmp_path, f"{name}/x.png")
    assert LAYOUT.list_items(tmp_path).items[0].class_name == "real_celebahq"


def test_counts_that_differ_from_the_paper_are_told(tmp_path):
    grow(tmp_path, *names_of())
    notes = LAYOUT.list_items(tmp_path).notes
    assert "glow: 1 pictures exist, 25,000 are published" in notes
    assert len(notes) == 8


def test_unknown_class(tmp_path):
    grow(tmp_path, *names_of(), "diffusion/x.png")
    with pytest.raises(RequestError, match=r"\(real_celeba, .*diffusion'; rename it"):
        LAYOUT.list_items(tmp_path)


def test_class_on_the_wrong_side(tmp_path):
    grow(tmp_path, "train/real/PGGAN/x.png")
    with pytest.raises(RequestError, match=r"expected real classes .* found 'PGGAN'"):
        LAYOUT.list_items(tmp_path)


def test_sides_without_classes(tmp_path):
    grow(tmp_path, "train/real/x.png", "train/fake/y.png")
    with pytest.raises(RequestError, match="needs a folder for each class"):
        LAYOUT.list_items(tmp_path)


def test_folders_beside_the_splits_are_told(tmp_path):
    grow(tmp_path, "train/PGGAN/x.png", "masks/x.png")
    assert (
        "left out, folders beside those of the splits (1): 'masks'"
        in LAYOUT.list_items(tmp_path).notes[0]
    )
