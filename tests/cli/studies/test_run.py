# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of cli.studies.run."""

import csv
import dataclasses
import json
import logging
import shutil
import signal
import statistics

import pytest

from fakedet_jax.cli.studies import run as study
from fakedet_jax.config import DataConfig, InputConfig, StudyConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.signals import Stopped
from tests import tiny
from tests.data import pictures

_FLAGS = ("--detector=tiny", "--num_epochs=1", "--log_every=2")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("study") / "pictures")


class _Commands:
    """Runs trainings in this process and counts them."""

    def __init__(self):
        self.num_started = 0

    def __call__(self, command):
        self.num_started += 1
        assert command[1:3] == ["-m", "fakedet_jax"]
        return tiny.run_cli(*command[3:])


def _write(folder, **changes):
    content = {
        "title": "Tiny detectors",
        "source": "nowhere",
        "metric": "multiclass_accuracy",
        "trainings": [{"name": "one", "flags": [*_FLAGS]}],
        "tests": [{"name": "Raw"}],
        **changes,
    }
    path = folder / "a_study.json"
    path.write_text(json.dumps(content))
    return path


def _config(path, output, data_dir, **changes):
    settings = {
        "seeds": (0, 1),
        "data": DataConfig(dataset="folder", data_dir=data_dir),
        "input": InputConfig(num_threads=2),
        **changes,
    }
    return StudyConfig(study=path, output=output, **settings)


def _run(config, commands=None, **settings):
    with tiny.registered():
        return study.run_study(config, commands or _Commands(), **settings)


@pytest.fixture(scope="module")
def done(data_dir, tmp_path_factory):
    """A study that no test changes: settings and summary."""
    folder = tmp_path_factory.mktemp("study")
    path = _write(folder, baseline="one", confusion=True)
    config = _config(path, folder / "output", data_dir)
    return config, _run(config)


@pytest.fixture
def copy_of_done(done, tmp_path):
    config, _ = done
    shutil.copytree(config.output, tmp_path / "output")
    shutil.copy(config.study, tmp_path / "a_study.json")
    return _config(tmp_path / "a_study.json", tmp_path / "output", config.data.data_dir)


def test_a_training_has_every_seed(done):
    config, _ = done
    for seed in (0, 1):
        workdir = config.output / "runs" / "one" / f"seed{seed}"
        stored = json.loads((workdir / "config.json").read_text())
        assert (stored["seed"], stored["num_epochs"]) == (seed, 1)


def test_the_numbers_are_those_of_the_evaluations(done):
    config, summary = done
    training = summary["trainings"][0]
    values = []
    for seed in (0, 1):
        folder = config.output / "runs" / "one" / f"seed{seed}" / "evaluations" / "Raw"
        metrics = json.loads((folder / "metrics.json").read_text())
        values.append(100 * metrics["accuracy"])
        assert training["runs"][seed]["tests"]["Raw"]["metrics"] == metrics
    cell = training["tests"]["Raw"]
    assert cell["mean"] == pytest.approx(statistics.fmean(values))
    assert cell["deviation"] == pytest.approx(statistics.stdev(values))


def test_the_files_tell_what_is_returned(done):
    config, summary = done
    assert json.loads((config.output / "study.json").read_text()) == summary
    with (config.output / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["training"], row["seed"]) for row in rows] == [
        ("one", "0"),
        ("one", "1"),
    ]
    assert all(float(row["training_seconds"]) > 0 for row in rows)
    assert "| one |" in (config.output / "study.md").read_text()


def test_the_same_command_again_trains_and_tests_nothing(copy_of_done, done):
    metrics = copy_of_done.output / "runs/one/seed0/evaluations/Raw/metrics.json"
    metrics.unlink()
    commands = _Commands()
    assert _run(copy_of_done, commands) == done[1]
    assert commands.num_started == 0
    assert not metrics.exists()


def test_processes_share_a_study(copy_of_done, done, caplog):
    shutil.rmtree(copy_of_done.output / "runs/one/seed1")
    shared = [
        dataclasses.replace(copy_of_done, shard=shard) for shard in ("0/2", "1/2")
    ]
    commands = _Commands()
    with caplog.at_level(logging.INFO):
        assert _run(shared[0], commands) == {}
    assert commands.num_started == 0
    assert "1 of 2 runs are left for other processes" in caplog.text
    summary = _run(shared[1], commands)
    assert commands.num_started == 1
    assert summary["trainings"][0]["tests"] == done[1]["trainings"][0]["tests"]


