# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Readers of the lists that come with datasets."""

import json

import pytest

from fakedet_jax.data.layouts import lists
from fakedet_jax.errors import RequestError


@pytest.mark.parametrize("block", [1, 2, 7, 2**20])
def test_entries_are_those_of_the_json_module(tmp_path, monkeypatch, block):
    monkeypatch.setattr(lists, "_BLOCK", block)
    content = {"a": [1, {"b": None}], 'ü"\\': -12.5e3, "": "x}, {", "n": 123}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    assert dict(lists.read_entries(path)) == content


def test_no_entries(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(" { } \n")
    assert list(lists.read_entries(path)) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1', '{"a" 1}', '{"a": 1,}', "{1: 2}", '{"a": 1} {}', "{]"],
)
def test_damaged_entries_end_in_one_line(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(
        RequestError, match=r"x.json': expected a JSON object"
    ) as caught:
        list(lists.read_entries(path))
    assert "\n" not in str(caught.value)


def test_entries_that_are_not_utf8(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'{"\xff": 1}')
    with pytest.raises(RequestError, match="expected a JSON object"):
        list(lists.read_entries(path))


def test_absent_files_are_named(tmp_path):
    with pytest.raises(RequestError, match="absent' cannot be read"):
        list(lists.read_entries(tmp_path / "absent"))
    with pytest.raises(RequestError, match="absent' cannot be read"):
        list(lists.read_lines(tmp_path / "absent", 2))


def test_lines_keep_spaces_in_the_last_word_and_odd_bytes(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"\xef\xbb\xbf1 a b.mp4 \r\n\n0  \xff.mp4\n")
    assert list(lists.read_lines(path, 2)) == [
        (1, ["1", "a b.mp4"]),
        (3, ["0", "\udcff.mp4"]),
    ]


def test_short_line_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("1 a\n2\n")
    with pytest.raises(RequestError, match="line 2: expected 2 words, found '2'"):
        list(lists.read_lines(path, 2))
