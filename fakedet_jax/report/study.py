# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of a study: trainings by tests, means over seeds.

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
from numpy.typing import NDArray

from fakedet_jax.evaluation import metrics
from fakedet_jax.report import canvas, study_tables
from fakedet_jax.report.study_tables import failures, study_table
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["failures", "study_figure", "study_table", "summarize", "write_study"]

_COLUMNS = ("multiclass_accuracy", *metrics.BINARY_METRICS)
_COUNTS = ("num_examples", "num_skipped")
# Of a figure; more of them are lower.
_MANY_ROWS = 12


def write_study(folder: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the results of a study as numbers, tables and a figure.

    The files are `study.csv` (a row for each run and test), `study.md`, `study.png`
    where there is more than one test, and, last, `study.json`: a folder that has it is
    complete. Each is written whole or not at all.

    Args:
        folder: where to; it exists, files of the same names are replaced.
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
        storage.write_bytes(folder / "study.png", study_figure(summary))
    else:
        (folder / "study.png").unlink(missing_ok=True)
    storage.write_json(folder / "study.json", summary)
    return summary


def summarize(results: Mapping[str, Any]) -> dict[str, Any]:
    """Takes means over seeds.

    Args:
        results: `title`, `source`, `note`, `metric`, `baseline` (a training's name or
            None), `confusion`, `seeds`; `tests`, each with `name` and `perturb`; and
            `trainings`, each with `name`, `flags`, `paper` (per cent by test) and
            `runs`. A run has `seed`, `status`, `reason`, `seconds`, and `tests` by
            name, each with `metrics` (the content of metrics.json) or a `reason`.

    Returns:
        The same, and for each training `seconds` (the mean over the runs that are
        done, or None) and `tests` by name: `values` (of the metric, by seed), `mean`
        and `deviation` (of the sample, None for fewer than two values), `paper`, all in
        per cent, and `rer`, the relative error reduction against the baseline, which is
        the baseline's mean error minus this one's, divided by the former; with
        `confusion`, also `confusion_matrix`, whose rows add up to 100, and `classes`.
        What is not known is None.

    Where a detector knows but two classes, `multiclass_accuracy` is its `accuracy`.
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


def study_figure(summary: Mapping[str, Any]) -> bytes:
    """Draws the means as a heat map of trainings and tests, per cent.

    Args:
        summary: as `summarize` returns it.

    Returns:
        A PNG file.
    """
    from matplotlib.colors import LinearSegmentedColormap

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
        cmap=LinearSegmentedColormap.from_list("blues", ("white", canvas.REAL_COLOUR)),
        vmin=least,
        vmax=100,
        edgecolors="white",
        linewidth=2,
    )
    # Where white becomes easier to read than black.
    _write_cells(axes, means, dark=least + 0.78 * (100 - least))
    is_tight = max(map(len, columns)) > 7
    axes.set_xticks(
        np.arange(len(columns)) + 0.5,
        [canvas.plain(name) for name in columns],
        rotation=35 if is_tight else 0,
        ha="left" if is_tight else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, [canvas.plain(name) for name in rows])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(across)
    axes.set_ylabel("test" if across == "training" else "training")
    axes.tick_params(length=0, labelsize=10, colors=canvas.INK)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    shrink = min(1, _MANY_ROWS / len(rows))
    bar = figure.colorbar(
        drawn, ax=axes, aspect=30, pad=0.02, shrink=shrink, anchor=(0, 1)
    )
    bar.set_label(f"{study_tables.METRIC_NAMES[summary['metric']]}, %")
    bar.outline.set_visible(False)
    # About nine bold letters to an inch.
    letters = int(9 * figure.get_figwidth())
    title = textwrap.wrap(summary["title"], letters)
    canvas.heading(figure, "\n".join(canvas.plain(line, letters) for line in title))
    return canvas.render(figure)


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
    """The metric in per cent."""
    value = own.get(metric)
    if metric == "multiclass_accuracy" and len(own["classes"]) == 2:
        value = own["accuracy"]
    return None if value is None else 100 * value


def _rer(reference: float | None, mean: float | None) -> float | None:
    """The relative error reduction, a fraction.

    >>> _rer(96.0, 97.0)
    0.25
    """
    if reference is None or mean is None or reference == 100:
        return None
    return (mean - reference) / (100 - reference)


def _mean_confusion(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of matrices whose rows add up to 100."""
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


def _write_cells(axes: "Axes", means: NDArray[np.float64], dark: float) -> None:
    for (row, column), mean in np.ndenumerate(means):
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{mean:.1f}" if np.isfinite(mean) else study_tables.NONE,
            ha="center",
            va="center",
            fontsize=10,
            color="white" if mean > dark else canvas.INK,
        )
