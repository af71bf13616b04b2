# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=fuse`: one score from the scores of several detectors in a table.

Any programs in any language made the scores. A fusion is fitted to labelled rows and
judged on generators, and on sources of photographs, that were left out as a whole;
later it scores rows without labels.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fakedet_jax import fusion
from fakedet_jax.config import FuseConfig
from fakedet_jax.data.dataset import BINARY_CLASSES
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.fusion import Fusion
from fakedet_jax.jobs import origin
from fakedet_jax.report.text_table import text_table
from fakedet_jax.runtime import records, storage, tables, text

_LOGGER = logging.getLogger(__name__)

FUSION_FILE = "fusion.json"
SCORES_FILE = "scores.csv"
GROUPS_FILE = "groups.csv"
METRICS_FILE = "metrics.json"

_LABELS = {"real": False, "fake": True, "0": False, "1": True}
# A larger table is something else.
_MAX_BYTES = 2**30
_FEWEST = 20


class _Table(NamedTuple):
    """Rows of a table of scores.

    Attributes:
        names: The column `path` where there is one, else line numbers.
        values: Float64 `[n, members]`, log-odds; NaN where a score is missing.
        fake: Bool `[n]`; all false without labels.
        groups: `n` names; empty without groups.
    """

    names: list[str]
    values: NDArray[np.float64]
    fake: NDArray[np.bool_]
    groups: list[str]


def fuse(config: FuseConfig) -> dict[str, Any]:
    """Fits a fusion to a table of scores, or scores a table with an earlier one.

    A fit writes `fusion.json`, `scores.csv` (each row scored by a fusion that was
    fitted without its fold), `groups.csv` and `metrics.json` into `config.output`;
    else only `scores.csv` is written.

    Args:
        config: The settings.

    Returns:
        The content of `metrics.json`; of a table that was only scored, the number of
        rows.

    Raises:
        RequestError: The table or the settings are not as expected; nothing is written.
    """
    if config.fusion is not None:
        return _apply(config, config.fusion)
    table = _read(config.scores, config.members, config.label, config.group_by)
    _check(table, config)
    fitted = {
        kept: fusion.fit(
            config.members,
            table.values,
            table.fake,
            table.groups,
            seed=config.seed,
            real_groups=kept,
        )
        for kept in (False, True)
    }
    own = fitted[config.new_sources]
    evidence = own.left_out.mean(0)
    groups = _group_rows(table, log_odds.scores(evidence))
    summary = {
        "num_real": int((~table.fake).sum()),
        "num_fake": int(table.fake.sum()),
        "members": dict(zip(config.members, own.member_aucs, strict=True)),
        "generators_left_out": _figures(fitted[False]),
        "generators_and_sources_left_out": _figures(fitted[True]),
        "summary": own.summary,
        **origin.describe(),
    }
    with storage.writing_to(config.output, "output"):
        config.output.mkdir(parents=True, exist_ok=True)
        (config.output / METRICS_FILE).unlink(missing_ok=True)
        _write_fusion(config.output / FUSION_FILE, own.fusion)
        _write_scores(config.output / SCORES_FILE, table.names, evidence)
        storage.write_csv(
            config.output / GROUPS_FILE,
            ("group", "label", "num_pictures", "mean_score", "share_called_fake"),
            groups,
        )
        storage.write_json(config.output / METRICS_FILE, summary)
    _LOGGER.info(
        "wrote %s; fuse other tables with `fusion=%s`",
        config.output,
        config.output / FUSION_FILE,
    )
    return summary


def to_text(summary: dict[str, Any]) -> str:
    """The figures of a fusion as a table."""
    if "members" not in summary:
        return ""
    rows = [
        (name, "" if area is None else f"{area:.3f}", "")
        for name, area in summary["members"].items()
    ]
    for name, key in (
        ("fused, generators left out", "generators_left_out"),
        ("fused, sources left out too", "generators_and_sources_left_out"),
    ):
        figures = summary[key]
        rows.append(
            (name, f"{figures['auc']:.3f}", f"{figures['calibration_error']:.3f}")
        )
    return "\n".join(text_table([("", "AUC", "calibration error"), *rows], left={0}))


def _apply(config: FuseConfig, path: Path) -> dict[str, Any]:
    fused = records.read(
        path,
        Fusion,
        field="fusion",
        advice="fit one with `mode=fuse`",
        forbid_unknown=True,
    )
    table = _read(config.scores, fused.members)
    with storage.writing_to(config.output, "output"):
        config.output.mkdir(parents=True, exist_ok=True)
        evidence = fused(table.values)
        _write_scores(config.output / SCORES_FILE, table.names, evidence)
    missing = int(np.isnan(evidence).sum())
    _LOGGER.info("scored %s", text.counted(len(table.names) - missing, "row"))
    if missing:
        _LOGGER.warning("no member has a score in %s", text.counted(missing, "row"))
    return {"num_rows": len(table.names)}


