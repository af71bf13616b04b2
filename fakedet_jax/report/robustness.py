# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the results of a robustness suite: tables, numbers and two figures.

References:
    R. Wang et al., IJCAI 2020 (arXiv:1909.06122), Fig. 4: AUC against intensity.
    Z. Guo et al., Fake face detection via adaptive manipulation traces extraction
    network, CVIU 2021, Table IX: a table of operations and strengths.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax.evaluation import delong, metrics
from fakedet_jax.faces import colours
from fakedet_jax.perturb.perturbation import MIX, OPERATIONS
from fakedet_jax.perturb.suites import Suite
from fakedet_jax.report import canvas, html
from fakedet_jax.report.evaluation import Evaluation, rows_without_score
from fakedet_jax.report.text_table import text_table
from fakedet_jax.report.wording import minus
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The name, in tables, of the condition without a perturbation.
UNPERTURBED = "none"

_COUNTS = ("num_examples", "num_skipped")
# Changes of the AUC in points and their colours. They are the same for all runs, so
# that heat maps can be compared by eye.
_SCALE = (
    (-20.0, "#8a3c00"),
    (-12.0, colours.FAKE),
    (0.0, "#f1f2f4"),  # not white, like the page
    (5.0, "#86bcdc"),  # colours.REAL, paler
)
# Up to this change, white is easier to read than black.
_DARK_CHANGE = -12.0
# The heat map is as wide as this many columns, or wider.
_LEAST_COLUMNS = 5
# The distance of the column of mixes from the others.
_GAP = 0.25


