# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.review: predictions with a page to review them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakedet_jax.media.decode import decode, to_input
from tests import tiny
from tests.media.media_files import moving, write_video
from tests.report import reviews


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.write_pictures(tmp_path_factory.mktemp("review") / "pictures")


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("review") / "workdir"
    return tiny.fit(data_dir, folder, detector="plain", recipe={"num_epochs": 1})


def _predict(workdir, *arguments):
    return tiny.run_cli("--mode=predict", f"--workdir={workdir}", *map(str, arguments))


def _open(path):
    with Image.open(path) as image:
        return np.asarray(image, float)


def test_the_page_tells_what_the_table_tells(workdir, data_dir, tmp_path, capfd):
    table, folder = tmp_path / "scores.csv", tmp_path / "page"
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    arguments = ("--stability", "--maps", "--provenance", f"--report={folder}")
    test = data_dir / "test"
    assert _predict(workdir, *arguments, f"--output={table}", test, broken) == 0
    assert f"open {folder}/report.html to review" in capfd.readouterr().err
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = reviews.read(folder)
    assert [entry["path"] for entry in found] == [row["path"] for row in rows]
    for entry, row in zip(found, rows, strict=True):
        (face,) = entry["faces"]
        assert entry.get("origin", "") == row["provenance"]
        if row["error"]:
            assert face == {"face": 0, "reason": row["error"]}
            continue
        assert face["decision"] == row["decision"]
        assert face["score"] == pytest.approx(float(row["score"]), rel=1e-5)
        ends = [float(row["least"]), float(row["most"])]
        assert face["range"] == pytest.approx(ends, rel=1e-5)
        assert [one["title"] for one in face["maps"]] == [
            "Occlusion.",
            "Gradient × input.",
        ]
        for image in [face["image"], *(one["image"] for one in face["maps"])]:
            assert _open(folder / image).shape == (tiny.SIZE, tiny.SIZE, 3)
        # What the network saw, up to JPEG.
        pixels = decode(Path(row["path"]).read_bytes())
        expected = to_input(pixels, tiny.PREPROCESSING.framing).astype(float)
        shown = _open(folder / face["image"])
        assert np.abs(shown.mean((0, 1)) - expected.mean((0, 1))).max() < 4


def test_a_video_is_shown_over_time(workdir, tmp_path):
    write_video(tmp_path / "v.mp4", moving(6, 32, 48))
    folder = tmp_path / "page"
    arguments = (f"--report={folder}", f"--output={tmp_path / 's.csv'}")
    assert (
        _predict(workdir, *arguments, "--face_detector=none", tmp_path / "v.mp4") == 0
    )
    (video,) = reviews.read(folder)
    (track,) = video["tracks"]
    scores = [score for _, score in track["points"]]
    assert len(scores) == 6
    (face,) = video["faces"]
    assert face["score"] == pytest.approx(np.mean(scores), abs=1e-5)
    assert face["frame"] == int(np.argmax(scores))


def test_a_run_without_any_score_has_its_page(workdir, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    folder = tmp_path / "page"
    table = folder / "scores.csv"  # It may lie beside the page.
    assert _predict(workdir, f"--report={folder}", f"--output={table}", broken) == 1
    assert table.is_file()
    (entry,) = reviews.read(folder)
    assert entry["faces"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report={taken}"], "--report: expected a new or an empty folder, found a "),
        (["--report={data}/page"], "--report: expected a folder outside the scored"),
        (["--maps"], "--maps: they are shown on the page of --report"),
        (
            ["--report={new}", "--annotated={new}"],
            "--report: expected a folder other than --annotated",
        ),
        (
            ["--report={new}", "--output={parts}"],
            "--report: a folder of parts has tables of faces only; leave it out",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(
    workdir, data_dir, tmp_path, capfd, arguments, message
):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    names = {
        "taken": tmp_path / "taken",
        "new": tmp_path / "new",
        "parts": tmp_path / "parts",
        "data": data_dir / "test",
    }
    given = [argument.format(**names) for argument in arguments]
    assert _predict(workdir, *given, data_dir / "test") == 2
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "new").exists()
    assert not (data_dir / "test" / "page").exists()


def test_a_run_that_fails_leaves_no_page(workdir, data_dir, tmp_path, monkeypatch):
    from fakedet_jax.report import review

    folder = tmp_path / "page"

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(review.copies, "write_small", fail)
    assert _predict(workdir, f"--report={folder}", data_dir / "test") == 2
    assert not folder.exists()
    # A folder that cannot be made is known before the table is begun.
    (tmp_path / "file").touch()
    arguments = (f"--report={tmp_path}/file/page", f"--output={tmp_path}/s.csv")
    assert _predict(workdir, *arguments, data_dir / "test") == 2
    assert not (tmp_path / "s.csv").exists()


def test_a_switch_and_a_folder_share_a_flag(workdir):
    folder = workdir / "evaluations" / "short"
    arguments = ("--mode=evaluate", f"--workdir={workdir}", "--name=short")
    assert tiny.run_cli(*arguments, "--report=false", "--num_resamples=0") == 0
    assert not (folder / "report.html").exists()
    assert json.loads((folder / "metrics.json").read_text())["num_examples"] == 11
    assert tiny.run_cli(*arguments, "--report=PAGE") == 2
