# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of preparing datasets with Ray; only `make test-ray` installs it."""

import importlib.util

import pytest

from fakedet_jax.config import EngineConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import detection
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.prepare import pool, ray_tasks
from fakedet_jax.prepare.staging import Staged
from tests.data.pictures import write_folder
from tests.prepare.detectors import Deadly, DiskFiller, Refusing, Whole
from tests.prepare.inputs import config, contents, write_inputs

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed"
)

ENGINE = EngineConfig("ray", num_workers=2)


@pytest.fixture
def run(tmp_path):
    """Works on four photographs; returns the reasons of what is done, by name."""
    root = write_folder(tmp_path / "in", {"a": 4})
    tasks = [
        pool.Task(
            f"a/{number:03}.png",
            "photo",
            tmp_path / "s" / "ab" / f"{number}.zip",
            tags=(100.0, 2.5, 0.125, 50.0) if number else None,
            needs_tags=True,
        )
        for number in range(4)
    ]

    def work(detector, root=root, **settings):
        reasons = {}
        for task in ray_tasks.run(
            tasks,
            root=root,
            cropping=Cropping(detector, scale=None),
            engine=ENGINE,
            **settings,
        ):
            with Staged(task.staged) as staged:
                reasons[task.name] = staged.rows[0].reason
        return reasons

    return work


def test_workers_write_the_same_bytes_as_the_pool(tmp_path, monkeypatch):
    root = write_inputs(tmp_path / "in")
    monkeypatch.setattr(detection, "create", lambda *_, **__: Whole())
    prepare(config(root, tmp_path / "pool", num_workers=2))
    prepare(config(root, tmp_path / "ray", num_workers=None, engine=ENGINE))
    assert contents(tmp_path / "ray") == contents(tmp_path / "pool")


def test_an_input_that_kills_its_process_costs_no_other(run, caplog):
    assert run(Deadly(victim="a/002.png")) == {
        "a/000.png": "has no usable EXIF tag: no EXIF data",
        "a/001.png": "",
        "a/002.png": "cannot be processed: the process died each time",
        "a/003.png": "",
    }
    assert "a/002.png: the process died; it is skipped" in caplog.messages


def test_a_wrong_request_ends_the_work(run):
    with pytest.raises(RequestError, match=r"^`face_detector`: something is not inst"):
        run(Refusing())


def test_a_full_disk_is_named(run):
    with pytest.raises(RequestError, match=r"^`output`: '.*/s' .*No space left"):
        run(DiskFiller(victim="a/002.png"))


def test_a_worker_that_does_not_see_the_data_is_named(run, tmp_path):
    with pytest.raises(RequestError, match=r"^`data_dir`: .* found no '.*/none'"):
        run(Whole(), root=tmp_path / "none")


def test_a_stop_ends_the_work_at_once(run):
    calls = iter([False] * 3)
    done = run(Whole(seconds=60), is_stopped=lambda: next(calls, True))
    assert "a/001.png" not in done
