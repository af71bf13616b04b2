# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares several evaluations: tables, their curves in two figures, and a page.

References:
    R. Wang et al., IJCAI 2020 (arXiv:1909.06122): the eight metrics.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax.evaluation import delong, metrics, protocol
from fakedet_jax.evaluation.bootstrap import LEVEL, Interval
from fakedet_jax.report import canvas, curves, html
from fakedet_jax.report.comparison_figure import MARK, comparison_figure
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.report.text_table import csv_cells, number, number_in, text_table
from fakedet_jax.runtime import storage, text

# Metrics that have an interval.
WITH_INTERVAL = ("auc", "fpr", "fnr")

_SHORT = {
    "accuracy": "acc",
    "average_precision": "AP",
    "auc": "AUC",
    "fpr": "FPR",
    "fnr": "FNR",
}

# Of the metrics, by the names of runs.
Intervals = Mapping[str, Mapping[str, Interval | None]]


def write_comparison(
    folder: Path,
    runs: Mapping[str, Evaluation],
    *,
    of_frames: Intervals | None = None,
    config: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Writes tables, curves and a page of several evaluations.

    The files are `precision_recall.png`, `roc.png`, `comparison.csv`, `report.html`
    and, last, `comparison.json`.

    Args:
        folder: the folder; it is created if missing, and files of the same names are
            replaced.
        runs: evaluations of real and fake pictures by name, from one to `MAX_RUNS`.
        of_frames: see `summarize`.
        config: settings that the page lists, name to value.

    Returns:
        The content of `comparison.json`, of `summarize`. The CSV file has the same
        rows, with an empty cell for what is undefined and two for an interval.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A comparison that is repeated is incomplete until it has finished again.
    (folder / "comparison.json").unlink(missing_ok=True)
    summary = summarize(runs, of_frames)
    marked = [row["name"] for row in summary["rows"] if row["note"]]
    drawn = []
    for name, curve, title in (
        ("precision_recall", curves.PRECISION_RECALL, "Precision against recall"),
        ("roc", curves.ROC, "Fakes found against false alarms (ROC)"),
    ):
        figure = comparison_figure(curve, runs, marked)
        drawn.append((html.Panel(title, figure, ""), canvas.render(figure)))
        storage.write_bytes(folder / f"{name}.png", drawn[-1][1])
    cells = [csv_cells(row) for row in summary["rows"]]
    storage.write_csv(
        folder / "comparison.csv",
        list(cells[0]),
        [list(row.values()) for row in cells],
    )
    page = html.render(
        "comparison.html.j2",
        title="Comparison of evaluations",
        runs=summary["rows"],
        mark=MARK,
        changes=[
            {**row, "words": _in_words(row["auc_change_interval"])}
            for row in summary["rows"]
            if row["auc_change"] is not None
        ],
        panels=html.embed(drawn),
        config=config or {},
    )
    storage.write_text(folder / "report.html", page)
    storage.write_json(folder / "comparison.json", summary)
    return summary


def summarize(
    runs: Mapping[str, Evaluation], of_frames: Intervals | None = None
) -> dict[str, Any]:
    """Measures several runs, ready for JSON.

    Args:
        runs: evaluations of real and fake pictures by name, at least one.
        of_frames: of each run on frames of videos the intervals of `WITH_INTERVAL`, as
            its evaluation knows them. Frames of one video are alike, so they cannot be
            had from the scores.

    Returns:
        `interval_level`, and `rows`, one for each run: `name`, the eight metrics,
        `threshold` (of the detector), `num_examples`, `num_real`, `num_fake`;
        `auc_interval` (DeLong's), `fpr_interval` and `fnr_interval` (Wilson's);
        `auc_change`, from the first run on the same pictures, with
        `auc_change_interval` (see `evaluation.delong`); and `note`, why the run is not
        comparable with the first one, or an empty text. The rate of false alarms `fpr`
        is the share of real pictures whose score reaches the threshold, and that of
        misses `fnr` the share of fakes whose score does not. Values that a run does not
        define are None.
    """
    stored = of_frames or {}
    notes = differences(runs)
    changes = _changes(runs, {*notes, *stored})
    rows = []
    for name, run in runs.items():
        found = run.summarize()
        num_fake = int(run.fake.sum())
        row = {
            "name": name,
            **{metric: found[metric] for metric in metrics.BINARY_METRICS},
            "threshold": run.threshold,
            "num_examples": len(run.names),
            "num_real": len(run.names) - num_fake,
            "num_fake": num_fake,
        }
        ends_of = stored[name] if name in stored else _intervals(run)
        for metric in WITH_INTERVAL:
            row[f"{metric}_interval"] = _as_list(ends_of[metric])
        change, ends = changes.get(name, (None, None))
        row |= {"auc_change": change, "auc_change_interval": _as_list(ends)}
        row["note"] = "; ".join(notes.get(name, ()))
        rows.append(row)
    return {"interval_level": LEVEL, "rows": rows}


def _intervals(run: Evaluation) -> dict[str, Interval | None]:
    """The intervals of `WITH_INTERVAL`, of pictures that are independent."""
    shares = protocol.error_shares(run.fake, run.scores, run.threshold)
    return {
        "auc": delong.auc_interval(run.fake, run.evidence),
        **protocol.wilson_intervals(shares),
    }


def _as_list(ends: Interval | None) -> list[float] | None:
    return None if ends is None else list(ends)


def _changes(
    runs: Mapping[str, Evaluation], left_out: Collection[str]
) -> dict[str, tuple[float, Interval]]:
    """The change of the AUC from the first run, of runs on the same pictures."""
    if not runs:
        return {}
    (first_name, first), *others = runs.items()
    places = {name: place for place, name in enumerate(first.names)}
    found = {}
    for name, run in others:
        if {name, first_name} & set(left_out) or len(places) < len(first.names):
            continue
        order = np.argsort([places[one] for one in run.names])
        change = delong.difference_interval(
            first.fake, first.evidence, run.evidence[order]
        )
        if change is not None:
            found[name] = change
    return found


def _in_words(ends: Interval) -> str:
    if ends[0] > 0:
        return "better"
    return "worse" if ends[1] < 0 else "no clear difference"


def comparison_table(summary: Mapping[str, Any]) -> str:
    """Formats the numbers of each run as two tables for a terminal.

    Args:
        summary: as `write_comparison` returns it.

    Returns:
        Lines of text: the eight metrics, and the rates of both errors at the threshold
        of each run with their intervals. Runs that are not comparable with the first
        one are marked, and the reasons follow.

    >>> run = Evaluation(["a", "b"], [0, 1], [0.2, 0.9], threshold=0.5)
    >>> print(comparison_table(summarize({"one": run})))
    run     acc  precision  recall      f1      AP     AUC     FPR     FNR  pictures
    one  1.0000     1.0000  1.0000  1.0000  1.0000  1.0000  0.0000  0.0000         2
    <BLANKLINE>
    run  threshold  real          false alarms  fake                misses
    one     0.5000     1  0.000 [0.000, 0.793]     1  0.000 [0.000, 0.793]
    """
    heads = [_SHORT.get(name, name) for name in metrics.BINARY_METRICS]
    measured = [["run", *heads, "pictures"]]
    errors = [["run", "threshold", "real", "false alarms", "fake", "misses"]]
    for row in summary["rows"]:
        name = row["name"] + (MARK if row["note"] else "")
        values = [number(row[metric], ".4f") for metric in metrics.BINARY_METRICS]
        measured.append([name, *values, str(row["num_examples"])])
        cells = [name, number(row["threshold"], ".4f")]
        for count, rate in (("num_real", "fpr"), ("num_fake", "fnr")):
            cells += [str(row[count]), number_in(row[rate], row[f"{rate}_interval"])]
        errors.append(cells)
    reasons = [f"{MARK} {row['note']}" for row in summary["rows"] if row["note"]]
    return "\n".join([*text_table(measured), "", *text_table(errors), *reasons])


def differences(runs: Mapping[str, Evaluation]) -> dict[str, tuple[str, ...]]:
    """Finds the runs that are not comparable with the first one.

    Args:
        runs: evaluations by name.

    Returns:
        The reasons, by the name of the run; only runs on other pictures or with other
        labels have an entry.
    """
    if not runs:
        return {}
    (first_name, first), *others = runs.items()
    expected = _truth(first)
    result = {}
    for name, run in others:
        found = _truth(run)
        sentences = []
        only_first, only_other = expected.keys() - found.keys(), found.keys() - expected
        if only_first or only_other:
            sentences.append(
                f"{first_name} and {name} were measured on different pictures: "
                f"{len(only_first)} only in {first_name}, {len(only_other)} only in "
                f"{name}, such as {min(only_first or only_other)!r}"
            )
        contrary = [
            path for path in expected.keys() & found if expected[path] != found[path]
        ]
        if contrary:
            sentences.append(
                f"{first_name} and {name} disagree on what is real and what is fake "
                f"for {text.counted(len(contrary), 'picture')}, such as "
                f"{min(contrary)!r}"
            )
        if sentences:
            result[name] = tuple(sentences)
    return result


def _truth(run: Evaluation) -> dict[str, bool]:
    """Returns whether each picture is fake, by its name."""
    return dict(zip(run.names, run.fake.tolist(), strict=True))
