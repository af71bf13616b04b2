# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line: the settings that each takes, and the job it calls."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags as absl_flags

from fakedet_jax import config
from fakedet_jax.cli import flags
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode.

    Attributes:
        settings: Class of its settings.
        run: Calls its job, and prints what there is to print.
        read: From the arguments after the flags and the given flags to the settings;
            None where every flag is one of the settings.
    """

    settings: type[Settings]
    run: Callable[[Any], None]
    read: Callable[[tuple[str, ...], dict[str, Any]], Settings] | None = None


def execute(mode: str, paths: tuple[str, ...]) -> None:
    """Calls the job of a mode with what the flags say.

    Args:
        mode: Its name.
        paths: The arguments after the flags.

    Raises:
        RequestError: The request is wrong.
    """
    values = flags.given()
    mode = _successor(mode, values)
    cls = MODES[mode].settings
    fields = {field.name for field in dataclasses.fields(cls)}
    if paths and not fields & set(flags.POSITIONAL):
        raise RequestError(
            f"`mode={mode}` takes no files, found {paths[0]!r}; flags are written "
            "--name=value"
        )
    if (read := MODES[mode].read) is not None:
        MODES[mode].run(read(paths, values))
        return
    flags.check_accepted(mode, _classes(), values)
    if "://" in str(values.get("data_dir", "")):
        values["data_dir"] = _localise(mode, values["data_dir"])
    if "paths" in fields:
        values["paths"] = paths
    MODES[mode].run(flags.read(cls, values))


def _classes() -> dict[str, type[Settings]]:
    return {name: mode.settings for name, mode in MODES.items()}


def define_flags() -> None:
    """Defines the flags of all modes, once."""
    flags.define(_classes())


def _successor(mode: str, values: dict[str, Any]) -> str:
    """The mode that an older command line means."""
    newer = {"scores": "suite_scores", "suite": "suite", "datasets": "cross_dataset"}
    for name, successor in newer.items() if mode == "evaluate" else ():
        if name in values:
            _LOGGER.warning(
                "`%s` with `mode=evaluate` goes away in the next version; give "
                "`mode=%s`",
                name,
                successor,
            )
            return successor
    return mode


def _localise(mode: str, address: str) -> Path:
    """Copies a data folder that lies in a bucket to the user's cache."""
    if mode == "prepare":
        raise RequestError(
            f"`data_dir`: the originals must lie on a file system, found {address!r}; "
            "mount the bucket, such as with gcsfuse"
        )
    # TFDS takes a second to import; only who asks for a bucket waits.
    from fakedet_jax.data import prepared

    return prepared.localise(address)


def _train(request: config.TrainConfig) -> None:
    from fakedet_jax.jobs import train

    train.train(request)


def _evaluate(request: config.EvaluateConfig) -> None:
    from fakedet_jax.jobs import evaluate
    from fakedet_jax.report import evaluation_table

    # Only the first of several processes has something to tell.
    if summary := evaluate.evaluate(request):
        print(evaluation_table(summary))


def _cross_dataset(request: config.CrossDatasetConfig) -> None:
    from fakedet_jax.jobs import cross_dataset

    if compared := cross_dataset.evaluate_datasets(request):
        print(cross_dataset.cross_dataset_table(compared))
        cross_dataset.check_complete(compared)


def _suite(request: config.SuiteConfig) -> None:
    from fakedet_jax.jobs import suite as suite_job
    from fakedet_jax.report.robustness import robustness_table

    print(robustness_table(suite_job.evaluate_suite(request)))


def _suite_scores(request: config.ForeignScoresConfig) -> None:
    from fakedet_jax.jobs import suite_scores
    from fakedet_jax.report.robustness import robustness_table

    print(robustness_table(suite_scores.evaluate_foreign(request)))


def _predict(request: config.PredictConfig) -> None:
    from fakedet_jax.jobs import predict

    predict.predict(request)


def _prepare(request: config.PrepareConfig) -> None:
    from fakedet_jax.jobs import prepare

    print(prepare.to_text(prepare.prepare(request)))


def _export(request: config.ExportConfig) -> None:
    from fakedet_jax.jobs import export

    export.export(request)


def _extract(request: config.ExtractConfig) -> None:
    from fakedet_jax.jobs import extract

    extract.extract(request)


def _convert(request: config.ConvertConfig) -> None:
    from fakedet_jax.jobs import convert

    print(convert.to_text(convert.convert(request)))


def _compare(request: config.CompareConfig) -> None:
    from fakedet_jax.jobs import compare

    print(compare.compare(request))


def _benchmark(request: config.BenchmarkConfig) -> None:
    from fakedet_jax.jobs import benchmark

    print(benchmark.to_table(benchmark.benchmark(request)))


def _read_study(paths: tuple[str, ...], values: dict[str, Any]) -> config.StudyConfig:
    """The study's own settings, and the flags that it hands on to its trainings."""
    if len(paths) != 1:
        raise RequestError(
            "`mode=study` takes one file, such as "
            f"experiments/tables/amten_table5.json, found {len(paths)}"
        )
    own = {
        name: values[name] for name in flags.names(config.StudyConfig) if name in values
    }
    # All else is for the trainings; how pictures are read is for the tests too.
    reading = flags.names(config.InputConfig)
    training = {
        name: value
        for name, value in values.items()
        if name in flags.names(config.TrainConfig) and name not in ("workdir", "seed")
    }
    flags.check_accepted(
        "study",
        _classes(),
        {name: values[name] for name in values if name not in training},
    )
    return dataclasses.replace(
        flags.read(config.StudyConfig, {**own, "study": paths[0]}),
        overrides=tuple(
            absl_flags.FLAGS[name].serialize()
            for name in training
            if name not in reading
        ),
    )


def _study(request: config.StudyConfig) -> None:
    from fakedet_jax.cli.studies import run
    from fakedet_jax.report.study import study_table

    try:
        summary = run.run_study(request)
    except run.StudyFailedError as error:
        print(study_table(error.summary))
        raise
    print(study_table(summary))


MODES: dict[str, Mode] = {
    "train": Mode(config.TrainConfig, _train),
    "evaluate": Mode(config.EvaluateConfig, _evaluate),
    "suite": Mode(config.SuiteConfig, _suite),
    "suite_scores": Mode(config.ForeignScoresConfig, _suite_scores),
    "cross_dataset": Mode(config.CrossDatasetConfig, _cross_dataset),
    "predict": Mode(config.PredictConfig, _predict),
    "prepare": Mode(config.PrepareConfig, _prepare),
    "export": Mode(config.ExportConfig, _export),
    "extract": Mode(config.ExtractConfig, _extract),
    "convert": Mode(config.ConvertConfig, _convert),
    "compare": Mode(config.CompareConfig, _compare),
    "study": Mode(config.StudyConfig, _study, _read_study),
    "benchmark": Mode(config.BenchmarkConfig, _benchmark),
}
