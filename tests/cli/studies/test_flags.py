# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of cli.studies.flags."""

from pathlib import Path

import pytest

from fakedet_jax.cli import flags
from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.cli.studies import flags as study_flags
from fakedet_jax.config import DataConfig, InputConfig, StudyConfig
from fakedet_jax.errors import RequestError


def _training(*flags, name="one"):
    return study_file.Training(name, flags)


def _check(*flags, overrides=()):
    study = study_file.Study(
        title="A table",
        source="nowhere",
        metric="accuracy",
        trainings=(_training("--detector=amtennet", name="other"), _training(*flags)),
        tests=(study_file.Condition("Raw"),),
    )
    config = StudyConfig(study=Path("a.json"), output=Path("out"), overrides=overrides)
    study_flags.check(config, study)


def test_pictures_are_named_once():
    config = StudyConfig(
        study=Path("a.json"),
        output=Path("out"),
        overrides=("--dataset=folder", "--data_dir=faces", "--num_epochs=5"),
        data=DataConfig(dataset="folder", data_dir=Path("faces")),
    )
    assert study_flags.of_training(config, _training("--task=binary")) == [
        "--task=binary",
        "--dataset=folder",
        f"--data_dir={Path('faces').absolute()}",
        "--num_epochs=5",
    ]


def test_only_what_is_not_usual_is_said_of_the_input():
    assert flags.write(InputConfig()) == []
    assert flags.write(InputConfig(num_threads=3)) == ["--num_threads=3"]


@pytest.mark.parametrize(
    "given",
    [
        ("--noflip", "--learning_rate=3"),
        ("--detector=nobody", "--detector=meso4"),
        ("--amten_variant=amten_1", "--perturb=none,jpeg:60, mix"),
        ("--perturb=",),
    ],
)
def test_right_flags_pass(given):
    _check(*given)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (
            "--learning_rte=3",
            "--learning_rte: expected a flag of --mode=train, found "
            "'--learning_rte=3'; did you mean --learning_rate",
        ),
        ("--noflap", "--noflap: expected a flag of --mode=train, "),
        ("--x=1", "--x: expected a flag of --mode=train, found '--x=1'; see `fakedet "),
        ("--detector=meso5", "`detector`: expected "),
        ("--detector", "`detector`: expected "),
        ("--amten_variant=amten_9", "`amten_variant`: expected "),
        ("--residual=soft", "`residual`: expected "),
        ("--perturb=jpeg:60,melt:3", "`perturb`: expected "),
    ],
)
def test_a_wrong_flag_is_refused_by_the_name_of_its_training(flag, message):
    with pytest.raises(RequestError) as caught:
        _check(flag)
    assert str(caught.value).startswith(f"'a.json', training 'one': {message}")


def test_a_wrong_override_is_refused():
    with pytest.raises(RequestError, match=r"`detector`: expected .*'meso5'"):
        _check("--detector=meso4", overrides=("--detector=meso5",))
