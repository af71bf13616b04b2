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
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import specification

METRICS = ("multiclass_accuracy", "accuracy", "auc", "average_precision", "f1")

_MAX_BYTES = 1 << 20
# Names become folders.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_FLAG = re.compile(r"--[a-z][a-z0-9_]*(=.*)?")
_PATH_FLAGS = ("flagfile", "data_dir", "weights", "cache_dir")
# The study gives these itself.
_OWN_FLAGS = ("mode", "workdir", "seed")
_TYPE_NAMES = {str: "a text", list: "a list", dict: "an object", bool: "true or false"}

_T = TypeVar("_T")


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
    paper: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Condition:
    """One test: a column of a table.

    Attributes:
        name: A plain folder name.
        perturb: Post-processing of the pictures; empty for none.
    """

    name: str
    perturb: str = ""


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
    note: str
    metric: str
    trainings: tuple[Training, ...]
    tests: tuple[Condition, ...]
    baseline: str | None
    confusion: bool


def read(path: Path) -> Study:
    """Reads and checks a study file and the flagfiles that it names.

    Args:
        path: The file.

    Returns:
        What it says.

    Raises:
        RequestError: It is not as expected; the message names the place.
    """
    place = _Place(path)
    content = place.checked(_load(path), dict)
    place.check_keys(
        content,
        required=("title", "source", "metric", "trainings", "tests"),
        optional=("note", "baseline", "confusion"),
    )
    tests = tuple(_read_test(at, value) for at, value in place.items(content, "tests"))
    _check_names(place.at("tests"), tests)
    trainings = tuple(
        _read_training(at, value, [test.name for test in tests])
        for at, value in place.items(content, "trainings")
    )
    _check_names(place.at("trainings"), trainings)
    metric = place.text(content, "metric")
    if metric not in METRICS:
        place.at("metric").fail(f"one of {', '.join(METRICS)}", repr(metric))
    baseline = place.text(content, "baseline") if "baseline" in content else None
    names = [training.name for training in trainings]
    if baseline is not None and baseline not in names:
        place.at("baseline").fail(f"one of {', '.join(names)}", repr(baseline))
    return Study(
        title=place.text(content, "title"),
        source=place.text(content, "source"),
        note=place.text(content, "note") if "note" in content else "",
        metric=metric,
        trainings=trainings,
        tests=tests,
        baseline=baseline,
        confusion=place.at("confusion").checked(content.get("confusion", False), bool),
    )


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


@dataclasses.dataclass(frozen=True)
class _Place:
    """A place in a study file, which the messages name."""

    file: Path
    keys: str = ""

    def at(self, key: str | int) -> "_Place":
        if isinstance(key, int):
            return _Place(self.file, f"{self.keys}[{key}]")
        return _Place(self.file, f"{self.keys}.{key}" if self.keys else key)

    def fail(self, expected: str, found: str) -> NoReturn:
        where = f", {self.keys}" if self.keys else ""
        raise RequestError(
            f"{str(self.file)!r}{where}: expected {expected}, found {found}"
        )

    def checked(self, value: Any, kind: type[_T]) -> _T:
        if not isinstance(value, kind):
            self.fail(_TYPE_NAMES[kind], _shown(value))
        return value

    def text(self, content: Mapping[str, Any], key: str) -> str:
        place = self.at(key)
        value = place.checked(content[key], str)
        if not value.strip() or not value.isprintable():
            place.fail("one line of text", _shown(value))
        return value

    def items(self, content: Mapping[str, Any], key: str) -> "list[tuple[_Place, Any]]":
        place = self.at(key)
        values = place.checked(content[key], list)
        if not values:
            place.fail("at least one entry", "none")
        return [(place.at(number), value) for number, value in enumerate(values)]

    def check_keys(
        self,
        content: Mapping[str, Any],
        required: Sequence[str],
        optional: Sequence[str],
    ) -> None:
        for key in required:
            if key not in content:
                self.fail(f"the key {key!r}", "none")
        for key in content:
            if key not in (*required, *optional):
                self.fail(
                    f"only the keys {', '.join((*required, *optional))}", repr(key)
                )


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RequestError(
            f"--mode=study: {str(path)!r} cannot be read ({error.strerror}); name a "
            "study file such as experiments/tables/cross_few_pictures.json"
        ) from error
    if len(content) > _MAX_BYTES:
        raise RequestError(
            f"{str(path)!r}: expected a study file of at most {_MAX_BYTES} bytes, "
            "found a larger file"
        )
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_repetition,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{str(path)!r}: expected a study file in JSON, found otherwise ({error})"
        ) from error


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return result


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _read_test(place: _Place, value: Any) -> Condition:
    content = place.checked(value, dict)
    place.check_keys(content, required=("name",), optional=("perturb",))
    perturb = place.text(content, "perturb") if "perturb" in content else ""
    if perturb:
        try:
            specification.parse(perturb)
        except RequestError as error:
            reason = str(error).removeprefix("--perturb: ")
            raise RequestError(
                f"{str(place.file)!r}, {place.at('perturb').keys}: {reason}"
            ) from error
    return Condition(_read_name(place, content), perturb)


