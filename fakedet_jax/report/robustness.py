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

from fakedet_jax.evaluation import metrics
from fakedet_jax.perturb.perturbation import MIX, OPERATIONS
from fakedet_jax.perturb.suites import Suite
from fakedet_jax.report import canvas
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.report.markup import minus
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The operation of the pictures as they are, in tables.
UNPERTURBED = "none"

_COUNTS = ("num_examples", "num_skipped")
# Drops in points of AUC and their colours, the same for all runs: two heat-maps can be
# compared by eye. A negative drop is a gain; no drop is not white, as the page is.
_SCALE = (
    (-5.0, "#86bcdc"),  # canvas.REAL_COLOUR, paler
    (0.0, "#f1f2f4"),
    (12.0, canvas.FAKE_COLOUR),
    (20.0, "#8a3c00"),
)
# From this drop on, white is easier to read than black.
_DARK_DROP = 12.0
# Columns of the heat-map that there is room for, and what sets the mixes apart.
_LEAST_COLUMNS = 5
_GAP = 0.25
# Of a heading, so many fit.
_LETTERS_PER_INCH = 9


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
    rows = [(UNPERTURBED, "", summary["baseline"])]
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
    """Draws AUC against intensity, a panel for each operation.

    Strengths are in the order of the suite, so mostly from mild to severe. They are not
    evenly spaced; their places on the axis are. What their mix gives stands apart at
    the right, and a line shows the mix of everything.

    Args:
        summary: as `write_robustness` returns it.
        title: the heading.

    Returns:
        A PNG file.
    """
    rows = _by_operation(summary)
    overall = rows.pop(MIX, [])
    baseline = summary["baseline"]["auc"]
    values = [baseline, *(row["auc"] for row in summary["conditions"])]
    num_columns = min(len(rows), 2)
    num_rows = math.ceil(len(rows) / 2)
    width = 2.8 + 3.0 * num_columns
    figure = canvas.figure((width, 1.1 + 2.9 * num_rows))
    panels = figure.subplots(num_rows, num_columns, sharey=True, squeeze=False)
    # One of two fixed ranges: figures of several runs can be compared by eye.
    panels[0, 0].set_ylim(0.5 if min(values) >= 0.5 else 0, 1.01)
    for axes, (operation, own) in zip(panels.flat, rows.items(), strict=False):
        drop = summary["mean_auc_drop_by_operation"][operation]
        _draw_panel(axes, operation, own, drop)
        _draw_level(axes, baseline, "--", f"unperturbed {baseline:.3f}")
        for row in overall:
            _draw_level(axes, row["auc"], ":", f"mix of everything {row['auc']:.3f}")
    for axes in panels[:, 0]:
        axes.set_ylabel("AUC")
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    # Below all panels: within one it would lie on a curve.
    figure.legend(
        handles, labels, loc="outside lower left", ncols=len(labels), frameon=False
    )
    _write_heading(figure, f"AUC under perturbation: {title}", width)
    return canvas.render(figure)


