# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flags of the trainings of a study: what they are, and whether they are right.

What can be seen to be wrong is found before the first training, not days later.
"""

import dataclasses
import difflib
from collections.abc import Collection, Sequence

from fakedet_jax import systems
from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.config import DataConfig, InputConfig, StudyConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import specification


def of_training(config: StudyConfig, training: study_file.Training) -> list[str]:
    """All that decides what a training computes, but its seed.

    Args:
        config: The settings of the study.
        training: One of its trainings.

    Returns:
        Flags as they are written, in the order in which they count.
    """
    data = _data_flags(config.data)
    named = set(map(study_file.flag_name, data))
    others = [
        flag for flag in config.overrides if study_file.flag_name(flag) not in named
    ]
    return [*training.flags, *data, *others]


def of_input(chosen: InputConfig) -> list[str]:
    """How a training reads pictures, which changes nothing that it computes."""
    default = dataclasses.asdict(InputConfig())
    return [
        f"--{name}={value}"
        for name, value in dataclasses.asdict(chosen).items()
        if value != default[name]
    ]


def check(
    config: StudyConfig, study: study_file.Study, known_flags: Collection[str] | None
) -> None:
    """Looks at the flags of all trainings.

    Args:
        config: The settings of the study.
        study: Its trainings.
        known_flags: The names of the flags that there are; None looks at no name.

    Raises:
        RequestError: There is no such flag, detector or perturbation; the message names
            the training.
    """
    for training in study.trainings:
        flags = of_training(config, training)
        try:
            if known_flags is not None:
                _check_names(flags, known_flags)
            _check_values(flags)
        except RequestError as error:
            raise RequestError(
                f"{str(config.study)!r}, training {training.name!r}: {error}"
            ) from error


def _check_names(flags: Sequence[str], known: Collection[str]) -> None:
    for flag in flags:
        name = study_file.flag_name(flag)
        if name not in known and name.removeprefix("no") not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"such as --{close[0]}" if close else "see --help"
            raise RequestError(
                f"--{name}: expected a flag of --mode=train, {hint}, found {flag!r}"
            )


def _check_values(flags: Sequence[str]) -> None:
    # The last of several counts.
    values = {study_file.flag_name(flag): flag.partition("=")[2] for flag in flags}
    systems.create(values.get("detector", "amtennet"), values)
    if values.get("perturb"):
        specification.parse_all([text.strip() for text in values["perturb"].split(",")])


def _data_flags(data: DataConfig | None) -> list[str]:
    """The flags that name pictures; those with a default leave it to the training."""
    if data is None:
        return []
    flags = [f"--dataset={data.dataset}"]
    default = DataConfig()
    if data.data_dir is not None:
        flags.append(f"--data_dir={data.data_dir.absolute()}")
    if data.real_classes:
        flags.append(f"--real_classes={','.join(data.real_classes)}")
    if data.task != default.task:
        flags.append(f"--task={data.task}")
    if data.validation_fraction != default.validation_fraction:
        flags.append(f"--validation_fraction={data.validation_fraction}")
    if data.num_identities is not None:
        flags.append(f"--num_identities={data.num_identities}")
    return flags