def _read(
    path: Path, members: Sequence[str], label: str = "", group_by: str = ""
) -> _Table:
    """Reads a table of scores.

    Raises:
        RequestError: It is missing or damaged, lacks a column, or a cell is wrong.
    """
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise RequestError(
            f"`scores`: {str(path)!r} is larger than {_MAX_BYTES} bytes; split it"
        )
    if len(set(members)) < len(members):
        raise RequestError("`members`: expected different columns, found one twice")
    wanted = [*members, *filter(None, (label, group_by))]
    names, rows, fake, groups = [], [], [], []
    for line, row in tables.read_records(
        path,
        list(dict.fromkeys(wanted)),
        ("path",),
        if_missing="name the CSV file of the scores as `scores`",
    ):
        names.append(row.get("path") or str(line))
        rows.append([_to_log_odds(row[name].strip(), path, line) for name in members])
        if label:
            fake.append(_to_label(row[label].strip().lower(), path, line))
        if group_by:
            groups.append(row[group_by])
    if not rows:
        raise RequestError(f"`scores`: {str(path)!r} has no rows")
    labels = np.array(fake or [False] * len(rows), np.bool_)
    return _Table(names, np.array(rows, np.float64), labels, groups)


def _to_log_odds(cell: str, path: Path, line: int) -> float:
    if not cell:
        return math.nan
    odds = float(log_odds.of_scores(tables.to_score(cell, path, line)))
    return min(max(odds, -fusion.MOST), fusion.MOST)


def _to_label(cell: str, path: Path, line: int) -> bool:
    if cell not in _LABELS:
        raise RequestError(
            f"{str(path)!r}, line {line}: expected the label {', '.join(_LABELS)}, "
            f"found {cell!r}"
        )
    return _LABELS[cell]


def _check(table: _Table, config: FuseConfig) -> None:
    """Refuses rows that no fusion can be fitted to.

    Raises:
        RequestError: They are too few, or a column tells nothing.
    """
    for side, name in enumerate(BINARY_CLASSES):
        count = int((table.fake == bool(side)).sum())
        if count < _FEWEST:
            raise RequestError(
                f"`scores`: expected at least {_FEWEST} {name} rows in the column "
                f"{config.label!r}, found {count}"
            )
    for place, name in enumerate(config.members):
        if np.isnan(table.values[:, place]).all():
            raise RequestError(f"`members`: the column {name!r} has no score at all")
    if nothing := int(np.isnan(table.values).all(1).sum()):
        raise RequestError(
            f"`scores`: {text.counted(nothing, 'row')} without a score of any member; "
            "leave such rows out"
        )
    generators = {
        group for group, fake in zip(table.groups, table.fake, strict=True) if fake
    }
    if len(generators) < 2:
        raise RequestError(
            f"`group_by`: expected two or more groups of fakes in {config.group_by!r}, "
            f"found {len(generators)}; a fusion is judged on generators that it did "
            "not see"
        )


def _figures(fitted: fusion.Fitted) -> dict[str, Any]:
    return {
        "auc": fitted.auc,
        "auc_of_each_deal": fitted.deal_aucs,
        "calibration_error": fitted.calibration_error,
        "sources_kept_together": fitted.folds[0].real_groups,
    }


def _group_rows(
    table: _Table, scores: NDArray[np.float64]
) -> list[tuple[str, str, int, float, float]]:
    """Group, label, number, mean score and share of scores of at least one half."""
    rows = []
    names = np.array(table.groups, object)
    for fake in (False, True):
        side = table.fake == fake
        for name in sorted(set(names[side])):
            own = scores[side & (names == name)]
            called = metrics.decide(own, 0.5)
            rows.append(
                (
                    name,
                    BINARY_CLASSES[fake],
                    own.size,
                    round(float(own.mean()), 6),
                    round(float(called.mean()), 6),
                )
            )
    return rows


def _write_fusion(path: Path, fused: Fusion) -> None:
    storage.write_json(
        path,
        {
            "members": list(fused.members),
            "knots": [list(row) for row in fused.knots],
            "means": list(fused.means),
            "weights": list(fused.weights),
            "offset": fused.offset,
        },
    )


def _write_scores(
    path: Path, names: Sequence[str], evidence: NDArray[np.float64]
) -> None:
    scores = log_odds.scores(evidence)
    storage.write_csv(
        path,
        ("path", "score", "log_odds"),
        (
            (name, "", "") if math.isnan(odds) else (name, float(score), float(odds))
            for name, score, odds in zip(names, scores, evidence, strict=True)
        ),
    )
