# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Records the numbers of a training run, as lines of JSON and in TensorBoard.

`metrics.jsonl` holds one strict JSON object per line, `{"step": 10, "loss": 0.5}`,
and no time of day, so that a run that was stopped and resumed leaves the same file as
an uninterrupted one.
"""

import dataclasses
import itertools
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self, SupportsFloat

from fakedet_jax import errors
from fakedet_jax.runtime import records, storage

FILE_NAME = "metrics.jsonl"

_NUM_EVENT_FILES = itertools.count()
_LOGGER = logging.getLogger(__name__)


class Writer:
    """Takes the numbers of a training run and drops them; `MetricWriter` keeps them."""

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Records numbers at a step.

        Args:
            step: Training step, from 1.
            values: Numbers by name: Python, NumPy or JAX scalars.
        """

    def truncate_after(self, step: int) -> None:
        """Forgets everything that was recorded after a step."""

    def flush(self) -> None:
        """Makes everything recorded so far survive a crash of the machine."""

    def close(self) -> None:
        """Flushes and closes the files. Closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


def create(folder: Path, *, process_index: int = 0) -> Writer:
    """Opens the writer of a process: process 0 keeps the numbers, the others do not.

    Args:
        folder: The workdir.
        process_index: Number of this process, `jax.process_index()`.

    Returns:
        A writer.
    """
    return Writer() if process_index else MetricWriter(folder)


class MetricWriter(Writer):
    """Appends numbers to `metrics.jsonl` and to a TensorBoard event file.

    Opening the writer completes or removes a last line that a killed process left
    torn. A run that resumes calls `truncate_after` with the step of its checkpoint
    before it writes.

    Every line reaches the operating system at once, so a killed process loses none.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the files in a folder, which is made if missing."""
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / FILE_NAME
        self._events: _EventFile | None = None
        self._purge_step: int | None = None
        _repair(self._path)
        self._file: IO[bytes] | None = self._open()

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Records numbers at a step.

        Args:
            step: See `Writer.write`.
            values: See `Writer.write`. A number that is not finite is written as null
                and left out of TensorBoard.

        Raises:
            ValueError: A name is `step`, or the writer is closed.
            TypeError: A value is not a number.
        """
        if self._file is None:
            raise ValueError("the metric writer is closed")
        if "step" in values:
            raise ValueError("'step' names the step itself and cannot be a metric")
        numbers = {name: _as_number(name, value) for name, value in values.items()}
        line = json.dumps({"step": int(step), **numbers}, allow_nan=False)
        # One unbuffered write per line, so that a kill tears the last line at most.
        self._file.write(line.encode("ascii") + b"\n")
        if self._events is None:
            self._events = _EventFile(self._folder, self._purge_step)
        for name, number in numbers.items():
            if number is not None:
                self._events.add_scalar(name, number, int(step))

    def truncate_after(self, step: int) -> None:
        """Removes everything recorded after a step; TensorBoard hides those steps.

        Args:
            step: Last step to keep, that of the checkpoint that a run resumes from.

        Raises:
            RequestError: A line of the file is not a JSON object with a step.
        """
        self._close_files()
        kept = b"".join(
            line for line, row in _read_lines(self._path) if row["step"] <= step
        )
        if kept != self._path.read_bytes():
            storage.write_bytes(self._path, kept)
        self._purge_step = step + 1
        self._file = self._open()

    def flush(self) -> None:
        """See `Writer.flush`."""
        if self._file is not None:
            os.fsync(self._file.fileno())
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """See `Writer.close`."""
        self.flush()
        self._close_files()

    def _open(self) -> IO[bytes]:
        return self._path.open("ab", buffering=0)

    def _close_files(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._events is not None:
            self._events.close()
            self._events = None


class _EventFile:
    """Scalars in a TensorBoard file, written by the calling thread.

    The usual writer of tensorboardX has a thread of its own. It dies when the disk is
    full, and the run would then wait for it forever.
    """

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        # Imported here because it is slow, and reading metrics does not need it.
        from tensorboardX import event_file_writer
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event_type = event_pb2.Event
        self._summary_type = summary_pb2.Summary
        # Two runs that start in the same second must not share a name.
        self._writer = event_file_writer.EventsWriter(
            str(folder / "events"), f".{os.getpid()}.{next(_NUM_EVENT_FILES)}"
        )
        if purge_step is not None:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(step=purge_step, session_log=start)

    def add_scalar(self, name: str, number: float, step: int) -> None:
        value = self._summary_type.Value(tag=name, simple_value=number)
        self._write(step=step, summary=self._summary_type(value=[value]))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _write(self, **fields: Any) -> None:
        self._writer.write_event(self._event_type(wall_time=time.time(), **fields))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads a `metrics.jsonl` file, which may still be being written.

    Args:
        path: The file, or the workdir that holds it.

    Returns:
        A dictionary per complete line: `step`, and the numbers (None for null).

    Raises:
        RequestError: The file is missing, or a line is not a JSON object with a step.
    """
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise errors.RequestError(
            f"{path}: expected the metrics of a training run, found no such file; "
            "name a workdir that has been trained in"
        )
    return [row for _, row in _read_lines(path)]


def _as_number(name: str, value: SupportsFloat) -> float | None:
    # float() accepts text, which here is a mistake of the caller.
    if isinstance(value, str | bytes):
        raise TypeError(f"metric {name!r} must be a number, not {value!r}")
    return storage.json_number(float(value))


@dataclasses.dataclass(frozen=True)
class _Step:
    """The field that every line has."""

    step: int


def _read_lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Every complete line of the file, with the row that it holds."""
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    rows = []
    for number, line in enumerate(lines, start=1):
        rows.append((line, _parse(line, f"{path}, line {number}")))
    return rows


def _parse(line: bytes, source: str) -> dict[str, Any]:
    advice = "move the file away or remove the line"
    row = records.parse(line, dict[str, Any], source=source, advice=advice)
    records.convert(row, _Step, source=source, advice=advice)
    return row


def _repair(path: Path) -> None:
    """Completes or removes a last line without a line end, left by a torn write."""
    if not path.exists():
        return
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    tail = content[len(complete) :]
    if not tail:
        return
    try:
        _parse(tail, str(path))
    except errors.RequestError:
        _LOGGER.warning("%s: removed an incomplete last line: %r", path, tail[:40])
        storage.write_bytes(path, complete)
    else:
        # The object is complete, only its line end is missing.
        storage.write_bytes(path, content + b"\n")
