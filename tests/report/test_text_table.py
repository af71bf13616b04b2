# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.report.text_table."""

import pytest

from fakedet_jax.report.text_table import markdown_table, text_table

ROWS = [["name", "n", "unit"], ["long name", "1,234", "s"], ["x", "5", ""]]


def test_columns_are_aligned_and_two_spaces_apart():
    assert text_table(ROWS, left=(0, 2)) == [
        "name           n  unit",
        "long name  1,234  s",
        "x              5",
    ]


def test_only_the_first_column_is_to_the_left_by_default():
    assert text_table(ROWS)[1] == "long name  1,234     s"


def test_the_rule_is_as_long_as_the_longest_line():
    lines = text_table(ROWS, rule=True)
    assert lines[1] == "-" * 22
    assert [lines[0], *lines[2:]] == text_table(ROWS)


def test_no_rows_have_no_lines():
    assert text_table([]) == []


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        text_table([["a", "b"], ["c"]])


def test_a_name_cannot_end_a_cell_of_markdown():
    assert markdown_table([["run", "AUC"], ["a|b", "0.9"]]) == [
        "| run | AUC |",
        "|---|---:|",
        r"| a\|b | 0.9 |",
    ]
