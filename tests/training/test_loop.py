# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training.loop: what a training run leaves, however it was stopped."""

import json
import logging
import math
import os
import signal
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.runtime import parallel
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.training import loop, steps, writers
from tests import tiny


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("loop") / "pictures")


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """What a run leaves that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("loop") / "whole"
    return tiny.result(tiny.fit(data_dir, workdir))


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_saves_at_once_and_goes_on(
    data_dir, whole, tmp_path, signal_number
):
    with (
        tiny.at_step(7, lambda: os.kill(os.getpid(), signal_number)),
        pytest.raises(Stopped) as stopped,
    ):
        tiny.fit(data_dir, tmp_path)
    assert (stopped.value.step, stopped.value.signum) == (7, signal_number)
    assert tiny.newest(tmp_path / "checkpoints").name == "7"
    assert tiny.result(tiny.fit(data_dir, tmp_path)) == whole


def test_a_killed_run_ends_as_if_it_had_not_been(data_dir, whole, tmp_path):
    # When step 5 or 9 is due, the checkpoint before is still being written.
    rng = np.random.default_rng(0)
    other = int(rng.choice([2, 3, 6, 7, 8, 10, 11, 12]))
    for step in sorted([5, 9, other]):
        process = tiny.start(
            *tiny.train_flags(data_dir, tmp_path), signal_at=(step, signal.SIGKILL)
        )
        _, errors = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, errors
    assert tiny.result(tiny.fit(data_dir, tmp_path)) == whole


def test_a_finished_run_is_left_as_it_is(data_dir, tmp_path):
    first = tiny.result(tiny.fit(data_dir, tmp_path))
    with tiny.at_step(tiny.NUM_STEPS + 1, lambda: pytest.fail("trained on")):
        assert tiny.result(tiny.fit(data_dir, tmp_path)) == first


@pytest.mark.slow
def test_a_run_whose_newest_checkpoint_is_lost_goes_on_from_the_one_before(
    data_dir, whole, tmp_path
):
    # The best of that time must still be there too.
    class KilledError(Exception):
        pass

    with (
        tiny.at_step(11, mock.Mock(side_effect=KilledError)),
        pytest.raises(KilledError),
    ):
        tiny.fit(data_dir, tmp_path)
    newest = tiny.newest(tmp_path / "checkpoints")
    assert newest.name == "8"
    newest.rename(tmp_path / "lost")
    best = tiny.facts(tmp_path / "checkpoints")["best"]["step"]
    assert (tmp_path / "best" / str(best)).is_dir()
    assert tiny.result(tiny.fit(data_dir, tmp_path)) == whole


def test_nothing_is_compiled_twice(data_dir, tmp_path, caplog):
    jax.config.update("jax_log_compiles", True)
    try:
        with caplog.at_level(logging.WARNING, logger="jax"):
            tiny.fit(data_dir, tmp_path)
    finally:
        jax.config.update("jax_log_compiles", False)
    compiled = [
        record.getMessage().split()[1]
        for record in caplog.records
        if record.getMessage().startswith("Compiling")
    ]
    assert compiled.count("jit(train_step)") == 1
    assert compiled.count("jit(log_probabilities)") == 1


def test_a_step_takes_nothing_from_the_host_but_the_batch(data_dir, tmp_path):
    compile_step = loop.compile_step
    scale = np.ones(8, np.float32)

    def smuggle(train_step, mesh):
        add = jax.jit(lambda loss, extra: loss * extra.mean())
        compiled = compile_step(train_step, mesh)

        def run(state, images, labels):
            state, metrics = compiled(state, images, labels)
            return state, {**metrics, "loss": add(metrics["loss"], scale)}

        return run

    with (
        mock.patch.object(loop, "compile_step", smuggle),
        pytest.raises(Exception, match=r"Disallowed host-to-device transfer"),
    ):
        tiny.fit(data_dir, tmp_path)


def _spoilt(spoil):
    """Makes `make_train_step` give a step whose result is changed by `spoil`."""
    make = steps.make_train_step

    def make_spoilt(*arguments, **settings):
        step = make(*arguments, **settings)

        def run(state, images, labels):
            return spoil(*step(state, images, labels))

        return run

    return mock.patch.object(steps, "make_train_step", make_spoilt)


@pytest.mark.few(1)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run(data_dir, tmp_path, value):
    def spoil(state, metrics):
        loss = jnp.where(state.step == 6, value, metrics["loss"])
        return state, {**metrics, "loss": loss}

    with (
        _spoilt(spoil),
        pytest.raises(loop.NonFiniteLossError, match=f"is {value} at step 6"),
    ):
        tiny.fit(data_dir, tmp_path)
    assert tiny.newest(tmp_path / "checkpoints").name == "4"
    assert tiny.newest(tmp_path / "best").name == "3"
    assert writers.read_rows(tmp_path)[-1]["step"] == 5


def test_parameters_that_are_not_finite_are_not_saved(data_dir, tmp_path):
    def spoil(state, metrics):
        spoilt = jax.tree.map(
            lambda leaf: jnp.where(state.step == 8, jnp.inf, leaf), state.params
        )
        return state.replace(params=spoilt), metrics

    with (
        _spoilt(spoil),
        pytest.raises(loop.NonFiniteLossError, match="no longer finite after step 8"),
    ):
        tiny.fit(data_dir, tmp_path)
    assert tiny.newest(tmp_path / "checkpoints").name == "4"


def test_of_equally_good_steps_the_later_is_kept(data_dir, tmp_path):
    with mock.patch.object(
        tiny.NetworkDetector,
        "_validator",
        lambda *_: lambda step, _variables: loop.Verdict({}, 0.5, {"step": step}),
    ):
        tiny.fit(data_dir, tmp_path)
    assert tiny.facts(tmp_path / "best") == {"step": tiny.NUM_STEPS}


def test_a_worse_step_does_not_become_the_best(data_dir, tmp_path):
    merits = {3: 0.5, 6: 0.9, 9: 0.7, 12: 0.8}
    with mock.patch.object(
        tiny.NetworkDetector,
        "_validator",
        lambda *_: (
            lambda step, _variables: loop.Verdict({}, merits[step], {"step": step})
        ),
    ):
        tiny.fit(data_dir, tmp_path)
    assert tiny.facts(tmp_path / "best") == {"step": 6}


@pytest.mark.slow
def test_a_run_of_two_processes_is_resumed_by_one(data_dir, tmp_path, caplog):
    stop = tiny.at_step(6, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop, pytest.raises(Stopped):
        tiny.fit(data_dir, tmp_path)
    place = tiny.newest(tmp_path / "checkpoints") / "facts" / "metadata"
    facts = json.loads(place.read_text())
    (own,) = facts["input"]
    half = {"process_count": 2, "batch_size": own["batch_size"] // 2}
    half["num_read"] = own["num_read"] // 2
    facts["input"] = [{**own, **half, "process_index": index} for index in range(2)]
    place.write_text(json.dumps(facts))
    tiny.fit(data_dir, tmp_path)
    assert "goes on with other processes" in caplog.text
    assert tiny.facts(tmp_path / "checkpoints")["input"][0]["start"] == 48


def test_a_batch_lies_on_all_devices():
    mesh = parallel.data_mesh()
    placed = parallel.put_batch(mesh, {"image": np.zeros((16, 4, 4, 3), np.uint8)})
    shapes = {shard.data.shape for shard in placed["image"].addressable_shards}
    assert shapes == {(2, 4, 4, 3)}
