# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the output folder of a preparation."""

import errno
import fcntl
import json
import os

import pytest

from fakedet_jax.data.prepared.facts import FILE_NAME
from fakedet_jax.data.prepared.loading import folder_of
from fakedet_jax.errors import RequestError
from fakedet_jax.prepare import output

REQUEST = {"dataset": "folder", "files": "1234", "seed": 0}


def finish(folder, name="folder", request=REQUEST):
    """What a finished preparation leaves, without its records."""
    records = folder_of(folder, name)
    records.mkdir(parents=True)
    for path in (records / "dataset_info.json", records / FILE_NAME):
        path.touch()
    summary = {"faces": 7, "request": request}
    (folder / output.SUMMARY).write_text(json.dumps(summary))
    return summary


def test_one_process_at_a_time_is_at_work_in_a_folder(tmp_path):
    with (
        output.lock(tmp_path / "new"),
        pytest.raises(RequestError, match="found one at work"),
        output.lock(tmp_path / "new"),
    ):
        pass
    with output.lock(tmp_path / "new"):
        pass


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    with output.lock(tmp_path):
        (told,) = caplog.messages
    assert str(tmp_path) in told
    assert os.strerror(errno.ENOLCK) in told
    assert "start no other run" in told


def test_a_file_in_place_of_the_folder_is_a_request_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RequestError, match="a folder that can be created"),
        output.lock(tmp_path / "file"),
    ):
        pass


def test_nothing_is_finished_in_a_new_folder(tmp_path):
    assert output.find_finished(tmp_path, "folder", REQUEST) is None


def test_what_is_finished_is_found(tmp_path):
    summary = finish(tmp_path)
    assert output.find_finished(tmp_path, "folder", REQUEST) == summary


def test_what_was_made_of_something_else_is_named(tmp_path):
    finish(tmp_path)
    with pytest.raises(RequestError, match=r"of other files, seed \(.*, now 1\); name"):
        output.find_finished(tmp_path, "folder", {**REQUEST, "files": "5", "seed": 1})


def test_another_dataset_is_not_joined(tmp_path):
    finish(tmp_path, "celeba")
    with pytest.raises(RequestError, match="holds the prepared dataset celeba already"):
        output.find_finished(tmp_path, "folder", REQUEST)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    folder_of(tmp_path, "folder").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"without the summary\.json"):
        output.find_finished(tmp_path, "folder", REQUEST)


def test_a_summary_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / output.SUMMARY).write_text("[]")
    with pytest.raises(RequestError, match="expected an object, found"):
        output.find_finished(tmp_path, "folder", REQUEST)


def test_a_dataset_that_was_deleted_is_made_again(tmp_path):
    finish(tmp_path)
    (folder_of(tmp_path, "folder") / FILE_NAME).unlink()
    assert output.find_finished(tmp_path, "folder", REQUEST) is None
