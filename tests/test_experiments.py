# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flagfiles are lab notes whose commands work as they are written."""

import dataclasses
from pathlib import Path

import pytest
from absl import flags

from fakedet_jax import cli, detectors, optim

_FOLDER = Path(__file__).parents[1] / "experiments"
_FLAGFILES = sorted(_FOLDER.glob("*.flags"))
_HEADINGS = ("Command:", "Differs:", "Data:", "Source:", "What:")


def _settings(path):
    lines = [line for line in path.read_text().splitlines() if line.startswith("--")]
    settings = {}
    for line in lines:
        name, _, value = line.removeprefix("--").partition("=")
        if not value:
            name, value = name.removeprefix("no"), str(not name.startswith("no"))
        settings[name] = value
    return settings


def test_there_are_flagfiles():
    assert len(_FLAGFILES) >= 17


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
    recipe = detectors.create(settings["detector"]).recipe
    types = {field.name: type(getattr(recipe, field.name)) for field in _fields()}
    changes = {name: types[name](settings[name]) for name in types if name in settings}
    optim.create_optimizer(dataclasses.replace(recipe, **changes), num_steps=10)


@pytest.mark.parametrize("path", _FLAGFILES, ids=lambda path: path.stem)
def test_the_command_names_the_file(path):
    text = path.read_text()
    assert f"--flagfile=experiments/{path.name}" in text
    assert sum(heading in text for heading in _HEADINGS) >= 2


def _fields():
    return dataclasses.fields(optim.Recipe)
