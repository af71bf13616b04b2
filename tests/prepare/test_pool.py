# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the worker processes and of what ends them."""

import os
from pathlib import Path

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import LEFT_OUT, WRITTEN
from fakedet_jax.prepare import pool
from fakedet_jax.prepare.staging import Staged
from tests.data.pictures import write_folder
from tests.prepare.detectors import (
    Deadly,
    DiskFiller,
    Faulty,
    Refusing,
    Unloadable,
    Whole,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("pool"), {"a": 4})


@pytest.fixture
def run(root, tmp_path):
    """Stages four pictures; returns the status and reason of each."""
    tasks = [
        pool.Task(
            f"a/{number:03}.png", "photo", tmp_path / "s" / "ab" / f"{number}.zip"
        )
        for number in range(4)
    ]

    def work(detector, num_processes=1, **settings):
        cropping = Cropping(detector, scale=None)
        done = list(
            pool.run(
                tasks,
                root=root,
                cropping=cropping,
                num_processes=num_processes,
                **settings,
            )
        )
        assert len(done) == len(set(done))
        outcomes = {}
        for task in done:
            with Staged(task.staged) as staged:
                ((row),) = staged.rows
                outcomes[task.name] = (row.status, row.reason)
        return outcomes

    return work


def children():
    """The child processes of this one."""
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return path.read_text().split()


def test_all_inputs_are_staged_and_no_process_stays(run):
    before = children()
    outcomes = run(Whole(), num_processes=2)
    assert set(outcomes.values()) == {(WRITTEN, "")} and len(outcomes) == 4
    assert children() == before


def test_a_killed_process_costs_one_input(run, caplog):
    outcomes = run(Deadly(victim="a/001.png"), num_processes=2)
    status, reason = outcomes.pop("a/001.png")
    assert (status, "ended by SIGKILL each time" in reason) == (LEFT_OUT, True)
    assert set(outcomes.values()) == {(WRITTEN, "")} and len(outcomes) == 3
    assert "a/001.png" in caplog.text


def test_an_unexpected_error_costs_one_input(run, caplog):
    outcomes = run(Faulty(victim="a/002.png"))
    expected = "caused an unexpected error (ZeroDivisionError: division by zero)"
    assert outcomes.pop("a/002.png") == (LEFT_OUT, expected)
    assert set(outcomes.values()) == {(WRITTEN, "")} and len(outcomes) == 3
    assert "a/002.png: ZeroDivisionError" in caplog.text


def test_a_wrong_request_ends_the_work(run):
    with pytest.raises(RequestError, match="something is not installed"):
        run(Refusing())


def test_a_full_disk_is_named_and_staged_files_stay_whole(run, tmp_path):
    with pytest.raises(
        RequestError, match=r"`output`: '.*/s' .*No space left"
    ) as error:
        run(DiskFiller(victim="a/002.png"))
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in (tmp_path / "s" / "ab").iterdir()) == [
        "0.zip",
        "1.zip",
    ]


def test_a_process_that_cannot_start_ends_the_work(run):
    with pytest.raises(RuntimeError, match=r"could not start \(.*exit code 3\)"):
        run(Unloadable())


def test_a_stop_is_heard_while_a_process_works(run):
    assert run(Whole(seconds=60), is_stopped=lambda: True) == {}
