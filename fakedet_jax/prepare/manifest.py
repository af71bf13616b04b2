# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The table that accounts for every input file and every chosen frame."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from fakedet_jax.data.layouts import Item
from fakedet_jax.faces.extraction import WRITTEN, Row
from fakedet_jax.media.exif import TAGS
from fakedet_jax.prepare.assembly import Input, example_name
from fakedet_jax.runtime import storage

FILE_NAME = "manifest.csv"
MISSING = "missing"

COLUMNS = (
    *("path", "kind", "frame", "time", "face", "status", "reason", "split", "class"),
    *("video", "identity", "manipulation", "quality", "box", "score", *TAGS, "key"),
)


def write(path: Path, inputs: Sequence[Input], missing: Sequence[str]) -> None:
    """Writes the table, atomically.

    Args:
        path: The file; its folder exists.
        inputs: Sorted by path.
        missing: Paths of files that lists of the dataset name and that are absent;
            they come last.

    Raises:
        OSError: It cannot be written.
    """
    storage.write_csv(path, COLUMNS, _rows(inputs, missing))


def _rows(inputs: Sequence[Input], missing: Sequence[str]) -> Iterator[list[str]]:
    for entry in inputs:
        staged, rows = entry.read()
        staged.close()
        for item, row in zip(entry.items(rows), rows, strict=True):
            yield _cells(item, row)
    for name in missing:
        cells = dict.fromkeys(COLUMNS, "")
        reason = "is named by the lists of the dataset and absent"
        cells.update(path=name, status=MISSING, reason=reason)
        yield list(cells.values())


def _cells(item: Item, row: Row) -> list[str]:
    return [
        item.path,
        item.kind,
        _natural(row.frame),
        _number(row.time, 6),
        _natural(row.face),
        row.status,
        row.reason,
        item.split or "",
        item.class_name,
        item.video,
        ";".join(item.identities),
        item.manipulation,
        item.quality,
        " ".join(_number(value, 2) for value in row.box),
        _number(row.score, 6),
        *(map(_tag, row.tags) if row.tags else [""] * len(TAGS)),
        example_name(item, row) if row.status == WRITTEN else "",
    ]


def _natural(number: int) -> str:
    return "" if number < 0 else str(number)


def _tag(value: float) -> str:
    return "" if math.isnan(value) else f"{value:g}"


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
