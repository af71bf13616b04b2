# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flagfiles are lab notes whose commands work as they are written."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fakedet_jax import config, systems
from fakedet_jax.cli import flags, modes
from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.perturb import specification, suites
from fakedet_jax.training import optim
from fakedet_jax.training.recipe import change

_FOLDER = Path(__file__).parents[1] / "experiments"
_FLAGFILES = sorted(_FOLDER.glob("*.flags"))
_TABLES = sorted((_FOLDER / "tables").glob("*.json"))
_HEADINGS = ("Command:", "Differs:", "Data:", "Source:", "What:")


def _lines(path):
    lines = path.read_text().splitlines()
    return [line for line in lines if line.startswith("--")]


def _parse(lines):
    values = {}
    for line in lines:
        name, _, value = line.removeprefix("--").partition("=")
        if not value:
            name, value = name.removeprefix("no"), str(not name.startswith("no"))
        values[name] = value
    return values


def test_there_are_flagfiles():
    assert len(_FLAGFILES) >= 20


@pytest.mark.parametrize("path", _FLAGFILES, ids=lambda path: path.stem)
def test_the_mode_accepts_every_flag_with_its_value(path):
    values = _parse(_lines(path))
    cls = modes.MODES[values.pop("mode")].settings
    if cls is config.StudyConfig:
        _check_training(values)
        return
    named = {"workdir": "w", "output": "o", "data_dir": "d"}
    known = flags.names(cls, values)
    missing = {name: named[name] for name in named if name in known}
    request = flags.read(cls, {**missing, **values})
    if isinstance(request, config.TrainConfig):
        _check_training(values)


def _check_training(values):
    request = flags.read(config.TrainConfig, {"workdir": "w", **values})
    system = systems.create(request.detector, request.options)
    recipe = change(system.recipe, request.recipe)
    optim.create_optimizer(recipe, num_steps=10)
    for condition in getattr(request.options, "perturb", ()):
        specification.parse(condition)


@pytest.mark.parametrize("path", _FLAGFILES, ids=lambda path: path.stem)
def test_the_command_names_the_file(path):
    text = path.read_text()
    assert f"--flagfile=experiments/{path.name}" in text
    assert sum(heading in text for heading in _HEADINGS) >= 2


@pytest.mark.parametrize("path", _TABLES, ids=lambda path: path.stem)
def test_the_trainings_of_a_study_can_be_made(path):
    for training in study_file.read(path).trainings:
        _check_training(_parse(training.flags))


@pytest.mark.parametrize("path", _TABLES, ids=lambda path: path.stem)
def test_a_training_of_a_study_is_not_there_twice(path):
    trainings = study_file.read(path).trainings
    assert len({training.flags for training in trainings}) == len(trainings)


@pytest.mark.parametrize("path", _TABLES, ids=lambda path: path.stem)
def test_a_study_names_its_source(path):
    source = json.loads(path.read_text())["source"]
    ours = path.stem.startswith("results_")
    assert ("RESULTS.md, " if ours else "CVIU 204 (2021) 103170, Table") in source


def test_tables_3_to_12_are_there():
    names = [path.stem for path in _TABLES]
    for number in range(3, 13):
        prefix = f"amten_table{number}"
        assert any(name == prefix or name.startswith(f"{prefix}_") for name in names)


def test_table_9_has_the_conditions_of_the_suite():
    study = study_file.read(_FOLDER / "tables" / "amten_table9.json")
    conditions = [test.perturb for test in study.tests]
    assert conditions == [
        "",
        *(
            str(condition).replace(" ", ":").replace("-mix", ":mix")
            for condition in suites.create("amten").conditions
        ),
    ]


# It stands for Python, and has no PyTorch: the toolkit's own commands are written down,
# the script's small programs are run.
_STUB = """#!/bin/sh
case $1 in
    -) exec {python} "$@" ;;
    -c) exit 1 ;;
esac
echo "$@" >> {calls}
case $* in *tf32*) exit 7 ;; esac
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The commands of the check on an accelerator, and its results."""
    folder = tmp_path_factory.mktemp("check")
    stub, calls = folder / "python", folder / "calls"
    stub.write_text(_STUB.format(python=shlex.quote(sys.executable), calls=calls))
    stub.chmod(0o700)
    done = subprocess.run(
        [_FOLDER / "accelerator_check.sh", folder / "made" / "results"],
        env={**os.environ, "PYTHON": str(stub)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "made" / "results" / "results.json").read_text())
    return [shlex.split(line) for line in calls.read_text().splitlines()], results


def test_the_modes_accept_the_flags_of_the_check(checked):
    commands, _ = checked
    assert len(commands) == 10
    for program, *words in commands:
        assert program == "main.py"
        values = {}
        for word in words:
            flagfile = word.removeprefix("--flagfile=")
            lines = [word] if flagfile == word else _lines(_FOLDER.parent / flagfile)
            values |= _parse(lines)
        cls = modes.MODES[values.pop("mode")].settings
        flags.read(cls, values)


def test_a_step_of_the_check_that_fails_does_not_stop_the_next(checked):
    _, results = checked
    # Nothing was trained that could be compared.
    failed = {"same_bits": 1, "amtennet_tf32_64": 7, "amtennet_tf32_512": 7}
    codes = {name: result["exit_code"] for name, result in results.items()}
    assert len(codes) == 11
    assert codes == {**dict.fromkeys(codes, 0), **failed}
