# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads study files: JSON that lists the trainings and the tests of a table.

    {"title": "...", "source": "where the table is published", "note": "...",
     "metric": "multiclass_accuracy",
     "trainings": [{"name": "Raw", "flags": ["--flagfile=../a.flags"],
                    "paper": {"Raw": 98.52}}],
     "tests": [{"name": "Raw"}, {"name": "JP60", "perturb": "jpeg:60"}],
     "baseline": "Raw", "confusion": true}

`note`, `paper`, `perturb`, `baseline` and `confusion` may be absent. Paths in flags are
relative to the study file; those inside a flagfile are relative to where the command is
run, as they are without a study. `paper` holds published numbers in per cent, by test.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fakedet_jax.cli import flags as derived
from fakedet_jax.config import TrainConfig
from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import specification
from fakedet_jax.runtime import records

METRICS = ("multiclass_accuracy", "accuracy", "auc", "average_precision", "f1")

_MAX_BYTES = 1 << 20
# Names become folders.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_FLAG = re.compile(r"--[a-z][a-z0-9_]*(=.*)?")
# The study gives these itself.
_OWN_FLAGS = ("mode", "workdir", "seed")


@dataclasses.dataclass(frozen=True)
class Training:
    """A detector to be trained: a row of a table.

    Attributes:
        name: A plain folder name.
        flags: Of `--mode=train`, in the order in which they count, those of flagfiles
            in their place; paths are absolute.
        paper: Published numbers in per cent, by the name of the test.
    """

    name: str
    flags: tuple[str, ...]
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not self.flags:
            raise _wrong("flags", "at least one entry", self.flags)
        for test, number in self.paper.items():
            if not 0 <= number <= 100:
                raise _wrong(f"paper.{test}", "a number in per cent", number)


@dataclasses.dataclass(frozen=True)
class Condition:
    """One test: a column of a table.

    Attributes:
        name: A plain folder name.
        perturb: Post-processing of the pictures; empty for none.
    """

    name: str
    perturb: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.perturb:
            specification.parse(self.perturb)


@dataclasses.dataclass(frozen=True)
class Study:
    """The content of a study file.

    Attributes:
        title: Of the table.
        source: Where it is published.
        note: What is a choice, or empty.
        metric: One of `METRICS`.
        trainings: The rows, at least one.
        tests: The columns, at least one.
        baseline: The training that relative error reductions refer to, or None.
        confusion: Whether confusion matrices are shown.
    """

    title: str
    source: str
    metric: str
    trainings: tuple[Training, ...]
    tests: tuple[Condition, ...]
    note: str = ""
    baseline: str | None = None
    confusion: bool = False

    def __post_init__(self) -> None:
        _check_line("title", self.title)
        _check_line("source", self.source)
        if self.note:
            _check_line("note", self.note)
        if self.metric not in METRICS:
            raise _wrong("metric", f"one of {', '.join(METRICS)}", self.metric)
        _check_entries("tests", self.tests)
        _check_entries("trainings", self.trainings)
        names = [training.name for training in self.trainings]
        if self.baseline is not None and self.baseline not in names:
            raise _wrong("baseline", f"one of {', '.join(names)}", self.baseline)
        tests = [test.name for test in self.tests]
        for number, training in enumerate(self.trainings):
            for test in training.paper:
                if test not in tests:
                    where = f"trainings[{number}].paper"
                    raise _wrong(where, f"only the tests {', '.join(tests)}", test)


def read(path: Path) -> Study:
    """Reads and checks a study file and the flagfiles that it names.

    Args:
        path: The file.

    Returns:
        What it says.

    Raises:
        RequestError: It is not as expected; the message names the place.
    """
    study = records.read(
        path,
        Study,
        field="mode=study",
        advice="correct the file",
        if_missing="name one such as experiments/tables/cross_few_pictures.json",
        forbid_unknown=True,
    )
    trainings = []
    for number, training in enumerate(study.trainings):
        where = f"{str(path)!r}: trainings[{number}].flags"
        flags = [
            own
            for place, flag in enumerate(training.flags)
            for own in _expand(path.parent, f"{where}[{place}]", flag)
        ]
        trainings.append(dataclasses.replace(training, flags=tuple(flags)))
    return dataclasses.replace(study, trainings=tuple(trainings))


def check_overrides(flags: Sequence[str]) -> None:
    """Refuses flags for all trainings that a study gives itself.

    Raises:
        RequestError: There is one.
    """
    for flag in flags:
        if not _FLAG.fullmatch(flag) or flag_name(flag) in _OWN_FLAGS:
            raise RequestError(
                "--mode=study: expected flags of --mode=train, written --name=value, "
                f"other than {_or(_OWN_FLAGS)}, found {flag!r}; see --seeds and "
                "--output"
            )


def flag_name(flag: str) -> str:
    """The name of a flag that is written --name or --name=value."""
    return flag.partition("=")[0].removeprefix("--")


def _check_line(field: str, text: str) -> None:
    if not text.strip() or not text.isprintable():
        raise _wrong(field, "one line of text", text)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _wrong(
            "name",
            "at most 40 letters, digits and . _ + -, a letter or digit first",
            name,
        )


def _check_entries(field: str, entries: Sequence[Training | Condition]) -> None:
    if not entries:
        raise _wrong(field, "at least one entry", entries)
    # Some file systems do not tell large letters from small ones.
    folded = [entry.name.casefold() for entry in entries]
    for number, entry in enumerate(entries):
        if folded[number] in folded[:number]:
            where = f"{field}[{number}].name"
            raise _wrong(where, "a name that no entry before has", entry.name)


def _expand(folder: Path, where: str, flag: str) -> list[str]:
    """A flag of a training with its path made absolute, a flagfile as what it holds."""
    name = flag_name(flag)
    if not _FLAG.fullmatch(flag) or name in _OWN_FLAGS:
        expected = "a flag of --mode=train, written --name=value, other than "
        raise _wrong(where, expected + _or(_OWN_FLAGS), flag)
    if name != "flagfile" and name not in derived.paths(TrainConfig):
        return [flag]
    path = Path(os.path.normpath(folder.absolute() / flag.partition("=")[2]))
    return _read_flagfile(where, path) if name == "flagfile" else [f"--{name}={path}"]


def _read_flagfile(where: str, path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"{where}: expected a flagfile, {str(path)!r}, found none that can be read "
            f"({error})"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith(("#", "//"))]
    for flag in found:
        if not _FLAG.fullmatch(flag) or flag_name(flag) == "flagfile":
            expected = f"flags other than --flagfile in {str(path)!r}, written "
            raise _wrong(where, f"{expected}--name=value", flag)
        if flag_name(flag) == "mode" and flag != "--mode=train":
            raise _wrong(where, f"--mode=train in {str(path)!r}", flag)
    return [flag for flag in found if flag_name(flag) not in _OWN_FLAGS]


def _wrong(where: str, expected: str, found: object) -> RequestError:
    return RequestError(f"{where}: expected {expected}, found {records.shown(found)}")


def _or(names: Sequence[str]) -> str:
    *others, last = (f"--{name}" for name in names)
    return f"{', '.join(others)} and {last}"