def write_robustness(
    folder: Path,
    suite: Suite,
    baseline: Evaluation,
    evaluations: Sequence[Evaluation],
    *,
    title: str,
    config: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Writes the results of a suite as tables, numbers and figures.

    The files are `robustness.csv` (one row for the unperturbed pictures and one for
    each condition), `skipped.csv`, `robustness.png`, `robustness_heatmap.png`,
    `report.html` and, last, `robustness.json`: a folder that contains it is complete.
    Each file is written whole or not at all.

    Args:
        folder: the folder; it is created if missing, and files of the same names are
            replaced.
        suite: the conditions.
        baseline: the evaluation of the unperturbed pictures, real and fake.
        evaluations: one for each condition, of the same pictures.
        title: the heading of the figures, such as the detector and the dataset.
        config: settings that the page lists, name to value.

    Returns:
        The content of `robustness.json`: `suite`, `version`, `seed`, `threshold`,
        `reading` (of the classes), `num_examples`, `num_skipped`; `baseline` with the
        eight metrics; `conditions`, each with `operation`, `strength`, the metrics and
        `auc_change`; where pictures are no frames of videos, `auc_interval` of each and
        `auc_change_interval` (see `evaluation.delong`); `mean_auc_drop`, the mean over
        the conditions of the baseline's AUC minus theirs; and
        `mean_auc_drop_by_operation`. The strength "mix" means that a strength, and for
        the operation "mix" also an operation, was drawn for each picture. Mixes repeat
        other conditions, so means do not include them.

    Raises:
        ValueError: The numbers of conditions and evaluations differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A measurement that is repeated is incomplete until it has finished again.
    (folder / "robustness.json").unlink(missing_ok=True)
    summary = _summarize(suite, baseline, evaluations)
    counts = [summary[name] for name in _COUNTS]
    names = ("operation", "strength", *metrics.BINARY_METRICS)
    rows = [{"operation": UNPERTURBED, "strength": "", **summary["baseline"]}]
    storage.write_csv(
        folder / "robustness.csv",
        (*names, *_COUNTS),
        (
            [*(row[name] for name in names), *counts]
            for row in [*rows, *summary["conditions"]]
        ),
    )
    skipped = ((path, reason) for path, reason, _ in rows_without_score(baseline))
    storage.write_csv(folder / "skipped.csv", ("path", "reason"), skipped)
    drawn = []
    for name, panel in _panels(summary, title).items():
        drawn.append((panel, canvas.render(panel.figure)))
        storage.write_bytes(folder / f"{name}.png", drawn[-1][1])
    page = _page(summary, title, drawn, config or {})
    storage.write_text(folder / "report.html", page)
    storage.write_json(folder / "robustness.json", summary)
    return summary


def _panels(summary: Mapping[str, Any], title: str) -> dict[str, html.Panel]:
    return {
        "robustness": html.Panel(
            "AUC against strength",
            robustness_figure(summary, title=title),
            "One panel for each operation, mostly from mild to severe. The dashed line "
            "is the AUC of the unperturbed pictures.",
        ),
        "robustness_heatmap": html.Panel(
            "Change of the AUC",
            robustness_heatmap(summary, title=title),
            "Each cell has its strength above its AUC in per cent. The colours are the "
            "same for every detector.",
        ),
    }


def _page(
    summary: Mapping[str, Any],
    title: str,
    panels: Sequence[tuple[html.Panel, bytes]],
    config: Mapping[str, object],
) -> str:
    rows = [
        {
            "auc_interval": None,
            "auc_change_interval": None,
            **row,
            "title": "Everything"
            if row["operation"] == MIX
            else OPERATIONS[row["operation"]].title,
            "strength": _strength(row),
        }
        for row in summary["conditions"]
    ]
    return html.render(
        "robustness.html.j2",
        title=f"{title}: robustness",
        summary=summary,
        baseline={"auc_interval": None, **summary["baseline"]},
        rows=rows,
        worst=min(rows, key=lambda row: row["auc_change"], default=None),
        has_mixes=_has_mixes(summary),
        panels=html.embed(panels),
        percent=html.percent,
        points=html.points,
        config=config,
    )


def robustness_figure(summary: Mapping[str, Any], *, title: str) -> "Figure":
    """Draws AUC against intensity, one panel for each operation.

    Strengths are evenly spaced, whatever their values, in the order of the suite, which
    is mostly from mild to severe. The mix of an operation's strengths stands apart at
    the right, and a line shows the mix of everything.

    Args:
        summary: as `write_robustness` returns it.
        title: the heading.

    Returns:
        The figure.
    """
    rows = _by_operation(summary)
    overall = rows.pop(MIX, [])
    baseline = summary["baseline"]["auc"]
    values = [baseline, *(row["auc"] for row in summary["conditions"])]
    num_columns = min(len(rows), 2)
    num_rows = math.ceil(len(rows) / 2)
    figure = canvas.figure((2.8 + 3.0 * num_columns, 1.1 + 2.9 * num_rows))
    panels = figure.subplots(num_rows, num_columns, sharey=True, squeeze=False)
    # One of two fixed ranges, so that figures of several runs can be compared by eye.
    panels[0, 0].set_ylim(0.5 if min(values) >= 0.5 else 0, 1.01)
    levels = [(baseline, "--", f"unperturbed {baseline:.3f}")]
    levels += [
        (row["auc"], ":", f"mix of everything {row['auc']:.3f}") for row in overall
    ]
    for axes, (operation, own) in zip(panels.flat, rows.items(), strict=False):
        drop = summary["mean_auc_drop_by_operation"][operation]
        _draw_panel(axes, operation, own, drop)
        for auc, line, label in levels:
            axes.axhline(
                auc,
                color=canvas.GREY,
                linestyle=line,
                linewidth=1.4,
                label=label,
                zorder=1,
            )
    for axes in panels[:, 0]:
        axes.set_ylabel("AUC")
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    canvas.legend_beneath(figure, panels[0, 0], "outside lower left")
    _write_heading(figure, f"AUC under perturbation: {title}")
    return figure


def robustness_heatmap(summary: Mapping[str, Any], *, title: str) -> "Figure":
    """Draws the change of every condition, one row for each operation.

    A cell shows the strength and, below it, the AUC in per cent. Its colour is the
    change, blue for a gain, on a scale that is the same for every run and clipped at
    its ends. The last column holds the mixes.

    Args:
        summary: as `write_robustness` returns it.
        title: the heading.

    Returns:
        The figure.
    """
    least, most = _SCALE[0][0], _SCALE[-1][0]
    stops = [((value - least) / (most - least), name) for value, name in _SCALE]
    rows = _by_operation(summary)
    num_singles = max(len(_split_mixes(row)[0]) for row in rows.values())
    edges = [*range(num_singles + 1)]
    if _has_mixes(summary):
        edges += [num_singles + _GAP, num_singles + _GAP + 1]
    num_columns = max(edges[-1], _LEAST_COLUMNS)
    changes = np.full((len(rows), len(edges) - 1), np.nan)
    figure = canvas.figure((3.0 + 0.72 * num_columns, 1.9 + 0.57 * len(rows)))
    axes = figure.subplots()
    baseline = summary["baseline"]["auc"]
    for place, (operation, row) in enumerate(rows.items()):
        _label_row(axes, operation, place)
        single, mixed = _split_mixes(row)
        columns = [*range(len(single)), *[len(edges) - 2] * len(mixed)]
        for column, one in zip(columns, [*single, *mixed], strict=True):
            changes[place, column] = 100 * one["auc_change"]
            is_dark = changes[place, column] <= _DARK_CHANGE
            centre = (edges[column] + 0.5, place + 0.5)
            colour = "white" if is_dark else canvas.INK
            look: dict[str, Any] = {"colour": colour, "fontweight": "bold"}
            auc = f"{100 * one['auc']:.1f}"
            canvas.write(axes, auc, centre, shift=(0, 2), va="top", **look)
            look |= {"size": 7.5, "fontweight": "normal"}
            strength = _strength(one)
            canvas.write(axes, strength, centre, shift=(0, 4), va="bottom", **look)
    drawn = axes.pcolormesh(
        edges,
        range(len(rows) + 1),
        np.ma.masked_invalid(changes),
        cmap=canvas.colours(*stops),
        vmin=least,
        vmax=most,
        edgecolors="white",
        linewidth=2,
    )
    axes.set(xlim=(0, num_columns), xticks=[], yticks=[])
    axes.invert_yaxis()
    canvas.hide_frame(axes)
    canvas.colour_bar(
        figure,
        axes,
        drawn,
        f"change from {100 * baseline:.1f} (unperturbed), points of AUC",
        location="bottom",
        anchor=(0, 0),
        shrink=_LEAST_COLUMNS / num_columns,
        aspect=22,
        pad=0.03,
        extend="both",
        ticks=range(int(least), int(most) + 1, 5),
    )
    _write_heading(figure, f"AUC in % under perturbation: {title}")
    return figure


def robustness_table(summary: Mapping[str, Any]) -> str:
    """Formats the AUC and the accuracy of every condition for a terminal.

    Args:
        summary: as `write_robustness` returns it.

    Returns:
        Lines of text: the heading, the unperturbed pictures, one line for each
        condition, and the mean change.
    """
    baseline = summary["baseline"]
    rows = [
        ("perturbation", "strength", "AUC", "change", "accuracy"),
        (UNPERTURBED, "", f"{baseline['auc']:.4f}", "", f"{baseline['accuracy']:.4f}"),
    ]
    rows += [
        (
            row["operation"],
            _strength(row),
            f"{row['auc']:.4f}",
            f"{row['auc_change']:+.4f}",
            f"{row['accuracy']:.4f}",
        )
        for row in summary["conditions"]
    ]
    mean = (
        f"mean change of the AUC {-summary['mean_auc_drop']:+.4f}"
        f"{', without mixes' if _has_mixes(summary) else ''} ({summary['suite']}, "
        f"version {summary['version']}; {summary['num_examples']} pictures, "
        f"{summary['num_skipped']} skipped)"
    )
    return "\n".join([*text_table(rows), mean])


def _summarize(
    suite: Suite, baseline: Evaluation, evaluations: Sequence[Evaluation]
) -> dict[str, Any]:
    whole = baseline.summarize()
    # Frames of one video are not independent.
    has_intervals = baseline.videos is None
    conditions = []
    drops: dict[str, list[float]] = {name: [] for name in suite.operations}
    for condition, evaluation in zip(suite.conditions, evaluations, strict=True):
        own = evaluation.summarize()
        conditions.append(
            {
                "operation": condition.operation,
                "strength": condition.strength,
                **{name: own[name] for name in metrics.BINARY_METRICS},
                "auc_change": own["auc"] - whole["auc"],
            }
        )
        if has_intervals:
            conditions[-1] |= _intervals(baseline, evaluation)
        if condition.strength != MIX:
            drops[condition.operation].append(whole["auc"] - own["auc"])
    return {
        "suite": suite.name,
        "version": suite.version,
        "seed": suite.seed,
        "threshold": whole["threshold"],
        "reading": baseline.reading,
        **{name: whole[name] for name in _COUNTS},
        "mean_auc_drop": statistics.fmean(
            [drop for own in drops.values() for drop in own]
        ),
        "mean_auc_drop_by_operation": {
            name: statistics.fmean(own) for name, own in drops.items()
        },
        "baseline": {
            **{name: whole[name] for name in metrics.BINARY_METRICS},
            **({"auc_interval": _interval(baseline)} if has_intervals else {}),
        },
        "conditions": conditions,
    }


def _interval(evaluation: Evaluation) -> list[float] | None:
    ends = delong.auc_interval(evaluation.fake, evaluation.evidence)
    return None if ends is None else list(ends)


def _intervals(baseline: Evaluation, evaluation: Evaluation) -> dict[str, Any]:
    """The intervals of a condition, in which each picture is its own control."""
    found = delong.difference_interval(
        baseline.fake, baseline.evidence, evaluation.evidence
    )
    return {
        "auc_interval": _interval(evaluation),
        "auc_change_interval": None if found is None else list(found[1]),
    }


def _has_mixes(summary: Mapping[str, Any]) -> bool:
    return any(row["strength"] == MIX for row in summary["conditions"])


def _by_operation(summary: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Groups the conditions by operation, in the order of the suite."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in summary["conditions"]:
        rows.setdefault(row["operation"], []).append(row)
    return rows


def _strength(row: Mapping[str, Any]) -> str:
    return MIX if row["strength"] == MIX else f"{row['strength']:g}"


def _split_mixes(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Separates conditions of one strength from mixes."""
    single = [row for row in rows if row["strength"] != MIX]
    return single, [row for row in rows if row["strength"] == MIX]


def _write_heading(figure: "Figure", text: str) -> None:
    canvas.heading(figure, canvas.plain(text, canvas.letters(figure)))


def _label_row(axes: "Axes", operation: str, place: int) -> None:
    """Writes the name of an operation and, smaller, the meaning of its strengths."""
    title, explanation = "Everything", "operation and strength drawn"
    if operation != MIX:
        kind = OPERATIONS[operation]
        title, explanation = kind.title, kind.strength_name
    at = (0, place + 0.5)
    canvas.write(axes, title, at, shift=(-8, 1), ha="right", va="bottom")
    look: dict[str, Any] = {"size": 8, "colour": canvas.GREY}
    canvas.write(axes, explanation, at, shift=(-8, -1), ha="right", va="top", **look)


def _draw_panel(
    axes: "Axes", operation: str, rows: Sequence[Mapping[str, Any]], drop: float
) -> None:
    kind = OPERATIONS[operation]
    canvas.style(axes)
    axes.set_title(kind.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_title(
        f"mean change {minus(f'{-100 * drop:+z.1f}')} points",
        loc="right",
        fontsize=9,
        color=canvas.GREY,
    )
    single, mixed = _split_mixes(rows)
    axes.plot(
        range(len(single)),
        [row["auc"] for row in single],
        color=colours.FAKE,
        marker="o",
        linewidth=2.2,
        clip_on=False,
        label="one strength",
    )
    # A line without points has an infinite bounding box, which breaks the layout.
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
