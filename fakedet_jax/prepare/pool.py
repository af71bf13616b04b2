# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Has processes work on inputs, and outlives them when an input kills one."""

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
from fakedet_jax.prepare import staging
from fakedet_jax.runtime import processes, records

_WORKER = "fakedet_jax.prepare.worker"
# A process may be killed for what another one does, such as filling the memory.
_NUM_ATTEMPTS = 2
_POLL_SECONDS = 0.2

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Task:
    """An input to be worked on.

    Attributes:
        name: Its path in the data folder.
        kind: `photo` or `video`.
        staged: Where the result goes.
        compress: See `staging.write`.
        tags: See `extraction.extract`.
        needs_tags: See `extraction.extract`.
    """

    name: str
    kind: str
    staged: Path
    compress: bool = False
    tags: tuple[float, ...] | None = None
    needs_tags: bool = False

    def to_line(self) -> bytes:
        """A line of JSON, in ASCII whatever the name is."""
        fields = dataclasses.asdict(self) | {"staged": str(self.staged)}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Task":
        """What `to_line` has written."""
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
    """Works on inputs in several processes, until all are staged.

    An input whose process dies is tried once more, and then staged with the reason.

    Args:
        tasks: The inputs.
        root: The data folder.
        cropping: What is to be done with them.
        num_processes: At least 1.
        is_stopped: Asked several times a second; True ends the work at once, and what
            is in hand is lost.

    Yields:
        Each task when it is staged, in any order.

    Raises:
        RequestError: The request is wrong, or the disk is full.
        RuntimeError: A process cannot even start.
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
                    _check(answer, job)
                    if waiting:
                        worker.give(waiting.popleft())
                    else:
                        remove(worker)
                if job is not None and is_staged:
                    yield job[0]


class Single:
    """One process that works on an input at a time, as those of `run` do.

    It starts with the first input. Close it, or use it in a `with` statement.

    Args:
        root: The data folder.
        cropping: What is to be done with the inputs.
    """

    def __init__(self, root: Path, cropping: Cropping):
        self._root, self._cropping = root, cropping
        self._worker: _Worker | None = None

    def __enter__(self) -> "Single":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def work_on(self, task: Task) -> None:
        """Stages an input. One whose process dies is treated as in `run`.

        Raises:
            RequestError: The request is wrong, or the disk is full.
            RuntimeError: The process cannot even start.
        """
        waiting: deque[_Job] = deque([(task, 1)])
        while waiting:
            if self._worker is None:
                self._worker = _Worker(self._root, self._cropping)
                if self._worker.read() is None:
                    _bury(self._worker, None, waiting)
            job = waiting.popleft()
            self._worker.give(job)
            answer = self._worker.read()
            if answer is not None:
                _check(answer, job)
            else:
                _bury(self._worker, job, waiting)
                self.close()

    def close(self) -> None:
        """Ends the process; the next input would start another one."""
        if self._worker is not None:
            self._worker.stop()
        self._worker = None


# A task, and how often it has been given out with this time.
_Job = tuple[Task, int]


class _Worker:
    """A process, and what it is working on.

    Attributes:
        job: What it is working on; None before it is ready.
    """

    def __init__(self, root: Path, cropping: Cropping):
        self.job: _Job | None = None
        self._process = processes.start_module(
            _WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # In a group of its own, or a key press would reach it too.
            process_group=0,
        )
        assert self._process.stdin is not None  # For the type checker: a pipe.
        assert self._process.stdout is not None
        self._tasks = self._process.stdin
        self.answers = self._process.stdout
        self._send(pickle.dumps((cropping, root)))

    def give(self, job: _Job) -> None:
        """Hands it something to do."""
        self.job = job
        self._send(job[0].to_line())

    def read(self) -> dict[str, Any] | None:
        """What it answers; None when it is dead."""
        line = self.answers.readline()
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def describe_end(self) -> str:
        """How it died."""
        code = self._process.wait()
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        return f"the process ended with exit code {code}"

    def stop(self) -> None:
        """Ends it at once, whatever it does."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._tasks.close()
        self.answers.close()

    def _send(self, message: bytes) -> None:
        # One that has died says so when it is read.
        with contextlib.suppress(BrokenPipeError):
            self._tasks.write(message)
            self._tasks.flush()


def _check(answer: Mapping[str, Any], job: _Job | None) -> None:
    """Ends all work where the answer says so."""
    if "request" in answer or "disk" in answer:
        raise RequestError(answer.get("request") or answer["disk"])
    if "warning" in answer and job is not None:
        _LOGGER.warning("%s: %s", job[0].name, answer["warning"])


def _bury(worker: _Worker, job: _Job | None, waiting: "deque[_Job]") -> bool:
    """Gives the input of a dead process another try, or stages the reason.

    Returns:
        Whether the input is staged.
    """
    ending = worker.describe_end()
    if job is None:
        raise RuntimeError(
            f"a process that cuts out faces could not start ({ending}); its own "
            "message is above"
        )
    task, attempt = job
    if attempt < _NUM_ATTEMPTS:
        waiting.append((task, attempt + 1))
        return False
    _LOGGER.warning("%s: %s; the others go on", task.name, ending)
    try:
        staging.write_failure(
            task.staged, task.name, f"cannot be worked on: {ending} each time"
        )
    except OSError as error:
        message = staging.disk_error(error, task.staged.parent.parent)
        raise RequestError(message) from error
    return True
