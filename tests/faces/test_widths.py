# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.faces.widths."""

import json
import sys

import numpy as np
import pytest

from fakedet_jax.config import DataConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import widths
from fakedet_jax.faces.widths import Widths
from tests.data.pictures import write_folder
from tests.faces.rendered import LOOSE, TIGHT, write_faces

CROPS = Widths(0.66, 0.72, 0.78)
PHOTOGRAPHS = Widths(0.2, 0.46, 0.61)


def _load(root, split="all"):
    return catalog.load(DataConfig("folder", root), split, needs="either")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """What is found in the same pictures, cut out tightly and loosely."""
    root = tmp_path_factory.mktemp("widths")
    return {
        shown: widths.search([_load(write_faces(root / str(shown), shown))], 2)
        for shown in (TIGHT, LOOSE)
    }


def test_faces_fill_more_of_tight_crops(searched):
    tight, loose = (widths.summarize(searched[shown]) for shown in (TIGHT, LOOSE))
    assert set(tight) == set(loose) == {"real", "fake"}
    for kind, found in loose.items():
        assert tight[kind].median == pytest.approx(found.median / TIGHT, rel=0.1)
        assert found.narrow <= found.median <= found.wide


def test_tight_and_loose_crops_are_told_apart(searched):
    tight, loose = (widths.summarize(searched[shown]) for shown in (TIGHT, LOOSE))
    line = widths.compare(loose, tight)
    assert "real faces are" in line and "; fake faces are" in line
    percent = f"{loose['real'].median:.0%} as wide as their pictures, and were "
    assert f"{percent}{tight['real'].median:.0%} in the training" in line
    assert widths.compare(tight, loose)
    assert widths.compare(tight, tight) == ""
    assert widths.compare(loose, {"fake": loose["fake"]}) == ""
    assert widths.compare(loose, {}) == ""


def test_threads_do_not_matter(searched, tmp_path):
    dataset = _load(write_faces(tmp_path, LOOSE))
    assert widths.search([dataset], 1) == searched[LOOSE]


def test_pictures_of_all_splits_are_searched_and_the_unusable_passed_over(tmp_path):
    root = write_folder(tmp_path, {"train/real": 20, "train/fake": 50, "test/real": 30})
    for name in ("000", "001"):
        (root / "train" / "real" / f"{name}.png").write_bytes(b"no picture")
    splits = [_load(root, split) for split in ("train", "test")]
    found = widths.search(splits, 2)
    assert {kind: len(shares) for kind, shares in found.items()} == {
        "real": 30,
        "fake": 32,
    }
    assert widths.summarize(found) == {}


@pytest.mark.parametrize(
    ("found", "known", "are_like"),
    [
        (CROPS, CROPS, True),
        (Widths(0.7, 0.8, 0.85), CROPS, True),
        (Widths(0.82, 0.85, 0.89), CROPS, False),
        (Widths(0.4, 0.5, 0.6), CROPS, False),
        # A median of photographs says little, but a crop is unlike all of them.
        (Widths(0.2, 0.56, 0.61), PHOTOGRAPHS, True),
        (CROPS, PHOTOGRAPHS, False),
    ],
)
def test_medians_and_ranges_decide(found, known, are_like):
    assert found.are_like(known) == are_like


def test_whole_photographs_are_like_others_of_their_kind():
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.2, 0.7, (200, 2, 30))
    for one, other in shares:
        pair = widths.summarize({"real": one.tolist(), "fake": other.tolist()})
        assert pair["real"].are_like(pair["fake"])


def test_nothing_is_found_without_opencv(tmp_path, monkeypatch):
    dataset = _load(write_folder(tmp_path, {"real": 2, "fake": 2}))
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert widths.search([dataset], 2) is None
    assert widths.summarize(None) == {}


def test_the_record_survives_json():
    known = {"real": CROPS, "fake": PHOTOGRAPHS}
    stored = json.loads(json.dumps(widths.to_record(known)))
    assert widths.from_record(stored) == known
    assert widths.to_record({}) is None
    assert widths.from_record(None) == {}


@pytest.mark.parametrize(
    "record",
    [
        [],
        "text",
        {"real": None},
        {"real": {"narrow": 0.5, "median": 0.6}},
        {"real": {"narrow": -1, "median": 0.6, "wide": 0.7}},
    ],
    ids=str,
)
def test_a_wrong_record_is_one_line(record):
    with pytest.raises(RequestError, match=r"config\.json: face_widths") as caught:
        widths.from_record(record)
    assert "\n" not in str(caught.value)
