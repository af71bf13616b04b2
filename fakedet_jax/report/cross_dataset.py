# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the results of one detector on several datasets: tables and a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax.evaluation import bootstrap, metrics, protocol
from fakedet_jax.faces import colours
from fakedet_jax.report import canvas
from fakedet_jax.report.evaluation import Evaluation
from fakedet_jax.report.text_table import (
    csv_cells,
    markdown_table,
    number,
    number_in,
    text_table,
)
from fakedet_jax.report.wording import printable
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARK = "*"
# What the row of all datasets is called; no folder name has brackets and a space.
POOLED = "(all together)"

_METRICS = (
    *("accuracy", "auc", "video_auc", "average_precision"),
    *("fpr", "fnr", "equal_error_rate"),
)
# The entries of a row of `cross_dataset.json`; None if they are not known.
_ENTRIES = (
    *("name", "dataset", "split", "trained_on", "in_domain", "data_dir"),
    *("num_examples", "num_skipped", "num_videos"),
    *(key for name in _METRICS for key in (name, f"{name}_interval")),
    "reason",
)
_HEADINGS = {
    "accuracy": "accuracy",
    "auc": "AUC (frames)",
    "video_auc": "AUC (videos)",
    "average_precision": "AP",
    "fpr": "false alarms",
    "fnr": "misses",
    "equal_error_rate": "EER",
}

# For frames and for videos: the distance of the mark from the middle of the row, and
# its style.
_LOOKS: dict[str, tuple[float, dict[str, Any]]] = {
    "auc": (-0.13, {"color": colours.FAKE, "marker": "o", "markersize": 8}),
    "video_auc": (0.13, {"color": canvas.INK, "marker": "D", "markersize": 7}),
}
# In inches.
_WIDTH, _ROW, _MARGINS = 8.6, 0.62, 1.5


