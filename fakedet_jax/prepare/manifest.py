# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`manifest.csv`, a table with a row for every face, skipped frame and skipped file."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from fakedet_jax.data.layouts import Item
from fakedet_jax.data.prepared import left_out
from fakedet_jax.faces.extraction import WRITTEN, Row
from fakedet_jax.media.exif import TAGS
from fakedet_jax.prepare.assembly import Input, example_name, tags_of
from fakedet_jax.runtime import storage

FILE_NAME = left_out.MANIFEST
MISSING = "missing"

COLUMNS = (
    *("path", "kind", "frame", "time", "face", "status", "reason", "split", "class"),
    *("video", "identity", "manipulation", "quality", "box", "score", *TAGS, "key"),
)


def write(path: Path, inputs: Sequence[Input], missing: Sequence[str]) -> None:
    """Writes the table, atomically.

    Args:
        path: File to write; its folder exists.
        inputs: Inputs, sorted by path.
        missing: Paths that the dataset's own lists name and that do not exist; their
            rows come last.

    Raises:
        OSError: The table cannot be written.
    """
    storage.write_csv(path, COLUMNS, _rows(inputs, missing))


def _rows(inputs: Sequence[Input], missing: Sequence[str]) -> Iterator[list[str]]:
    for entry in inputs:
        staged, rows = entry.read()
        staged.close()
        for item, row in zip(entry.items(rows), rows, strict=True):
            yield _cells(item, row)
    for name in missing:
        reason = "is listed by the dataset, but does not exist"
        cells = {"path": name, "status": MISSING, "reason": reason}
        yield [cells.get(column, "") for column in COLUMNS]


def _cells(item: Item, row: Row) -> list[str]:
    return [
        item.path,
        item.kind,
        _natural(row.frame),
        _number(row.time, ".6f"),
        _natural(row.face),
        row.status,
        row.reason,
        item.split or "",
        item.class_name,
        item.video,
        ";".join(item.identities),
        item.manipulation,
        item.quality,
        " ".join(_number(value, ".2f") for value in row.box),
        _number(row.score, ".6f"),
        *(_number(value, "g") for value in tags_of(row)),
        example_name(item, row) if row.status == WRITTEN else "",
    ]


def _natural(number: int) -> str:
    return "" if number < 0 else str(number)


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)
