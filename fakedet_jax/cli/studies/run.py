# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=study`: trains and tests all detectors of a table, and writes the table.

Every training is a process of its own, so that its memory is given back and a crash
leaves the others going. This process does not touch an accelerator before all of them
are done, as none could have it then; it makes the tests itself.
"""

import dataclasses
import functools
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from fakedet_jax.bulk.shards import read_shard
from fakedet_jax.cli import flags
from fakedet_jax.cli.studies import file as study_file
from fakedet_jax.cli.studies import flags as study_flags
from fakedet_jax.config import EvaluateConfig, StudyConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.jobs import evaluate
from fakedet_jax.report import study as study_report
from fakedet_jax.runtime import processes, records, storage
from fakedet_jax.runtime.signals import Stopped
from fakedet_jax.runtime.text import counted
from fakedet_jax.workdir import open_workdir

_LOGGER = logging.getLogger(__name__)

# What a run leaves in its workdir.
RECORD_NAME = "study_run.json"

_FAILURES = (RequestError, OSError, RuntimeError, MemoryError)

# The exit code of a command that was wrong.
_REFUSED = 2

# From the arguments of a command to its exit code.
RunCommand = Callable[[Sequence[str]], int]

# What a training says that its study says too, or that is of no use within one.
_run_training = functools.partial(
    processes.run, unshown=("fakedet: ", "done; evaluate with ")
)


class StudyFailedError(RuntimeError):
    """Some runs or tests of a study failed; all that did not is written.

    Attributes:
        summary: As `run_study` returns it.
    """

    def __init__(self, message: str, summary: dict[str, Any]) -> None:
        super().__init__(message)
        self.summary = summary


def run_study(
    config: StudyConfig,
    run_command: RunCommand = _run_training,
) -> dict[str, Any]:
    """Trains what is not trained, tests what is not tested, and writes the table.

    Each training has the workdir `OUTPUT/runs/NAME/seedSEED`. Files are written to
    `OUTPUT` as `report.study.write_study` says.

    Args:
        config: The settings.
        run_command: Runs a training, given as a command, and returns its exit code.

    Returns:
        The content of `study.json`; nothing where other processes have runs to do.

    Raises:
        RequestError: The settings, the study file or the flags of a training are not as
            expected; nothing was trained.
        StudyFailedError: Some runs failed; each is a row with its reason.
        Stopped: A training was asked to stop and has saved.
    """
    study = study_file.read(config.study)
    _check(config)
    index, count = read_shard(config.shard)
    study_flags.check(config, study)
    runs = {
        (training.name, seed): _Run(config, training, seed)
        # A stopped study has whole tables of the first seeds.
        for seed in config.seeds
        for training in study.trainings
    }
    own = [*runs.values()][index::count]
    for number, run in enumerate(own, 1):
        _LOGGER.info("run %d of %d: %s", number, len(own), run)
        run.train(run_command)
    for run in own:
        run.test(study.tests)
    if count > 1:
        for run in runs.values():
            run.reload()
        if left := sum(not run.is_complete(study.tests) for run in runs.values()):
            _LOGGER.info(
                "%d of %d runs are left for other processes; the one that ends last "
                "writes the table",
                left,
                len(runs),
            )
            return {}
    summary = study_report.write_study(config.output, _results(study, config, runs))
    _LOGGER.info("wrote %s", config.output / "study.md")
    num_others = _count_others(config.output, runs.values())
    if num_others:
        _LOGGER.info(
            "not part of this table: %s of earlier commands in %s",
            counted(num_others, "finished run"),
            config.output / "runs",
        )
    failures = study_report.failures(summary)
    if failures:
        is_refused = any(run.is_refused for run in runs.values())
        raise StudyFailedError(_failure(failures, is_refused=is_refused), summary)
    return summary


class _Run:
    """A training with one seed, and its tests.

    Attributes:
        workdir: Of the training.
        record: What is known of it.
        is_refused: Whether its training or one of its tests was refused as a wrong
            request, which would be refused again.
    """

    def __init__(
        self, config: StudyConfig, training: study_file.Training, seed: int
    ) -> None:
        self.workdir = config.output / "runs" / training.name / f"seed{seed}"
        self._name = f"{training.name}, seed {seed}"
        self._input = config.input
        self._data_dir = config.data.data_dir if config.data else None
        self._flags = [*study_flags.of_training(config, training), f"--seed={seed}"]
        self.is_refused = False
        self.reload()

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

    def reload(self) -> None:
        """Reads again what is known of it; another process may have done it."""
        record = _read_record(self.workdir)
        if record is None:
            # Training finds out by itself what there is to go on from.
            path = self.workdir / RECORD_NAME
            _LOGGER.warning("%s cannot be used and is made again", path)
        self.record = record or _Record()

    def is_complete(self, tests: Sequence[study_file.Condition]) -> bool:
        """Whether it failed, or is trained and tested."""
        if self.record.status == "failed":
            return True
        return self.is_trained and all(one.name in self.record.tests for one in tests)

    def train(self, run_command: RunCommand) -> None:
        """Trains, unless that is done."""
        if self.is_trained:
            _LOGGER.info("%s is trained; nothing to do", self)
            return
        command = [
            *(sys.executable, "-m", "fakedet_jax", "--mode=train"),
            *self._flags,
            *flags.write(self._input),
            f"--workdir={self.workdir.absolute()}",
        ]
        start = time.monotonic()
        status, reason = "stopped", ""
        try:
            code = run_command(command)
            if code in processes.STOP_CODES:
                raise Stopped(processes.STOP_CODES[code])
            if code:
                raise processes.CommandError(f"exit code {code}", code)
            if _digest(self.workdir) is None:
                raise RuntimeError("the training left no detector")
            status = "done"
        except _FAILURES as error:
            status, reason = "failed", _one_line(error)
            self.is_refused = (
                isinstance(error, processes.CommandError) and error.code == _REFUSED
            )
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
        data = open_workdir(self.workdir).data
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
                num_resamples=0,  # The table has deviations over seeds.
            )
            try:
                found: dict[str, Any] = {"metrics": evaluate.evaluate(request)}
            except _FAILURES as error:
                found = {"reason": _one_line(error)}
                self.is_refused |= isinstance(error, RequestError)
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


def _read_record(workdir: Path) -> _Record | None:
    """The record of a workdir, a new one where there is none; None if it is damaged."""
    path = workdir / RECORD_NAME
    if not path.exists():
        return _Record()
    try:
        return records.read(path, _Record, advice="delete it", forbid_unknown=True)
    except RequestError:
        return None


def _count_others(output: Path, runs: Collection[_Run]) -> int:
    """How many finished runs lie in a folder that are none of these."""
    own = {run.workdir for run in runs}
    paths = (output / "runs").glob(f"*/seed*/{RECORD_NAME}")
    records = [_read_record(path.parent) for path in paths if path.parent not in own]
    return sum(record is not None and record.status == "done" for record in records)


def _failure(failures: Sequence[str], *, is_refused: bool) -> str:
    """The line that tells what failed and what helps.

    >>> _failure(["a, seed 0: killed"], is_refused=False).split("; ")[0]
    '1 part of the study failed: a, seed 0: killed'
    """
    first = f": {failures[0]}"
    if len(failures) > 1:
        first = f", the first was {failures[0]}"
    advice = "run the same command again for what is missing"
    if is_refused:
        advice = "mend the flags or files that are named, then run the study again"
    return (
        f"{counted(len(failures), 'part')} of the study failed{first}; all else is in "
        f"the table; {advice}"
    )


def _check(config: StudyConfig) -> None:
    study_file.check_overrides(config.overrides)
    if not config.seeds:
        raise RequestError("`seeds`: expected at least one number, found none")
    if len(set(config.seeds)) < len(config.seeds):
        raise RequestError(
            "`seeds`: expected different numbers, found "
            f"{','.join(map(str, config.seeds))}"
        )
    if jax.distributed.is_initialized():
        raise RequestError(
            "--mode=study: expected one process, found --distributed; run it without"
        )
    storage.make_folder(config.output, "output")


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
                "flags": study_flags.of_training(config, training),
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