def write_cross_dataset(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    facts: Mapping[str, Any],
    pooled: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes `cross_dataset.csv`, `.md`, `.png` and, last, `.json`.

    Args:
        folder: the folder; it is created if missing, and files of the same names are
            replaced.
        rows: at least one; for each dataset `name`, `data_dir`, `split`, `trained_on`,
            `in_domain` and the content of its `metrics.json`, or the `reason` why it
            has none.
        title: the heading of the figure and of the document.
        facts: further entries of `cross_dataset.json`.
        pooled: a result of `pooled_row`, for a last row of all datasets together.

    Returns:
        The content of `cross_dataset.json`: `title`, `interval_level`, the facts,
        `rows` and `pooled`, a row or None. A row has the columns of the CSV file, with
        intervals as `[low, high]`; values that a dataset does not define are None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A measurement that is repeated is incomplete until it has finished again.
    (folder / "cross_dataset.json").unlink(missing_ok=True)
    summary = {
        "title": title,
        "interval_level": bootstrap.LEVEL,
        **facts,
        "rows": [_entries(row) for row in rows],
        "pooled": None if pooled is None else _entries(pooled),
    }
    cells = [csv_cells(row) for row in _all_rows(summary)]
    storage.write_csv(
        folder / "cross_dataset.csv",
        list(cells[0]),
        [list(row.values()) for row in cells],
    )
    storage.write_text(folder / "cross_dataset.md", cross_dataset_markdown(summary))
    canvas.save(folder / "cross_dataset.png", cross_dataset_figure(summary))
    storage.write_json(folder / "cross_dataset.json", summary)
    return summary


def pooled_row(
    evaluations: Sequence[Evaluation], *, num_resamples: int, seed: int
) -> dict[str, Any]:
    """Measures all pictures of several datasets together, by one threshold.

    A detector whose scores are higher on one dataset than on another has a lower AUC on
    both together than on each.

    Args:
        evaluations: of the same detector, at least one.
        num_resamples: bootstrap samples of the confidence intervals; 0 for none.
        seed: of the bootstrap samples.

    Returns:
        A row for `write_cross_dataset`.
    """
    fake, scores, evidence = (
        np.concatenate([getattr(own, name) for own in evaluations])
        for name in ("fake", "scores", "evidence")
    )
    threshold = evaluations[0].threshold
    row = metrics.summarize(
        fake.astype(np.int64),
        scores,
        threshold,
        evidence=evidence,
        num_skipped=sum(len(own.skipped) for own in evaluations),
    )
    row |= {"name": POOLED, "in_domain": False}
    if num_resamples:
        groups: list[Any] = []
        for own in evaluations:
            start = 1 + max(map(int, groups[-1])) if groups else 0
            groups.append(start + own.file_numbers)
        shares = protocol.error_shares(fake, scores, threshold)
        ends_of = bootstrap.intervals(
            fake,
            scores,
            threshold,
            np.concatenate(groups),
            num_resamples=num_resamples,
            seed=seed,
            evidence=evidence,
            shares=shares,
        )
        if all(own.videos is None for own in evaluations):
            ends_of |= protocol.wilson_intervals(shares)
        row |= {
            f"{name}_interval": None if ends is None else list(ends)
            for name, ends in ends_of.items()
        }
    return row


def cross_dataset_table(summary: Mapping[str, Any]) -> str:
    """Formats the numbers as a table for a terminal.

    Args:
        summary: as `write_cross_dataset` returns it.

    Returns:
        Lines of text; remarks and failures follow the table.
    """
    return "\n".join([*text_table(_cells(summary), rule=True), *_remarks(summary)])


def cross_dataset_markdown(summary: Mapping[str, Any]) -> str:
    """Formats the numbers as a Markdown document.

    Args:
        summary: as `write_cross_dataset` returns it.

    Returns:
        The text of `cross_dataset.md`.
    """
    # A mark at the beginning of a line would begin a list.
    remarks = [
        f"- {text.replace(_MARK, chr(92) + _MARK)}" for text in _remarks(summary)
    ]
    figure = "![AUC on each dataset](cross_dataset.png)"
    table = markdown_table(_cells(summary))
    parts = [f"# {summary['title']}", "", *table, "", *remarks, "", figure]
    return "\n".join(parts) + "\n"


def cross_dataset_figure(summary: Mapping[str, Any]) -> "Figure":
    """Draws the AUC of frames and of videos with intervals, one row per dataset.

    Args:
        summary: as `write_cross_dataset` returns it.

    Returns:
        The figure.
    """
    rows = summary["rows"]
    figure, axes = canvas.titled_axes(
        canvas.plain(f"AUC on each dataset: {summary['title']}", 76),
        (_WIDTH, _MARGINS + _ROW * len(rows)),
    )
    has_videos = any(row["video_auc"] is not None for row in rows)
    ends = [0.5]
    for key, (shift, look) in _LOOKS.items():
        if key == "video_auc" and not has_videos:
            continue
        shown = [(y, row) for y, row in enumerate(rows) if row[key] is not None]
        for y, row in shown:
            interval = row[f"{key}_interval"]
            place = y + (0 if row["video_auc"] is None else shift)
            ends += [row[key], *(interval or ())]
            _draw_value(axes, row[key], interval, place, look)
        axes.plot([], [], linestyle="none", label=_HEADINGS[key], **look)
    for y, row in enumerate(rows):
        if row["auc"] is None:
            text = "not evaluated" if row["reason"] else "real and fake are needed"
            _write_beside(axes, text, (0.02, y), canvas.GREY)
    # One of two fixed ranges, so that figures of several detectors can be compared by
    # eye.
    axes.set_xlim(0.5 if min(ends) >= 0.5 else 0, 1)
    axes.axvline(0.5, **canvas.CHANCE)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    percentage = f"{100 * summary['interval_level']:.0f} %"
    note = f", with {percentage} intervals" if summary.get("num_resamples") else ""
    axes.set_xlabel(f"AUC{note}")
    canvas.legend_beneath(figure, axes, "outside lower right")
    return figure


def _entries(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row.get(key) for key in _ENTRIES}


def _all_rows(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of the datasets, and that of all of them if there is one."""
    pooled = summary.get("pooled")
    return [*summary["rows"], *([] if pooled is None else [pooled])]


def _cells(summary: Mapping[str, Any]) -> list[list[str]]:
    """Returns the table; numbers that no dataset has, have no column."""
    rows = _all_rows(summary)
    keys = [key for key in _METRICS if any(row[key] is not None for row in rows)]
    has_videos = "video_auc" in keys
    head = ["dataset", "split", "pictures", *(["videos"] if has_videos else [])]
    lines = [[*head, *(_HEADINGS[key] for key in keys)]]
    for row in rows:
        mark = _MARK if row["in_domain"] else ""
        counts = [row["num_examples"], *([row["num_videos"]] if has_videos else [])]
        lines.append(
            [
                f"{printable(row['name'])}{mark}",
                row["split"] or "",
                *(number(count, ",") for count in counts),
                *(_value(row, key) for key in keys),
            ]
        )
    return lines


def _value(row: Mapping[str, Any], key: str) -> str:
    """Formats a metric, with its interval if it is an AUC or the rate of false alarms.

    >>> _value({"auc": 0.91234, "auc_interval": [0.9, 0.925]}, "auc")
    '0.912 [0.900, 0.925]'
    """
    has_interval = key in (*_LOOKS, "fpr")
    return number_in(row[key], row[f"{key}_interval"] if has_interval else None)


def _remarks(summary: Mapping[str, Any]) -> list[str]:
    remarks = []
    if any(row["in_domain"] for row in summary["rows"]):
        seen = ""
        if summary.get("split") == "all":
            seen = ", training pictures included"
        remarks.append(f"{_MARK} the dataset that the detector was trained on{seen}")
    elif summary.get("trained_on"):
        remarks.append(f"trained on {printable(summary['trained_on'])}")
    if summary.get("num_resamples"):
        remarks.append(
            f"[low, high]: {100 * summary['interval_level']:.0f} % interval of "
            f"{summary['num_resamples']:,} resamples of videos, or of pictures if "
            "there are no videos"
        )
    return remarks + [
        printable(f"{row['name']} was not evaluated: {row['reason']}")
        for row in summary["rows"]
        if row["reason"]
    ]


def _draw_value(
    axes: "Axes",
    value: float,
    interval: Sequence[float] | None,
    place: float,
    look: Mapping[str, Any],
) -> None:
    """Draws a mark, the line of its interval, and the number at the right."""
    if interval is not None:
        axes.plot(
            interval, [place, place], color=look["color"], linewidth=2.4, clip_on=False
        )
    axes.plot([value], [place], linestyle="none", clip_on=False, zorder=3, **look)
    # Outside the axes, where no interval covers it.
    _write_beside(axes, f"{value:.3f}", (1.03, place), look["color"])


def _write_beside(
    axes: "Axes", text: str, place: tuple[float, float], colour: str
) -> None:
    """Writes text at a share of the width of the axes, in a row."""
    look: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "left"}
    canvas.write(axes, text, place, size=9, colour=colour, **look)


def _label(row: Mapping[str, Any]) -> str:
    name = canvas.plain(printable(row["name"]))
    return f"{name}\n(trained on it)" if row["in_domain"] else name
