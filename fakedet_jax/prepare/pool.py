# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Extracts faces in several worker processes and survives inputs that kill one."""

import contextlib
import dataclasses
import logging
import selectors
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import LEFT_OUT, Row
from fakedet_jax.prepare import staging
from fakedet_jax.runtime import workers

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
        mask: Path of its video of masks, relative to the data folder; empty where there
            is none.
    """

    name: str
    kind: str
    staged: Path
    compress: bool = False
    tags: tuple[float, ...] | None = None
    needs_tags: bool = False
    mask: str = ""


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
    running: set[_Worker] = set()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:

        def start() -> None:
            worker = _Worker(root, cropping)
            stack.callback(worker.stop)
            running.add(worker)
            selector.register(worker, selectors.EVENT_READ, worker)

        def remove(worker: _Worker) -> None:
            selector.unregister(worker)
            running.discard(worker)
            worker.stop()

        for _ in range(min(num_processes, len(waiting))):
            start()
        while running and not is_stopped():
            for event, _ in selector.select(_POLL_SECONDS):
                worker: _Worker = event.data
                answer, job = worker.receive(), worker.job
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


class _Worker(workers.Worker):
    """A worker process and its current job.

    Attributes:
        job: The current or latest job; `None` before the first.
    """

    def __init__(self, root: Path, cropping: Cropping):
        super().__init__(_WORKER, (cropping, root))
        self.job: _Job | None = None

    def give(self, job: _Job) -> None:
        """Sends a job to the process."""
        self.job = job
        self.send(job[0])


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
