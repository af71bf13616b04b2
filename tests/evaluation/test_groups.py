# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.evaluation.groups."""

import csv

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import groups

NAMES = [
    "/data/test/fake/001.png",
    "/data/test/real/001.png",
    "/data/test/real/002.png",
]


def _table(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("camera", "path"), *rows])
    return path


def test_the_longest_end_of_a_path_names_it(tmp_path):
    table = _table(
        tmp_path / "t.csv",
        ("general", "001.png"),
        ("own", "real/001.png"),
        ("other", "x/real/002.png"),
    )
    assert groups.read(table, "camera", NAMES) == ["general", "own", groups.UNKNOWN]


def test_an_empty_cell_is_an_unknown_group(tmp_path):
    table = _table(tmp_path / "t.csv", ("", "fake/001.png"), ("a", "real/001.png"))
    assert groups.read(table, "camera", NAMES[:2]) == [groups.UNKNOWN, "a"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "x.png"), ("b", "x.png")], "line 3: expected one value of 'camera'"),
        ([("a", "x.png")], "found none in .*, whose first is 'x.png'"),
        ([], "found none in"),
    ],
)
def test_a_table_of_other_pictures_is_refused(tmp_path, rows, message):
    with pytest.raises(RequestError, match=message):
        groups.read(_table(tmp_path / "t.csv", *rows), "camera", NAMES)


def test_a_column_with_a_value_for_each_picture_makes_no_groups(tmp_path):
    names = [f"{number}.png" for number in range(groups.MAX_GROUPS + 1)]
    table = _table(tmp_path / "t.csv", *((name, name) for name in names))
    with pytest.raises(RequestError, match="`group_by`: expected a column of at most"):
        groups.read(table, "camera", names)