def _read_training(place: _Place, value: Any, tests: Sequence[str]) -> Training:
    content = place.checked(value, dict)
    place.check_keys(content, required=("name", "flags"), optional=("paper",))
    flags: list[str] = []
    for at, flag in place.items(content, "flags"):
        flags += _expand(at, at.checked(flag, str))
    at = place.at("paper")
    paper = at.checked(content.get("paper", {}), dict)
    for test, number in paper.items():
        if test not in tests:
            at.fail(f"only the tests {', '.join(tests)}", repr(test))
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not 0 <= number <= 100:
            at.at(test).fail("a number in per cent, from 0 to 100", _shown(number))
    return Training(_read_name(place, content), tuple(flags), paper)


def _read_name(place: _Place, content: Mapping[str, Any]) -> str:
    name = place.text(content, "name")
    if not _NAME.fullmatch(name):
        place.at("name").fail(
            "at most 40 letters, digits and . _ + -, a letter or digit first",
            _shown(name),
        )
    return name


def _check_names(place: _Place, entries: Sequence[Training | Condition]) -> None:
    # Some file systems do not tell large letters from small ones.
    folded = [entry.name.casefold() for entry in entries]
    for number, entry in enumerate(entries):
        if folded[number] in folded[:number]:
            place.at(number).at("name").fail(
                "a name that no entry before has", repr(entry.name)
            )


def _expand(place: _Place, flag: str) -> list[str]:
    """A flag of a training with its path made absolute, a flagfile as what it holds."""
    name = flag_name(flag)
    if not _FLAG.fullmatch(flag) or name in _OWN_FLAGS:
        place.fail(
            f"a flag of --mode=train, written --name=value, other than "
            f"{_or(_OWN_FLAGS)}",
            _shown(flag),
        )
    if name not in _PATH_FLAGS:
        return [flag]
    path = Path(os.path.normpath(place.file.parent.absolute() / flag.partition("=")[2]))
    return _read_flagfile(place, path) if name == "flagfile" else [f"--{name}={path}"]


def _read_flagfile(place: _Place, path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        place.fail(f"a flagfile, {str(path)!r}", f"none that can be read ({error})")
    lines = [line.strip() for line in text.splitlines()]
    flags = [line for line in lines if line and not line.startswith(("#", "//"))]
    for flag in flags:
        if not _FLAG.fullmatch(flag) or flag_name(flag) == "flagfile":
            place.fail(
                f"flags other than --flagfile in {str(path)!r}, written --name=value",
                _shown(flag),
            )
        if flag_name(flag) == "mode" and flag != "--mode=train":
            place.fail(f"--mode=train in {str(path)!r}", _shown(flag))
    return [flag for flag in flags if flag_name(flag) not in _OWN_FLAGS]


def _or(names: Sequence[str]) -> str:
    *others, last = (f"--{name}" for name in names)
    return f"{', '.join(others)} and {last}"


def _shown(value: object) -> str:
    """What was found, on one line and not too long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
