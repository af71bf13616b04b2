# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.predict_parts and fakedet_jax.jobs.merge."""

import csv
import json
import random
import shutil
import signal
import time

import pyarrow
import pytest
from pyarrow import parquet

from fakedet_jax.bulk import ray_engine
from fakedet_jax.config import EngineConfig
from fakedet_jax.data import prepared
from tests import tiny
from tests.data import pictures

NUM_PICTURES = 22
UNIT_SIZE = 4
# Bytes of these do not depend on how often a run was stopped.
PARTS = "part-*"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    data_dir = tiny.write_pictures(folder / "training")
    return tiny.fit(data_dir, folder / "workdir", recipe={"num_epochs": 1})


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(NUM_PICTURES):
        picture = pictures.colourful(20, 24, number)
        content = pictures.encode(picture, "PNG")
        (folder / f"{number:03}.png").write_bytes(content)
    return folder


@pytest.fixture
def mixed(photographs, tmp_path):
    """A list with a picture twice, one that is missing and one that is damaged."""
    paths = [str(path) for path in sorted(photographs.iterdir())]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths[5:5] = [str(broken), paths[0], str(tmp_path / "missing.png")]
    path = tmp_path / "list.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["label", "path"])
        table.writerows([number % 2, name] for number, name in enumerate(paths))
    return path


def _predict(workdir, output, *arguments, unit_size=UNIT_SIZE):
    return tiny.run_cli(
        "--mode=predict",
        f"--workdir={workdir}",
        f"--output={output}",
        f"--unit_size={unit_size}",
        "--batch_size=8",
        *map(str, arguments),
    )


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob(PARTS)}


def _merged(folder, path):
    assert tiny.run_cli("--mode=merge", f"--output={path}", str(folder)) == 0
    return parquet.read_table(path).to_pylist()


def test_every_input_has_its_row(workdir, mixed, tmp_path, capfd):
    assert _predict(workdir, tmp_path / "run", f"--inputs={mixed}") == 0
    errors = capfd.readouterr().err
    assert "25 inputs computed, 2 rows with an error" in errors
    assert "1 × does not exist" in errors
    assert "of the whole run, 7 of 7 units done" in errors
    rows = _merged(tmp_path / "run", tmp_path / "table.parquet")
    assert [row["input"] for row in rows] == list(range(25))
    with mixed.open() as file:
        listed = list(csv.DictReader(file))
    assert [(row["path"], row["label"]) for row in rows] == [
        (row["path"], row["label"]) for row in listed
    ]
    for row in rows:
        assert (row["score"] is None) == (row["decision"] is None)
        assert (row["score"] is None) != (row["error"] is None)
    assert rows[0]["score"] == pytest.approx(rows[6]["score"], rel=1e-6)
    assert len({row["model_id"] for row in rows}) == 1


@pytest.mark.parametrize(
    "flags", [[], ["--stability", "--miss_rate=0.4", "--provenance"]], ids=str
)
def test_scores_are_those_of_a_single_table(workdir, photographs, tmp_path, flags):
    single = tmp_path / "single.csv"
    arguments = (f"--workdir={workdir}", "--batch_size=8", f"--output={single}", *flags)
    assert tiny.run_cli("--mode=predict", *arguments, str(photographs)) == 0
    arguments = (photographs, "--part_format=csv", *flags)
    assert _predict(workdir, tmp_path / "run", *arguments) == 0
    merged = tmp_path / "merged.csv"
    assert tiny.run_cli("--mode=merge", f"--output={merged}", f"{tmp_path}/run") == 0
    with single.open() as one, merged.open() as other:
        expected, found = list(csv.DictReader(one)), list(csv.DictReader(other))
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    assert [row["decision"] for row in found] == [row["decision"] for row in expected]
    for row, whole in zip(found, expected, strict=True):
        for name in ("score", *(("least", "most") if flags else ())):
            assert float(row[name]) == pytest.approx(float(whole[name]), rel=1e-5)
        assert ("least" in row) == ("least" in whole) == bool(flags)
        assert row["note"] == whole["note"]
        assert row["face_pixels"] == whole["face_pixels"] == "20"
        assert row.get("provenance") == whole.get("provenance")
        assert ("provenance" in row) == bool(flags)