def robustness_heatmap(summary: Mapping[str, Any], *, title: str) -> bytes:
    """Draws the drop of every condition: a row for each operation, then its mix.

    A cell shows the strength and, below, the AUC in per cent; its colour is the drop,
    blue for a gain, on a scale that is the same for every run and clipped at its ends.

    Args:
        summary: as `write_robustness` returns it.
        title: the heading.

    Returns:
        A PNG file.
    """
    from matplotlib.colors import LinearSegmentedColormap

    least, most = _SCALE[0][0], _SCALE[-1][0]
    colours = [((drop - least) / (most - least), name) for drop, name in _SCALE]
    rows = _by_operation(summary)
    singles, _ = zip(*map(_split_mixes, rows.values()), strict=True)
    num_singles = max(map(len, singles))
    edges = [*range(num_singles + 1)]
    if any(row["strength"] == MIX for row in summary["conditions"]):
        edges += [num_singles + _GAP, num_singles + _GAP + 1]
    num_columns = max(edges[-1], _LEAST_COLUMNS)
    drops = np.full((len(rows), len(edges) - 1), np.nan)
    width = 3.0 + 0.72 * num_columns
    figure = canvas.figure((width, 1.9 + 0.57 * len(rows)))
    axes = figure.subplots()
    baseline = summary["baseline"]["auc"]
    for place, row in enumerate(rows.values()):
        single, mixed = _split_mixes(row)
        columns = [*range(len(single)), *[len(edges) - 2] * len(mixed)]
        for column, one in zip(columns, [*single, *mixed], strict=True):
            drops[place, column] = 100 * (baseline - one["auc"])
            centre = (edges[column] + 0.5, place + 0.5)
            is_dark = drops[place, column] >= _DARK_DROP
            colour = "white" if is_dark else canvas.INK
            texts = (_strength(one), f"{100 * one['auc']:.1f}")
            _write_cell(axes, centre, texts, colour)
    drawn = axes.pcolormesh(
        edges,
        range(len(rows) + 1),
        np.ma.masked_invalid(drops),
        cmap=LinearSegmentedColormap.from_list("drop", colours),
        vmin=least,
        vmax=most,
        edgecolors="white",
        linewidth=2,
    )
    _label_rows(axes, list(rows))
    axes.set_xlim(0, num_columns)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(
        drawn,
        ax=axes,
        location="bottom",
        anchor=(0, 0),
        shrink=_LEAST_COLUMNS / num_columns,
        aspect=22,
        pad=0.03,
        extend="both",
        ticks=range(int(least), int(most) + 1, 5),
    )
    bar.set_label(f"drop from {100 * baseline:.1f} (unperturbed), points of AUC")
    bar.outline.set_visible(False)
    _write_heading(figure, f"AUC in % under perturbation: {title}", width)
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
        f"{UNPERTURBED:16s} {'':8s} {baseline:7.4f} {'':8s} "
        f"{summary['baseline']['accuracy']:9.4f}",
    ]
    lines += [
        f"{row['operation']:16s} {_strength(row):>8s} {row['auc']:7.4f} "
        f"{row['auc'] - baseline:+8.4f} {row['accuracy']:9.4f}"
        for row in summary["conditions"]
    ]
    has_mixes = any(row["strength"] == MIX for row in summary["conditions"])
    lines.append(
        f"mean AUC drop {summary['mean_auc_drop']:.4f}"
        f"{', mixes not counted' if has_mixes else ''} ({summary['suite']}, version "
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


def _split_mixes(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Those of one strength, and those of a mix."""
    single = [row for row in rows if row["strength"] != MIX]
    return single, [row for row in rows if row["strength"] == MIX]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _write_heading(figure: "Figure", text: str, width: float) -> None:
    canvas.heading(figure, canvas.plain(text, int(_LETTERS_PER_INCH * width)))


def _label_rows(axes: "Axes", operations: Sequence[str]) -> None:
    """Writes what a row is and, smaller, what its strengths mean."""
    axes.set_xticks([])
    axes.set_yticks([])
    for place, name in enumerate(operations):
        if name == MIX:
            title, explanation = "Everything", "operation and strength drawn"
        else:
            title = OPERATIONS[name].title
            explanation = OPERATIONS[name].strength_name
        for text, shift, above, size, colour in (
            (title, 1, "bottom", 10, canvas.INK),
            (explanation, -1, "top", 8, canvas.GREY),
        ):
            axes.annotate(
                text,
                (0, place + 0.5),
                xytext=(-8, shift),
                textcoords="offset points",
                ha="right",
                va=above,
                fontsize=size,
                color=colour,
                annotation_clip=False,
            )


def _write_cell(
    axes: "Axes", centre: tuple[float, float], texts: tuple[str, str], colour: str
) -> None:
    """Writes the strength and, below, the AUC."""
    strength, auc = texts
    for text, shift, above, size, weight in (
        (strength, 4, "bottom", 7.5, "normal"),
        (auc, 2, "top", 10, "bold"),
    ):
        axes.annotate(
            text,
            centre,
            xytext=(0, shift),
            textcoords="offset points",
            ha="center",
            va=above,
            fontsize=size,
            color=colour,
            fontweight=weight,
        )


def _draw_panel(
    axes: "Axes", operation: str, rows: Sequence[Mapping[str, Any]], drop: float
) -> None:
    kind = OPERATIONS[operation]
    canvas.style(axes)
    axes.set_title(kind.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_title(
        f"mean drop {minus(f'{100 * drop:z.1f}')} points",
        loc="right",
        fontsize=9,
        color=canvas.GREY,
    )
    single, mixed = _split_mixes(rows)
    axes.plot(
        range(len(single)),
        [row["auc"] for row in single],
        color=canvas.FAKE_COLOUR,
        marker="o",
        linewidth=2.2,
        clip_on=False,
        label="one strength",
    )
    # A line without points would have an endless bounding box, which ends the layout.
    if mixed:
        axes.plot(
            range(len(single), len(rows)),
            [row["auc"] for row in mixed],
            color=canvas.INK,
            marker="D",
            linestyle="none",
            clip_on=False,
            label="mix of the strengths",
        )
    axes.set_xticks(range(len(rows)), [_strength(row) for row in [*single, *mixed]])
    axes.set_xlim(-0.3, len(rows) - 0.7)
    axes.set_xlabel(kind.strength_name)


def _draw_level(axes: "Axes", auc: float, line: str, label: str) -> None:
    axes.axhline(
        auc, color=canvas.GREY, linestyle=line, linewidth=1.4, label=label, zorder=1
    )
