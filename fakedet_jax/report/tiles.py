# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The numbers of the page: a tile for each metric, a row for each manipulation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fakedet_jax.evaluation import metrics
from fakedet_jax.report.markup import code, percent


class ClassRow(NamedTuple):
    """A class: its size, and how many of its pictures were decided fake."""

    name: str
    is_fake: bool
    num_examples: int
    num_decided_fake: int


class _Tile(NamedTuple):
    """A metric; `total` pictures make up its denominator, 0 if it is no proportion."""

    title: str
    key: str
    total: int
    note: str


def metric_tiles(summary: Mapping[str, Any], class_rows: Sequence[ClassRow]) -> str:
    """Shows each metric with the interval that it has, or what it means.

    Args:
        summary: The content of `metrics.json`.
        class_rows: One row for every class.

    Returns:
        A section of the page.
    """
    total = summary["num_examples"]
    num_fake = sum(row.num_examples for row in class_rows if row.is_fake)
    by_frame = " (frames)" if "num_videos" in summary else ""
    tiles = [
        _Tile(f"Accuracy{by_frame}", "accuracy", total, "decided correctly"),
        _Tile(f"AUC{by_frame}", "auc", 0, "ranking, whatever the threshold"),
        _Tile("Average precision", "average_precision", 0, "ranking of the alarms"),
        _Tile("False positive rate", "fpr", total - num_fake, "real called fake"),
        _Tile("False negative rate", "fnr", num_fake, "fakes missed"),
        _Tile("Precision", "precision", 0, "alarms that are right"),
        _Tile("Recall", "recall", num_fake, "fakes found"),
        _Tile("F1", "f1", 0, "precision and recall in one"),
    ]
    if by_frame:
        num_videos = summary["num_videos"]
        note = f"mean scores of {num_videos:,} videos"
        tiles[2:2] = [
            _Tile("AUC (videos)", "video_auc", 0, note),
            _Tile("Accuracy (videos)", "video_accuracy", num_videos, note),
        ]
    if "multiclass_accuracy" in summary:
        own = _Tile("Class accuracy", "multiclass_accuracy", total, "right class")
        tiles.insert(1, own)
    cells = [
        f'<div class="tile"><dt>{tile.title}</dt><dd><b>{percent(summary[tile.key])}'
        f"</b><span>{_range(summary, tile) or tile.note}</span></dd></div>"
        for tile in tiles
    ]
    many = "pictures there are."
    if by_frame:
        many = "videos there are; frames of one are alike, so it counts once."
    return (
        f'<section><dl class="tiles">{"".join(cells)}</dl>\n'
        '<p class="note">Ranges are 95 % confidence intervals: where the number '
        f"could lie, given how few or many {many} A dash marks a number "
        "that these pictures do not define.</p></section>"
    )


def manipulation_table(summary: Mapping[str, Any]) -> str:
    """Shows how each manipulation is told from all real pictures.

    Args:
        summary: The content of `metrics.json`.

    Returns:
        A section of the page, or nothing where there are not several.
    """
    rows = summary.get("manipulations", ())
    if not rows:
        return ""
    has_videos = "num_videos" in summary
    numbers = ["Fakes"]
    numbers += ["AUC (frames)", "AUC (videos)"] if has_videos else ["AUC"]
    numbers += ["Average precision", "Accuracy", "Found"]
    head = "".join(f'<th class="number">{title}</th>' for title in numbers)
    keys = ["auc", "video_auc"] if has_videos else ["auc"]
    keys += ["average_precision", "accuracy", "recall"]
    lines = []
    for row in rows:
        cells = [f"{row['num_fake']:,}", *(percent(row[key]) for key in keys)]
        shown = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        lines.append(f"<tr><td>{code(row['name'])}</td>{shown}</tr>")
    return (
        "<section><h2>Manipulation by manipulation</h2>\n"
        '<p class="note">The fakes of one manipulation against all real pictures.</p>\n'
        '<div class="scroll"><table><thead><tr><th>Manipulation</th>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div></section>"
    )


def _range(summary: Mapping[str, Any], tile: _Tile) -> str:
    """The interval that was found by resampling, or that of a proportion."""
    value = summary[tile.key]
    ends = summary.get(f"{tile.key}_interval")
    # Frames of one video are no independent trials; videos are.
    is_proportion = tile.total and (
        "num_videos" not in summary or tile.key == "video_accuracy"
    )
    if ends is None and value is not None and is_proportion:
        ends = metrics.wilson_interval(round(value * tile.total), tile.total)
    return "" if ends is None else f"{percent(ends[0])} to {percent(ends[1])}"
