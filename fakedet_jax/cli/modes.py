# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line: the settings that each takes, and the job it calls."""

import dataclasses
import logging
import pkgutil
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
        run: Calls its job with the settings, and prints what there is to print.
        read: From the arguments after the flags and the given flags to the settings;
            None where every flag is one of the settings.
    """

    settings: type[Settings]
    run: Callable[[Any], None]
    read: Callable[[tuple[str, ...], dict[str, Any]], Settings] | None = None


def execute(mode: str | None, paths: tuple[str, ...]) -> None:
    """Calls the job of a mode with what the flags say.

    Args:
        mode: Its name, None where it was not given.
        paths: The arguments after the flags.

    Raises:
        RequestError: The request is wrong.
    """
    if mode is None:
        known = ", ".join(MODES)
        raise RequestError(f"`mode`: expected one of {known}, found none")
    if (cluster := flags.cluster()) is not None:
        from fakedet_jax.runtime import parallel

        parallel.initialize(*cluster)
    values = flags.given(_classes())
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


def _job(job: str, table: str = "") -> Callable[[Any], None]:
    """How a mode runs whose modules are imported on first use, as some import JAX.

    Args:
        job: `module:name` of its job.
        table: `module:name` of a function from the result of the job to the text that
            is printed; nothing is printed without it.

    Returns:
        A function from the settings of the mode.
    """

    def run(request: Any) -> None:
        result = pkgutil.resolve_name(f"fakedet_jax.{job}")(request)
        # Only the first of several processes has something to tell.
        if table and result:
            print(pkgutil.resolve_name(f"fakedet_jax.{table}")(result))

    return run


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


def _cross_dataset(request: config.CrossDatasetConfig) -> None:
    from fakedet_jax.jobs import cross_dataset
    from fakedet_jax.report.cross_dataset import cross_dataset_table

    if compared := cross_dataset.evaluate_datasets(request):
        print(cross_dataset_table(compared))
        cross_dataset.check_complete(compared)


def _compile(request: config.CompileConfig) -> None:
    from fakedet_jax.jobs import compile as compile_job

    results = compile_job.compile_program(request)
    print(compile_job.to_table(results))
    compile_job.check_fits(results)


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
    "train": Mode(config.TrainConfig, _job("jobs.train:train")),
    "evaluate": Mode(
        config.EvaluateConfig,
        _job("jobs.evaluate:evaluate", "report:evaluation_table"),
    ),
    "suite": Mode(
        config.SuiteConfig,
        _job("jobs.suite:evaluate_suite", "report.robustness:robustness_table"),
    ),
    "suite_scores": Mode(
        config.ForeignScoresConfig,
        _job(
            "jobs.suite_scores:evaluate_foreign", "report.robustness:robustness_table"
        ),
    ),
    "cross_dataset": Mode(config.CrossDatasetConfig, _cross_dataset),
    "predict": Mode(config.PredictConfig, _job("jobs.predict:predict")),
    "merge": Mode(config.MergeConfig, _job("jobs.merge:merge", "jobs.merge:to_text")),
    "prepare": Mode(
        config.PrepareConfig, _job("jobs.prepare:prepare", "jobs.prepare:to_text")
    ),
    "export": Mode(config.ExportConfig, _job("jobs.export:export")),
    "extract": Mode(config.ExtractConfig, _job("jobs.extract:extract")),
    "convert": Mode(
        config.ConvertConfig, _job("jobs.convert:convert", "jobs.convert:to_text")
    ),
    "compare": Mode(
        config.CompareConfig,
        _job("jobs.compare:compare", "report.comparison:comparison_table"),
    ),
    "study": Mode(config.StudyConfig, _study, _read_study),
    "benchmark": Mode(
        config.BenchmarkConfig,
        _job("jobs.benchmark:benchmark", "jobs.benchmark:to_table"),
    ),
    "compile": Mode(config.CompileConfig, _compile),
}
