# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a large run: what was requested, and which units are done.

`request.json` says what is computed; it is there before the first part. A unit is done
when `units/00000.json` is there and its part has the size that this file states. It is
written after the part, and both appear whole under their names, so a run can be killed
at any time and go on. Processes that share a run share nothing but this folder.
"""

import collections
import dataclasses
import hashlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax import settings
from fakedet_jax.bulk import parts
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import records, storage

REQUEST = "request.json"

_ADVICE = "name another folder"
# Reasons of a unit that are counted by themselves; the rest is counted as one.
_MAX_REASONS = 20
OTHER_REASONS = "other reasons"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a large run computes.

    Attributes:
        facts: What must be the same for the run to go on: JSON-able values by name.
        num_inputs: Number of inputs.
        unit_size: Inputs of a unit; the last one may have fewer.
        format: Of the parts, one of `parts.FORMATS`.
        columns: Names and Arrow types of the columns.
    """

    facts: dict[str, Any]
    num_inputs: int
    unit_size: int
    format: str
    columns: dict[str, str]

    @property
    def num_units(self) -> int:
        """Number of units."""
        return -(-self.num_inputs // self.unit_size)

    def inputs_of(self, unit: int) -> range:
        """The numbers of a unit's inputs, from 0."""
        start = unit * self.unit_size
        return range(start, min(start + self.unit_size, self.num_inputs))


@dataclasses.dataclass(frozen=True)
class Done:
    """What is known of a unit that is done.

    Attributes:
        part: Name of its file.
        num_rows: Rows of the part.
        errors: Number of rows without a result for each reason, the most frequent ones.
        num_bytes: Size of the part.
        sha256: Digest of the part, hex digits.
    """

    part: str
    num_rows: int
    errors: dict[str, int]
    num_bytes: int
    sha256: str


class Ledger:
    """The folder of a run that was claimed or opened.

    Attributes:
        folder: The folder.
        request: What it computes.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        """Use `claim` or `open_ledger`."""
        self.folder = folder
        self.request = request

    def part(self, unit: int) -> Path:
        """The file of a unit's part."""
        total = self.request.num_units
        name = f"part-{unit:05}-of-{total:05}.{self.request.format}"
        return self.folder / name

    def done(self, unit: int) -> Done | None:
        """What is known of a unit; None while it is not done."""
        path = self._record(unit)
        if not path.exists():
            return None
        found = records.read(path, Done, advice="delete it, so that its unit is redone")
        try:
            size = self.part(unit).stat().st_size
        except FileNotFoundError:
            return None
        return found if size == found.num_bytes else None

    def write(
        self, unit: int, content: bytes, num_rows: int, errors: Mapping[str, int]
    ) -> None:
        """Writes a part and the record that its unit is done.

        Args:
            unit: Number of the unit.
            content: Bytes of the part.
            num_rows: Its rows.
            errors: Number of rows without a result, by reason.

        Raises:
            RequestError: The folder cannot be written.
        """
        counted = collections.Counter(errors)
        frequent = dict(sorted(counted.most_common(_MAX_REASONS)))
        if rest := counted.total() - sum(frequent.values()):
            frequent[OTHER_REASONS] = rest
        done = Done(
            part=self.part(unit).name,
            num_rows=num_rows,
            errors=frequent,
            num_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        with storage.writing_to(self.folder, "output"):
            storage.write_bytes(self.part(unit), content)
            storage.write_json(self._record(unit), dataclasses.asdict(done))

    def _record(self, unit: int) -> Path:
        return self.folder / "units" / f"{unit:05}.json"


def claim(folder: Path, request: Request) -> Ledger:
    """Starts a run in a folder, or goes on with it.

    Args:
        folder: The folder; it may be missing or empty.
        request: What is computed.

    Returns:
        The run.

    Raises:
        RequestError: The folder belongs to another request, holds other files, or
            cannot be written.
    """
    storage.make_folder(folder / "units", "output")
    ours = dataclasses.asdict(request)
    # Hidden files are those that other processes are about to write.
    names = sorted(path.name for path in folder.glob("[!.]*") if path.name != "units")
    if not (folder / REQUEST).exists():
        if names:
            raise RequestError(
                f"`output`: {str(folder)!r} holds {names[0]!r} but no {REQUEST}; "
                f"{_ADVICE}"
            )
        with storage.writing_to(folder, "output"):
            _write_once(folder / REQUEST, ours)
    theirs = dataclasses.asdict(_read(folder, "output"))
    different = [
        *settings.differences(theirs["facts"], ours["facts"], ()),
        *settings.differences(theirs, ours, ("facts",)),
    ]
    if different:
        raise RequestError(
            f"`output`: {str(folder)!r} was started with {', '.join(different)}; "
            f"repeat that request to go on with it, or {_ADVICE}"
        )
    return Ledger(folder, request)


def open_ledger(folder: Path, field: str) -> Ledger:
    """Opens a run to read it.

    Args:
        folder: The folder.
        field: The setting that named it.

    Raises:
        RequestError: It is no folder of a large run, or damaged.
    """
    return Ledger(folder, _read(folder, field))


def _read(folder: Path, field: str) -> Request:
    request = records.read(
        folder / REQUEST,
        Request,
        field=field,
        advice=_ADVICE,
        if_missing="name the folder that a run with parts has written",
    )
    if request.unit_size < 1 or request.format not in parts.FORMATS:
        raise RequestError(
            f"`{field}`: {str(folder / REQUEST)!r} is damaged; {_ADVICE}"
        )
    return request


def _write_once(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file unless another process has written it by now."""
    own = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    storage.write_json(own, value)
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    except OSError:  # File systems such as those of buckets have no links.
        storage.write_json(path, value)
    finally:
        own.unlink()
