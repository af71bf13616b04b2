# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Camera settings in a CSV file of the user, for pictures without EXIF data.

The first line names the columns `path,iso,aperture,exposure_time,focal_length`, in the
units of `exif.ExifTags`: the exposure time is in seconds, such as 0.004. Paths are
relative to the data folder, with forward slashes. Empty cells are missing settings.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from fakedet_jax.data import scan
from fakedet_jax.errors import RequestError
from fakedet_jax.media.exif import PLAUSIBLE, TAGS
from fakedet_jax.runtime import tables

COLUMNS = ("path", *TAGS)

_UNITS = {"exposure_time": " of seconds", "focal_length": " of millimetres"}


def read(
    path: Path, photographs: Collection[str], data_dir: Path
) -> dict[str, tuple[float, ...]]:
    """Reads a CSV file of camera settings.

    Args:
        path: The file, of the form that the module describes.
        photographs: Paths of the photographs that may have lines.
        data_dir: The data folder, for messages.

    Returns:
        For each path the settings in the order of `exif.TAGS`, rounded to float32; NaN
        where missing.

    Raises:
        RequestError: The file is missing or a line is not valid; the message names the
            first such line.
    """
    found: dict[str, tuple[float, ...]] = {}
    rows = tables.read_records(
        path, COLUMNS, if_missing="give the CSV file of camera settings as `tags`"
    )
    for line, row in rows:
        where = f"{str(path)!r}, line {line}"
        name = scan.listed_path(row["path"], where)
        if name in found:
            raise RequestError(
                f"{where}: expected each photograph once, found {name!r} again; remove "
                "one line"
            )
        if name not in photographs:
            raise RequestError(
                f"{where}: expected a photograph of the dataset below "
                f"`data_dir={str(data_dir)!r}`, found {name!r}, which is not one; "
                "correct the path or remove the line"
            )
        found[name] = _to_tags(row, where)
    if not found:
        raise RequestError(
            f"{str(path)!r}: expected lines of camera settings, found none"
        )
    return found


def _to_tags(row: Mapping[str, str], where: str) -> tuple[float, ...]:
    values = [_to_number(row[name].strip(), name, where) for name in TAGS]
    return tuple(np.array(values, np.float32).tolist())


def _to_number(text: str, column: str, where: str) -> float:
    if not text:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    low, high = PLAUSIBLE[column]
    # No comparison holds for NaN.
    if not low <= number <= high:
        raise RequestError(
            f"{where}: expected a number{_UNITS.get(column, '')} from {low:g} to "
            f"{high:g} in the column {column}, or nothing, found {text!r}"
        )
    return number
