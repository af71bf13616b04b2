# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the facts about examples."""

import numpy as np
import pytest

from fakedet_jax.data.prepared import Facts

POINTS = [[0.5, 1.0], [2.0, 1.0], [1.0, 2.0], [0.5, 3.0], [2.0, 3.0]]
TAGS = [100.0, 2.5, 0.125, 50.0]
ROWS = [
    ("a frame 1", 1, "test", "a", "v", 1, 0, "Ann;Bob", "swap", "c23", POINTS, TAGS),
    ("b\udcff", 0, "train", "b\udcff", "", -1, 2, "", "", "", POINTS[::-1], TAGS[::-1]),
]


@pytest.fixture
def facts():
    return Facts.from_rows(ROWS)


def rows_of(facts):
    columns = [
        column.tolist() if isinstance(column, np.ndarray) else column
        for column in vars(facts).values()
        if not isinstance(column, dict)
    ]
    return list(zip(*columns, strict=True))


def test_what_is_saved_comes_back(facts, tmp_path):
    facts.save(tmp_path / "f.npz")
    loaded = Facts.load(tmp_path / "f.npz")
    assert rows_of(loaded) == ROWS
    assert (loaded.labels.dtype, loaded.frames.dtype) == (np.int32, np.int64)


def test_no_facts_have_columns_of_the_same_shapes():
    empty = Facts.from_rows([])
    assert empty.landmarks.shape == (0, 5, 2) and empty.tags.shape == (0, 4)


def test_portraits_are_landmarks_and_tags(facts):
    portraits = facts.at([1]).portraits
    assert portraits.landmarks.tolist() == [POINTS[::-1]]
    assert portraits.tags.tolist() == [TAGS[::-1]]


def test_the_same_facts_give_the_same_bytes(facts, tmp_path):
    for name in ("a", "b"):
        facts.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_entries_are_found_by_name(facts):
    assert rows_of(facts.of(["b\udcff", "a frame 1"])) == ROWS[::-1]


def test_an_unknown_name_is_an_error(facts):
    with pytest.raises(KeyError):
        facts.of(["c"])


def test_a_split_has_its_own_entries(facts):
    assert rows_of(facts.of_split("test")) == ROWS[:1]
    assert len(facts.of_split("all")) == 2
    assert len(facts.of_split("validation")) == 0
