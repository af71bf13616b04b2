# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=compare`: shows several evaluations side by side."""

import dataclasses
import itertools
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakedet_jax.config import CompareConfig
from fakedet_jax.data.dataset import class_of_label
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.bootstrap import Interval
from fakedet_jax.jobs import origin
from fakedet_jax.report import comparison
from fakedet_jax.report.comparison_figure import MAX_RUNS
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.runtime import records, storage, tables

_LOGGER = logging.getLogger(__name__)

# What a CSV file without an evaluation around it may call the two classes.
_LABELS = {"real": False, "fake": True}
# Decides in such a file, for want of one that was chosen.
_THRESHOLD = 0.5
_COLUMNS = ("path", "label", "score")
_LOG_ODDS = "log_odds"
_AGAIN = "run `mode=evaluate` again"


def compare(config: CompareConfig) -> dict[str, Any]:
    """Writes the curves and the metrics of several evaluations into one folder.

    Evaluations decide by the threshold that was stored with their detector; CSV files
    of other origin, whose labels are `real` and `fake` or 0 and 1, by 0.5. Runs on
    different pictures are compared all the same, with a warning.

    Args:
        config: The settings.

    Returns:
        The content of `comparison.json`. The files are those of
        `comparison.write_comparison`.

    Raises:
        RequestError: A path or a file is not as expected.
    """
    paths = [Path(path) for path in config.paths]
    names = _names(config, paths)
    runs = {name: _read(path) for name, path in zip(names, paths, strict=True)}
    of_frames = {
        name: intervals
        for name, path in zip(names, paths, strict=True)
        if (intervals := _intervals_over_videos(path)) is not None
    }
    for sentences in comparison.differences(runs).values():
        for sentence in sentences:
            _LOGGER.warning("%s", sentence)
    with storage.writing_to(config.output, "output"):
        summary = comparison.write_comparison(
            config.output,
            runs,
            of_frames=of_frames,
            config={
                **dict(zip(names, paths, strict=True)),
                **origin.describe(),
            },
        )
    _LOGGER.info(
        "wrote %s; open %s to read it",
        config.output / "comparison.csv",
        config.output / "report.html",
    )
    return summary


def _names(config: CompareConfig, paths: Sequence[Path]) -> Sequence[str]:
    if not paths:
        raise RequestError(
            "`mode=compare`: expected folders of evaluations or CSV files, found none"
        )
    if len(paths) > MAX_RUNS:
        raise RequestError(
            f"`mode=compare`: expected at most {MAX_RUNS} runs, found "
            f"{len(paths)}; compare fewer at a time"
        )
    names = config.names or _tell_apart(paths)
    if config.names and len(names) != len(paths):
        raise RequestError(
            f"`names`: expected {len(paths)} names, one for each path, found "
            f"{len(names)}"
        )
    for place, name in enumerate(names):
        if name in names[:place]:
            flag = "`names`" if config.names else "`mode=compare`"
            raise RequestError(
                f"{flag}: expected every run once, found {name!r} twice; leave one out"
            )
    return names


def _tell_apart(paths: Sequence[Path]) -> list[str]:
    """Names of paths: what is not the same at their beginnings or at their ends.

    >>> _tell_apart([Path("a/evaluations/test"), Path("b/evaluations/test")])
    ['a', 'b']
    >>> _tell_apart([Path("scores/first.csv"), Path("scores/second.csv")])
    ['first', 'second']
    """
    texts = [str(path.absolute()).removesuffix(".csv") for path in paths]
    parts = [Path(os.path.normpath(text)).parts for text in texts]
    if len(set(parts)) == 1:
        return [own[-1] for own in parts]
    start = _num_common(parts)
    end = _num_common([own[start:][::-1] for own in parts])
    # Nothing is left of a path that another one goes on from.
    return ["/".join(own[start : len(own) - end]) or own[-1] for own in parts]


def _num_common(sequences: Sequence[Sequence[str]]) -> int:
    """How many items all sequences begin with."""
    columns = zip(*sequences, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda own: len(set(own)) == 1, columns))