def test_another_number_of_threads_trains_nothing(copy_of_done):
    commands = _Commands()
    settings = {**vars(copy_of_done), "input": InputConfig(num_threads=1)}
    _run(StudyConfig(**settings), commands)
    assert commands.num_started == 0


def test_pictures_that_were_moved_are_found(copy_of_done, data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "moved")
    data = DataConfig(dataset="folder", data_dir=tmp_path / "moved")
    summary = _run(StudyConfig(**{**vars(copy_of_done), "data": data, "seeds": (0,)}))
    path = copy_of_done.output / "runs" / "one" / "seed0"
    record = json.loads((path / study.RECORD_NAME).read_text())
    assert record["tests"]["Raw"]["data_dir"] == str(tmp_path / "moved")
    assert summary["trainings"][0]["tests"]["Raw"]["mean"] is not None


@pytest.mark.slow
def test_a_new_seed_is_trained_alone(copy_of_done):
    commands = _Commands()
    settings = {**vars(copy_of_done), "seeds": (0, 1, 2)}
    summary = _run(StudyConfig(**settings), commands)
    assert commands.num_started == 1
    assert len(summary["trainings"][0]["tests"]["Raw"]["values"]) == 3


def test_another_detector_is_tested_again(copy_of_done):
    runs = copy_of_done.output / "runs" / "one"
    shutil.rmtree(runs / "seed0" / "best")
    shutil.copytree(runs / "seed1" / "best", runs / "seed0" / "best")
    record = json.loads((runs / "seed0" / study.RECORD_NAME).read_text())
    _run(copy_of_done)
    later = json.loads((runs / "seed0" / study.RECORD_NAME).read_text())
    other = json.loads((runs / "seed1" / study.RECORD_NAME).read_text())
    assert later["tests"]["Raw"] != record["tests"]["Raw"]
    assert later["tests"]["Raw"] == other["tests"]["Raw"]


def test_a_damaged_record_is_made_again(copy_of_done, caplog):
    path = copy_of_done.output / "runs" / "one" / "seed0" / study.RECORD_NAME
    path.write_text('{"flags": 3}')
    commands = _Commands()
    _run(copy_of_done, commands)
    assert commands.num_started == 1
    assert json.loads(path.read_text())["status"] == "done"
    assert "cannot be used and is made again" in caplog.text


def test_a_failure_is_a_row_and_the_others_go_on(data_dir, tmp_path):
    trainings = [
        {"name": "bad", "flags": [*_FLAGS, "--batch_size=9"]},
        {"name": "good", "flags": [*_FLAGS]},
    ]
    path = _write(tmp_path, trainings=trainings)
    config = _config(path, tmp_path / "output", data_dir, seeds=(0,))
    with pytest.raises(study.StudyFailedError) as one:
        _run(config)
    assert str(one.value) == (
        "1 part of the study failed: bad, seed 0: exit code 2; all else is in the "
        "table; mend the flags or files that are named, then run the study again"
    )
    bad, good = one.value.summary["trainings"]
    assert (bad["tests"]["Raw"]["mean"], bad["seconds"]) == (None, None)
    assert good["tests"]["Raw"]["mean"] is not None
    assert "failed: bad, seed 0: exit code 2" in (
        (tmp_path / "output" / "study.md").read_text()
    )


def test_only_what_failed_is_tried_again(copy_of_done):
    shutil.rmtree(copy_of_done.output / "runs" / "one" / "seed1")

    def fail(command):
        raise RuntimeError("no such device")

    with pytest.raises(study.StudyFailedError) as caught:
        _run(copy_of_done, fail)
    assert str(caught.value).endswith(
        "one, seed 1: no such device; all else is in the table; run the same command "
        "again for what is missing"
    )
    commands = _Commands()
    _run(copy_of_done, commands)
    assert commands.num_started == 1


def test_a_training_that_leaves_no_detector_has_failed(data_dir, tmp_path):
    config = _config(_write(tmp_path), tmp_path / "output", data_dir, seeds=(0,))
    with pytest.raises(study.StudyFailedError, match="the training left no detector"):
        _run(config, lambda command: 0)


def test_a_test_that_fails_is_named(data_dir, tmp_path):
    root = tmp_path / "pictures"
    shutil.copytree(data_dir, root)

    def train_and_remove(command):
        code = _Commands()(command)
        for path in (root / "test").rglob("*.*"):
            path.write_bytes(b"")
        return code

    config = _config(_write(tmp_path), tmp_path / "output", root, seeds=(0,))
    with pytest.raises(study.StudyFailedError, match="one, seed 0, test Raw: "):
        _run(config, train_and_remove)