def test_crops_of_a_prepared_dataset_have_their_scores(workdir, prepared_dir, tmp_path):
    # A process must find the dataset by itself.
    arguments = (f"--inputs={prepared_dir}", "--num_workers=1")
    assert _predict(workdir, tmp_path / "run", *arguments) == 0
    rows = _merged(tmp_path / "run", tmp_path / "table.parquet")
    facts = prepared.load_facts(
        prepared_dir, prepared.read_info(prepared_dir).name, "all"
    )
    assert [row["path"] for row in rows] == [
        name.encode("utf-8", "backslashreplace").decode() for name in facts.names
    ]
    assert [row["video"] for row in rows] == facts.videos
    assert all(row["score"] is not None for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--face_detector=none"], "--face_detector: the faces of a prepared dataset"),
        (["--inputs_split=tset"], "--inputs_split: expected train, validation"),
    ],
)
def test_what_prepared_crops_do_not_need_is_refused(
    workdir, prepared_dir, tmp_path, capfd, arguments, message
):
    arguments = (f"--inputs={prepared_dir}", *arguments)
    assert _predict(workdir, tmp_path / "run", *arguments) == 2
    assert message in capfd.readouterr().err


def test_a_list_has_no_splits(workdir, mixed, tmp_path, capfd):
    arguments = (f"--inputs={mixed}", "--inputs_split=test")
    assert _predict(workdir, tmp_path / "run", *arguments) == 2
    assert "--inputs_split: expected a prepared dataset" in capfd.readouterr().err


def test_processes_share_a_run_and_agree_with_one(workdir, mixed, tmp_path):
    assert _predict(workdir, tmp_path / "one", f"--inputs={mixed}") == 0
    # The number of processes may change on the way.
    for shard in ("1/2", "0/3", "1/3", "2/3"):
        arguments = (f"--inputs={mixed}", f"--shard={shard}")
        assert _predict(workdir, tmp_path / "many", *arguments) == 0
    assert _contents(tmp_path / "many") == _contents(tmp_path / "one")
    assert len(_contents(tmp_path / "one")) == 7


def test_a_unit_that_no_process_survives_is_all_errors(
    workdir, mixed, tmp_path, monkeypatch, capfd
):
    def run(function, common, tasks, *, engine, is_stopped):
        assert engine == EngineConfig("ray", num_workers=3)
        for number, task in enumerate(tasks):
            yield task, None if number == 1 else function(common, task)

    monkeypatch.setattr(ray_engine, "run", run)
    monkeypatch.setattr(ray_engine, "check_installed", lambda: None)
    arguments = (f"--inputs={mixed}", "--engine=ray", "--engine_workers=3")
    assert _predict(workdir, tmp_path / "run", *arguments) == 0
    assert "25 inputs computed, 4 rows with an error" in capfd.readouterr().err
    rows = _merged(tmp_path / "run", tmp_path / "table.parquet")
    died = "cannot be processed: the process died each time"
    assert [row["input"] for row in rows if row["error"] == died] == [4, 5, 6, 7]
    # What died is tried again without the engine.
    arguments = (f"--inputs={mixed}", "--retry_failed")
    assert _predict(workdir, tmp_path / "run", *arguments) == 0
    assert _predict(workdir, tmp_path / "expected", f"--inputs={mixed}") == 0
    assert _contents(tmp_path / "run") == _contents(tmp_path / "expected")


def test_a_done_run_reads_no_picture_again(workdir, photographs, tmp_path, capfd):
    copies = tmp_path / "copies"
    shutil.copytree(photographs, copies)
    assert _predict(workdir, tmp_path / "run", copies) == 0
    before = _contents(tmp_path / "run")
    for path in copies.iterdir():
        path.write_bytes(b"")
    (tmp_path / "run" / "part-00002-of-00006.parquet").write_bytes(b"PAR1")
    capfd.readouterr()
    assert _predict(workdir, tmp_path / "run", copies) == 1
    errors = capfd.readouterr().err
    assert "4 inputs computed, 4 rows with an error" in errors
    assert "no input could be used" in errors
    after = _contents(tmp_path / "run")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"part-00002-of-00006.parquet"}


