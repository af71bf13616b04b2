# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flags of the trainings of a study: what they are, and whether they are right.

What can be seen to be wrong is found before the first training, not days later.
"""

from collections.abc import Sequence

from fakedet_jax import systems
from fakedet_jax.cli import flags
from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.config import DataConfig, StudyConfig, TrainConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import specification
from fakedet_jax.runtime.text import suggest
from fakedet_jax.training.recipe import change


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


def check(config: StudyConfig, study: study_file.Study) -> None:
    """Looks at the flags of all trainings.

    Args:
        config: The settings of the study.
        study: Its trainings.

    Raises:
        RequestError: A flag is unknown or has a wrong value; the message names the
            training.
    """
    for training in study.trainings:
        texts = of_training(config, training)
        try:
            _check_names(texts)
            _check_values(texts)
        except RequestError as error:
            raise RequestError(
                f"{str(config.study)!r}, training {training.name!r}: {error}"
            ) from error


def _check_names(texts: Sequence[str]) -> None:
    known = flags.names(TrainConfig)
    for text in texts:
        name = study_file.flag_name(text)
        if name not in known and name.removeprefix("no") not in known:
            hint = suggest(name, known, "--{}") or "see `fakedet train --help`"
            raise RequestError(
                f"--{name}: expected a flag of --mode=train, found {text!r}; {hint}"
            )


def _check_values(texts: Sequence[str]) -> None:
    known = flags.names(TrainConfig)
    values: dict[str, str] = {"workdir": "."}
    # The last of several counts.
    for text in texts:
        name, sign, value = text.lstrip("-").partition("=")
        if not sign:
            value = "true" if name in known else "false"
            name = name if name in known else name.removeprefix("no")
        values[name] = value
    request = flags.read(TrainConfig, values)
    system = systems.create(request.detector, request.options)
    change(system.recipe, request.recipe)
    if perturb := getattr(request.options, "perturb", ()):
        specification.parse_all(perturb)


def _data_flags(data: DataConfig | None) -> list[str]:
    """The flags that name pictures; those with a default leave it to the training."""
    if data is None:
        return []
    # The name of the dataset is said in any case.
    others = [flag for flag in flags.write(data) if not flag.startswith("--dataset=")]
    return [f"--dataset={data.dataset}", *others]
