# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The modes of the command line: the settings that each takes, and the job it calls."""

import dataclasses
import logging
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags

from fakedet_jax import config
from fakedet_jax.cli import flags
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.text import suggest
from fakedet_jax.settings import Settings

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode.

    Attributes:
        settings: Class of its settings.
        summary: What it does, one line for people.
        example: A command line.
        run: Calls its job with the settings, and prints what there is to print.
        read: From the arguments after the flags and the given flags to the settings;
            None where every flag is one of the settings.
    """

    settings: type[Settings]
    summary: str
    example: str
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
    mode = check_mode(mode, paths)
    if (cluster := flags.cluster()) is not None:
        from fakedet_jax.runtime import parallel

        parallel.initialize(*cluster)
    values = flags.given(classes())
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
    flags.check_accepted(mode, classes(), values)
    if "://" in str(values.get("data_dir", "")):
        values["data_dir"] = _localise(mode, values["data_dir"])
    if "paths" in fields:
        values["paths"] = paths
    MODES[mode].run(flags.read(cls, values))


def check_mode(mode: str | None, paths: Sequence[str]) -> str:
    """Refuses a mode that there is not.

    Args:
        mode: Its name, None where it was not given.
        paths: The arguments after the flags; the first is taken for a misspelt mode
            where none was given.

    Returns:
        The name.

    Raises:
        RequestError: There is no such mode, or none was given.
    """
    if mode is None and not paths:
        raise RequestError(f"`mode`: expected one of {', '.join(MODES)}, found none")
    if mode is None and paths[0] in MODES:
        raise RequestError(
            f"the mode comes first, as in `fakedet {paths[0]}`; flags and files follow"
        )
    if mode is None:
        raise RequestError(f"{paths[0]!r} is no mode; {_near_mode(paths[0])}")
    if mode not in MODES:
        raise RequestError(f"`mode`: {mode!r} is no mode; {_near_mode(mode)}")
    return mode


def _near_mode(name: str) -> str:
    return suggest(name, MODES) or f"expected one of {', '.join(MODES)}"


def classes() -> dict[str, type[Settings]]:
    """The settings of each mode, by its name."""
    return {name: mode.settings for name, mode in MODES.items()}


def define_flags() -> None:
    """Defines the flags of all modes, once."""
    flags.define(classes())


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
            text = pkgutil.resolve_name(f"fakedet_jax.{table}")(result)
            print(flags.as_flags(text))

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
            "`mode=study`: name one file, such as "
            "experiments/tables/amten_table5.json; "
            f"found {', '.join(map(repr, paths)) or 'none'}"
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
        classes(),
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
    if summary:
        print(study_table(summary))


MODES: dict[str, Mode] = {
    "check": Mode(
        config.CheckConfig,
        "looks at labelled pictures and tells what to train on them, and how.",
        "fakedet check PICTURES",
        _job("jobs.check:check", "jobs.check:to_text"),
    ),
    "train": Mode(
        config.TrainConfig,
        "trains a detector on pictures of real and fake faces, or goes on training.",
        "fakedet train --data_dir=PICTURES --workdir=RUN",
        _job("jobs.train:train"),
    ),
    "evaluate": Mode(
        config.EvaluateConfig,
        "measures a trained detector on labelled pictures and writes a report.",
        "fakedet evaluate --workdir=RUN",
        _job("jobs.evaluate:evaluate", "report:evaluation_table"),
    ),
    "suite": Mode(
        config.SuiteConfig,
        "measures a detector on pictures that were post-processed in many ways.",
        "fakedet suite --workdir=RUN --suite=amten",
        _job("jobs.suite:evaluate_suite", "report.robustness:robustness_table"),
    ),
    "suite_scores": Mode(
        config.ForeignScoresConfig,
        "makes the table of a suite from scores of another program.",
        "fakedet suite_scores --suite=amten --scores=SCORES.csv --pictures=DIR "
        "--output=RESULT",
        _job(
            "jobs.suite_scores:evaluate_foreign", "report.robustness:robustness_table"
        ),
    ),
    "cross_dataset": Mode(
        config.CrossDatasetConfig,
        "measures a detector on several datasets, in one table.",
        "fakedet cross_dataset --workdir=RUN --datasets=ONE,TWO",
        _cross_dataset,
    ),
    "predict": Mode(
        config.PredictConfig,
        "scores photographs, videos and folders of both, as a table.",
        "fakedet predict --workdir=RUN --output=scores.csv photo.jpg FOLDER",
        _job("jobs.predict:predict"),
    ),
    "merge": Mode(
        config.MergeConfig,
        "joins the parts that predict wrote into a folder.",
        "fakedet merge --output=scores.parquet SCORES",
        _job("jobs.merge:merge", "jobs.merge:to_text"),
    ),
    "prepare": Mode(
        config.PrepareConfig,
        "finds the faces in photographs and videos and writes a dataset of crops.",
        "fakedet prepare --data_dir=MEDIA --output=FACES --face_detector=haar",
        _job("jobs.prepare:prepare", "jobs.prepare:to_text"),
    ),
    "export": Mode(
        config.ExportConfig,
        "writes the pictures of a dataset as files.",
        "fakedet export --dataset=synthetic_faces --output=DIR",
        _job("jobs.export:export"),
    ),
    "extract": Mode(
        config.ExtractConfig,
        "writes traces, neuron counts or embeddings of pictures as an .npz file.",
        "fakedet extract --features=traces --workdir=RUN --output=DIR photo.jpg",
        _job("jobs.extract:extract"),
    ),
    "convert": Mode(
        config.ConvertConfig,
        "stores published weights as ours, after a comparison of all arrays.",
        "fakedet convert --model=mobilefacenet --weights=FILE --output=WEIGHTS",
        _job("jobs.convert:convert", "jobs.convert:to_text"),
    ),
    "deploy": Mode(
        config.DeployConfig,
        "writes a trained detector as a file that JAX runs without this package.",
        "fakedet deploy --workdir=RUN --output=detector.zip",
        _job("jobs.deploy:deploy", "jobs.deploy:to_text"),
    ),
    "compare": Mode(
        config.CompareConfig,
        "shows several evaluations side by side.",
        "fakedet compare --output=COMPARISON RUN/evaluations/one RUN/evaluations/two",
        _job("jobs.compare:compare", "report.comparison:comparison_table"),
    ),
    "fuse": Mode(
        config.FuseConfig,
        "makes one score of the scores of several detectors in a table.",
        "fakedet fuse --scores=TABLE.csv --members=ONE,TWO --label=label "
        "--group_by=generator --output=DIR",
        _job("jobs.fuse:fuse", "jobs.fuse:to_text"),
    ),
    "study": Mode(
        config.StudyConfig,
        "runs the trainings and tests of a table; flags of train go to all of them.",
        "fakedet study --data_dir=PICTURES --output=OUTPUT "
        "experiments/tables/amten_few_pictures.json",
        _study,
        _read_study,
    ),
    "benchmark": Mode(
        config.BenchmarkConfig,
        "measures the speed of this machine.",
        "fakedet benchmark",
        _job("jobs.benchmark:benchmark", "jobs.benchmark:to_table"),
    ),
    "compile": Mode(
        config.CompileConfig,
        "tells what a program costs on this machine or on an absent one.",
        "fakedet compile --device=cuda:h100 --batch_size=256",
        _compile,
    ),
}
