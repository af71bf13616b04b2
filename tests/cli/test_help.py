# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.cli.help and of what the command line does with it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fakedet_jax
from fakedet_jax import cli, settings, systems
from fakedet_jax.cli import flags, help, modes
from fakedet_jax.evaluation import metrics, operating_point
from tests import tiny

_ROOT = Path(__file__).parents[2]


def _shown(capsys, *arguments):
    assert tiny.run_cli(*arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def _flags_in(text):
    return re.findall(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE)


def test_without_arguments_there_are_three_examples_and_all_modes(capsys):
    shown = _shown(capsys)
    assert len(re.findall(r"^  fakedet ", shown, re.MULTILINE)) == 3
    for name in modes.MODES:
        assert re.search(rf"^  {name}\s", shown, re.MULTILINE), name
    assert _shown(capsys, "--help") == shown


def test_the_version_is_told(capsys):
    assert _shown(capsys, "--version") == f"fakedet_jax {fakedet_jax.__version__}\n"


@pytest.mark.parametrize("mode", modes.MODES)
def test_a_mode_lists_its_flags_and_no_others(capsys, mode):
    shown = _shown(capsys, mode, "--help")
    assert shown == _shown(capsys, f"--mode={mode}", "--help")
    listed = _flags_in(shown)
    assert len(listed) == len(set(listed))
    own = set(flags.names(modes.MODES[mode].settings, {}))
    assert set(listed) == own - set(flags.POSITIONAL)
    assert modes.MODES[mode].example in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("mode", modes.MODES)
def test_every_flag_says_whether_it_is_required_or_has_a_default(mode):
    for leaf in settings.leaves(modes.MODES[mode].settings, {}):
        words = flags.describe(leaf)
        assert "default" in words.lower() or words.endswith("Required."), leaf


@pytest.mark.parametrize("mode", modes.MODES)
def test_the_example_of_a_mode_is_accepted(mode):
    program, name, *arguments = modes.MODES[mode].example.split()
    assert (program, name) == ("fakedet", mode)
    values = {}
    for argument in arguments:
        if argument.startswith("--"):
            key, _, value = argument.removeprefix("--").partition("=")
            values[key] = value
    flags.check_accepted(mode, modes.classes(), values)
    flags.read(
        modes.MODES[mode].settings,
        {"study": "x", **values} if mode == "study" else values,
    )


def test_the_recipe_of_the_detector_is_shown(capsys):
    shown = " ".join(_shown(capsys, "train", "--help").split())
    assert "the defaults are the recipe of amtennet" in shown
    assert "--weight_decay=NUMBER" in shown
    weight_decay = systems.create("amtennet").recipe.weight_decay
    assert f"an L2 penalty for the other optimizers. Default: {weight_decay}." in shown
    other = _shown(capsys, "train", "--detector=fakespotter", "--help")
    assert "--backbone" in other
    assert "--backbone" not in shown
    assert "Options of fakespotter:" in other


def test_help_for_an_unknown_detector_is_refused(capsys):
    assert tiny.run_cli("train", "--detector=nothing", "--help") == 2
    assert "--detector: expected amtennet" in capsys.readouterr().err


def test_settings_are_shown_as_flags():
    assert "needs --size" in " ".join(help.of_mode("predict", {}).split())


@pytest.mark.parametrize("mode", modes.MODES)
def test_decisions_are_words_not_flags(mode):
    decisions = {*metrics.BINARY_CLASSES, operating_point.UNSURE}
    for leaf in settings.leaves(modes.MODES[mode].settings):
        assert not decisions & set(re.findall(r"`(\w+)`", leaf.option.help)), leaf.name


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("run `mode=evaluate` again", "run `fakedet evaluate` again"),
        ("use `workdir=a b`", "use --workdir=a b"),
        ("`mode=train` `workdir=w`, or", "`fakedet train --workdir=w`, or"),
        ("`mode=train` `seed` `workdir=w`", "`fakedet train --seed --workdir=w`"),
        ("`mode=train` `no_flag`", "`fakedet train` `no_flag`"),
    ],
)
def test_a_mode_and_its_settings_are_shown_as_a_command(told, shown):
    cli.define_flags()
    assert flags.as_flags(told) == shown


@pytest.mark.parametrize("words", ["", "train --help"])
def test_a_reader_that_has_seen_enough_leaves_no_traceback(words):
    done = subprocess.run(
        # Half a second, so that the reader has gone.
        f"({sys.executable} -c 'import time; from fakedet_jax import cli; "
        f"time.sleep(0.5); cli.run()' {words}) | true",
        shell=True,
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
