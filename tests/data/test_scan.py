# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Looking into folders, and paths from lists."""

from pathlib import Path

import pytest

from fakedet_jax.data import scan
from fakedet_jax.errors import RequestError
from tests.data.layouts.trees import grow


@pytest.mark.parametrize("text", ["", "/etc/passwd", "../x", "a/../../x", "a\0b"])
def test_listed_paths_stay_inside(text):
    with pytest.raises(RequestError, match=r"^list, line 3: expected a path inside"):
        scan.listed_path(text, "list, line 3")


def test_listed_paths_are_brought_to_one_form():
    assert scan.listed_path("./a//b.png", "") == "a/b.png"


def test_kinds_of_files_in_any_case(tmp_path):
    grow(tmp_path, "a.JPG", "b.mp4", "c.txt", "d", ".e.png", "sub/f.AVI")
    found = {path.name: scan.kind_of(path) for path in scan.find_files(tmp_path)}
    assert found == {"a.JPG": "photo", "b.mp4": "video", "f.AVI": "video"}


def test_files_of_one_kind_directly_in_a_folder(tmp_path):
    grow(tmp_path, "b.mp4", "a.mp4", "c.png", "sub/d.mp4", "e.mp4/inner.mp4")
    found = [path.name for path in scan.list_files(tmp_path, scan.VIDEO)]
    assert found == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("deep", [False, True])
def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch, deep):
    grow(tmp_path, "a/b/x.png", "a/y.png")
    closed = tmp_path / "a" / "b" if deep else tmp_path / "a"
    original = Path.iterdir

    def fail_there(path):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(Path, "iterdir", fail_there)
    with pytest.raises(RequestError, match=f"{closed.name}' .*Permission denied"):
        scan.find_files(tmp_path / "a")
