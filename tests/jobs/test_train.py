# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.train, mostly through the command line."""

import contextlib
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from fakedet_jax import config
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.jobs.prepare import prepare
from fakedet_jax.models import precision
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.workdir import open_workdir
from tests import tiny
from tests.data import pictures
from tests.faces import rendered
from tests.prepare.inputs import config as inputs_config
from tests.prepare.inputs import write_inputs


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("train") / "pictures")


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    return tiny.fit(data_dir, tmp_path_factory.mktemp("train") / "workdir")


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of the trained workdir that a test may damage."""
    return shutil.copytree(trained, tmp_path / "workdir")


def _complaint(capsys):
    """The last line on standard error, which is the only one of the failure."""
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert [line for line in lines if line.startswith("fakedet: ")] == lines[-1:]
    return lines[-1]


@pytest.mark.few(1)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_with_its_code_and_how_to_go_on(
    data_dir, trained, tmp_path, capsys, signum
):
    flags = tiny.train_flags(data_dir, tmp_path)
    with tiny.at_step(6, lambda: os.kill(os.getpid(), signum)):
        assert tiny.run_cli(*flags) == 128 + signum
    name = signal.Signals(signum).name
    assert _complaint(capsys) == (
        f"fakedet: stopped by {name} at step 6; run the same command again to go on"
    )
    assert tiny.run_cli(*flags) == 0
    assert tiny.result(tmp_path) == tiny.result(trained)


@contextlib.contextmanager
def _small_disk(folder, size):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder, complete):
    """Leaves not a byte free, once a checkpoint is complete."""
    deadline = time.monotonic() + 60
    while not complete.is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass


def test_a_full_disk_ends_the_run_and_space_continues_it(
    data_dir, trained, tmp_path, capsys
):
    with _small_disk(tmp_path / "disk", "2m") as disk:
        workdir = disk / "workdir"
        flags = tiny.train_flags(data_dir, workdir)
        with tiny.at_step(7, lambda: _fill(disk, workdir / "checkpoints" / "4")):
            assert tiny.run_cli(*flags) == 1
        assert "No space left on device" in _complaint(capsys)
        assert tiny.newest(workdir / "checkpoints").name == "4"
        (disk / "filler").unlink()
        assert tiny.run_cli(*flags) == 0
        assert tiny.result(workdir) == tiny.result(trained)


@pytest.mark.slow
def test_a_full_disk_does_not_harm_the_detector(data_dir, tmp_path):
    with _small_disk(tmp_path / "disk", "2m") as disk:
        workdir = disk / "workdir"
        with tiny.at_step(8, lambda: _fill(disk, workdir / "best" / "6")):
            assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 1
        (disk / "filler").unlink()
        assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}") == 0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--seed=1", "belongs to a run with seed=0 (now 1)"),
        ("--detector=plain", "detector='tiny' (now 'plain')"),
        ("--dtype=bfloat16", "dtype='float32' (now 'bfloat16')"),
        (
            "--matmul_precision=tf32",
            "matmul_precision='float32' (now 'tf32')",
        ),
        ("--num_epochs=3", "num_epochs=4 (now 3)"),
    ],
)
def test_the_workdir_of_another_run_is_refused(
    data_dir, trained, capsys, flag, message
):
    flags = tiny.train_flags(data_dir, trained)
    assert tiny.run_cli(*flags, flag) == 2
    assert message in _complaint(capsys)


def test_a_finished_run_takes_more_epochs(data_dir, trained, workdir, tmp_path):
    whole = tiny.fit(data_dir, tmp_path / "whole", recipe={"num_epochs": 6})
    assert tiny.fit(data_dir, workdir, recipe={"num_epochs": 6}) == workdir
    assert tiny.result(workdir) == tiny.result(whole)
    assert tiny.result(workdir) != tiny.result(trained)


@pytest.mark.slow
def test_a_rate_that_rises_again_is_warned_of(data_dir, tmp_path, capsys):
    flags = [*tiny.train_flags(data_dir, tmp_path), "--schedule=cosine"]
    assert tiny.run_cli(*flags, "--num_epochs=1") == 0
    assert "rises again" not in capsys.readouterr().err
    assert tiny.run_cli(*flags, "--num_epochs=2") == 0
    assert "--num_epochs was raised" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_takes_other_workers(data_dir, trained, tmp_path, caplog):
    workers = config.InputConfig(num_workers=1)
    stop = tiny.at_step(6, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop, pytest.raises(Stopped):
        tiny.fit(data_dir, tmp_path)
    tiny.fit(data_dir, tmp_path, input=workers)
    assert "goes on with other processes, devices or `num_workers`" in caplog.text
    # No picture was skipped, so that even the digits are the same.
    found, expected = (tiny.result(folder) for folder in (tmp_path, trained))
    assert found["best"] == expected["best"]
    assert found["metrics"] == expected["metrics"]


@pytest.mark.slow
def test_a_detector_is_scored_with_the_precision_of_its_training(data_dir, tmp_path):
    flags = tiny.train_flags(data_dir, tmp_path)
    assert tiny.run_cli(*flags, "--matmul_precision=tf32") == 0
    precision.choose("float32")
    evaluate = ("--mode=evaluate", f"--workdir={tmp_path}")
    assert tiny.run_cli(*evaluate) == 0
    assert precision.chosen() == "tf32"
    assert tiny.run_cli(*evaluate, "--matmul_precision=float32") == 0
    assert precision.chosen() == "float32"


def test_a_run_of_before_there_were_precisions_goes_on(data_dir, workdir):
    record = json.loads((workdir / "config.json").read_text())
    assert record.pop("matmul_precision") == "float32"
    (workdir / "config.json").write_text(json.dumps(record))
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 0


def test_the_workdir_of_other_classes_is_refused(trained, tmp_path, capsys):
    counts = {"real": 30, "glow": 30, "stylegan": 30}
    other = pictures.write_folder(tmp_path / "other", counts, 16)
    flags = tiny.train_flags(other, trained)
    assert tiny.run_cli(*flags, "--validation_fraction=0.2") == 2
    assert "classes=['real', 'fake'] (now ['real', 'glow'" in _complaint(capsys)


def test_pictures_that_were_added_are_noticed(data_dir, workdir, tmp_path, capsys):
    more = shutil.copytree(data_dir, tmp_path / "more")
    encoded = pictures.encode(pictures.colourful(20, 20, 99))
    (more / "train" / "real" / "new.png").write_bytes(encoded)
    assert tiny.run_cli(*tiny.train_flags(more, workdir)) == 2
    assert "num_examples=20, this run has num_examples=21" in _complaint(capsys)


def test_pictures_that_were_moved_are_no_other_pictures(data_dir, workdir, tmp_path):
    moved = shutil.copytree(data_dir, tmp_path / "moved")
    assert tiny.run_cli(*tiny.train_flags(moved, workdir)) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"seed": ', "config.json': "), (b"[]", "expected an object")],
)
def test_a_damaged_config_is_named(data_dir, workdir, capsys, content, message):
    (workdir / "config.json").write_bytes(content)
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 2
    assert message in _complaint(capsys)


def test_checkpoints_without_a_config_are_not_trained_on(data_dir, workdir, capsys):
    (workdir / "config.json").unlink()
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 2
    assert "holds 'checkpoints' of an earlier run but no config" in _complaint(capsys)


def test_a_damaged_checkpoint_is_named(data_dir, workdir, capsys):
    step = tiny.newest(workdir / "checkpoints")
    shutil.rmtree(step / "tree")
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 2
    complaint = _complaint(capsys)
    assert str(step) in complaint
    assert "is damaged" in complaint
    assert "delete that folder to go on from an earlier one" in complaint


def test_deleting_a_damaged_checkpoint_helps(data_dir, workdir, trained):
    shutil.rmtree(tiny.newest(workdir / "checkpoints"))
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 0
    assert tiny.result(workdir) == tiny.result(trained)


def test_a_workdir_that_is_a_file_is_refused(data_dir, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert tiny.run_cli(*tiny.train_flags(data_dir, tmp_path / "file")) == 2
    assert "is not a folder" in _complaint(capsys)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--batch_size=12", "--batch_size: expected a positive multiple of the 8"),
        ("--batch_size=0", "--batch_size: expected at least 1, found 0"),
        ("--learning_rate=nan", "--learning_rate: expected a number above 0"),
        ("--learning_rate=inf", "--learning_rate: expected a number above 0"),
        (
            "--final_learning_rate=0.1",
            "--final_learning_rate: expected a number from 0 to the learning rate "
            "0.03, found 0.1",
        ),
        ("--final_learning_rate=-1", "--final_learning_rate: expected at least 0"),
        ("--final_learning_rate=nan", "--final_learning_rate: expected at least 0"),
        ("--final_learning_rate=0.01", "--final_learning_rate: it ends --schedule=cos"),
        ("--momentum=-1", "--momentum: expected at least 0"),
        ("--num_epochs=0", "--num_epochs: expected at least 1"),
        ("--seed=-1", "--seed: expected a number from 0"),
        ("--seed=4294967296", "--seed: expected a number from 0"),
        ("--log_every=0", "--log_every: expected at least 1"),
        ("--checkpoint_every=0", "--checkpoint_every: expected at least 1"),
        ("--num_microbatches=0", "--num_microbatches: expected at least 1"),
        ("--num_microbatches=3", "--num_microbatches: 3 parts do not cut a batch"),
        ("--select_by=f1", "--select_by: expected accuracy, auc, loss, found 'f1'"),
        ("--dtype=float64", "--dtype: expected float32, bfloat16, found 'float64'"),
        (
            "--matmul_precision=float16",
            "--matmul_precision: expected float32, tf32, bfloat16, found 'float16'",
        ),
        (
            "--profile_first_step=3",
            "--profile_first_step: give --profile_dir too; it says where",
        ),
        ("--schedule=linear", "--schedule: expected constant"),
        (
            "--optimizer=lion",
            "--optimizer: expected caffe_sgd, sgd, torch_sgd, adam, torch_adam, found",
        ),
        ("--detector=gone", "--detector: expected amtennet"),
        ("--dataset=gone", "--dataset: expected celeb_df_pp"),
        ("--task=both", "--task: expected multiclass, binary, found 'both'"),
        ("--validation_fraction=0.9", "--validation_fraction: expected a number"),
        ("--real_classes=photos", "--real_classes: no class is named 'photos'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_written(
    data_dir, tmp_path, capsys, flag, message
):
    workdir = tmp_path / "workdir"
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir), flag) == 2
    assert _complaint(capsys).startswith(f"fakedet: {message}")
    assert not workdir.exists()


@pytest.mark.parametrize("rate", [-1.0, 0.0, math.nan])
def test_a_wrong_rate_is_not_blamed_on_the_recipes_final_rate(rate):
    recipe = dataclasses.replace(
        tiny.DETECTOR.recipe, schedule="cosine", final_learning_rate=1e-4
    )
    with pytest.raises(RequestError, match=r"^`learning_rate`: expected a number abov"):
        dataclasses.replace(recipe, learning_rate=rate)


@pytest.mark.parametrize("final", [None, 0.0, 0.03])
def test_a_final_rate_may_be_as_large_as_the_rate(final):
    changes = {"final_learning_rate": final, "schedule": "cosine"}
    recipe = dataclasses.replace(tiny.DETECTOR.recipe, **changes)
    assert recipe.final_learning_rate == final


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (None, "data' does not exist; check the path"),
        ({}, "holds no class folders"),
        ({"real": 40}, "holds no fake pictures"),
        ({"fake": 40}, "holds no real pictures"),
        ({"real": 40, "fake": 40, "glow": 0}, "glow holds no pictures"),
        ({"real": 1, "fake": 1}, "falls into the split 'train'"),
    ],
    ids=["missing", "empty", "only real", "only fake", "empty class", "too few"],
)
def test_a_folder_that_cannot_be_trained_on_is_named(tmp_path, capsys, counts, message):
    root = tmp_path / "data"
    if counts is not None:
        root.mkdir()
        pictures.write_folder(root, counts, 16)
    assert tiny.run_cli(*tiny.train_flags(root, tmp_path / "workdir")) == 2
    complaint = _complaint(capsys)
    assert complaint.startswith("fakedet: --data_dir: ")
    assert message in complaint


def test_a_class_without_a_usable_picture_is_named(data_dir, tmp_path, capsys):
    root = shutil.copytree(data_dir, tmp_path / "data")
    for path in (root / "train" / "real").iterdir():
        path.write_bytes(b"text")
    assert tiny.run_cli(*tiny.train_flags(root, tmp_path / "workdir")) == 2
    assert "the class 'real' has no usable picture" in _complaint(capsys)


def test_pictures_that_cannot_be_used_are_listed(data_dir, tmp_path):
    root = shutil.copytree(data_dir, tmp_path / "data")
    bad = root / "train" / "fake" / "000.png"
    bad.write_bytes(b"")
    workdir = tiny.fit(root, tmp_path / "workdir")
    rows = (workdir / "skipped.csv").read_text().splitlines()
    assert rows == ["path,reason", f"{bad},is empty (0 bytes)"]


def test_a_binary_task_has_two_classes(tmp_path):
    counts = {"train/real": 8, "train/glow": 8, "train/gan": 8}
    counts |= {f"validation/{name}": 2 for name in ("real", "glow", "gan")}
    root = pictures.write_folder(tmp_path / "data", counts, 16)
    data = config.DataConfig(dataset="folder", data_dir=root, task="binary")
    workdir = tiny.fit(root, tmp_path / "workdir", data=data)
    assert tiny.facts(workdir / "best")["classes"] == ["real", "fake"]


def test_the_config_says_what_was_asked_for(trained, data_dir):
    stored = json.loads((trained / "config.json").read_text())
    assert stored["data_dir"] == str(data_dir)
    assert (stored["detector"], stored["batch_size"], stored["seed"]) == ("tiny", 8, 0)
    with tiny.registered():
        assert open_workdir(trained).data.data_dir == data_dir


@pytest.mark.slow
def test_bfloat16_computes_and_keeps_float32(data_dir, tmp_path):
    workdir = tiny.fit(data_dir, tmp_path, dtype="bfloat16", recipe={"num_epochs": 1})
    kernel = tiny.arrays(workdir / "best")["['params']['conv']['kernel']"]
    assert len(kernel) == 3 * 3 * 3 * 8 * 4


@pytest.mark.slow
def test_worker_processes_change_nothing(data_dir, trained, tmp_path):
    workers = config.InputConfig(num_workers=2, num_threads=2)
    workdir = tiny.fit(data_dir, tmp_path, input=workers)
    assert tiny.result(workdir)["state"] == tiny.result(trained)["state"]


def test_a_converted_detector_is_not_trained_on(data_dir, workdir, capsys):
    workdir.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"detector": "tiny", "converted_from": {"source": "x.h5"}})
    (workdir / "config.json").write_text(content)
    assert tiny.run_cli(*tiny.train_flags(data_dir, workdir)) == 2
    assert "holds a detector that was converted" in capsys.readouterr().err


def test_validation_of_one_kind_is_warned_of(tmp_path, capsys):
    counts = {**tiny.COUNTS, "validation/fake": 0}
    counts = {name: number for name, number in counts.items() if number}
    data_dir = pictures.write_folder(tmp_path / "pictures", counts, tiny.SIZE + 4)
    assert tiny.run_cli(*tiny.train_flags(data_dir, tmp_path / "workdir")) == 0
    assert "no threshold can be chosen" in capsys.readouterr().err


def test_a_run_remembers_how_the_faces_of_its_pictures_were_cut_out(
    prepared_dir, tmp_path
):
    workdir = tiny.fit(prepared_dir, tmp_path / "workdir")
    settings = json.loads((workdir / "config.json").read_text())
    assert settings["face_detector"] == "none"
    assert settings["faces"]["size"] == 32


def test_videos_on_several_sides_are_warned_of(tmp_path, capsys):
    root = write_inputs(tmp_path / "in")
    request = inputs_config(root, tmp_path / "out", split_by="frames")
    prepare(request)
    flags = tiny.train_flags(tmp_path / "out", tmp_path / "workdir")
    assert tiny.run_cli(*flags) == 0
    assert "leak check: 2 videos are in train and validation and test" in (
        capsys.readouterr().err
    )


def test_a_share_of_false_alarms_is_trained_for(data_dir, tmp_path, capsys):
    workdir = tmp_path / "workdir"
    flags = tiny.train_flags(data_dir, workdir)
    assert tiny.run_cli(*flags, "--num_epochs=1", "--max_false_alarms=0.4") == 0
    errors = capsys.readouterr().err
    assert "rough" not in errors
    facts = tiny.facts(workdir / "best")
    assert facts["max_false_alarms"] == 0.4
    assert sum(log_odds.scores(facts["real_log_odds"]) >= facts["threshold"]) == 1
    assert tiny.run_cli(*flags, "--num_epochs=1", "--max_false_alarms=0.3") == 2
    assert "max_false_alarms=0.4 (now 0.3)" in capsys.readouterr().err


def test_too_few_real_pictures_for_a_share_are_warned_of(data_dir, tmp_path, capsys):
    flags = tiny.train_flags(data_dir, tmp_path / "workdir")
    assert tiny.run_cli(*flags, "--num_epochs=1", "--max_false_alarms=0.01") == 0
    errors = capsys.readouterr().err
    assert "validation has 3 real pictures; --max_false_alarms=0.01 needs at" in errors


def test_few_pictures_hold_out_a_larger_share_that_a_resumed_run_keeps(
    tmp_path, capsys
):
    root = pictures.write_folder(tmp_path / "data", {"real": 40, "fake": 40}, 16)
    flags = tiny.train_flags(root, tmp_path / "workdir")
    assert tiny.run_cli(*flags, "--num_epochs=1") == 0
    errors = capsys.readouterr().err
    assert "validation gets 20 % of them instead of 5 %" in errors
    assert "raise --validation_fraction" not in errors
    # 13 of 62 pictures are held out, so that 100 would be of 477.
    wanted = "You need about 480 real and 480 fake pictures in all for 100 of each in"
    assert wanted in errors
    stored = json.loads((tmp_path / "workdir" / "config.json").read_text())
    assert stored["validation_fraction"] == 0.2
    assert tiny.run_cli(*flags, "--num_epochs=2") == 0
    assert tiny.run_cli(*flags, "--num_epochs=2", "--validation_fraction=0.05") == 2
    assert "validation_fraction=0.2 (now 0.05)" in capsys.readouterr().err


def test_few_training_pictures_of_a_side_are_warned_of(tmp_path, capsys):
    counts = {"train/real": 4, "train/fake": 1, "validation/real": 2}
    root = pictures.write_folder(tmp_path / "data", counts | {"validation/fake": 2}, 16)
    assert tiny.run_cli(*tiny.train_flags(root, tmp_path / "workdir")) == 0
    errors = capsys.readouterr().err
    assert (
        "for training there are only 4 real and 1 fake pictures; with fewer" in errors
    )


def test_classes_and_folders_are_told_of_before_the_training(tmp_path, capsys):
    counts = {
        f"{split}/{name}/{folder}": 4
        for split, folder in (("train", "1"), ("train", "2"), ("validation", "3"))
        for name in ("real", "realistic_vision")
    }
    counts |= {"test/real/1": 4, "test/realistic_vision/4": 4}
    root = pictures.write_folder(tmp_path / "data", counts, tiny.SIZE)
    flags = tiny.train_flags(root, tmp_path / "workdir")
    assert tiny.run_cli(*flags, "--num_epochs=1", "--task=binary") == 0
    errors = capsys.readouterr().err
    assert "classes: real: real; fake: realistic_vision" in errors
    assert "leak check: 1 folder is in train and test: 'real/1'" in errors


def test_a_run_of_before_folders_were_kept_together_splits_them_apart(workdir):
    path = workdir / "config.json"
    record = json.loads(path.read_text())
    assert open_workdir(workdir).data.subfolders == "together"
    del record["subfolders"]
    path.write_text(json.dumps(record))
    assert open_workdir(workdir).data.subfolders == "apart"
    # Prepared pictures have their splits.
    path.write_text(json.dumps({**record, "faces": {"detector": {"name": "none"}}}))
    assert open_workdir(workdir).data.subfolders == "together"


def test_how_wide_faces_are_is_measured_once(tmp_path):
    data = rendered.write_faces(tmp_path / "faces", rendered.LOOSE, ("train",))
    shutil.copytree(data / "train", data / "validation")
    workdir = tiny.fit(data, tmp_path / "workdir", recipe={"num_epochs": 1})
    known = open_workdir(workdir).face_widths
    assert 0.4 < known["real"]["narrow"] < known["real"]["median"] < 0.65
    shutil.rmtree(data / "train" / "real")
    rendered.write_faces(data, rendered.TIGHT, ("train",))
    tiny.fit(data, workdir, recipe={"num_epochs": 1})
    assert open_workdir(workdir).face_widths == known


def test_a_training_goes_on_without_opencv(data_dir, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    workdir = tiny.fit(data_dir, tmp_path, recipe={"num_epochs": 1})
    assert open_workdir(workdir).record["face_widths"] is None
