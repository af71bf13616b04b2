# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from fakedet_jax.media.files import FoundFile, find_pictures


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found_names(root):
    return [str(found.path.relative_to(root)) for found in find_pictures([root])]


def test_folders_are_searched_in_alphabetical_order(tmp_path):
    touch(tmp_path, "b.png", "a/z.jpg", "a/b/c.webp", "c.tiff", "B.png")
    assert found_names(tmp_path) == [
        "B.png",
        "a/b/c.webp",
        "a/z.jpg",
        "b.png",
        "c.tiff",
    ]


def test_extensions_in_any_case_and_nothing_else(tmp_path):
    touch(tmp_path, "a.JPG", "b.Jpeg", "c.txt", "d", "Thumbs.db", "e.heic")
    assert found_names(tmp_path) == ["a.JPG", "b.Jpeg", "e.heic"]


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    touch(tmp_path, ".a.png", ".cache/b.png", "c.png")
    assert found_names(tmp_path) == ["c.png"]


def test_named_file_is_always_taken(tmp_path):
    paths = [tmp_path / "no extension", tmp_path / "missing.png"]
    touch(tmp_path, "no extension")
    assert list(find_pictures(paths)) == [FoundFile(path) for path in paths]


def test_loop_of_links_ends(tmp_path):
    touch(tmp_path, "a/b/x.png")
    (tmp_path / "a/b/up").symlink_to(tmp_path, target_is_directory=True)
    assert found_names(tmp_path) == ["a/b/x.png"]


def test_linked_folder_is_searched(tmp_path):
    touch(tmp_path, "elsewhere/x.png", "top/y.png")
    (tmp_path / "top/link").symlink_to(tmp_path / "elsewhere")
    assert found_names(tmp_path / "top") == ["link/x.png", "y.png"]


def test_dangling_link_is_kept(tmp_path):
    (tmp_path / "link.png").symlink_to("nowhere")
    assert found_names(tmp_path) == ["link.png"]


def test_strange_names_survive(tmp_path):
    names = [b"a b.png", b"line\nbreak.png", b"\xff\xfe.png", "ä×.png".encode()]
    for name in names:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb"):  # noqa: PTH123
            pass
    found = [os.fsencode(found.path.name) for found in find_pictures([tmp_path])]
    assert found == sorted(names)


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read every folder")
def test_unreadable_folder_is_reported(tmp_path):
    touch(tmp_path, "a/x.png", "b.png")
    (tmp_path / "a").chmod(0)
    first, second = find_pictures([tmp_path])
    (tmp_path / "a").chmod(0o700)
    assert first.error == "is a folder that cannot be read: Permission denied"
    assert second == FoundFile(tmp_path / "b.png")


def test_folder_that_fails_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch):
    touch(tmp_path, "a/x.png", "b.png")
    original = Path.iterdir

    def fail_in_a(path):
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(Path, "iterdir", fail_in_a)
    first, second = find_pictures([tmp_path])
    assert first.error == "is a folder that cannot be read: Permission denied"
    assert second == FoundFile(tmp_path / "b.png")


def test_folder_that_may_be_listed_but_not_entered_is_reported(tmp_path, monkeypatch):
    touch(tmp_path, "a/x.png", "b.png")
    original = Path.is_dir

    def fail_in_a(path):
        if path.parent.name == "a":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(Path, "is_dir", fail_in_a)
    first, second = find_pictures([tmp_path])
    assert first.path == tmp_path / "a/x.png" and "Permission denied" in first.error
    assert second == FoundFile(tmp_path / "b.png")


def test_other_extensions_may_be_asked_for(tmp_path):
    for name in ("a.png", "b.MP4", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    found = [file.path.name for file in find_pictures([tmp_path], {".mp4", ".txt"})]
    assert found == ["b.MP4", "c.txt"]