def test_a_wrong_flag_is_found_before_anything_is_trained(data_dir, tmp_path):
    trainings = [
        {"name": "good", "flags": [*_FLAGS]},
        {"name": "bad", "flags": [*_FLAGS, "--learning_rte=3"]},
    ]
    path = _write(tmp_path, trainings=trainings)
    config = _config(path, tmp_path / "output", data_dir)
    commands = _Commands()
    with pytest.raises(RequestError, match="training 'bad': --learning_rte: expected"):
        _run(config, commands)
    assert commands.num_started == 0


def test_what_is_done_is_named(copy_of_done, caplog):
    caplog.set_level(logging.INFO)
    _run(copy_of_done)
    assert "one, seed 1 is trained; nothing to do" in caplog.messages
    assert "not part of this table" not in caplog.text


def test_runs_that_are_left_out_of_a_table_are_counted(copy_of_done, caplog):
    caplog.set_level(logging.INFO)
    _run(StudyConfig(**{**vars(copy_of_done), "seeds": (1,)}))
    runs = copy_of_done.output / "runs"
    assert caplog.messages[-1] == (
        f"not part of this table: 1 finished run of earlier commands in {runs}"
    )


def test_a_stop_ends_the_study_and_the_time_adds_up(data_dir, tmp_path):
    config = _config(_write(tmp_path), tmp_path / "output", data_dir, seeds=(0,))
    record = tmp_path / "output" / "runs" / "one" / "seed0" / study.RECORD_NAME
    with pytest.raises(Stopped) as caught:
        _run(config, lambda command: 128 + signal.SIGTERM)
    assert caught.value.signum == signal.SIGTERM
    first = json.loads(record.read_text())
    assert first["status"] == "stopped"
    _run(config)
    second = json.loads(record.read_text())
    assert second["status"] == "done"
    assert second["seconds"] > first["seconds"] > 0


def test_overrides_and_data_follow_the_flags_of_a_training(data_dir, tmp_path):
    commands = []

    def note(command):
        commands.append(command)
        return 1

    data = DataConfig("folder", data_dir, ("a", "b"), "binary", 0.1, 500)
    config = _config(
        _write(tmp_path),
        tmp_path / "output",
        data_dir,
        seeds=(7,),
        data=data,
        overrides=("--num_epochs=5",),
    )
    with pytest.raises(study.StudyFailedError):
        _run(config, note)
    assert commands[0][3:] == [
        "--mode=train",
        *_FLAGS,
        "--dataset=folder",
        f"--data_dir={data_dir}",
        "--real_classes=a,b",
        "--task=binary",
        "--validation_fraction=0.1",
        "--num_identities=500",
        "--num_epochs=5",
        "--seed=7",
        "--num_threads=2",
        f"--workdir={tmp_path / 'output' / 'runs' / 'one' / 'seed7'}",
    ]


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_seeds_are_checked(data_dir, tmp_path, seeds):
    path = _write(tmp_path)
    with pytest.raises(RequestError, match=r"^`seeds`: expected "):
        _run(_config(path, tmp_path / "output", data_dir, seeds=seeds))


def test_an_output_that_is_a_file_is_refused(data_dir, tmp_path):
    path = _write(tmp_path)
    with pytest.raises(RequestError, match=r"^`output`: .* cannot be written"):
        _run(_config(path, path, data_dir))


@pytest.mark.slow
def test_a_study_of_the_real_command(tmp_path):
    counts = {"train/real": 8, "train/fake": 8, "validation/real": 2}
    counts |= {"validation/fake": 2, "test/real": 3, "test/fake": 3}
    root = pictures.write_folder(tmp_path / "pictures", counts, 128)
    trainings = [
        {"name": "good", "flags": ["--detector=amtennet", "--batch_size=8"]},
        {"name": "bad", "flags": ["--detector=meso4", "--weights=none"]},
    ]
    config = _config(
        _write(tmp_path, trainings=trainings),
        tmp_path / "output",
        root,
        seeds=(0,),
        overrides=("--num_epochs=1",),
    )
    with pytest.raises(study.StudyFailedError, match=r"bad, seed 0: --weights: meso4"):
        study.run_study(config)
    summary = json.loads((tmp_path / "output" / "study.json").read_text())
    assert summary["trainings"][0]["tests"]["Raw"]["mean"] is not None
    assert summary["trainings"][0]["seconds"] > 1
