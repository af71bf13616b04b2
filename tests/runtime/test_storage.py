# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.storage."""

import pytest

from fakedet_jax.runtime import storage


def test_atomic_file_keeps_the_old_content_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), storage.atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [
        ("file", b"old")
    ]


def test_atomic_file_shows_nothing_before_it_is_complete(tmp_path):
    path = tmp_path / "file"
    with storage.atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        storage.write_json(tmp_path / "file", {"auc": float("nan")})
