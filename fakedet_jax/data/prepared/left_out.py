# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of a split that gave no face, read from the manifest of a prepared dataset.

They belong to the protocol: a dataset of which only the easy files gave faces flatters
every detector.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from fakedet_jax.errors import RequestError

MANIFEST = "manifest.csv"
WRITTEN = "written"


class LeftOut(NamedTuple):
    """A file without a face in the dataset.

    Attributes:
        path: Its path, relative to the data folder.
        reason: Why it gave none.
        class_name: Its class.
    """

    path: str
    reason: str
    class_name: str


def read(data_dir: str | Path, split: str) -> list[LeftOut]:
    """Reads which files of a split gave no face.

    Args:
        data_dir: The folder of the prepared dataset.
        split: `train`, `validation`, `test` or `all`.

    Returns:
        The files in the order of the manifest, each with its first reason; nothing if
        the folder has no manifest.

    Raises:
        RequestError: The manifest cannot be read.
    """
    path = Path(data_dir) / MANIFEST
    if not path.is_file():
        return []
    found: dict[str, LeftOut] = {}
    written: set[str] = set()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if split not in ("all", row["split"]):
                    continue
                name = row["path"]
                if row["status"] == WRITTEN:
                    written.add(name)
                elif name not in written and name not in found:
                    found[name] = LeftOut(name, row["reason"], row["class"])
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(
            f"{str(path)!r}: expected the manifest that `mode=prepare` wrote, found "
            "something else; prepare the dataset again"
        ) from error
    return [entry for name, entry in found.items() if name not in written]
