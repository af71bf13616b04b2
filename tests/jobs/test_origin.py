# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.jobs.origin."""

import sys

import pytest

from fakedet_jax import __version__
from fakedet_jax.jobs import origin


@pytest.mark.parametrize("program", ["main.py", "/opt/bin/fakedet"])
def test_a_command_can_be_pasted(monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [program, "evaluate", "--workdir=MY RUN"])
    found = origin.describe()
    assert found["command"] == "fakedet evaluate '--workdir=MY RUN'"
    assert found["version"] == __version__


def test_another_program_has_no_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["notebook", "--secret"])
    assert "command" not in origin.describe()
