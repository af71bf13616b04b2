# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=study`: trains and tests all detectors of a table, and writes the table.

Every training is a process of its own, so that its memory is given back and a crash
leaves the others going. This process does not touch an accelerator before all of them
are done, as none could have it then; it makes the tests itself.
"""

import dataclasses
import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from fakedet_jax import checkpoint, storage
from fakedet_jax.config import DataConfig, EvaluateConfig, InputConfig, StudyConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import evaluate, processes, study_file
from fakedet_jax.report import study as study_report
from fakedet_jax.signals import Stopped

_LOGGER = logging.getLogger(__name__)

# What a run leaves in its workdir.
RECORD_NAME = "study_run.json"

_FAILURES = (RequestError, OSError, RuntimeError, MemoryError)

# From the arguments of a command to its exit code.
RunCommand = Callable[[Sequence[str]], int]


class StudyFailedError(RuntimeError):
    """Some runs or tests of a study failed; all that did not is written.

    Attributes:
        summary: As `run_study` returns it.
    """

    def __init__(self, message: str, summary: dict[str, Any]) -> None:
        super().__init__(message)
        self.summary = summary


def run_study(
    config: StudyConfig, run_command: RunCommand = processes.run
) -> dict[str, Any]:
    """Trains what is not trained, tests what is not tested, and writes the table.

    Each training has the workdir `OUTPUT/runs/NAME/seedSEED`. Files are written to
    `OUTPUT` as `report.study.write_study` says.

    Args:
        config: The settings.
        run_command: Runs a training, given as a command, and returns its exit code.

    Returns:
        The content of `study.json`.

    Raises:
        RequestError: The settings or the study file are not as expected.
        StudyFailedError: Some runs failed; each is a row with its reason.
        Stopped: A training was asked to stop and has saved.
    """
    study = study_file.read(config.study)
    _check(config)
    runs = {
        (training.name, seed): _Run(config, training, seed)
        # A stopped study has whole tables of the first seeds.
        for seed in config.seeds
        for training in study.trainings
    }
    for number, run in enumerate(runs.values(), 1):
        _LOGGER.info("run %d of %d: %s", number, len(runs), run)
        run.train(run_command)
    for run in runs.values():
        run.test(study.tests)
    summary = study_report.write_study(config.output, _results(study, config, runs))
    _LOGGER.info("wrote %s", config.output / "study.md")
    failures = study_report.failures(summary)
    if failures:
        raise StudyFailedError(
            f"{len(failures)} parts of the study failed, the first was {failures[0]}; "
            "the others are in the table; run the same command again for these",
            summary,
        )
    return summary


class _Run:
    """A training with one seed, and its tests."""

    def __init__(
        self, config: StudyConfig, training: study_file.Training, seed: int
    ) -> None:
        self.workdir = config.output / "runs" / training.name / f"seed{seed}"
        self._name = f"{training.name}, seed {seed}"
        self._input = config.input
        self._data_dir = config.data.data_dir if config.data else None
        self._flags = [*_flags(config, training), f"--seed={seed}"]
        self.record = _read_record(self.workdir)

    def __str__(self) -> str:
        return self._name

    @property
    def is_trained(self) -> bool:
        """Whether the training is done, with the flags that it should have."""
        return (
            self.record.status == "done"
            and self.record.flags == self._flags
            and _digest(self.workdir) is not None
        )

    def train(self, run_command: RunCommand) -> None:
        """Trains, unless that is done."""
        if self.is_trained:
            _LOGGER.info("is trained; nothing to do")
            return
        command = [
            *(sys.executable, "-m", "fakedet_jax", "--mode=train"),
            *self._flags,
            *_input_flags(self._input),
            f"--workdir={self.workdir.absolute()}",
        ]
        start = time.monotonic()
        status, reason = "stopped", ""
        try:
            code = run_command(command)
            if code in processes.STOP_CODES:
                raise Stopped(processes.STOP_CODES[code])
            status = "failed" if code else "done"
            reason = f"exit code {code}" if code else ""
            if not code and _digest(self.workdir) is None:
                status, reason = "failed", "the training left no detector"
        except _FAILURES as error:
            status, reason = "failed", _one_line(error)
        finally:
            self.record.flags = self._flags
            self.record.status = status
            self.record.reason = reason
            self.record.seconds += time.monotonic() - start
            self._write_record()
        if reason:
            _LOGGER.warning("%s failed: %s", self, reason)

    def test(self, tests: Sequence[study_file.Condition]) -> None:
        """Evaluates the detector under each test that it has not had."""
        if not self.is_trained:
            return
        data = DataConfig.from_settings(checkpoint.read_config(self.workdir))
        if self._data_dir:  # The pictures may have been moved since.
            data = dataclasses.replace(data, data_dir=self._data_dir)
        digest = _digest(self.workdir)
        for test in tests:
            subject: dict[str, Any] = {
                "perturb": test.perturb,
                "data_dir": str(data.data_dir.absolute()) if data.data_dir else None,
                "detector": digest,
            }
            earlier = self.record.tests.get(test.name, {})
            if "metrics" in earlier and subject.items() <= earlier.items():
                continue
            _LOGGER.info("testing %s on %s", self, test.name)
            request = EvaluateConfig(
                workdir=self.workdir,
                data=data,
                input=self._input,
                name=test.name,
                perturb=test.perturb,
            )
            try:
                found: dict[str, Any] = {"metrics": evaluate.evaluate(request)}
            except _FAILURES as error:
                found = {"reason": _one_line(error)}
                _LOGGER.warning("%s on %s failed: %s", self, test.name, error)
            self.record.tests[test.name] = {**subject, **found}
            self._write_record()

    def result(
        self, seed: int, tests: Sequence[study_file.Condition]
    ) -> dict[str, Any]:
        """What a table needs to know."""
        results = {}
        for test in tests if self.record.status == "done" else ():
            found = self.record.tests[test.name]
            kept = ("metrics", "reason")
            results[test.name] = {key: found[key] for key in kept if key in found}
        return {
            "seed": seed,
            "status": self.record.status,
            "reason": self.record.reason,
            "seconds": self.record.seconds,
            "tests": results,
        }

    def _write_record(self) -> None:
        self.workdir.mkdir(parents=True, exist_ok=True)
        storage.write_json(self.workdir / RECORD_NAME, dataclasses.asdict(self.record))


@dataclasses.dataclass
class _Record:
    """What is known of a run.

    Attributes:
        status: `done`, `failed`, `stopped`, or empty before the first attempt.
        reason: Why it failed.
        flags: It was last trained with these.
        seconds: Of training, over all attempts.
        tests: By name, `perturb`, `data_dir`, the `detector` and the `metrics`, or the
            `reason` for there being none.
    """

    status: str = ""
    reason: str = ""
    flags: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    tests: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


def _read_record(workdir: Path) -> _Record:
    """The record of a workdir; a new one where there is none that can be used."""
    path = workdir / RECORD_NAME
    try:
        record = _Record(**json.loads(path.read_text(encoding="utf-8")))
        is_sound = (
            isinstance(record.flags, list)
            and isinstance(record.seconds, float)
            and all(isinstance(test, dict) for test in record.tests.values())
        )
        if is_sound:
            return record
    except FileNotFoundError:
        return _Record()
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    # Training finds out by itself what there is to go on from.
    _LOGGER.warning("%s cannot be used and is made again", path)
    return _Record()


def _check(config: StudyConfig) -> None:
    study_file.check_overrides(config.overrides)
    if not config.seeds:
        raise RequestError("--seeds: expected at least one number, found none")
    for place, seed in enumerate(config.seeds):
        if seed < 0 or seed in config.seeds[:place]:
            raise RequestError(
                "--seeds: expected different numbers of at least 0, found "
                f"{','.join(map(str, config.seeds))}"
            )
    if jax.distributed.is_initialized():
        raise RequestError(
            "--mode=study: expected one process, found --distributed; run it without"
        )
    try:
        config.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"--output: {str(config.output)!r} cannot be made a folder "
            f"({error.strerror}); name another"
        ) from error


def _flags(config: StudyConfig, training: study_file.Training) -> list[str]:
    """All that decides what a training computes, but its seed."""
    return [*training.flags, *_data_flags(config.data), *config.overrides]


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
    return flags


def _input_flags(chosen: InputConfig) -> list[str]:
    default = dataclasses.asdict(InputConfig())
    return [
        f"--{name}={value}"
        for name, value in dataclasses.asdict(chosen).items()
        if value != default[name]
    ]


def _digest(workdir: Path) -> str | None:
    """A digest of the best detector in a workdir, None where there is none."""
    steps = [path for path in (workdir / "best").glob("*") if path.name.isdigit()]
    if not steps:
        return None
    digest = hashlib.sha256()
    newest = max(steps, key=lambda path: int(path.name))
    for path in sorted(newest.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(workdir)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _results(
    study: study_file.Study,
    config: StudyConfig,
    runs: Mapping[tuple[str, int], _Run],
) -> dict[str, Any]:
    """Everything that was measured, before means are taken."""
    return {
        "title": study.title,
        "source": study.source,
        "note": study.note,
        "metric": study.metric,
        "baseline": study.baseline,
        "confusion": study.confusion,
        "seeds": list(config.seeds),
        "tests": [dataclasses.asdict(test) for test in study.tests],
        "trainings": [
            {
                "name": training.name,
                "flags": _flags(config, training),
                "paper": dict(training.paper),
                "runs": [
                    runs[training.name, seed].result(seed, study.tests)
                    for seed in config.seeds
                ],
            }
            for training in study.trainings
        ],
    }


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or repr(error)
