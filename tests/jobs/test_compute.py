# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.compute, and that every job calls it in time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from fakedet_jax import settings
from fakedet_jax.cli import modes
from tests import tiny

_COMPUTING = [
    name
    for name, mode in modes.MODES.items()
    if "deterministic" in {leaf.name for leaf in settings.leaves(mode.settings)}
]
_MORE_FLAGS = {
    "suite": ["--suite=amten"],
    "extract": ["--output=o"],
    "cross_dataset": ["--datasets=."],
    "benchmark": [],
}
_TRAINING = """
import os, sys
from tests import tiny
code = tiny.run_cli(*sys.argv[1:])
print(os.environ["XLA_FLAGS"])
sys.exit(code)
"""


@pytest.mark.parametrize("mode", _COMPUTING)
def test_every_mode_asks_for_determinism_before_anything_else(mode, capsys):
    jax.devices()  # JAX has started, which is too late.
    more = _MORE_FLAGS.get(mode, [])
    if mode != "benchmark":
        more = [*more, "--workdir=nowhere"]
    assert tiny.run_cli(f"--mode={mode}", "--deterministic", *more) == 2
    line = capsys.readouterr().err
    assert line.startswith("fakedet: --deterministic: JAX has started without --xla_")
    assert line.count("\n") == 1


@pytest.mark.slow
def test_a_deterministic_training_tells_xla_and_config_json(tmp_path):
    data_dir = tiny.write_pictures(tmp_path / "pictures")
    flags = tiny.train_flags(data_dir, tmp_path / "workdir")
    done = subprocess.run(
        [sys.executable, "-c", _TRAINING, *flags, "--deterministic", "--num_epochs=1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # The flags of before are those of the tests.
    assert done.stdout.splitlines()[-1] == (
        f"{os.environ['XLA_FLAGS']} --xla_gpu_deterministic_ops=true"
    )
    record = json.loads((tmp_path / "workdir" / "config.json").read_text())
    assert record["deterministic"] is True
