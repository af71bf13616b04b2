# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The worker process that stages inputs one after the other; `pool` starts it.

It reads from standard input a pickled pair of a `Cropping` and the data folder, then
one line of JSON per task. It writes to standard output one line of JSON when it is
ready and one per task. Pictures never pass between processes: crops are staged as
files.
"""

import contextlib
import json
import os
import pickle
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

from fakedet_jax.data.folder import content_fraction
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import Guarded, extract
from fakedet_jax.prepare import staging
from fakedet_jax.prepare.pool import Task


def work_on(task: Task, root: Path, cropping: Cropping) -> dict[str, Any]:
    """Extracts the faces of one input and stages them.

    Args:
        task: The input.
        root: The data folder.
        cropping: How faces are found and cut out.

    Returns:
        The answer: empty if all is well; otherwise a `warning` about an input that
        caused an unexpected error, or a `request` that ends all work, such as a wrong
        setting or a full disk.
    """
    path = root / task.name
    # A video is identified by its name, because hashing a large file takes long.
    is_photo = task.kind == "photo"
    content = str(content_fraction(path, task.name)) if is_photo else task.name
    guarded = Guarded(
        extract(
            path,
            task.name,
            task.kind,
            cropping,
            tags=task.tags,
            needs_tags=task.needs_tags,
        )
    )
    try:
        staging.write(task.staged, content, guarded, task.compress)
    except RequestError as error:
        return {"request": str(error)}
    except OSError as error:
        return {"request": str(staging.disk_error(error, task.staged.parent.parent))}
    return {"warning": guarded.surprise} if guarded.surprise else {}


def use_one_thread() -> None:
    """Keeps OpenCV from sharing the cores a second time, as workers do already."""
    with contextlib.suppress(RequestError):  # Not every face detector needs OpenCV.
        opencv.set_num_threads(1)


def main() -> None:
    """Works until standard input ends."""
    # The parent process decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cropping, root = pickle.load(sys.stdin.buffer)
    use_one_thread()
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(
        target=_receive, args=(sys.stdin.buffer, tasks), daemon=True
    ).start()
    _answer(answers, {"ready": True})
    while True:
        _answer(answers, work_on(tasks.get(), root, cropping))


def _receive(source: IO[bytes], tasks: "queue.SimpleQueue[Task]") -> None:
    """Queues tasks; ends the process at once when standard input ends."""
    for line in source:
        tasks.put(Task.from_line(line))
    os._exit(0)


def _answer(answers: IO[str], answer: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
