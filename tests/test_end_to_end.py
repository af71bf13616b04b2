# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands of the README, with the real network, each in a process of its own."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny

pytestmark = pytest.mark.slow


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "main.py", *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pictures, a workdir, and what `train` printed."""
    root = tmp_path_factory.mktemp("end_to_end")
    tiny.write_pictures(root / "pictures")
    arguments = ("--mode=train", "--detector=amtennet", f"--workdir={root / 'workdir'}")
    result = _run(
        *arguments,
        f"--data_dir={root / 'pictures'}",
        "--batch_size=4",
        "--num_epochs=1",
        "--checkpoint_every=2",
    )
    assert result.returncode == 0, result.stderr
    (root / "stderr").write_text(result.stderr)
    return root


def test_training_prints_lines_of_its_own_only(place):
    lines = (place / "stderr").read_text().splitlines()
    beginnings = (
        "classes: real: real; fake: fake",
        "training amtennet on 20 pictures of folder, validating on 6; ",
        "validation has 3 real and 3 fake pictures; with fewer than 100 of each ",
        "train  20/20 images  100%  ",
        "Scores are not calibrated: there are 3 real and 3 fake validation pictures",
        "done; evaluate with `fakedet evaluate --workdir=",
    )
    # On a slow machine the progress is told several times.
    told = [line for line in lines if not line.startswith("train  ") or "100%" in line]
    for line, beginning in zip(told, beginnings, strict=True):
        assert line.startswith(beginning)


def test_evaluating_prints_the_metrics(place):
    result = _run("--mode=evaluate", f"--workdir={place / 'workdir'}")
    assert result.returncode == 0, result.stderr
    folder = place / "workdir" / "evaluations" / "folder_test"
    summary = json.loads((folder / "metrics.json").read_text())
    assert f"reading: {summary['reading']}\n" in result.stdout
    (line,) = re.findall(r"^num_examples +(\d+)", result.stdout, re.MULTILINE)
    assert int(line) == summary["num_examples"]
    assert summary["num_examples"] == 11


def test_predicting_prints_a_table(place):
    pictures = place / "pictures" / "test"
    result = _run("--mode=predict", f"--workdir={place / 'workdir'}", pictures)
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout), strict=True))
    assert len(rows) == 11
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
