# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two processes of two devices do what one process of eight devices does."""

import json
import shutil
import signal
import socket

import numpy as np
import pytest

from tests import tiny


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("processes") / "pictures")


@pytest.fixture(scope="module")
def alone(data_dir, tmp_path_factory):
    """The workdir of one process, evaluated."""
    workdir = tmp_path_factory.mktemp("processes") / "alone"
    assert tiny.run_cli(*_train_flags(data_dir, workdir)) == 0
    assert tiny.run_cli(*_evaluate_flags(workdir)) == 0
    return workdir


@pytest.fixture(scope="module")
def together(data_dir, tmp_path_factory):
    """The workdir of two processes, stopped on the way, resumed, and evaluated."""
    workdir = tmp_path_factory.mktemp("processes") / "together"
    flags = _train_flags(data_dir, workdir)
    stopped = _run_two(*flags, signal_at=(5, signal.SIGTERM))
    assert stopped == [128 + signal.SIGTERM] * 2
    # They agree on a step whose metrics are transferred anyway.
    assert tiny.newest(workdir / "checkpoints").name == "6"
    # A copy, so that the tests of the resumed run do not hide this state.
    shutil.copytree(workdir, workdir.with_name("stopped"))
    assert _run_two(*flags) == [0, 0]
    assert _run_two(*_evaluate_flags(workdir)) == [0, 0]
    return workdir


def _train_flags(data_dir, workdir):
    # Each process perturbs its own pictures.
    perturb = "--perturb=none,median_filter:3,gaussian_noise:0.01"
    return [*tiny.train_flags(data_dir, workdir), "--detector=plain", perturb]


def _evaluate_flags(workdir):
    return ["--mode=evaluate", f"--workdir={workdir}", "--perturb=mean_filter:3"]


def _run_two(*flags, signal_at=None):
    """Exit codes of two processes; the signal goes to the second only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        tiny.start(
            *flags,
            f"--coordinator_address=127.0.0.1:{port}",
            "--num_processes=2",
            f"--process_id={number}",
            signal_at=signal_at if number == 1 else None,
            num_devices=2,
        )
        for number in range(2)
    ]
    try:
        errors = [process.communicate(timeout=150)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for error in errors:
        assert "Traceback" not in error, error
    return [process.returncode for process in processes]


def _metrics(workdir):
    path = workdir / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_training_records_the_same(alone, together):
    rows = list(zip(_metrics(together), _metrics(alone), strict=True))
    for found, expected in rows:
        assert list(found) == list(expected)
        np.testing.assert_allclose(
            list(found.values()), list(expected.values()), rtol=1e-5
        )


def test_evaluation_finds_the_same(alone, together):
    found, expected = (
        json.loads(
            (
                path / "evaluations" / "folder_test_mean_filter_3" / "metrics.json"
            ).read_text()
        )
        for path in (together, alone)
    )
    assert list(found) == list(expected)
    for name, value in expected.items():
        is_numbers = isinstance(value, list) and all(
            isinstance(one, float) for one in value
        )
        if isinstance(value, float) or is_numbers:
            assert found[name] == pytest.approx(value, rel=1e-5)
        else:
            assert found[name] == value


def test_one_goes_on_with_the_run_of_two(data_dir, alone, together, capsys):
    stopped = together.with_name("stopped")
    assert tiny.run_cli(*_train_flags(data_dir, stopped)) == 0
    assert "goes on with other processes, devices or" in capsys.readouterr().err
    # The pictures come in the same order; sums over devices have other last digits.
    for found, expected in zip(_metrics(stopped), _metrics(alone), strict=True):
        np.testing.assert_allclose(
            list(found.values()), list(expected.values()), rtol=1e-4
        )


@pytest.mark.slow
def test_processes_share_the_units_of_a_prediction(alone, data_dir, tmp_path):
    flags = [
        "--mode=predict",
        f"--workdir={alone}",
        "--unit_size=3",
        "--batch_size=4",
        str(data_dir),
    ]
    assert _run_two(*flags, f"--output={tmp_path / 'two'}") == [0, 0]
    process = tiny.start(*flags, f"--output={tmp_path / 'one'}", num_devices=2)
    process.communicate()
    assert process.returncode == 0
    found, expected = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("part-*")}
        for name in ("two", "one")
    )
    assert len(expected) > 3
    assert found == expected
