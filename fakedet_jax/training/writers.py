# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Records the numbers of a training run: lines of JSON, and TensorBoard scalars.

`metrics.jsonl` holds one strict JSON object per line, `{"step": 10, "loss": 0.5}`,
and no time of day: a run that was stopped and resumed leaves the same file as one
that was not.
"""

import dataclasses
import itertools
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol, Self, SupportsFloat

from fakedet_jax import errors
from fakedet_jax.runtime import records, storage

FILE_NAME = "metrics.jsonl"

_NUM_EVENT_FILES = itertools.count()
_LOGGER = logging.getLogger(__name__)


class Writer(Protocol):
    """What a training loop needs of a writer."""

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Records numbers at a step."""

    def truncate_after(self, step: int) -> None:
        """Forgets everything recorded after a step."""

    def flush(self) -> None:
        """Makes everything recorded so far survive a crash."""

    def close(self) -> None:
        """Flushes and releases the files."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *unused: object) -> None: ...


def create(
    folder: Path, *, process_index: int = 0, tensorboard: bool = True
) -> "MetricWriter | NullWriter":
    """Opens the writer of a process: process 0 writes, the others do not.

    Args:
        folder: the workdir.
        process_index: the number of this process, `jax.process_index()`.
        tensorboard: whether to write TensorBoard event files as well.

    Returns:
        A writer.
    """
    if process_index:
        return NullWriter()
    return MetricWriter(folder, tensorboard=tensorboard)


class MetricWriter:
    """Appends numbers to `metrics.jsonl` and to a TensorBoard event file.

    A last line that was cut off when an earlier process was killed is mended or removed
    when the writer opens. A run that resumes calls `truncate_after` with the step of
    its checkpoint before it writes.

    Every line reaches the operating system at once, so a killed process loses none.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = True) -> None:
        """Opens the files in a folder, which is made when missing.

        Args:
            folder: the workdir.
            tensorboard: whether to write TensorBoard event files as well.
        """
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / FILE_NAME
        self._use_tensorboard = tensorboard
        self._events: _EventFile | None = None
        self._purge_step: int | None = None
        _repair(self._path)
        self._file: IO[bytes] | None = self._open()

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Records numbers at a step.

        Args:
            step: the training step they belong to.
            values: name to number (a Python, NumPy or JAX scalar). A number that is
                not finite is written as null, and left out of TensorBoard.

        Raises:
            ValueError: when a name is `step`, or the writer is closed.
            TypeError: for a value that is not a number.
        """
        if self._file is None:
            raise ValueError("the metric writer is closed")
        if "step" in values:
            raise ValueError("'step' names the step itself and cannot be a metric")
        numbers = {name: _as_number(name, value) for name, value in values.items()}
        line = json.dumps({"step": int(step), **numbers}, allow_nan=False)
        # One unbuffered write per line: a kill can tear the last line only.
        self._file.write(line.encode("ascii") + b"\n")
        if self._use_tensorboard:
            self._write_events(int(step), numbers)

    def truncate_after(self, step: int) -> None:
        """Cuts off everything recorded after a step, in place.

        TensorBoard is told to hide those steps too.

        Args:
            step: the last step to keep: that of the checkpoint a run resumes from.

        Raises:
            RequestError: when a line of the file is not one that was written here.
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
        """Makes everything recorded so far survive a crash of the machine."""
        if self._file is not None:
            os.fsync(self._file.fileno())
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Flushes and closes the files. Closing twice is allowed."""
        self.flush()
        self._close_files()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def _open(self) -> IO[bytes]:
        return self._path.open("ab", buffering=0)

    def _close_files(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._events is not None:
            self._events.close()
            self._events = None

    def _write_events(self, step: int, numbers: Mapping[str, float | None]) -> None:
        if self._events is None:
            self._events = _EventFile(self._folder, self._purge_step)
        for name, number in numbers.items():
            if number is not None:
                self._events.add_scalar(name, number, step)


class _EventFile:
    """Scalars in a TensorBoard file, written by the thread that asks for it.

    The writer of tensorboardX has a thread that dies on a full disk, after which the
    run would wait for it for ever.
    """

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        # Imported here because it is slow, and not every run asks for it.
        from tensorboardX import event_file_writer
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event_type = event_pb2.Event
        self._summary_type = summary_pb2.Summary
        # The time alone would give two quick runs one name.
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


class NullWriter:
    """A writer that writes nothing, for every process but the first."""

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Does nothing."""

    def truncate_after(self, step: int) -> None:
        """Does nothing."""

    def flush(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        pass


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads a `metrics.jsonl` file, for instance one that is still being written.

    Args:
        path: the file, or the workdir that holds it.

    Returns:
        One dictionary per complete line: `step`, and the numbers (None for null).

    Raises:
        RequestError: when the file is missing or a line is not what was written here.
    """
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise errors.RequestError(
            f"{path}: expected the metrics of a training run, found no such file; "
            "name a workdir that has been trained in"
        )
    return [row for _, row in _read_lines(path)]


def _as_number(name: str, value: SupportsFloat) -> float | None:
    # float() would take a string, which is a mistake of the caller here.
    if isinstance(value, str | bytes):
        raise TypeError(f"metric {name!r} must be a number, not {value!r}")
    return storage.json_number(float(value))


@dataclasses.dataclass(frozen=True)
class _Step:
    """The field that every line has."""

    step: int


def _read_lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Returns every complete line of the file with the row it holds."""
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
    """Mends a last line that has no line end: the rest of a torn write."""
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
        # The object is whole and only its line end is missing.
        storage.write_bytes(path, content + b"\n")
