# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Extracts faces in several worker processes and survives inputs that kill one."""

import contextlib
import dataclasses
import json
import logging
import pickle
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import LEFT_OUT, Row
from fakedet_jax.prepare import staging
from fakedet_jax.runtime import processes, records

_WORKER = "fakedet_jax.prepare.worker"
# A process may die through no fault of its input, such as when memory runs out.
_NUM_ATTEMPTS = 2
_POLL_SECONDS = 0.2

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Task:
    """An input whose faces are to be extracted.

    Attributes:
        name: Path of the input, relative to the data folder.
        kind: `photo` or `video`.
        staged: Staged file to write.
        compress: Whether crops are compressed, see `staging.encode_png`.
        tags: Camera settings that replace those of the file, see `extraction.extract`.
        needs_tags: Whether a picture without camera settings is skipped.
    """

    name: str
    kind: str
    staged: Path
    compress: bool = False
    tags: tuple[float, ...] | None = None
    needs_tags: bool = False

    def to_line(self) -> bytes:
        """Encodes the task as a line of JSON, in ASCII whatever the name is."""
        fields = dataclasses.asdict(self) | {"staged": str(self.staged)}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Task":
        """Decodes a line that `to_line` has made."""
        # Tags may be NaN, which `records.parse` refuses.
        return records.convert(
            json.loads(line), cls, source=repr(line), advice="give another task"
        )


def run(
    tasks: Iterable[Task],
    *,
    root: Path,
    cropping: Cropping,
    num_processes: int,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Task]:
    """Stages inputs in several processes.

    An input whose process dies is tried once more. If that process dies too, the input
    is staged as skipped, with the reason.

    Args:
        tasks: The inputs.
        root: The data folder.
        cropping: How faces are found and cut out.
        num_processes: Number of processes, at least 1.
        is_stopped: Called several times a second. `True` ends the work at once and
            loses unfinished inputs.

    Yields:
        Each task as soon as it is staged, in any order.

    Raises:
        RequestError: The request is wrong, or the disk is full.
        RuntimeError: A process cannot start.
    """
    waiting = deque((task, 1) for task in tasks)
    workers: set[_Worker] = set()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:

        def start() -> None:
            worker = _Worker(root, cropping)
            stack.callback(worker.stop)
            workers.add(worker)
            selector.register(worker.answers, selectors.EVENT_READ, worker)

        def remove(worker: _Worker) -> None:
            selector.unregister(worker.answers)
            workers.discard(worker)
            worker.stop()

        for _ in range(min(num_processes, len(waiting))):
            start()
        while workers and not is_stopped():
            for event, _ in selector.select(_POLL_SECONDS):
                worker: _Worker = event.data
                answer, job = worker.read(), worker.job
                if answer is None:
                    is_staged = _bury(worker, job, waiting)
                    remove(worker)
                    if waiting:
                        start()
                else:
                    is_staged = job is not None
                    check(answer, job and job[0])
                    if waiting:
                        worker.give(waiting.popleft())
                    else:
                        remove(worker)
                if job is not None and is_staged:
                    yield job[0]


def check(answer: Mapping[str, Any], task: Task | None) -> None:
    """Raises what an answer of `worker.work_on` reports as fatal; logs its warning.

    Args:
        answer: The answer.
        task: What it is about; None before the first task.

    Raises:
        RequestError: The request is wrong, or the disk is full.
    """
    if "request" in answer:
        raise RequestError(answer["request"])
    if "warning" in answer and task is not None:
        _LOGGER.warning("%s: %s", task.name, answer["warning"])


def stage_as_skipped(task: Task, ending: str) -> None:
    """Stages an input whose process has died each time.

    Args:
        task: The input.
        ending: How the process died.

    Raises:
        RequestError: The disk is full.
    """
    _LOGGER.warning("%s: %s; it is skipped", task.name, ending)
    skipped = Row(LEFT_OUT, f"cannot be processed: {ending} each time")
    try:
        staging.write(task.staged, task.name, [(skipped, None)])
    except OSError as error:
        raise staging.disk_error(error, task.staged.parent.parent) from error


# A task and the number of this attempt, from 1.
_Job = tuple[Task, int]


class _Worker:
    """A worker process and its current job.

    Attributes:
        job: The current or latest job; `None` before the first.
        answers: Pipe with a line of JSON per answer.
    """

    def __init__(self, root: Path, cropping: Cropping):
        self.job: _Job | None = None
        self._process = processes.start_module(
            _WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # In a group of its own, so that Ctrl-C does not reach it.
            process_group=0,
        )
        assert self._process.stdin is not None  # For the type checker: a pipe.
        assert self._process.stdout is not None
        self._tasks = self._process.stdin
        self.answers = self._process.stdout
        self._send(pickle.dumps((cropping, root)))

    def give(self, job: _Job) -> None:
        """Sends a job to the process."""
        self.job = job
        self._send(job[0].to_line())

    def read(self) -> dict[str, Any] | None:
        """Waits for an answer; `None` if the process has died."""
        line = self.answers.readline()
        if not line.endswith(b"\n"):
            return None
        return json.loads(line)

    def describe_end(self) -> str:
        """Waits for the end of a dead process and tells how it died."""
        code = self._process.wait()
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        return f"the process ended with exit code {code}"

    def stop(self) -> None:
        """Kills the process, even while it is busy."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._tasks.close()
        self.answers.close()

    def _send(self, message: bytes) -> None:
        # `read` notices that a process has died.
        with contextlib.suppress(BrokenPipeError):
            self._tasks.write(message)
            self._tasks.flush()


def _bury(worker: _Worker, job: _Job | None, waiting: "deque[_Job]") -> bool:
    """Requeues the job of a dead process, or stages its input as skipped.

    Returns:
        Whether the input is staged.
    """
    ending = worker.describe_end()
    if job is None:
        raise RuntimeError(
            f"a worker process could not start ({ending}); its own message is above"
        )
    task, attempt = job
    if attempt < _NUM_ATTEMPTS:
        waiting.append((task, attempt + 1))
        return False
    stage_as_skipped(task, ending)
    return True
