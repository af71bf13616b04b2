# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Joins the parts of a large run into one table, after checking that nothing lacks."""

import collections
import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow

from fakedet_jax.bulk import parts
from fakedet_jax.bulk.ledger import Done, Ledger
from fakedet_jax.bulk.work import ERROR, INPUT, schema_of
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import progress, text

_AGAIN = "run the command that writes it again"


@dataclasses.dataclass(frozen=True)
class Merged:
    """What was joined.

    Attributes:
        num_inputs: Inputs; each has a row at least.
        num_rows: Rows.
        num_failed: Rows without a result.
        num_parts: Parts.
    """

    num_inputs: int
    num_rows: int
    num_failed: int
    num_parts: int


def merge(ledger: Ledger, path: Path) -> Merged:
    """Joins all parts in their order.

    Args:
        ledger: A complete run.
        path: The table, `.parquet` or `.csv`; it appears when it is complete.

    Returns:
        What was joined.

    Raises:
        RequestError: Units are missing, or a part is not the one that was written.
    """
    request = ledger.request
    done = [ledger.done(unit) for unit in range(request.num_units)]
    if missing := [unit for unit, found in enumerate(done) if found is None]:
        raise RequestError(
            f"`paths`: {str(ledger.folder)!r} is not complete: {len(missing)} of "
            f"{text.counted(request.num_units, 'part')} are missing, the first is "
            f"{ledger.part(missing[0]).name}; {_AGAIN}"
        )
    schema = schema_of(ledger)
    num_rows = num_failed = 0
    with (
        parts.open_table(path, schema) as write,
        progress.Progress(
            request.num_inputs, label="merge", unit="inputs", has_warm_up=False
        ) as shown,
    ):
        for unit, found in enumerate(done):
            assert found is not None
            seen: collections.Counter[int] = collections.Counter()
            for table in _read(ledger, unit, found, schema):
                write(table)
                num_rows += len(table)
                num_failed += len(table) - table[ERROR].null_count
                seen.update(table[INPUT].to_pylist())
            expected = request.inputs_of(unit)
            if sorted(seen) != list(expected) or seen.total() != found.num_rows:
                raise _damaged(ledger, unit, "its rows are not those of its inputs")
            shown.update(len(expected))
    return Merged(request.num_inputs, num_rows, num_failed, request.num_units)


def _read(
    ledger: Ledger, unit: int, done: Done, schema: pyarrow.Schema
) -> Iterator[pyarrow.Table]:
    content = ledger.part(unit).read_bytes()
    if hashlib.sha256(content).hexdigest() != done.sha256:
        raise _damaged(ledger, unit, "its digest is another one")
    try:
        yield from parts.read(io.BytesIO(content), ledger.request.format, schema)
    except (pyarrow.ArrowException, ValueError) as error:
        raise _damaged(ledger, unit, text.one_line(error)) from error


def _damaged(ledger: Ledger, unit: int, reason: str) -> RequestError:
    part = ledger.part(unit)
    return RequestError(
        f"`paths`: {str(part)!r} is not what the run has written ({reason}); delete it "
        f"and {_AGAIN}"
    )
