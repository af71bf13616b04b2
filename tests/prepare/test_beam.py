# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of preparing datasets with Apache Beam; only `make test-beam` installs it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.faces import detection
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.prepare import beam, pool
from fakedet_jax.prepare.staging import Staged
from tests.data.pictures import write_folder
from tests.prepare.detectors import Deadly, DiskFiller, Refusing, Whole
from tests.prepare.inputs import config, contents, write_inputs

pytest.importorskip("apache_beam")

# Of the protobuf that Beam asks for, which TFDS is not up to yet.
pytestmark = pytest.mark.filterwarnings(
    "ignore:label\\(\\) is deprecated:DeprecationWarning"
)

PROJECT = Path(__file__).parents[2]
TWO_WORKERS = (
    "runner=DirectRunner",
    "direct_running_mode=multi_processing",
    "direct_num_workers=2",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Not to be changed."""
    return write_inputs(tmp_path_factory.mktemp("beam") / "in")


@pytest.fixture
def detector(monkeypatch):
    """Replaces the face detector."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))

    def replace(other):
        monkeypatch.setattr(detection, "create", lambda *_, **__: other)

    return replace


@pytest.fixture
def run(tmp_path):
    """Works on four photographs in this process; returns the names of what is done."""
    root = write_folder(tmp_path / "in", {"a": 4})
    tasks = [
        pool.Task(
            f"a/{number:03}.png", "photo", tmp_path / "s" / "ab" / f"{number}.zip"
        )
        for number in range(4)
    ]

    def work(detector, root=root, **settings):
        done = beam.run(
            tasks,
            root=root,
            cropping=Cropping(detector, scale=None),
            runner=beam.create_runner(["runner=DirectRunner"]),
            **settings,
        )
        return sorted(task.name for task in done)

    return work


def test_two_workers_write_the_same_bytes_as_the_pool(root, tmp_path, detector):
    # One of the inputs kills whoever works on it.
    detector(Deadly(victim="real/002.png"))
    prepare(config(root, tmp_path / "pool", num_workers=2))
    detector(Deadly(victim="real/002.png"))
    prepare(
        config(
            root,
            tmp_path / "beam",
            num_workers=None,
            beam_pipeline_options=TWO_WORKERS,
        )
    )
    assert contents(tmp_path / "beam") == contents(tmp_path / "pool")


_RUN = """
import sys
from pathlib import Path
from fakedet_jax.faces import detection
from fakedet_jax.jobs.prepare import prepare
from tests.prepare.detectors import Whole
from tests.prepare.inputs import config
root, out, log, *options = sys.argv[1:]
detection.create = lambda *_, **__: Whole(log=log, seconds=0.5)
prepare(config(
    Path(root), Path(out), num_workers=None, beam_pipeline_options=tuple(options)
))
"""


def descendants(pid):
    """All processes that one has started, and those have started."""
    children = [
        Path("/proc", number)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for number in (task / "children").read_text().split()
    ]
    return children + [p for child in children for p in descendants(child.name)]


def test_a_killed_pipeline_leaves_no_process_and_is_resumed(root, tmp_path, detector):
    output, log = tmp_path / "out", tmp_path / "log"

    def staged():
        return len(list((output / ".staging").glob("*/[!.]*")))

    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(root), str(output), str(log), *TWO_WORKERS],
        cwd=PROJECT,
        stderr=subprocess.DEVNULL,
    ) as process:
        while staged() < 4:
            assert process.poll() is None
            time.sleep(0.01)
        workers = descendants(process.pid)
        process.kill()
    assert len(workers) >= 4  # Two of Beam, and a process of each.
    end = time.monotonic() + 60
    while any(worker.exists() for worker in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(worker.exists() for worker in workers)
    assert 4 <= staged() < 16
    detector(Whole(log=str(log)))
    options = ("direct_num_workers=1",)
    prepare(config(root, output, num_workers=None, beam_pipeline_options=options))
    detector(Whole())
    prepare(config(root, tmp_path / "pool"))
    assert contents(output) == contents(tmp_path / "pool")
    seen = log.read_bytes().splitlines()
    assert len(seen) <= 18 + 2 * 4 and len(set(seen)) == 12


def test_a_wrong_request_ends_the_work(run):
    with pytest.raises(RequestError, match=r"^`face_detector`: something is not inst"):
        run(Refusing())


def test_a_full_disk_is_named(run, tmp_path):
    with pytest.raises(RequestError, match=r"^`output`: '.*/s' .*No space left"):
        run(DiskFiller(victim="a/002.png"))


def test_a_worker_that_does_not_see_the_data_is_named(run, tmp_path):
    with pytest.raises(RequestError, match=r"^`data_dir`: .* found no '.*/none'"):
        run(Whole(), root=tmp_path / "none")


def test_tasks_of_several_parts_are_all_done(run, tmp_path, monkeypatch):
    monkeypatch.setattr(beam, "_NUM_LINES", 3)
    assert run(Whole()) == [f"a/00{number}.png" for number in range(4)]
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["ab"]


def test_a_stop_ends_the_work_after_what_is_in_hand(run, tmp_path):
    staged = tmp_path / "s" / "ab"
    done = run(Whole(seconds=1), is_stopped=lambda: staged.is_dir())
    assert done == []
    assert len(list(staged.glob("*.zip"))) == 1


def test_nothing_to_do_needs_no_pipeline(tmp_path):
    cropping = Cropping(Whole(), scale=None)
    assert not list(
        beam.run([], root=tmp_path, cropping=cropping, runner=beam.create_runner([]))
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("runer=DirectRunner", r"expected options of Beam .*, found runer$"),
        ("runner=NoRunner", "Unexpected pipeline runner: NoRunner"),
        ("direct_running_mode=fast", "argument `direct_running_mode`: invalid choice"),
        ("direct_num_workers=two", "argument `direct_num_workers`: invalid int value"),
        ("--runner=DirectRunner", "expected name=value or name, such as"),
    ],
)
def test_wrong_options_are_request_errors(option, message):
    with pytest.raises(RequestError, match=message) as error:
        beam.create_runner([option])
    assert str(error.value).startswith("`beam_pipeline_options`: ")
    assert "\n" not in str(error.value)


def test_workers_know_which_tags_are_given_and_needed(tmp_path):
    root = write_folder(tmp_path / "in", {"a": 2})
    tasks = [
        pool.Task(
            f"a/{number:03}.png",
            "photo",
            tmp_path / "s" / "ab" / f"{number}.zip",
            tags=tags,
            needs_tags=True,
        )
        for number, tags in enumerate([(100.0, 2.5, 0.125, 50.0), None])
    ]
    done = beam.run(
        tasks,
        root=root,
        cropping=Cropping(Whole(), scale=None),
        runner=beam.create_runner(["runner=DirectRunner"]),
    )
    rows = {}
    for task in done:
        with Staged(task.staged) as opened:
            (rows[task.name],) = opened.rows
    assert rows["a/000.png"].tags == (100, 2.5, 0.125, 50)
    assert rows["a/001.png"].reason == "has no usable EXIF tag: no EXIF data"
