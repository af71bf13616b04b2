# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes the units of a large run: from files to batches to the rows of parts.

Photographs and videos of several units are read ahead in one stream, so that the
devices never wait for the end of a unit. Each unit starts a batch of its own and ends
with padding: its rows do not depend on which process computes it, nor on what was
computed before.
"""

import collections
import contextlib
import dataclasses
import io
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow

from fakedet_jax.bulk import parts
from fakedet_jax.bulk.inputs import Input, Inputs
from fakedet_jax.bulk.ledger import Ledger
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import BatchResult
from fakedet_jax.faces.file_rows import FileRows
from fakedet_jax.faces.stream import NO_PICTURE, FaceBatch, FaceFile, FaceItem
from fakedet_jax.runtime import progress, text
from fakedet_jax.runtime.signals import Stopped, StopRequest

_LOGGER = logging.getLogger(__name__)

# Column of the number of the input, from 0, in each part.
INPUT, ERROR = "input", "error"

Row = tuple[Any, ...]

_Item = TypeVar("_Item")


class Task(NamedTuple):
    """An input that is to be computed.

    Attributes:
        number: Its number among all inputs, from 0.
        input: The input.
    """

    number: int
    input: Input


class UnitEnd(NamedTuple):
    """The end of a unit's tasks.

    Attributes:
        unit: Its number.
        rows: Rows that an earlier run has written and that stay.
    """

    unit: int
    rows: list[Row]


# The tasks of a unit, and its end.
Unit = list[Task | UnitEnd]


@dataclasses.dataclass
class Report:
    """What a process has done.

    Attributes:
        num_inputs: Inputs that it computed.
        num_rows: Their rows.
        errors: Rows without a result, by reason.
        notes: Inputs that differ from the training pictures, by note.
        seconds: Where the time went: `read` is waiting for pictures, `device` for
            results, `write` for the file system.
    """

    num_inputs: int = 0
    num_rows: int = 0
    errors: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    notes: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def add(self, other: "Report") -> None:
        """Adds what another process has done."""
        self.num_inputs += other.num_inputs
        self.num_rows += other.num_rows
        self.errors += other.errors
        self.notes += other.notes
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class Schedule:
    """Which units and inputs this process computes.

    Attributes:
        units: Numbers of its units.
        num_inputs: Their inputs.
        num_done: Those inputs in units that are done.
    """

    def __init__(
        self, ledger: Ledger, shard: tuple[int, int], *, retry_failed: bool
    ) -> None:
        """Looks at which units are done.

        Args:
            ledger: The run.
            shard: Number of this process, from 0, and number of processes: it computes
                each unit whose number leaves that remainder.
            retry_failed: Whether inputs without a result are computed again.
        """
        self._ledger = ledger
        self._retry_failed = retry_failed
        self._schema = schema_of(ledger)
        index, count = shard
        self.units = range(index, ledger.request.num_units, count)

        done = [ledger.done(unit) for unit in self.units]
        counts = [len(ledger.request.inputs_of(unit)) for unit in self.units]
        self.num_inputs = sum(counts)
        self.num_done = sum(
            count
            for count, found in zip(counts, done, strict=True)
            if found and not (retry_failed and found.errors)
        )

    def tasks(self, inputs: Inputs) -> Iterator[Task | UnitEnd]:
        """Yields what is to be computed, unit by unit.

        Args:
            inputs: All inputs of the run.

        Yields:
            The tasks of a unit, and then its end.

        Raises:
            RequestError: The inputs are no longer those of the request.
        """
        request = self._ledger.request
        wanted: set[int] | None = None
        stays: list[Row] = []
        count = 0
        for number, one in enumerate(inputs):
            unit, place = divmod(number, request.unit_size)
            if place == 0:
                wanted, stays = None, []
                if unit in self.units:
                    wanted, stays = self._wanted(unit)
            if wanted and number in wanted:
                yield Task(number, one)
            if wanted and number == request.inputs_of(unit)[-1]:
                yield UnitEnd(unit, stays)
            count += 1
        if count != request.num_inputs:
            raise RequestError(
                f"{inputs.source}: expected {request.num_inputs} inputs, found {count} "
                "on reading them again; run the same command when they no longer change"
            )

    def _wanted(self, unit: int) -> tuple[set[int], list[Row]]:
        """Numbers of the inputs that are to be computed, and rows that stay."""
        done = self._ledger.done(unit)
        if done is None:
            return set(self._ledger.request.inputs_of(unit)), []
        if not (self._retry_failed and done.errors):
            return set(), []
        content = io.BytesIO(self._ledger.part(unit).read_bytes())
        format = self._ledger.request.format
        names = self._schema.names
        rows: list[Row] = [
            row
            for table in parts.read(content, format, self._schema)
            for row in zip(*(column.to_pylist() for column in table), strict=True)
        ]
        number, error = names.index(INPUT), names.index(ERROR)
        failed = {row[number] for row in rows if row[error] is not None}
        return failed, [row for row in rows if row[number] not in failed]


def schema_of(ledger: Ledger) -> pyarrow.Schema:
    """The columns of a run's parts.

    Raises:
        RequestError: Its request is damaged.
    """
    try:
        return pyarrow.schema(
            [
                (name, parts.type_of(alias))
                for name, alias in ledger.request.columns.items()
            ]
        )
    except ValueError as error:
        raise RequestError(f"{str(ledger.folder)!r} is damaged ({error})") from error


@dataclasses.dataclass(frozen=True)
class Computation:
    """How files become rows.

    Attributes:
        open_batches: From files, with None at the end of each unit, to batches of their
            faces; closing it ends its threads.
        compute: From batches to the values of their crops, as `Scorer.stream` does.
        to_results: From values to a result per crop.
        start_file: From whether a file is a video to what collects its results.
        to_rows: From a task and its collected results to its rows, at least one.
    """

    open_batches: Callable[
        [Iterator[FaceFile | None]], Generator[FaceBatch, None, None]
    ]
    compute: Callable[[Iterator[FaceBatch]], Iterator[BatchResult[list[FaceItem]]]]
    to_results: Callable[[np.ndarray], Sequence[Any]]
    start_file: Callable[[bool], FileRows[Any]]
    to_rows: Callable[[Task, Any], list[Row]]


def run(
    ledger: Ledger,
    schedule: Schedule,
    inputs: Inputs,
    computation: Computation,
    label: str,
) -> Report:
    """Computes and writes the units of this process that are not done.

    Args:
        ledger: The run.
        schedule: The units of this process.
        inputs: All inputs of the run.
        computation: How files become rows.
        label: Name of the mode, for the progress.

    Returns:
        What was done.

    Raises:
        Stopped: The process was asked to stop; complete units are written.
        RequestError: The inputs have changed, or the folder cannot be written.
    """
    report = Report()
    computed = compute(ledger, schedule.tasks(inputs), computation, report)
    with (
        StopRequest() as stop,
        contextlib.closing(computed),
        show_progress(schedule, label) as shown,
    ):
        for num_inputs in computed:
            if stop.signum:
                raise Stopped(stop.signum)
            if num_inputs:
                shown.update(num_inputs, note=describe_errors(report))
    return report


def describe_errors(report: Report) -> str:
    """Says how many rows have no result, and the most frequent reason; else empty."""
    if not report.errors:
        return ""
    ((reason, count),) = report.errors.most_common(1)
    return f"{text.counted(report.errors.total(), 'error')} ({count:,} × {reason})"


def show_progress(schedule: Schedule, label: str) -> progress.Progress:
    """Starts to show how many of the inputs of this process are done.

    Args:
        schedule: Its units.
        label: Name of the mode.
    """
    return progress.Progress(
        schedule.num_inputs, label=label, unit="inputs", initial=schedule.num_done
    )


def compute(
    ledger: Ledger,
    entries: Iterator[Task | UnitEnd],
    computation: Computation,
    report: Report,
) -> Generator[int, None, None]:
    """Computes units and writes each when it is complete.

    Close the generator to end its threads.

    Args:
        ledger: The run.
        entries: The tasks of units, each followed by its end.
        computation: How files become rows.
        report: Where to note what is done.

    Yields:
        After each batch, the inputs of the unit that it completed; 0 if it did not.

    Raises:
        RequestError: The folder cannot be written.
    """
    clock = _Clock(report.seconds)
    # Tasks that are being read and computed, and the ends of their units, in order.
    waiting: collections.deque[Task | UnitEnd] = collections.deque()
    schema = schema_of(ledger)
    unit = _UnitRows(computation, schema)
    with contextlib.closing(
        computation.open_batches(_files(entries, waiting))
    ) as batches:
        computed = computation.compute(clock.timed("read", batches))
        for items, values, _ in clock.timed("device", computed):
            num_inputs = 0
            results = computation.to_results(values) if len(values) else []
            for item in items:
                entry = waiting[0]
                assert isinstance(entry, Task)
                unit.add(entry, item, results)
                if item.row is not None:
                    continue
                waiting.popleft()
                report.num_inputs += 1
                if waiting and isinstance(end := waiting[0], UnitEnd):
                    waiting.popleft()
                    with clock.measured("write"):
                        _write(ledger, schema, end, unit)
                    report.num_rows += len(unit.rows)
                    report.errors += unit.errors
                    report.notes += unit.notes
                    num_inputs += unit.num_inputs
                    unit = _UnitRows(computation, schema)
            yield num_inputs


def units(entries: Iterable[Task | UnitEnd]) -> Iterator[Unit]:
    """Groups what `Schedule.tasks` yields by units."""
    unit: Unit = []
    for entry in entries:
        unit.append(entry)
        if isinstance(entry, UnitEnd):
            yield unit
            unit = []


def failed(unit: Unit, reason: str) -> Unit:
    """A unit none of whose inputs can be used.

    Args:
        unit: The unit.
        reason: Why that is so.
    """
    return [
        entry._replace(input=entry.input._replace(error=reason))
        if isinstance(entry, Task)
        else entry
        for entry in unit
    ]


def compute_unit(ledger: Ledger, unit: Unit, computation: Computation) -> Report:
    """Computes and writes one unit.

    Args:
        ledger: The run.
        unit: The unit.
        computation: How files become rows.

    Returns:
        What was done.

    Raises:
        RequestError: The folder cannot be written.
    """
    report = Report()
    for _ in compute(ledger, iter(unit), computation, report):
        pass
    return report


class _UnitRows:
    """The rows of a unit that is being computed."""

    def __init__(self, computation: Computation, schema: pyarrow.Schema) -> None:
        self.rows: list[Row] = []
        self.errors: collections.Counter[str] = collections.Counter()
        self.notes: collections.Counter[str] = collections.Counter()
        self.num_inputs = 0
        self._computation = computation
        self._error = schema.names.index(ERROR)
        self._file: FileRows[Any] | None = None

    def add(self, task: Task, item: FaceItem, results: Sequence[Any]) -> None:
        """Adds an outcome of an input, or its end."""
        if self._file is None:
            is_video = task.input.file.kind == "video"
            self._file = self._computation.start_file(is_video)
        if item.row is not None:
            has_crop = item.position != NO_PICTURE
            self._file.add(item.row, results[item.position] if has_crop else None)
            return
        rows = self._computation.to_rows(task, self._file)
        reasons = [row[self._error] for row in rows if row[self._error] is not None]
        self.rows += rows
        self.errors.update(reasons)
        self.num_inputs += 1
        if self._file.note:
            self.notes[self._file.note] += 1
        if len(reasons) < len(rows):
            for problem in self._file.problems:
                _LOGGER.warning("%s was used, but %s", task.input.path, problem)
        self._file = None


def _files(
    entries: Iterator[Task | UnitEnd], waiting: collections.deque[Task | UnitEnd]
) -> Iterator[FaceFile | None]:
    """The files of tasks, with None at the end of each unit."""
    for entry in entries:
        waiting.append(entry)
        if isinstance(entry, Task):
            yield entry.input.file
        else:
            yield None


def _write(
    ledger: Ledger, schema: pyarrow.Schema, end: UnitEnd, unit: _UnitRows
) -> None:
    number = schema.names.index(INPUT)
    # Faces of an input are in order already.
    rows = sorted([*end.rows, *unit.rows], key=lambda row: row[number])
    table = parts.to_table(rows, schema)
    content = parts.encode(table, ledger.request.format)
    ledger.write(end.unit, content, len(rows), unit.errors)


class _Clock:
    """Adds up where the time goes; time within time is counted once."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    @contextlib.contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Adds the time of a `with` block."""
        start, before = time.monotonic(), sum(self._seconds.values())
        yield
        inside = sum(self._seconds.values()) - before
        own = time.monotonic() - start - inside
        self._seconds[name] = self._seconds.get(name, 0.0) + own

    def timed(self, name: str, items: Iterator[_Item]) -> Iterator[_Item]:
        """Adds the time that items take to come."""
        while True:
            with self.measured(name):
                item = next(items, None)
            if item is None:
                return
            yield item
