# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.cli: what a user sees of a wrong request."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from fakedet_jax import cli
from fakedet_jax.cli import flags as derived
from fakedet_jax.cli import modes
from fakedet_jax.config import DataConfig
from fakedet_jax.data import catalog
from fakedet_jax.runtime import signals
from tests import tiny
from tests.prepare.inputs import write_inputs

_ROOT = Path(__file__).parents[2]
_CLUSTER = (
    "--mode=train",
    "--num_processes=2",
    "--process_id=1",
    "--coordinator_address=127.0.0.1:1",
)


def _fails(capsys, *arguments, code=2):
    """The only line on standard error."""
    assert tiny.run_cli(*arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("fakedet: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode=train", "--epochs=3"], "Unknown command line flag 'epochs'"),
        (["--mode=train", "--epochs=3"], "did you mean --num_epochs?"),
        (["train", "--epochs=3"], "did you mean --num_epochs?"),
        (["train", "--batch-size=3"], "did you mean --batch_size?"),
        (["predict", "--inpust=3"], "did you mean --inputs?"),
        (["--wrokdir=x"], "did you mean --workdir?"),
        (["train", "--zzzz"], "'zzzz'; see fakedet train --help"),
        (["train", "--batch_size=many"], "see fakedet train --help"),
        (["train", "--workdir=w", "--detector=meso5"], "did you mean meso4"),
        (
            ["train", "--workdir=w", "--select_by=acuracy"],
            "--select_by: expected accuracy, auc, loss, found 'acuracy'; did you mean "
            "accuracy or auc?",
        ),
        (
            ["train", "--workdir=w", "--detector=fakespotter", "--backbone=facnet"],
            "found 'facnet'; did you mean facenet or mobilefacenet?",
        ),
        (["--mode=fly"], "--mode: 'fly' is no mode; expected one of check, train, "),
        (["--mode=pedict"], "--mode: 'pedict' is no mode; did you mean predict?"),
        (["pedict"], "'pedict' is no mode; did you mean predict?"),
        (["pedict", "--help"], "'pedict' is no mode; did you mean predict?"),
        (["eval", "--workdir=w"], "'eval' is no mode; did you mean evaluate?"),
        (["xyzzy"], "'xyzzy' is no mode; expected one of check, train, "),
        (["--workdir=w"], "--mode: expected one of check, train, evaluate"),
        (["--workdir=w", "train"], "the mode comes first, as in `fakedet train`"),
        (["train", "--mode=predict"], "the mode is train and --mode=predict at the"),
        (["predict", "a.jpg"], "--workdir: this setting is required (Folder of the"),
        (["--mode=train"], "--workdir: this setting is required (Folder of the"),
        (["--mode=evaluate"], "--workdir: this setting is required"),
        (["--mode=predict", "a.jpg"], "--workdir: this setting is required"),
        (
            ["--mode=train", "--batch_size=many"],
            "expected a whole number such as 10, found 'many'",
        ),
        (
            ["--mode=train", "--learning_rate=x"],
            "expected a number such as 0.01, found 'x'",
        ),
        (["train", "--max_false_alarms=1%"], "a number such as 0.01, found '1%'"),
        (["train", "--process_id=one"], "a whole number such as 10, found 'one'"),
        (["--mode=train", "--flip=maybe"], "--flip=maybe: "),
        (
            ["--mode=train", "--workdir=w", "--num_threads=0"],
            "--num_threads: expected at least 1, found 0",
        ),
        (
            ["--mode=train", "--workdir=w", "--num_workers=-1"],
            "--num_workers: expected at least 0, found -1",
        ),
        (
            ["--mode=train", "--workdir=w", "--learning_rate=nan"],
            "--learning_rate: expected a number above 0, found nan",
        ),
        (
            ["--mode=train", "--workdir=w", "--perturb_copies=x"],
            "--perturb_copies=x: expected a number such as 0.01, found 'x'",
        ),
        (["--mode=train", "--workdir"], "Missing value for flag --workdir"),
        (["--mode=train", "a.jpg"], "`fakedet train` takes no files, found 'a.jpg'"),
        (["--mode=evaluate", "x"], "`fakedet evaluate` takes no files, found 'x'"),
        (["--flagfile=/nowhere"], "/nowhere"),
        (["--mode=train", "--process_id=0"], "belong together; give all three"),
        ([*_CLUSTER, "--coordinator_address=nowhere"], "expected HOST:PORT of process"),
        ([*_CLUSTER, "--process_id=2"], "--process_id: expected a number from 0 to 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_gets_one_line(capsys, arguments, message):
    assert message in _fails(capsys, *arguments)


@pytest.mark.parametrize("mode", ["evaluate", "predict"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_workdir_without_a_detector_is_named(capsys, tmp_path, mode, exists):
    workdir = tmp_path if exists else tmp_path / "nowhere"
    files = [str(tmp_path)] if mode == "predict" else []
    line = _fails(capsys, f"--mode={mode}", f"--workdir={workdir}", *files)
    told = f"'{workdir}' does not exist; name the folder of a training"
    if exists:
        told = f"'{workdir / 'config.json'}' is missing; no detector was trained"
    assert f"--workdir: {told}" in line
    assert ("fakedet train" in line) == exists


def test_predict_without_files_says_what_is_missing(capsys, tmp_path):
    line = _fails(capsys, "--mode=predict", f"--workdir={tmp_path}")
    assert "`fakedet predict`: name files or folders" in line


@pytest.mark.parametrize("flag", ["task=binary", "real_classes=x"])
def test_a_flag_that_would_be_ignored_is_refused(capsys, tmp_path, flag):
    line = _fails(capsys, "--mode=evaluate", f"--workdir={tmp_path}", f"--{flag}")
    name = flag.partition("=")[0]
    assert f"--{name}: give --dataset or --data_dir too" in line


@pytest.mark.parametrize(
    ("mode", "flag", "users"),
    [
        ("evaluate", "thresholds=t.npz", "extract"),
        ("predict", "split=test", "evaluate, suite, cross_dataset, export, extract"),
        ("train", "suite=amten", "suite, suite_scores, export"),
        ("convert", "noflip", "train"),
        ("suite", "perturb=mix", "train, evaluate, cross_dataset"),
        ("suite", "num_resamples=5", "evaluate, cross_dataset"),
        ("evaluate", "output=o", "check, suite_scores, predict, merge, prepare, "),
        ("evaluate", "pictures=p", "suite_scores"),
    ],
)
def test_a_flag_that_the_mode_does_not_use_is_refused(capsys, mode, flag, users):
    line = _fails(capsys, f"--mode={mode}", f"--{flag}")
    name = flag.partition("=")[0].removeprefix("no")
    assert f"--{name}: `fakedet {mode}` does not use it, only {users}" in line


@pytest.mark.parametrize(
    ("detector", "flag", "users"),
    [
        ("meso4", "embedder=small", "exif_anomaly"),
        ("fakespotter", "num_microbatches=2", "amtennet, meso4, "),
        ("exif_anomaly", "select_by=auc", "amtennet, meso4, "),
        ("meso4", "residual=srm", "amtennet"),
    ],
)
def test_a_flag_of_another_detector_is_refused(capsys, detector, flag, users):
    command = ("--mode=train", f"--detector={detector}", f"--{flag}", "--workdir=w")
    line = _fails(capsys, *command)
    name = flag.partition("=")[0]
    assert f"--{name}: {detector} has no such option, only {users}" in line


@pytest.mark.parametrize("mode", ["predict", "evaluate", "suite", "cross_dataset"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--threshold=1.5"], "--threshold: expected a number from 0 to 1, found 1.5"),
        (["--threshold=-0.1"], "--threshold: expected a number from 0 to 1"),
        (["--threshold=nan"], "--threshold: expected a number from 0 to 1, found nan"),
        (["--max_false_alarms=0"], "--max_false_alarms: expected a number between 0"),
        (["--max_false_alarms=1"], "--max_false_alarms: expected a number between 0"),
        (
            ["--threshold=0.5", "--max_false_alarms=0.1"],
            "--threshold and --max_false_alarms both say which scores are decided fake",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_operating_point_is_refused(capsys, mode, flags, message):
    needed = {"suite": ["--suite=amten"], "cross_dataset": ["--datasets=a"]}
    files = ["a.jpg"] if mode == "predict" else needed.get(mode, [])
    assert message in _fails(capsys, mode, "--workdir=w", *flags, *files)


@pytest.mark.parametrize("mode", ["predict", "evaluate", "cross_dataset"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--false_alarm_rate=0"], "--false_alarm_rate: expected a number between 0"),
        (["--miss_rate=1"], "--miss_rate: expected a number between 0 and 1, found 1"),
        (["--miss_rate=-1"], "--miss_rate: expected a number between 0 and 1"),
        (
            ["--unsure", "--threshold=0.5"],
            "--unsure and --threshold: the first leaves scores between two thresholds "
            "unsure, the second decides all by one; give one",
        ),
        (
            ["--miss_rate=0.1", "--max_false_alarms=0.1"],
            "--miss_rate and --max_false_alarms: the first leaves",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_rates_of_unsure_scores_are_refused(capsys, mode, flags, message):
    needed = {"predict": ["a.jpg"], "cross_dataset": ["--datasets=a"]}
    files = needed.get(mode, [])
    assert message in _fails(capsys, mode, "--workdir=w", *flags, *files)


def test_every_setting_is_a_flag_and_every_flag_a_setting():
    cli.define_flags()
    defined = cli.FLAGS.flags_by_module_dict()[derived.__name__]
    wanted = {
        name for mode in modes.MODES.values() for name in derived.names(mode.settings)
    }
    common = {"mode", "distributed", "coordinator_address", "num_processes"}
    positional = {"paths", "study"}
    assert wanted - positional | common | {"process_id"} == {
        flag.name for flag in defined
    }


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(28, "No space left"), 1, "[Errno 28] No space left"),
        (RuntimeError("first\n  second"), 1, "first second"),
        (MemoryError(), 1, "MemoryError()"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (signals.Stopped(15, 7), 143, "stopped by SIGTERM at step 7; run the same"),
        (signals.Stopped(2, advice=""), 130, "fakedet: stopped by SIGINT\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_is_one_line_with_its_code(capsys, error, code, message):
    with mock.patch("fakedet_jax.jobs.train.train", side_effect=error):
        assert message in _fails(capsys, "--mode=train", "--workdir=w", code=code)


def test_a_mistake_of_the_program_is_not_hidden():
    with (
        mock.patch("fakedet_jax.jobs.train.train", side_effect=KeyError("bug")),
        pytest.raises(KeyError, match="bug"),
    ):
        tiny.run_cli("--mode=train", "--workdir=w")


def test_flags_become_settings(tmp_path):
    with mock.patch("fakedet_jax.jobs.train.train") as train:
        tiny.run_cli(
            "--mode=train",
            "--workdir=w",
            f"--data_dir={tmp_path}",
            "--real_classes=photos,paintings",
            "--task=binary",
            "--num_epochs=3",
            "--noflip",
            "--num_threads=2",
        )
    (settings,) = train.call_args.args
    assert settings.data.dataset == "folder"
    assert settings.data.data_dir == tmp_path
    assert settings.data.real_classes == ("photos", "paintings")
    assert settings.data.task == "binary"
    assert settings.recipe == {"num_epochs": 3}
    assert settings.options.flip is False
    assert settings.input.num_threads == 2


def test_the_task_is_heard_without_a_dataset():
    with mock.patch("fakedet_jax.jobs.train.train") as train:
        tiny.run_cli("--mode=train", "--workdir=w", "--task=binary")
    (settings,) = train.call_args.args
    assert (settings.data.dataset, settings.data.task) == ("synthetic_faces", "binary")


def test_without_data_flags_the_training_pictures_are_evaluated():
    with mock.patch("fakedet_jax.jobs.evaluate.evaluate", return_value={}) as evaluate:
        tiny.run_cli("--mode=evaluate", "--workdir=w")
    (settings,) = evaluate.call_args.args
    assert settings.data is None


@pytest.mark.parametrize(
    ("flags", "job", "mode"),
    [
        (["--suite=amten"], "suite.evaluate_suite", "suite"),
        (["--datasets=a,b"], "cross_dataset.evaluate_datasets", "cross_dataset"),
    ],
)
def test_older_forms_of_evaluate_are_handed_on(capsys, flags, job, mode):
    error = RuntimeError("reached")
    with mock.patch(f"fakedet_jax.jobs.{job}", side_effect=error) as reached:
        assert tiny.run_cli("--mode=evaluate", "--workdir=w", *flags) == 1
    assert isinstance(reached.call_args.args[0], modes.MODES[mode].settings)
    assert f"goes away in the next version; give `fakedet {mode}`" in (
        capsys.readouterr().err
    )


def test_a_sub_command_is_the_mode(tmp_path):
    with mock.patch("fakedet_jax.jobs.predict.predict") as predict:
        assert tiny.run_cli("predict", f"--workdir={tmp_path}", "a.jpg", "b") == 0
        assert tiny.run_cli("predict", "--mode=predict", "--workdir=w", "a") == 0
        # A file may be called like a mode.
        assert tiny.run_cli("--mode=predict", "--workdir=w", "train") == 0
        assert tiny.run_cli("predict", "--workdir=w", "--", "--help", "train") == 0
    first, _, third, fourth = (call.args[0] for call in predict.call_args_list)
    assert (first.workdir, first.paths) == (tmp_path, ("a.jpg", "b"))
    assert third.paths == ("train",)
    assert fourth.paths == ("--help", "train")


def test_a_flagfile_may_repeat_the_mode(tmp_path, capsys):
    flagfile = tmp_path / "run.flags"
    flagfile.write_text("--mode=train\n--workdir=w\n")
    with mock.patch("fakedet_jax.jobs.train.train") as train:
        assert tiny.run_cli("train", f"--flagfile={flagfile}") == 0
        assert tiny.run_cli(f"--flagfile={flagfile}") == 0
    assert train.call_count == 2
    line = _fails(capsys, "evaluate", f"--flagfile={flagfile}")
    assert "the mode is evaluate and --mode=train at the same time" in line


def test_a_wrong_request_is_answered_without_importing_jax():
    code = "import sys, fakedet_jax.cli; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=_ROOT)


def test_a_reader_that_has_seen_enough_leaves_no_traceback():
    process = subprocess.run(
        f"{sys.executable} -c 'from unittest import mock\n"
        "from fakedet_jax import cli\n"
        "from fakedet_jax.jobs import predict\n"
        'predict.predict = lambda _: [print("x" * 80) for _ in range(10**5)]\n'
        "cli.run()' --mode=predict --workdir=w a.jpg | head -n 1",
        shell=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == ""


def test_prepare_prints_what_it_made(tmp_path, capsys):
    root = write_inputs(tmp_path / "in")
    flags = (
        "--mode=prepare",
        f"--data_dir={root}",
        f"--output={tmp_path / 'out'}",
        "--face_detector=none",
        "--frames_per_video=2",
        "--size=32",
        "--num_workers=1",
    )
    assert tiny.run_cli(*flags) == 0
    assert "is truncated" in capsys.readouterr().out
    assert catalog.load(DataConfig("folder", tmp_path / "out"), "all").num_examples > 10
    line = _fails(capsys, *flags, "--seed=1")
    assert "made of other seed" in line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mode=prepare"], "--output: this setting is required"),
        (["--mode=prepare", "--output=o"], "--data_dir: expected the folder of"),
        (
            ["--mode=prepare", "--output=o", "--dataset=ffhq"],
            "--data_dir: expected the folder of the original files",
        ),
        (
            ["--mode=prepare", "--output=o", "--data_dir=tests"],
            "--face_detector: expected one of none, haar, yunet, boxes; say how faces",
        ),
        (
            ["--mode=prepare", "--output=tests/o", "--data_dir=tests"],
            "--output: expected a folder outside of --data_dir='tests'",
        ),
        (
            ["--mode=prepare", "--output=o", "--frame_step=2", "--frames_per_video=3"],
            "--frames_per_video and --frame_step say different things",
        ),
        (
            ["--mode=prepare", "--output=o", "--data_dir=gs://b/c"],
            "--data_dir: the originals must lie on a file system",
        ),
        (
            ["--mode=predict", "--workdir=w", "--size=64", "a.mp4"],
            "--size: give --face_detector too",
        ),
        (
            ["--mode=cross_dataset", "--workdir=w", "--datasets=a", "--suite=amten"],
            "--suite: `fakedet cross_dataset` does not use it",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_requests_about_faces_get_one_line(capsys, flags, message):
    assert message in _fails(capsys, *flags)
