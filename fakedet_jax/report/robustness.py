# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes how a detector holds up under the conditions of a robustness suite.

References:
    R. Wang et al., FakeSpotter, IJCAI 2020, Fig. 4: AUC against intensity.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: a table of operations and strengths.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax import metrics, storage
from fakedet_jax.perturb.perturbation import MIX, OPERATIONS
from fakedet_jax.perturb.suites import Suite
from fakedet_jax.report import canvas
from fakedet_jax.report.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COUNTS = ("num_examples", "num_skipped")
# The row of the pictures as they are.
_UNPERTURBED = "none"
# The drop in points of AUC that is drawn darkest unless there is a larger one.
_LEAST_DARKEST = 10.0


def write_robustness(
    folder: Path,
    suite: Suite,
    baseline: Evaluation,
    evaluations: Sequence[Evaluation],
    *,
    title: str,
) -> dict[str, Any]:
    """Writes the measurements of a suite as tables, numbers and a figure.

    The files are `robustness.csv` (first the pictures as they are, then a row for each
    condition), `skipped.csv`, `robustness.png`, `robustness_heatmap.png` and, last,
    `robustness.json`: a folder that has it is complete. Each is written whole or not at
    all.

    Args:
        folder: where to; made when missing, files of the same names are replaced.
        suite: the conditions.
        baseline: the evaluation of the pictures as they are, of both classes.
        evaluations: one for each condition, of the same pictures.
        title: the heading of the figure, such as the detector and the dataset.

    Returns:
        The content of `robustness.json`: `suite`, `version`, `seed`, `threshold`,
        `num_examples`, `num_skipped`; `baseline` with the eight metrics; `conditions`,
        each with `operation`, `strength` and the metrics, where "mix" stands for a
        strength, or an operation too, that was drawn for each picture; `mean_auc_drop`,
        the mean over the conditions of the baseline's AUC minus theirs; and
        `mean_auc_drop_by_operation`. Mixes, which repeat the others, are not in means.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # What is repeated is not complete until it is complete again.
    (folder / "robustness.json").unlink(missing_ok=True)
    summary = _summarize(suite, baseline, evaluations)
    counts = [summary[name] for name in _COUNTS]
    rows = [(_UNPERTURBED, "", summary["baseline"])]
    rows += [(row["operation"], row["strength"], row) for row in summary["conditions"]]
    storage.write_csv(
        folder / "robustness.csv",
        ("operation", "strength", *metrics.BINARY_METRICS, *_COUNTS),
        (
            (
                operation,
                strength,
                *(row[name] for name in metrics.BINARY_METRICS),
                *counts,
            )
            for operation, strength, row in rows
        ),
    )
    storage.write_csv(folder / "skipped.csv", ("path", "reason"), baseline.skipped)
    storage.write_bytes(
        folder / "robustness.png", robustness_figure(summary, title=title)
    )
    storage.write_bytes(
        folder / "robustness_heatmap.png", robustness_heatmap(summary, title=title)
    )
    storage.write_json(folder / "robustness.json", summary)
    return summary


def robustness_figure(summary: Mapping[str, Any], *, title: str) -> bytes:
    """Draws AUC against intensity, a panel for each operation, mild to the left.

    The strengths of a suite are not evenly spaced; their places on the axis are. What
    their mix gives stands apart at the right.

    Args:
        summary: as `write_robustness` returns it.
        title: the heading.

    Returns:
        A PNG file.
    """
    drops = summary["mean_auc_drop_by_operation"]
    baseline = summary["baseline"]["auc"]
    values = [baseline, *(row["auc"] for row in summary["conditions"])]
    num_rows = math.ceil(len(drops) / 2)
    figure = canvas.figure((8.8, 0.8 + 2.9 * num_rows))
    panels = figure.subplots(num_rows, 2, sharey=True, squeeze=False).ravel()
    # Down to the worst, so that small differences show, in steps of a tenth.
    panels[0].set_ylim(min(0.9, math.floor(10 * min(values) - 0.2) / 10), 1.01)
    for axes, (operation, drop) in zip(panels, drops.items(), strict=False):
        rows = [row for row in summary["conditions"] if row["operation"] == operation]
        _draw_panel(axes, operation, rows, baseline, drop)
    for axes in panels[::2]:
        axes.set_ylabel("AUC")
    for axes in panels[len(drops) :]:
        axes.set_visible(False)
    canvas.legend(panels[0], "lower left")
    canvas.heading(figure, canvas.plain(f"AUC under perturbation: {title}", 90))
    return canvas.render(figure)


def robustness_heatmap(summary: Mapping[str, Any], *, title: str) -> bytes:
    """Draws the drop of every condition: a row for each operation, mild to the left.

    A cell shows the strength and, below, the AUC in per cent; its colour is the drop.

    Args:
        summary: as `write_robustness` returns it.
        title: the heading.

    Returns:
        A PNG file.
    """
    from matplotlib.colors import LinearSegmentedColormap

    rows = _by_operation(summary)
    num_columns = max(len(row) for row in rows.values())
    baseline = summary["baseline"]["auc"]
    drops = np.full((len(rows), num_columns), np.nan)
    for place, row in enumerate(rows.values()):
        drops[place, : len(row)] = [100 * (baseline - one["auc"]) for one in row]
    # Never darker than its drop deserves where all drops are small.
    most = max(_LEAST_DARKEST, float(np.nanmax(drops)))
    figure = canvas.figure((3.2 + 0.72 * num_columns, 1.6 + 0.55 * len(rows)))
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("drop", ("white", canvas.FAKE_COLOUR))
    drawn = axes.pcolormesh(
        np.ma.masked_invalid(drops),
        cmap=colours,
        vmin=0,
        vmax=most,
        edgecolors="white",
        linewidth=2,
    )
    for place, row in enumerate(rows.values()):
        for column, one in enumerate(row):
            centre = (column + 0.5, place + 0.5)
            _write_cell(axes, centre, _strength(one), f"{100 * one['auc']:.1f}")
    axes.set_yticks(
        np.arange(len(rows)) + 0.5,
        ["Everything" if name == MIX else OPERATIONS[name].title for name in rows],
    )
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=10, colors=canvas.INK)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    bar = figure.colorbar(drawn, ax=axes, aspect=30, pad=0.02)
    bar.set_label(f"drop from {100 * baseline:.1f}, points of AUC")
    bar.outline.set_visible(False)
    canvas.heading(figure, canvas.plain(f"AUC under perturbation: {title}", 90))
    return canvas.render(figure)


def robustness_table(summary: Mapping[str, Any]) -> str:
    """Sets the AUC and the accuracy of every condition as a table for a terminal.

    Args:
        summary: as `write_robustness` returns it.

    Returns:
        Lines of text.
    """
    baseline = summary["baseline"]["auc"]
    lines = [
        f"{'perturbation':16s} {'strength':>8s} {'AUC':>7s} {'change':>8s} "
        f"{'accuracy':>9s}",
        f"{_UNPERTURBED:16s} {'':8s} {baseline:7.4f} {'':8s} "
        f"{summary['baseline']['accuracy']:9.4f}",
    ]
    lines += [
        f"{row['operation']:16s} {_strength(row):>8s} {row['auc']:7.4f} "
        f"{row['auc'] - baseline:+8.4f} {row['accuracy']:9.4f}"
        for row in summary["conditions"]
    ]
    lines.append(
        f"mean AUC drop {summary['mean_auc_drop']:.4f} ({summary['suite']}, version "
        f"{summary['version']}; {summary['num_examples']} pictures, "
        f"{summary['num_skipped']} skipped)"
    )
    return "\n".join(lines)


def _summarize(
    suite: Suite, baseline: Evaluation, evaluations: Sequence[Evaluation]
) -> dict[str, Any]:
    whole = baseline.summarize()
    conditions = []
    drops: dict[str, list[float]] = {name: [] for name in suite.operations}
    for condition, evaluation in zip(suite.conditions, evaluations, strict=True):
        own = evaluation.summarize()
        conditions.append(
            {
                "operation": condition.operation,
                "strength": condition.strength,
                **{name: own[name] for name in metrics.BINARY_METRICS},
            }
        )
        if condition.strength != MIX:
            drops[condition.operation].append(whole["auc"] - own["auc"])
    return {
        "suite": suite.name,
        "version": suite.version,
        "seed": suite.seed,
        "threshold": whole["threshold"],
        **{name: whole[name] for name in _COUNTS},
        "mean_auc_drop": _mean([drop for own in drops.values() for drop in own]),
        "mean_auc_drop_by_operation": {name: _mean(own) for name, own in drops.items()},
        "baseline": {name: whole[name] for name in metrics.BINARY_METRICS},
        "conditions": conditions,
    }


def _by_operation(summary: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of the conditions, by operation in their order."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in summary["conditions"]:
        rows.setdefault(row["operation"], []).append(row)
    return rows


def _strength(row: Mapping[str, Any]) -> str:
    return MIX if row["strength"] == MIX else f"{row['strength']:g}"


def _write_cell(
    axes: "Axes", centre: tuple[float, float], strength: str, auc: str
) -> None:
    axes.annotate(
        strength,
        centre,
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7.5,
        color=canvas.INK,
    )
    axes.annotate(
        auc,
        centre,
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=10,
        color=canvas.INK,
        fontweight="bold",
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _draw_panel(
    axes: "Axes",
    operation: str,
    rows: Sequence[Mapping[str, Any]],
    baseline: float,
    drop: float,
) -> None:
    kind = OPERATIONS[operation]
    canvas.style(axes)
    axes.set_title(kind.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_title(
        f"mean drop {100 * drop:z.1f} points",
        loc="right",
        fontsize=9,
        color=canvas.GREY,
    )
    axes.axhline(
        baseline,
        color=canvas.GREY,
        linestyle="--",
        linewidth=1.4,
        label=f"unperturbed {baseline:.3f}",
    )
    single = [row["auc"] for row in rows if row["strength"] != MIX]
    mixed = [row["auc"] for row in rows if row["strength"] == MIX]
    axes.plot(
        range(len(single)),
        single,
        color=canvas.FAKE_COLOUR,
        marker="o",
        linewidth=2.2,
        clip_on=False,
    )
    axes.plot(
        range(len(single), len(rows)),
        mixed,
        color=canvas.REAL_COLOUR,
        marker="D",
        linestyle="none",
        clip_on=False,
    )
    axes.set_xticks(range(len(rows)), [_strength(row) for row in rows])
    axes.set_xlabel(kind.strength_name)
