# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the processes that read files, and of what ends them."""

import contextlib
import os
import time

import numpy as np
import pytest

from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.detector import WholePicture
from fakedet_jax.faces.extraction import LEFT_OUT, WRITTEN
from fakedet_jax.faces.process_readers import ProcessReaders
from fakedet_jax.faces.reader_process import Task
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.video import EveryNth
from tests.data.pictures import colourful, encode
from tests.media.media_files import write_video
from tests.prepare.detectors import Deadly, DeadlyOnce, Slow, Unloadable
from tests.prepare.test_pool import children
from tests.runtime.test_slots import open_files

FRAMING = Framing.square(16)
NUM_FRAMES = 20


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Five photographs, and a video in their middle. Not to be changed."""
    folder = tmp_path_factory.mktemp("readers")
    for number in (0, 1, 3, 4, 5):
        picture = encode(colourful(40, 60, number))
        (folder / f"{number}.png").write_bytes(picture)
    write_video(folder / "2.mp4", NUM_FRAMES)
    return [
        Task(path, path.name, "video" if path.suffix == ".mp4" else "photo")
        for path in sorted(folder.iterdir())
    ]


def read(tasks, detector, num_processes=2, **settings):
    """The outcomes of each file, by its name."""
    how = Cropping(detector, scale=None, selection=EveryNth(1))
    readers = ProcessReaders(how, FRAMING, num_processes, num_ahead=4, **settings)
    with contextlib.closing(readers):
        started = [(task.name, readers.start(task)) for task in tasks]
        return {name: list(outcomes) for name, outcomes in started}


def check_complete(found, tasks):
    """Checks that files gave all that is in them."""
    how = Cropping(WholePicture(), scale=None, selection=EveryNth(1))
    for task in tasks:
        expected = list(task.extract(how))
        assert len(found[task.name]) == len(expected)
        for (row, picture), (wanted, pixels) in zip(
            found[task.name], expected, strict=True
        ):
            assert repr(row) == repr(wanted)
            np.testing.assert_array_equal(picture, to_input(pixels, FRAMING))


@pytest.mark.parametrize("num_processes", [1, 3])
def test_a_video_with_more_pictures_than_slots_is_read_whole(tasks, num_processes):
    before = children(), open_files()
    found = read(tasks, WholePicture(), num_processes)
    assert len(found["2.mp4"]) == NUM_FRAMES
    check_complete(found, tasks)
    assert (children(), open_files()) == before


@pytest.mark.parametrize("victim", ["1.png", "2.mp4"])
def test_a_file_that_kills_its_process_is_given_up(tasks, victim):
    found = read(tasks, Deadly(victim=victim))
    ((row, picture),) = found.pop(victim)
    assert (row.status, picture) == (LEFT_OUT, None)
    assert row.reason == (
        "cannot be processed: the process was ended by SIGKILL each time"
    )
    check_complete(found, [task for task in tasks if task.name != victim])


@pytest.mark.parametrize("victim", ["0.png", "2.mp4", "5.png"])
def test_a_process_that_is_killed_costs_nothing(tasks, victim, tmp_path):
    mark = tmp_path / "mark"
    found = read(tasks, DeadlyOnce(victim=victim, mark=str(mark)))
    assert mark.exists()
    check_complete(found, tasks)


def test_a_process_that_dies_within_a_video_repeats_nothing(tasks):
    how = Cropping(WholePicture(), scale=None, selection=EveryNth(1))
    before = set(children())
    readers = ProcessReaders(how, FRAMING, 1, num_ahead=1)
    with contextlib.closing(readers):
        outcomes = readers.start(tasks[2])
        found = [next(outcomes) for _ in range(3)]
        (child,) = set(children()) - before
        os.kill(int(child), 9)
        found += outcomes
    check_complete({"2.mp4": found}, [tasks[2]])


@pytest.mark.slow
def test_a_file_that_takes_too_long_is_given_up(tasks):
    photos = [task for task in tasks if task.kind == "photo"]
    found = read(photos, Slow(victim="3.png"), seconds_per_file=2.5)
    ((row, _),) = found.pop("3.png")
    assert (row.status, row.reason) == (LEFT_OUT, "takes longer than 2.5 s")
    check_complete(found, [task for task in photos if task.name != "3.png"])


def test_time_in_which_nobody_takes_the_pictures_does_not_count(tasks):
    how = Cropping(WholePicture(), scale=None, selection=EveryNth(1))
    readers = ProcessReaders(how, FRAMING, 1, num_ahead=1, seconds_per_file=2.5)
    with contextlib.closing(readers):
        outcomes = readers.start(tasks[2])
        found = [next(outcomes)]
        time.sleep(3)  # The process soon waits for a slot.
        found += outcomes
    assert [row.status for row, _ in found] == [WRITTEN] * NUM_FRAMES


def test_a_process_that_cannot_start_ends_the_work(tasks):
    with pytest.raises(RuntimeError, match=r"could not start \(.*exit code 3\)"):
        read(tasks, Unloadable())
