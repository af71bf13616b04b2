# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flagfiles are lab notes whose commands work as they are written."""

import dataclasses
import json
from pathlib import Path

import pytest
from absl import flags

from fakedet_jax import cli, systems
from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.perturb import specification, suites
from fakedet_jax.systems.networks import amtennet, residuals
from fakedet_jax.training import optim

_FOLDER = Path(__file__).parents[1] / "experiments"
_FLAGFILES = sorted(_FOLDER.glob("*.flags"))
_TABLES = sorted((_FOLDER / "tables").glob("*.json"))
_HEADINGS = ("Command:", "Differs:", "Data:", "Source:", "What:")


def _settings(path):
    lines = path.read_text().splitlines()
    return _parse([line for line in lines if line.startswith("--")])


def _parse(lines):
    settings = {}
    for line in lines:
        name, _, value = line.removeprefix("--").partition("=")
        if not value:
            name, value = name.removeprefix("no"), str(not name.startswith("no"))
        settings[name] = value
    return settings


def test_there_are_flagfiles():
    assert len(_FLAGFILES) >= 20


@pytest.mark.parametrize("path", _FLAGFILES, ids=lambda path: path.stem)
def test_every_flag_exists_and_takes_its_value(path):
    cli.define_flags()
    for name, value in _settings(path).items():
        flags.FLAGS[name].parser.parse(value)


@pytest.mark.parametrize("path", _FLAGFILES, ids=lambda path: path.stem)
def test_the_recipe_can_be_built(path):
    settings = _settings(path)
    if settings["mode"] != "train":
        pytest.skip("nothing is trained")
    _build_recipe(settings)


def _build_recipe(settings):
    recipe = systems.create(settings["detector"]).recipe
    types = {field.name: type(getattr(recipe, field.name)) for field in _fields()}
    changes = {name: types[name](settings[name]) for name in types if name in settings}
    optim.create_optimizer(dataclasses.replace(recipe, **changes), num_steps=10)


@pytest.mark.parametrize("path", _FLAGFILES, ids=lambda path: path.stem)
def test_the_command_names_the_file(path):
    text = path.read_text()
    assert f"--flagfile=experiments/{path.name}" in text
    assert sum(heading in text for heading in _HEADINGS) >= 2


@pytest.mark.parametrize("path", _TABLES, ids=lambda path: path.stem)
def test_the_trainings_of_a_study_can_be_made(path):
    cli.define_flags()
    for training in study_file.read(path).trainings:
        settings = _parse(training.flags)
        for name, value in settings.items():
            flags.FLAGS[name].parser.parse(value)
        _build_recipe(settings)
        assert settings.get("amten_variant", "amten") in amtennet.VARIANTS
        assert settings.get("residual", "srm") in residuals.KINDS
        for condition in settings.get("perturb", "none").split(","):
            specification.parse(condition)


@pytest.mark.parametrize("path", _TABLES, ids=lambda path: path.stem)
def test_a_training_of_a_study_is_not_there_twice(path):
    trainings = study_file.read(path).trainings
    assert len({training.flags for training in trainings}) == len(trainings)


@pytest.mark.parametrize("path", _TABLES, ids=lambda path: path.stem)
def test_a_study_names_its_source(path):
    assert "CVIU 204 (2021) 103170, Table" in json.loads(path.read_text())["source"]


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


def _fields():
    return dataclasses.fields(optim.Recipe)
