# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.predict."""

import concurrent.futures
import csv
import dataclasses
import io
import os
import re
import signal
import struct
import time
import zlib
from pathlib import Path
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fakedet_jax import systems
from fakedet_jax.config import VerdictConfig
from fakedet_jax.evaluation.predictions import HEADER
from fakedet_jax.runtime import compilation_cache, parallel
from tests import tiny
from tests.data import pictures


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("predict") / "pictures")


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict") / "workdir"
    return tiny.fit(data_dir, folder, recipe={"num_epochs": 1})


def _chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def _bomb():
    """A PNG of 100 bytes that promises 50,000 x 50,000 pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"x" * 30)


@pytest.fixture
def mixed(tmp_path):
    """A folder of everything; gives it with the names of the good files."""
    root = tmp_path / "mixed"
    root.mkdir()
    sound = pictures.encode(pictures.colourful(20, 24, 7), "JPEG")
    frames = [Image.fromarray(pictures.colourful(20, 20, seed)) for seed in (1, 2)]
    animated = io.BytesIO()
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    good = {b"a good one.jpg", b"two\nlines.jpg", b'quo"te,comma.jpg', b"\xff\xfe.jpg"}
    contents = {
        **dict.fromkeys(good, sound),
        b"truncated.jpg": sound[: len(sound) // 3],
        b"empty.jpg": b"",
        b"text.jpg": b"no picture at all",
        b"bomb.png": _bomb(),
        b"animated.gif": animated.getvalue(),
        b"tiny.png": pictures.encode(pictures.colourful(1, 1)),
    }
    for name, content in contents.items():
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(content)
    (root / "dangling.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "pipe.jpg")
    return root


def _predict(capfd, *arguments):
    assert tiny.run_cli("--mode=predict", *map(str, arguments)) == 0
    captured = capfd.readouterr()
    return _parse(captured.out), captured.err


def _parse(text):
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = list(reader)
    assert tuple(reader.fieldnames) == HEADER
    return rows


def test_every_file_has_one_row_with_a_score_or_a_reason(workdir, mixed, capfd):
    missing = mixed / "missing.jpg"
    rows, errors = _predict(capfd, f"--workdir={workdir}", mixed, missing)
    names = [*map(os.fspath, mixed.iterdir()), os.fspath(missing)]
    escaped = [
        name.encode("utf-8", "backslashreplace").decode("utf-8") for name in names
    ]
    assert sorted(row["path"] for row in rows) == sorted(escaped)
    for row in rows:
        assert bool(row["score"]) == bool(row["decision"]) != bool(row["error"])
    scored = {Path(row["path"]).name for row in rows if row["score"]}
    good = {
        "a good one.jpg",
        "two\nlines.jpg",
        'quo"te,comma.jpg',
        "\\udcff\\udcfe.jpg",
    }
    assert good <= scored
    assert scored <= good | {"animated.gif"}
    _check_counts(rows, errors)


def _check_counts(rows, errors):
    found = re.search(
        r"(\d+) files: (\d+) scored \((\d+) fake, (\d+) real .*\), (\d+) with an error",
        errors,
    )
    total, scored, fake, real, failed = map(int, found.groups())
    decisions = [row["decision"] for row in rows]
    assert (total, failed) == (len(rows), decisions.count(""))
    assert (fake, real) == (decisions.count("fake"), decisions.count("real"))
    assert scored == fake + real


def test_the_order_is_that_of_the_arguments_and_the_names(workdir, data_dir, capfd):
    folders = [data_dir / "test" / "real", data_dir / "test" / "fake"]
    rows, _ = _predict(capfd, f"--workdir={workdir}", *folders)
    expected = [os.fspath(p) for folder in folders for p in sorted(folder.iterdir())]
    assert [row["path"] for row in rows] == expected


def test_a_file_named_twice_has_two_rows(workdir, data_dir, capfd):
    path = data_dir / "test" / "real" / "000.png"
    rows, _ = _predict(capfd, f"--workdir={workdir}", path, path)
    assert len(rows) == 2
    assert rows[0] == rows[1]


def test_scores_and_decisions_are_those_of_evaluate(workdir, data_dir, capfd):
    assert tiny.run_cli("--mode=evaluate", f"--workdir={workdir}", "--name=x") == 0
    capfd.readouterr()
    table = workdir / "evaluations" / "x" / "scores.csv"
    with table.open(encoding="utf-8", newline="") as file:
        expected = {row["path"]: row for row in csv.DictReader(file)}
    rows, _ = _predict(
        capfd, f"--workdir={workdir}", data_dir / "test", "--batch_size=3"
    )
    assert len(rows) == len(expected)
    for row in rows:
        # The batches differ, and so may the last digits.
        score = float(expected[row["path"]]["score"])
        np.testing.assert_allclose(float(row["score"]), score, rtol=1e-6)
        assert row["decision"] == expected[row["path"]]["predicted"]


def test_a_score_that_is_not_finite_is_an_error(
    workdir, data_dir, tmp_path, capfd, monkeypatch
):
    """A detector that gives black pictures a NaN, as damaged weights may."""
    load = systems.load

    def load_damaged(*arguments, **settings):
        loaded = load(*arguments, **settings)

        def log_probability_fn(variables, images):
            is_black = (images == 0).all((1, 2, 3))[:, None]
            return jnp.where(
                is_black, jnp.nan, loaded.log_probability_fn(variables, images)
            )

        return dataclasses.replace(loaded, log_probability_fn=log_probability_fn)

    monkeypatch.setattr(systems, "load", load_damaged)
    black = tmp_path / "black.png"
    black.write_bytes(pictures.encode(np.zeros((20, 20, 3), np.uint8)))
    good = data_dir / "test" / "real" / "000.png"
    rows, errors = _predict(capfd, f"--workdir={workdir}", good, black)
    assert [bool(row["score"]) for row in rows] == [True, False]
    assert rows[1]["decision"] == ""
    assert rows[1]["error"] == "has a score that is not a finite number"
    _check_counts(rows, errors)


def test_the_output_file_holds_what_standard_output_would(
    workdir, mixed, tmp_path, capfd
):
    expected, _ = _predict(capfd, f"--workdir={workdir}", mixed)
    output = tmp_path / "new" / "scores.csv"
    assert (
        tiny.run_cli(
            "--mode=predict", f"--workdir={workdir}", f"--output={output}", str(mixed)
        )
        == 0
    )
    assert capfd.readouterr().out == ""
    assert _parse(output.read_bytes().decode("utf-8")) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["bad.jpg"],
            "the only file could not be scored: {}/bad.jpg is empty (0 bytes)",
        ),
        (
            ["bad.jpg", "bad.jpg", "missing.jpg"],
            "none of the 3 files could be scored",
        ),
    ],
)
def test_a_run_without_any_score_fails_after_its_table(
    workdir, tmp_path, capfd, names, message
):
    (tmp_path / "bad.jpg").write_bytes(b"")
    paths = [str(tmp_path / name) for name in names]
    assert tiny.run_cli("--mode=predict", f"--workdir={workdir}", *paths) == 1
    captured = capfd.readouterr()
    rows = _parse(captured.out)
    assert [row["path"] for row in rows] == paths
    assert rows[0]["error"] == "is empty (0 bytes)"
    assert captured.err.splitlines()[-1] == f"fakedet: {message.format(tmp_path)}"


def test_without_any_score_the_table_that_has_the_reasons_is_named(
    workdir, tmp_path, capfd
):
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(b"")
    table = tmp_path / "scores.csv"
    flags = [f"--workdir={workdir}", f"--output={table}"]
    paths = [str(tmp_path / name) for name in ("one.jpg", "two.jpg")]
    assert tiny.run_cli("predict", *flags, *paths) == 1
    summary, error = capfd.readouterr().err.splitlines()[-2:]
    assert summary.endswith("2 with an error: 2 × is empty (0 bytes)")
    assert error.endswith(f"files could be scored; {table} has the reason of each")


def test_the_written_tables_are_named(workdir, data_dir, tmp_path, capfd):
    good = data_dir / "test" / "real" / "000.png"
    tables = [tmp_path / name for name in ("scores.csv", "frames.csv")]
    flags = [f"--output={tables[0]}", f"--frame_scores={tables[1]}"]
    assert tiny.run_cli("predict", f"--workdir={workdir}", *flags, str(good)) == 0
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == f"{tables[0]} and {tables[1]} are written"


def test_compiled_programs_are_kept(workdir, data_dir, tmp_path, capfd, monkeypatch):
    good = data_dir / "test" / "real" / "000.png"
    used = mock.Mock(return_value=None)
    monkeypatch.setattr(compilation_cache, "use", used)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for flags in ([], ["--compilation_cache_dir="]):
        assert (
            tiny.run_cli("--mode=predict", f"--workdir={workdir}", *flags, str(good))
            == 0
        )
    default = tmp_path / "fakedet_jax" / "compiled"
    assert used.mock_calls == [
        mock.call(None, default=default),
        mock.call("", default=default),
    ]


def test_one_score_is_enough(workdir, data_dir, tmp_path, capfd):
    (tmp_path / "bad.jpg").write_bytes(b"")
    good = data_dir / "test" / "real" / "000.png"
    rows, errors = _predict(capfd, f"--workdir={workdir}", tmp_path / "bad.jpg", good)
    assert [bool(row["error"]) for row in rows] == [True, False]
    assert "2 files: 1 scored" in errors


def test_a_given_threshold_decides(workdir, data_dir, capfd):
    folder = data_dir / "test"
    rows, errors = _predict(capfd, f"--workdir={workdir}", folder)
    assert "the threshold was chosen on 3 real and 3 fake" in errors
    scores = sorted(float(row["score"]) for row in rows)
    for place in (0, 4, len(scores) - 1):
        flags = (f"--workdir={workdir}", f"--threshold={scores[place]!r}")
        rows, errors = _predict(capfd, *flags, folder)
        fakes = [float(row["score"]) for row in rows if row["decision"] == "fake"]
        assert sorted(fakes) == scores[place:]
        assert "the threshold was chosen" not in errors


def test_unsure_scores_are_neither_real_nor_fake(workdir, data_dir, capfd):
    folder = data_dir / "test"
    flags = (f"--workdir={workdir}", "--false_alarm_rate=0.1", "--miss_rate=0.1")
    rows, errors = _predict(capfd, *flags, folder)
    with tiny.registered():
        point = VerdictConfig(false_alarm_rate=0.1, miss_rate=0.1)
        info = systems.load(workdir, parallel.data_mesh(), point).info
    scores = [float(row["score"]) for row in rows]
    assert [row["decision"] for row in rows] == info.point.decide(scores)
    assert info.unsure_origin in errors
    assert "at most 10 % misses need at least 10 fake validation pictures" in errors
    # The defaults of both rates.
    for flag in ("--unsure", "--miss_rate=0.05"):
        _, errors = _predict(capfd, f"--workdir={workdir}", flag, folder)
        assert "at most 5 % of real pictures are called fake and 5 % of fakes" in errors


def test_faces_are_scored_after_mild_changes_too(workdir, data_dir, capfd):
    folder, flags = data_dir / "test", (f"--workdir={workdir}", "--stability")
    assert tiny.run_cli("--mode=predict", *flags, str(folder)) == 0
    text, errors = capfd.readouterr()
    rows = list(csv.DictReader(io.StringIO(text)))
    plain, _ = _predict(capfd, f"--workdir={workdir}", folder)
    assert [row["score"] for row in rows] == [row["score"] for row in plain]
    with tiny.registered():
        threshold = systems.load(workdir, parallel.data_mesh()).info.threshold
    for row in filter(lambda row: row["score"], rows):
        least, most = float(row["least"]), float(row["most"])
        assert least <= float(row["score"]) <= most
        assert least < most
        is_unsure = least < threshold <= most
        assert (row["decision"] == "unsure") == is_unsure
    num_unsure = sum(row["decision"] == "unsure" for row in rows)
    assert f"{num_unsure} unsure)" in errors


def test_what_a_file_says_of_its_origin_is_told_and_changes_no_score(
    workdir, tmp_path, capfd
):
    picture = pictures.colourful(24, 24, 7)
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a face, Steps: 20, Sampler: Euler")
    files = {
        "made.png": pictures.encode(picture, pnginfo=info),
        "none.png": pictures.encode(picture),
        "text.png": b"no picture at all",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    flags = (f"--workdir={workdir}", "--provenance", str(tmp_path))
    assert tiny.run_cli("--mode=predict", *flags) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert tuple(rows[0]) == (*HEADER, "provenance")
    assert [row["provenance"] for row in rows] == [
        "generator: a Stable Diffusion web UI (PNG parameters); camera: none",
        "camera: none",
        "",
    ]
    assert rows[0]["score"] == rows[1]["score"] != ""
    assert rows[2]["error"].startswith("is not a picture")


def test_one_file_is_no_files(workdir, data_dir, capfd):
    good = data_dir / "test" / "real" / "000.png"
    _, errors = _predict(capfd, f"--workdir={workdir}", good)
    assert errors.splitlines()[-1].startswith("1 file: 1 scored")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`fakedet predict`: name files or folders"),
        (["{empty}"], "`paths`: no photographs or videos in "),
        (["{empty}/a.jpg"], "'{empty}/a.jpg' does not exist; check the path"),
        (["{empty}/a.jpg", "--output={empty}/x"], "'{empty}/a.jpg' does not exist"),
        (["{full}/a.txt/x"], "'{full}/a.txt/x' does not exist; check the path"),
        (
            ["{empty}/a", "{empty}/b"],
            "none of the 2 files and folders exists: '{empty}/a', '{empty}/b'; check",
        ),
        (["gs://bucket/a.jpg"], "'gs://bucket/a.jpg' is an address, of which files"),
        (["{full}/a.txt", "--output={full}"], "--output: '"),
        (
            ["{full}/a.txt", "--compilation_cache_dir=/dev/null"],
            "--compilation_cache_dir: expected a folder that can be written, found "
            "'/dev/null' (",
        ),
        (["{empty}/a.jpg", "--batch_size=0"], "--batch_size: expected at least 1"),
        (["{empty}/a.jpg", "--threshold=1.5"], "--threshold: expected "),
    ],
    ids=[
        "no files",
        "an empty folder",
        "a missing file",
        "a missing file and parts",
        "a file as folder",
        "missing files",
        "an address",
        "a folder as output",
        "cache",
        "batch size",
        "threshold",
    ],
)
def test_a_wrong_request_is_one_line(workdir, tmp_path, capfd, arguments, message):
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    (full / "a.txt").touch()
    arguments = [argument.format(empty=empty, full=full) for argument in arguments]
    assert tiny.run_cli("--mode=predict", f"--workdir={workdir}", *arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    message = message.format(empty=empty, full=full)
    assert captured.err.startswith(f"fakedet: {message}")
    assert captured.err.count("\n") == 1


NUM_MANY = 400


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More pictures than are scored before a test can act."""
    folder = tmp_path_factory.mktemp("many") / "pictures"
    return pictures.write_folder(folder, {"fake": NUM_MANY}, tiny.SIZE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_table_that_is_interrupted_is_not_taken_for_complete(
    workdir, many, tmp_path, number
):
    output, frames = tmp_path / "scores.csv", tmp_path / "frames.csv"
    output.write_text("of an earlier run\n")
    process = tiny.start(
        "--mode=predict",
        f"--workdir={workdir}",
        f"--output={output}",
        f"--frame_scores={frames}",
        "--batch_size=8",
        "--num_workers=0",
        str(many),
    )
    part = tmp_path / "scores.csv.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 2000):
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    rows = _parse(part.read_text())
    assert 0 < len(rows) < NUM_MANY
    assert (
        f"{part} and {frames}.part have only {len(rows)} of {NUM_MANY} files; a run "
        "with a folder as --output can be resumed"
    ) in errors
    assert errors.rstrip().endswith(f"fakedet: stopped by {number.name}")
    assert output.read_text() == "of an earlier run\n" and not frames.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_table_that_fails_is_not_taken_for_complete(workdir, many, tmp_path, capfd):
    output = tmp_path / "scores.csv"
    tables = f"--output={output}", "--frame_scores=/dev/full"
    command = f"--workdir={workdir}", *tables, "--num_workers=0", str(many)
    assert tiny.run_cli("--mode=predict", *command) == 1
    assert not output.exists()
    rows = _parse(output.with_name("scores.csv.part").read_text())
    assert (
        f"{output}.part and /dev/full have only {len(rows)} of {NUM_MANY} files"
        in capfd.readouterr().err
    )


def test_a_complete_table_takes_the_place_of_an_earlier_one(workdir, tmp_path, capfd):
    picture = tmp_path / "a.png"
    picture.write_bytes(pictures.encode(pictures.colourful(20, 20)))
    output = tmp_path / "scores.csv"
    output.write_text("of an earlier run\n")
    _predict_quietly(capfd, f"--workdir={workdir}", f"--output={output}", picture)
    assert len(_parse(output.read_text())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "scores.csv"]


def test_a_pipe_is_written_to_directly(workdir, tmp_path, capfd):
    picture, pipe = tmp_path / "a.png", tmp_path / "pipe.csv"
    picture.write_bytes(pictures.encode(pictures.colourful(20, 20)))
    os.mkfifo(pipe)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(pipe.read_text)
        _predict_quietly(capfd, f"--workdir={workdir}", f"--output={pipe}", picture)
        assert len(_parse(reading.result())) == 1
    assert pipe.is_fifo()


@pytest.mark.parametrize("field", ["output", "frame_scores"])
def test_a_table_that_cannot_be_written_is_refused_at_once(
    workdir, many, tmp_path, capfd, field
):
    (tmp_path / "file").touch()
    table = tmp_path / "file" / "scores.csv"
    command = f"--workdir={workdir}", f"--{field}={table}", str(many)
    assert tiny.run_cli("--mode=predict", *command) == 2
    assert f"fakedet: --{field}: {str(table)!r} cannot" in capfd.readouterr().err


def _predict_quietly(capfd, *arguments):
    assert tiny.run_cli("--mode=predict", *map(str, arguments)) == 0
    capfd.readouterr()