def test_failed_inputs_are_tried_again_on_request(workdir, photographs, tmp_path):
    copies = tmp_path / "copies"
    shutil.copytree(photographs, copies)
    assert _predict(workdir, tmp_path / "expected", copies) == 0
    lost = copies / "006.png"
    content = lost.read_bytes()
    lost.write_bytes(b"half")
    assert _predict(workdir, tmp_path / "run", copies) == 0
    lost.write_bytes(content)
    assert _predict(workdir, tmp_path / "run", copies) == 0
    rows = _merged(tmp_path / "run", tmp_path / "before.parquet")
    assert [row["input"] for row in rows if row["error"]] == [6]
    assert _predict(workdir, tmp_path / "run", "--retry_failed", copies) == 0
    found = _merged(tmp_path / "run", tmp_path / "after.parquet")
    expected = _merged(tmp_path / "expected", tmp_path / "expected.parquet")
    assert found[:6] + found[7:] == expected[:6] + expected[7:]
    assert found[6]["score"] == pytest.approx(expected[6]["score"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch_size=16"], "batch_size=8 (now 16)"),
        (["--part_format=csv"], "format='parquet' (now 'csv')"),
        (["--unit_size=5"], "unit_size=4 (now 5)"),
    ],
)
def test_another_request_is_refused(
    workdir, photographs, tmp_path, capfd, arguments, message
):
    assert _predict(workdir, tmp_path / "run", photographs) == 0
    capfd.readouterr()
    assert _predict(workdir, tmp_path / "run", *arguments, photographs) == 2
    assert message in capfd.readouterr().err


def test_another_detector_or_list_is_refused(workdir, photographs, tmp_path, capfd):
    assert _predict(workdir, tmp_path / "run", photographs) == 0
    other = tiny.fit(
        tiny.write_pictures(tmp_path / "training"),
        tmp_path / "other",
        recipe={"num_epochs": 1},
        seed=1,
    )
    capfd.readouterr()
    assert _predict(other, tmp_path / "run", photographs) == 2
    assert "model_id=" in capfd.readouterr().err
    assert _predict(workdir, tmp_path / "run", photographs, photographs) == 2
    errors = capfd.readouterr().err
    assert "num_inputs=22 (now 44)" in errors
    assert "inputs=" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard=2/2"], "--shard: expected NUMBER/PROCESSES"),
        (["--shard=one"], "--shard: expected NUMBER/PROCESSES"),
        (["--shard=7/9"], "--shard: 7/9 has nothing to do"),
        (["--annotated=copies"], "--annotated: a folder of parts"),
        (["--inputs=list.txt"], "expected files and folders or a list (--inputs)"),
        (["--unit_size=0"], "--unit_size: expected at least 1"),
    ],
)
def test_wrong_settings_are_refused(
    workdir, photographs, tmp_path, capfd, arguments, message
):
    assert _predict(workdir, tmp_path / "run", *arguments, photographs) == 2
    assert message in capfd.readouterr().err
    assert not list(tmp_path.glob(f"run/{PARTS}"))


def test_settings_of_parts_need_a_folder(workdir, photographs, tmp_path, capfd):
    for output, extra, message in (
        ("s.csv", ["--shard=0/2"], "--shard: only a run with parts has it"),
        ("s.csv", ["--retry_failed"], "--retry_failed: only a run with parts"),
        ("s.parquet", [], "--output: expected a CSV file or a folder"),
    ):
        arguments = [f"--workdir={workdir}", f"--output={tmp_path / output}", *extra]
        assert tiny.run_cli("--mode=predict", *arguments, str(photographs)) == 2
        assert message in capfd.readouterr().err


def test_the_output_lies_outside_the_scored_folders(workdir, photographs, capfd):
    assert _predict(workdir, photographs / "run", photographs) == 2
    assert "--output: expected a folder outside" in capfd.readouterr().err


def test_what_is_incomplete_is_not_merged(workdir, photographs, tmp_path, capfd):
    assert _predict(workdir, tmp_path / "run", "--shard=0/2", photographs) == 0
    table = tmp_path / "table.csv"
    arguments = ("--mode=merge", f"--output={table}", str(tmp_path / "run"))
    assert tiny.run_cli(*arguments) == 2
    errors = capfd.readouterr().err
    assert "3 of 6 parts are missing, the first is part-00001-of-00006" in errors
    assert not table.exists()


