# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Photographs with EXIF tags in folders of any kind."""

import pytest

from fakedet_jax.data import layouts
from fakedet_jax.data.layouts import Item
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow

EXIF_FACES = layouts.create("exif_faces")


def test_photographs_are_found_at_any_depth(tmp_path):
    grow(
        tmp_path, "b.JPG", "a/c/1.jpeg", "a/2.png", "a/.hidden.jpg", ".h/3.jpg", "t.txt"
    )
    listing = EXIF_FACES.list_items(tmp_path)
    assert [item.path for item in listing.items] == ["a/2.png", "a/c/1.jpeg", "b.JPG"]
    assert listing.notes == listing.missing == []


def test_all_are_real_and_of_unknown_people(tmp_path):
    grow(tmp_path, "fake/a.jpg")
    (item,) = EXIF_FACES.list_items(tmp_path).items
    assert item == Item("fake/a.jpg", "photo", "real_photographs", is_fake=False)


def test_videos_are_left_out_aloud(tmp_path):
    grow(tmp_path, "a.jpg", "b/v.mp4")
    listing = EXIF_FACES.list_items(tmp_path)
    assert [item.path for item in listing.items] == ["a.jpg"]
    assert listing.notes == ["left out, videos (1): 'b/v.mp4'"]


def test_a_folder_without_photographs_is_a_request_error(tmp_path):
    grow(tmp_path, "v.mp4")
    with pytest.raises(RequestError, match=r"needs photographs in .* found 'v\.mp4'"):
        EXIF_FACES.list_items(tmp_path)


def test_of_all_layouts_only_this_one_needs_tags():
    needing = [name for name in layouts.names() if layouts.create(name).needs_tags]
    assert needing == ["exif_faces"]
