# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.determinism."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import determinism

_FLAG = "--xla_gpu_deterministic_ops"
# XLA ends the process if it reads a flag that it does not know; the sum says otherwise.
_PROGRAM = """
import os
from fakedet_jax.runtime import determinism
determinism.require()
determinism.require()
import jax.numpy as jnp
print(os.environ["XLA_FLAGS"], float(jnp.arange(4.0).sum()))
determinism.require()
"""


def _run(flags):
    environment = {**os.environ, "XLA_FLAGS": flags}
    if flags is None:
        del environment["XLA_FLAGS"]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, f"{_FLAG}=true"),
        (
            "--xla_force_host_platform_device_count=2",
            f"--xla_force_host_platform_device_count=2 {_FLAG}=true",
        ),
        (f"{_FLAG}", f"{_FLAG}"),
    ],
)
def test_xla_is_told_before_it_starts(flags, expected):
    assert _run(flags) == f"{expected} 6.0"


def test_it_is_refused_once_jax_has_started(monkeypatch):
    jax.devices()
    before = os.environ["XLA_FLAGS"]
    with pytest.raises(
        RequestError, match="`deterministic`: JAX has started without --xla_gpu_det"
    ):
        determinism.require()
    assert os.environ["XLA_FLAGS"] == before


@pytest.mark.parametrize(
    "flags",
    [
        f"{_FLAG}=true",
        f"--xla_other=1 {_FLAG} --xla_dump_to=x",
        f"{_FLAG}=false {_FLAG}=1",
    ],
)
def test_a_flag_that_is_there_is_left_as_it_is(monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", flags)
    determinism.require()
    assert os.environ["XLA_FLAGS"] == flags


@pytest.mark.parametrize("value", ["false", "0"])
def test_the_opposite_is_a_contradiction(monkeypatch, value):
    monkeypatch.setenv("XLA_FLAGS", f"{_FLAG}=true {_FLAG}={value}")
    with pytest.raises(RequestError, match=f"XLA_FLAGS says {_FLAG}={value}; leave"):
        determinism.require()


def test_a_longer_name_is_another_flag(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"{_FLAG}_of_old=true")
    with pytest.raises(RequestError, match="JAX has started without"):
        determinism.require()


def test_a_file_of_flags_must_hold_the_flag(monkeypatch, tmp_path):
    file = tmp_path / "flags"
    file.write_text("--xla_other=1\n")
    monkeypatch.setenv("XLA_FLAGS", str(file))
    with pytest.raises(RequestError, match=r"names the file .*; write --xla_gpu_det"):
        determinism.require()
    file.write_text(f"--xla_other=1\n{_FLAG}=true\n")
    determinism.require()
    assert os.environ["XLA_FLAGS"] == str(file)
