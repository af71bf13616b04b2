# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the results of a study: trainings by tests, as means over seeds.

References:
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Tables III–XII; the relative error reduction is
    RER = (E1 − E2)/E1.
"""

import math
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax.evaluation import metrics
from fakedet_jax.faces import colours
from fakedet_jax.report import canvas, study_tables
from fakedet_jax.report.study_tables import failures, study_table
from fakedet_jax.report.text_table import NONE
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["failures", "study_figure", "study_table", "summarize", "write_study"]

_COLUMNS = ("multiclass_accuracy", *metrics.BINARY_METRICS)
_COUNTS = ("num_examples", "num_skipped")
# The rows of a figure that has more of them are lower.
_MANY_ROWS = 12


def write_study(folder: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the results of a study as numbers, tables and a figure.

    The files are `study.csv` (a row for each run and test), `study.md`, `study.png` if
    there is more than one test, and, last, `study.json`: a folder that contains it is
    complete. Each file is written whole or not at all.

    Args:
        folder: an existing folder; files of the same names are replaced.
        results: as `summarize` takes them.

    Returns:
        The content of `study.json`, as `summarize` returns it.
    """
    (folder / "study.json").unlink(missing_ok=True)
    summary = summarize(results)
    storage.write_csv(
        folder / "study.csv",
        (
            *("training", "seed", "test", "perturb"),
            *(*_COLUMNS, *_COUNTS, "training_seconds", "reason"),
        ),
        _csv_rows(summary),
    )
    storage.write_text(folder / "study.md", study_tables.study_markdown(summary))
    if len(summary["tests"]) > 1:
        canvas.save(folder / "study.png", study_figure(summary))
    else:
        (folder / "study.png").unlink(missing_ok=True)
    storage.write_json(folder / "study.json", summary)
    return summary


def summarize(results: Mapping[str, Any]) -> dict[str, Any]:
    """Computes means over seeds.

    A detector of only two classes has no `multiclass_accuracy`; its `accuracy` is used.

    Args:
        results: `title`, `source`, `note`, `metric`, `baseline` (the name of a training
            or None), `confusion`, `seeds`; `tests`, each with `name` and `perturb`; and
            `trainings`, each with `name`, `flags`, `paper` (per cent by test) and
            `runs`. A run has `seed`, `status`, `reason`, `seconds`, and `tests` by
            name, each with `metrics` (the content of `metrics.json`) or a `reason`.

    Returns:
        The results and, for each training, `seconds` (the mean over the completed runs)
        and `tests` by name. A test has `values` (of the metric, by seed), `mean`,
        `deviation` (of the sample, None for fewer than two values) and `paper`, all in
        per cent, and `rer`: the mean error of the baseline minus the mean error of
        this training, divided by the former. With `confusion` it also has `classes` and
        `confusion_matrix`, whose rows sum to 100. Unknown values are None.
    """
    trainings = [_summarize_training(results, one) for one in results["trainings"]]
    by_name = {training["name"]: training for training in trainings}
    if results["baseline"] is not None:
        baseline = by_name[results["baseline"]]
        for training in trainings:
            for test, cell in training["tests"].items():
                is_itself = training is baseline
                reference = baseline["tests"][test]["mean"]
                cell["rer"] = None if is_itself else _rer(reference, cell["mean"])
    return {**results, "trainings": trainings}