def _read(path: Path) -> Evaluation:
    if path.is_dir():
        run = _read_evaluation(path)
    elif path.is_file():
        rows = [_plain(row) for row in _read_scores(path)]
        run = _to_evaluation(path, rows, _LABELS, _THRESHOLD)
    else:
        raise RequestError(
            f"{str(path)!r}: expected the folder of an evaluation or a CSV file, found "
            "nothing of that name"
        )
    if run.fake.all() or not run.fake.any():
        found = (
            "only fake ones" if len(run.names) and run.fake.all() else "no fake ones"
        )
        raise RequestError(
            f"{str(path)!r}: expected real and fake pictures, found {found}; curves "
            "need both"
        )
    return run


@dataclasses.dataclass(frozen=True)
class _Summary:
    """The fields of `metrics.json` that are read."""

    threshold: float
    num_examples: int
    fake_classes: frozenset[str]
    num_videos: int = 0
    # None for an evaluation that drew no resamples.
    auc_interval: tuple[float, float] | None = None
    fpr_interval: tuple[float, float] | None = None
    fnr_interval: tuple[float, float] | None = None


def _intervals_over_videos(path: Path) -> dict[str, Interval | None] | None:
    """The intervals of a run on frames of videos; None for other runs."""
    if not path.is_dir():
        return None
    summary = _read_summary(path)
    if not summary.num_videos:
        return None
    return {
        metric: getattr(summary, f"{metric}_interval")
        for metric in comparison.WITH_INTERVAL
    }


def _read_evaluation(folder: Path) -> Evaluation:
    """Reads what `report.write_evaluation` wrote."""
    summary = _read_summary(folder)
    rows = list(_read_scores(folder / "scores.csv"))
    if len(rows) != summary.num_examples:
        raise RequestError(
            f"{str(folder / 'scores.csv')!r}: expected {summary.num_examples} rows, as "
            f"metrics.json says, found {len(rows)}; {_AGAIN}"
        )
    labels = {row.label: row.label in summary.fake_classes for row in rows}
    return _to_evaluation(folder / "scores.csv", rows, labels, summary.threshold)


def _read_summary(folder: Path) -> _Summary:
    return records.read(
        folder / "metrics.json",
        _Summary,
        advice=_AGAIN,
        if_missing=f"name WORKDIR/evaluations/NAME or {_AGAIN}",
    )


class _Row(NamedTuple):
    path: str
    label: str
    score: float
    log_odds: float | None


def _read_scores(path: Path) -> Iterator[_Row]:
    rows = tables.read_records(path, _COLUMNS, (_LOG_ODDS,), if_missing=_AGAIN)
    for line, row in rows:
        odds = row.get(_LOG_ODDS)
        yield _Row(
            row["path"],
            row["label"],
            tables.to_score(row["score"], path, line),
            tables.to_number(odds, path, line) if odds else None,
        )


def _plain(row: _Row) -> _Row:
    """A row of another program, with its label in our words."""
    try:
        return row._replace(label=class_of_label(row.label))
    except ValueError:  # The next one to read it says so.
        return row


def _to_evaluation(
    path: Path,
    rows: Iterator[_Row] | Sequence[_Row],
    is_fake: Mapping[str, bool],
    threshold: float,
) -> Evaluation:
    names, fake, scores, log_odds = [], [], [], []
    for row in rows:
        if row.label not in is_fake:
            raise RequestError(
                f"{str(path)!r}: expected the labels real and fake, 0 and 1, or False "
                "and True, found "
                f"{row.label!r}; for other classes name the folder of the evaluation"
            )
        names.append(row.path)
        fake.append(is_fake[row.label])
        scores.append(row.score)
        log_odds.append(row.log_odds)
    return Evaluation(
        names=names,
        labels=np.array(fake, np.int64),
        scores=np.array(scores),
        # Earlier versions and other programs wrote only scores.
        log_odds=None if None in log_odds else np.array(log_odds, np.float64),
        threshold=threshold,
    )
