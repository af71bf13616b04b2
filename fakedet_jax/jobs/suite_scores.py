# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=suite_scores`: the table of a suite, from scores of another program.

Any program in any language scores the pictures that `suite_export` wrote; here its
scores become the files that an evaluation of a detector of this project writes.
"""

import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakedet_jax.config import ForeignScoresConfig
from fakedet_jax.data.dataset import BINARY_CLASSES
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import suite_export
from fakedet_jax.jobs import origin
from fakedet_jax.perturb import suites
from fakedet_jax.report import robustness
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.runtime import records, storage, tables

_LOGGER = logging.getLogger(__name__)

# Decides, for want of one that was chosen on validation pictures.
THRESHOLD = 0.5

# Bytes of a row of scores; a file with more is something else.
_MAX_ROW_BYTES = 4096
_AGAIN = "run `mode=export` with `suite` again"


def evaluate_foreign(config: ForeignScoresConfig) -> dict[str, Any]:
    """Writes the table and the figures of a suite from scores in a CSV file.

    The file has the columns `path`, as in the `pictures.csv` of the export, and
    `score`, the probability in [0, 1] that the picture is fake, for every picture in
    any order. Scores of at least one half are decided fake.

    Args:
        config: The settings.

    Returns:
        The content of `robustness.json`; see `report.robustness.write_robustness`,
        which writes the files into `config.output`.

    Raises:
        RequestError: The export, the file or the settings are not as expected.
    """
    suite = suites.create(config.suite)
    export = _read_export(config.pictures, suite)
    scores = _read_scores(config.scores, export.paths)
    name = config.name or config.scores.stem
    conditions = [
        Evaluation(
            names=export.paths[start : start + export.num_examples],
            labels=export.labels,
            scores=scores[start : start + export.num_examples],
            threshold=THRESHOLD,
            skipped=export.skipped,
        )
        for start in range(0, len(scores), export.num_examples)
    ]
    with storage.writing_to(config.output, "output"):
        summary = robustness.write_robustness(
            config.output,
            suite,
            conditions[0],
            conditions[1:],
            title=f"{name} on {export.title}, decided at {THRESHOLD}",
            config={"scores": config.scores, **origin.describe()},
        )
    _LOGGER.info(
        "wrote robustness.csv, two figures and report.html into %s; "
        "scores of at least %g were decided fake",
        config.output,
        THRESHOLD,
    )
    return summary


class _Export(NamedTuple):
    """An export: the paths of the first condition, then those of the next ones."""

    title: str
    paths: Sequence[str]
    labels: np.ndarray
    skipped: Sequence[tuple[str, str]]

    @property
    def num_examples(self) -> int:
        """Pictures in each condition."""
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class _SuiteFacts:
    """The fields of `suite.json` that are read."""

    suite: str
    version: int
    seed: int
    dataset: str
    split: str


def _read_export(folder: Path, suite: suites.Suite) -> _Export:
    facts = records.read(
        folder / suite_export.SUITE_FILE,
        _SuiteFacts,
        field="pictures",
        advice=_AGAIN,
        if_missing="name a folder that `mode=export` with `suite` completed",
    )
    if facts.suite != suite.name:
        raise RequestError(
            f"`suite`: expected {facts.suite!r}, which was exported to "
            f"{str(folder)!r}, found {suite.name!r}"
        )
    for name in ("version", "seed"):
        expected, found = getattr(suite, name), getattr(facts, name)
        if found != expected:
            raise RequestError(
                f"{str(folder)!r}: expected {name} {expected} of the suite "
                f"{suite.name}, found {found}; {_AGAIN} and score the new pictures"
            )
    paths, labels = _read_pictures(folder / suite_export.PICTURES_FILE, suite)
    skipped = tables.read_rows(
        folder / suite_export.SKIPPED_FILE, ("path", "reason"), if_missing=_AGAIN
    )
    return _Export(
        title=f"{facts.dataset}, {facts.split}",
        paths=paths,
        labels=labels,
        skipped=[(path, reason) for _, (path, reason) in skipped],
    )


def _read_pictures(path: Path, suite: suites.Suite) -> tuple[list[str], np.ndarray]:
    """Paths in the order of the conditions, and the labels within each of them."""
    paths, labels, found = [], [], []
    for line, (name, label, *condition) in tables.read_rows(
        path, suite_export.COLUMNS, if_missing=_AGAIN
    ):
        if label not in BINARY_CLASSES:
            raise RequestError(
                f"{str(path)!r}, line {line}: expected the label real or fake, found "
                f"{label!r}; {_AGAIN}"
            )
        paths.append(name)
        labels.append(BINARY_CLASSES.index(label))
        found.append(tuple(condition))
    conditions = suite_export.conditions(suite)
    number = len(paths) // len(conditions)
    expected = [own for own in conditions for _ in range(number)]
    own_labels = labels[:number]
    is_whole = found == expected and labels == own_labels * len(conditions)
    if not is_whole or len(set(own_labels)) < 2 or len(set(paths)) < len(paths):
        raise RequestError(
            f"{str(path)!r}: expected the same real and fake pictures as they are and "
            f"under each of {len(suite.conditions)} conditions, found otherwise; "
            f"{_AGAIN}"
        )
    return paths, np.array(own_labels, np.int64)


def _read_scores(path: Path, expected: Sequence[str]) -> np.ndarray:
    """The score of each path: float64."""
    _check_size(path, len(expected))
    places = {name: place for place, name in enumerate(expected)}
    scores = np.full(len(expected), math.nan)
    rows = tables.read_rows(
        path, ("path", "score"), if_missing="name the CSV file of the scores"
    )
    for line, (name, text) in rows:
        place = places.get(name)
        if place is None:
            raise RequestError(
                f"{str(path)!r}, line {line}: expected a path of "
                f"{suite_export.PICTURES_FILE}, such as {expected[0]!r}, found {name!r}"
            )
        if not math.isnan(scores[place]):
            raise RequestError(
                f"{str(path)!r}, line {line}: expected every path once, found {name!r} "
                "again"
            )
        scores[place] = tables.to_score(text, path, line)
    missing = np.flatnonzero(np.isnan(scores))
    if missing.size:
        raise RequestError(
            f"{str(path)!r}: expected a row for each of {len(expected)} pictures, "
            f"found none for {missing.size}, the first {expected[missing[0]]!r}; score "
            "them too"
        )
    return scores


def _check_size(path: Path, num_rows: int) -> None:
    """Refuses what cannot be such a file before it is read."""
    if path.exists() and not path.is_file():
        raise RequestError(f"`scores`: expected a CSV file, found {str(path)!r}")
    most = _MAX_ROW_BYTES * (num_rows + 1)
    size = path.stat().st_size if path.exists() else 0
    if size > most:
        raise RequestError(
            f"`scores`: expected a CSV file of {num_rows} rows, found {size} bytes in "
            f"{str(path)!r}, more than {most}"
        )