def test_a_changed_part_is_not_merged(workdir, photographs, tmp_path, capfd):
    assert _predict(workdir, tmp_path / "run", photographs) == 0
    part = tmp_path / "run" / "part-00003-of-00006.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    arguments = ("--mode=merge", f"--output={tmp_path}/t.csv", str(tmp_path / "run"))
    assert tiny.run_cli(*arguments) == 2
    assert "part-00003-of-00006.parquet' is not what the run" in capfd.readouterr().err
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=t.csv"], "takes the folder of one run"),
        (["--output=t.txt", "run"], "--output: expected a name that ends in"),
        (
            ["--output=t.csv", "nowhere"],
            "'nowhere' does not exist; name the folder that a run",
        ),
    ],
)
def test_merge_refuses_what_is_no_run(tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert tiny.run_cli("--mode=merge", *arguments) == 2
    assert message in capfd.readouterr().err


def test_carried_columns_keep_their_types(workdir, photographs, tmp_path):
    paths = [str(path) for path in sorted(photographs.iterdir())]
    table = {"id": range(22), "path": paths, "weight": [0.5, None] * 11}
    parquet.write_table(pyarrow.table(table), tmp_path / "l.parquet")
    arguments = [f"--inputs={tmp_path / 'l.parquet'}"]
    assert _predict(workdir, tmp_path / "run", *arguments) == 0
    merged = tmp_path / "table.parquet"
    rows = _merged(tmp_path / "run", merged)
    assert [(row["id"], row["weight"]) for row in rows] == list(
        zip(table["id"], table["weight"], strict=True)
    )
    assert parquet.read_schema(merged).field("weight").type == pyarrow.float64()


def test_a_folder_with_other_columns_is_refused(workdir, photographs, tmp_path, capfd):
    assert _predict(workdir, tmp_path / "run", photographs) == 0
    path = tmp_path / "run" / "request.json"
    request = json.loads(path.read_text())
    del request["columns"]["face_pixels"]  # As of an earlier version.
    path.write_text(json.dumps(request))
    capfd.readouterr()
    assert _predict(workdir, tmp_path / "run", photographs) == 2
    assert "columns" in capfd.readouterr().err


@pytest.fixture(scope="module")
def long_list(photographs, tmp_path_factory):
    """The same few files many times."""
    paths = [str(path) for path in sorted(photographs.iterdir())] * 40
    path = tmp_path_factory.mktemp("long") / "list.txt"
    path.write_text("\n".join(paths))
    return path


@pytest.fixture(scope="module")
def uninterrupted(workdir, long_list, tmp_path_factory):
    folder = tmp_path_factory.mktemp("long") / "run"
    assert _predict(workdir, folder, f"--inputs={long_list}") == 0
    return _contents(folder)


def _start(workdir, long_list, output):
    return tiny.start(
        "--mode=predict",
        f"--workdir={workdir}",
        f"--inputs={long_list}",
        f"--output={output}",
        f"--unit_size={UNIT_SIZE}",
        "--batch_size=8",
    )


def _stop_within(process, output, count, number):
    """Sends a signal once there are more parts than that."""
    while len(list(output.glob(PARTS))) <= count and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return errors


def _check_killed_run(workdir, long_list, uninterrupted, output, num_kills):
    rng = random.Random(0)
    for _ in range(num_kills):
        count = len(list(output.glob(PARTS)))
        process = _start(workdir, long_list, output)
        more = rng.randrange(220 // (num_kills + 1))
        _stop_within(process, output, count + more, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    assert len(list(output.glob(PARTS))) < len(uninterrupted)
    assert _predict(workdir, output, f"--inputs={long_list}") == 0
    assert _contents(output) == uninterrupted


@pytest.mark.slow
def test_a_killed_run_goes_on(workdir, long_list, uninterrupted, tmp_path):
    _check_killed_run(workdir, long_list, uninterrupted, tmp_path / "run", 2)


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_goes_on(
    workdir, long_list, uninterrupted, tmp_path
):
    _check_killed_run(workdir, long_list, uninterrupted, tmp_path / "run", 10)


def test_a_run_that_is_told_to_stop_says_what_is_done(
    workdir, long_list, uninterrupted, tmp_path
):
    output = tmp_path / "run"
    process = _start(workdir, long_list, output)
    errors = _stop_within(process, output, 3, signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert "of 220 units done" in errors
    assert "stopped by SIGTERM; run the same command again to go on" in errors
    contents = _contents(output)
    assert 3 < len(contents) < 220
    assert contents.items() <= uninterrupted.items()
    records = sorted(path.stem for path in (output / "units").iterdir())
    assert records == sorted(name.split("-")[1] for name in contents)
    first = json.loads((output / "units" / "00000.json").read_text())
    assert first["num_rows"] == UNIT_SIZE
