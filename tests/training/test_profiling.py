# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.profiling."""

import dataclasses
import gzip
import json
import logging
import re

import pytest

from fakedet_jax.config import ProfileConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.training import profiling
from tests import tiny


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("profiling") / "pictures")


def _traced_steps(folder):
    """Numbers of the steps that the traces of a folder hold."""
    found = set()
    for path in folder.rglob("*.trace.json.gz"):
        with gzip.open(path, "rt") as file:
            events = json.load(file)["traceEvents"]
        found |= {
            int(event["args"]["step_num"])
            for event in events
            if event.get("name") == "train" and "step_num" in event.get("args", {})
        }
    return found


@pytest.mark.slow
def test_the_named_steps_are_traced_and_change_nothing(data_dir, tmp_path):
    plain = tiny.result(tiny.fit(data_dir, tmp_path / "plain"))
    workdir, folder = tmp_path / "traced", tmp_path / "new" / "trace"
    flags = (
        *tiny.train_flags(data_dir, workdir),
        f"--profile_dir={folder}",
        "--profile_first_step=2",
        "--profile_last_step=4",
    )
    assert tiny.run_cli(*flags) == 0
    assert _traced_steps(folder) == {2, 3, 4}
    assert tiny.result(workdir) == plain
    assert "profile" not in (workdir / "config.json").read_text()
    # A finished run has no steps left.
    assert tiny.run_cli(*flags) == 0


def test_a_trace_ends_with_the_run(tmp_path):
    config = ProfileConfig(tmp_path, first_step=3)
    assert config.last_step == 7
    with profiling.StepProfiler(config, num_steps=4) as profiler:
        for number in range(1, 5):
            with profiler.step(number):
                pass
            profiler.finish(number, None)
    assert _traced_steps(tmp_path) == {3, 4}


def test_a_run_that_resumes_within_the_steps_traces_the_rest(tmp_path):
    config = ProfileConfig(tmp_path, first_step=2, last_step=5)
    with profiling.StepProfiler(config, num_steps=9) as profiler:
        for number in range(4, 9):
            with profiler.step(number):
                pass
            profiler.finish(number, None)
    assert _traced_steps(tmp_path) == {4, 5}


def test_a_run_that_resumes_after_the_steps_says_so(tmp_path, caplog):
    config = ProfileConfig(tmp_path, first_step=2, last_step=5)
    with caplog.at_level(logging.WARNING, "fakedet_jax"):
        profiling.StepProfiler(config, num_steps=9, done=5)
    assert "no step is traced" in caplog.text


def test_without_a_folder_nothing_is_traced():
    with profiling.StepProfiler(None, num_steps=2) as profiler:
        with profiler.step(1):
            pass
        profiler.finish(1, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_step": 5, "last_step": 4}, "`profile_last_step`: expected at least"),
        ({"first_step": 0}, "`profile_first_step`: expected at least 1, found 0"),
        ({"last_step": 0}, "`profile_last_step`: expected at least 1, found 0"),
    ],
)
def test_nonsense_is_refused(tmp_path, changes, message):
    with pytest.raises(RequestError, match=re.escape(message)):
        dataclasses.replace(ProfileConfig(tmp_path), **{"last_step": 20, **changes})


def test_a_step_after_the_end_of_the_run_is_refused(tmp_path):
    with pytest.raises(RequestError, match="expected at most 4, the number of steps"):
        profiling.StepProfiler(ProfileConfig(tmp_path, 5, 6), num_steps=4)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"`profile_dir`: .* cannot be made"):
        profiling.StepProfiler(ProfileConfig(tmp_path / "file" / "x", 1, 2), 4)