def study_figure(summary: Mapping[str, Any]) -> "Figure":
    """Draws the means as a heat map of trainings and tests, in per cent.

    Args:
        summary: as `summarize` returns it.

    Returns:
        The figure.
    """
    trainings = [training["name"] for training in summary["trainings"]]
    tests = [test["name"] for test in summary["tests"]]
    means = np.array(
        [
            [training["tests"][test]["mean"] for test in tests]
            for training in summary["trainings"]
        ],
        np.float64,
    )
    rows, columns, across = trainings, tests, "test"
    if study_tables.is_upright(summary):
        rows, columns, across, means = tests, trainings, "training", means.T
    width = 2.6 + 0.11 * max(map(len, rows)) + 0.75 * len(columns)
    row_height = 0.4 if len(rows) <= _MANY_ROWS else 0.27
    figure = canvas.figure((max(5.0, width), 1.9 + row_height * len(rows)))
    axes = figure.subplots()
    axes.set_facecolor("#eef0f3")
    known = means[np.isfinite(means)]
    least = min(5 * math.floor(min(known, default=0) / 5), 95)
    drawn = axes.pcolormesh(
        np.ma.masked_invalid(means),
        cmap=canvas.colours("white", colours.REAL),
        vmin=least,
        vmax=100,
        edgecolors="white",
        linewidth=2,
    )
    # From here on, white is easier to read than black.
    dark = least + 0.78 * (100 - least)
    for (row, column), mean in np.ndenumerate(means):
        text = f"{mean:.1f}" if np.isfinite(mean) else NONE
        colour = "white" if mean > dark else canvas.INK
        canvas.write(axes, text, (column + 0.5, row + 0.5), colour=colour)
    is_tight = max(map(len, columns)) > 7
    axes.set_xticks(
        np.arange(len(columns)) + 0.5,
        canvas.plain_all(columns),
        rotation=35 if is_tight else 0,
        ha="left" if is_tight else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, canvas.plain_all(rows))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(across)
    axes.set_ylabel("test" if across == "training" else "training")
    axes.tick_params(labelsize=10)
    canvas.hide_frame(axes)
    axes.invert_yaxis()
    canvas.colour_bar(
        figure,
        axes,
        drawn,
        f"{study_tables.METRIC_NAMES[summary['metric']]}, %",
        aspect=30,
        pad=0.02,
        shrink=min(1, _MANY_ROWS / len(rows)),
        anchor=(0, 1),
    )
    letters = canvas.letters(figure)
    title = textwrap.wrap(summary["title"], letters)
    canvas.heading(figure, "\n".join(canvas.plain(line, letters) for line in title))
    return figure


def _summarize_training(
    results: Mapping[str, Any], training: Mapping[str, Any]
) -> dict[str, Any]:
    done = [run for run in training["runs"] if run["status"] == "done"]
    cells = {}
    for test in (test["name"] for test in results["tests"]):
        found = {
            run["seed"]: run["tests"][test]["metrics"]
            for run in done
            if "metrics" in run["tests"][test]
        }
        values = {seed: _value(own, results["metric"]) for seed, own in found.items()}
        known = [value for value in values.values() if value is not None]
        cell = {
            "values": {str(seed): value for seed, value in values.items()},
            "mean": statistics.fmean(known) if known else None,
            "deviation": statistics.stdev(known) if len(known) > 1 else None,
            "paper": training["paper"].get(test),
            "rer": None,
        }
        if results["confusion"]:
            cell |= _mean_confusion(list(found.values()))
        cells[test] = cell
    seconds = [run["seconds"] for run in done]
    return {
        **training,
        "seconds": statistics.fmean(seconds) if seconds else None,
        "tests": cells,
    }


def _value(own: Mapping[str, Any], metric: str) -> float | None:
    """Returns the metric in per cent."""
    value = own.get(metric)
    if metric == "multiclass_accuracy" and len(own["classes"]) == 2:
        value = own["accuracy"]
    return None if value is None else 100 * value


def _rer(reference: float | None, mean: float | None) -> float | None:
    """Computes the relative error reduction, as a fraction, from per cent.

    >>> _rer(96.0, 97.0)
    0.25
    """
    if reference is None or mean is None or reference == 100:
        return None
    return (mean - reference) / (100 - reference)


def _mean_confusion(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Averages confusion matrices in per cent, whose rows sum to 100."""
    if not found:
        return {"confusion_matrix": None, "classes": None}
    shares = []
    for own in found:
        matrix = np.asarray(own["confusion_matrix"], np.float64)
        shares.append(100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1))
    return {
        "confusion_matrix": np.mean(shares, axis=0).tolist(),
        "classes": list(found[0]["classes"]),
    }


def _csv_rows(summary: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for training in summary["trainings"]:
        for run in training["runs"]:
            for test in summary["tests"]:
                found = run["tests"].get(test["name"], {})
                own = found.get("metrics", {})
                yield (
                    training["name"],
                    run["seed"],
                    test["name"],
                    test["perturb"],
                    *(own.get(name) for name in (*_COLUMNS, *_COUNTS)),
                    run["seconds"],
                    found.get("reason") or run["reason"],
                )
