# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.cli.arguments."""

import pytest

from fakedet_jax.cli import arguments

_MODES = ("train", "evaluate", "predict", "prepare")


@pytest.mark.parametrize(
    ("given", "mode", "rest", "wants_help"),
    [
        ([], "", (), False),
        (["predict", "a"], "predict", ("a",), False),
        (["a", "predict"], "", ("a", "predict"), False),
        (["--workdir=w", "predict"], "", ("--workdir=w", "predict"), False),
        (["train", "--help"], "train", (), True),
        (["--help", "train"], "train", (), True),
        (["train", "-h", "--seed=1"], "train", ("--seed=1",), True),
        (["predict", "--", "-h"], "predict", ("--", "-h"), False),
        (["--", "predict"], "", ("--", "predict"), False),
    ],
)
def test_sub_command_and_help_are_told_from_the_rest(given, mode, rest, wants_help):
    found = arguments.read(given, _MODES)
    assert (found.mode, found.rest, found.wants_help) == (mode, rest, wants_help)
    assert not found.wants_version


def test_the_version_is_asked_for_anywhere_before_the_files():
    assert arguments.read(["train", "--version"], _MODES).wants_version
    assert not arguments.read(["predict", "--", "--version"], _MODES).wants_version
