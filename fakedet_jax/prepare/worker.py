# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The process that works on inputs, one after the other; started by `pool`.

Standard input brings a pickled `Cropping` and the data folder, then a line of JSON per
input. Standard output takes a line of JSON when the process is ready, and per input.
Pictures never pass between processes: crops are staged as files.
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
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import Guarded, extract
from fakedet_jax.prepare import staging


def work_on(task: dict[str, Any], root: Path, cropping: Cropping) -> dict[str, Any]:
    """Works on one input and stages what comes of it.

    Args:
        task: The fields of a `pool.Task`.
        root: The data folder.
        cropping: What is to be done.

    Returns:
        What to answer: nothing where all is well, a `warning` about an input that
        brought out an error of this program, or why all work must end: a wrong
        `request`, or a full `disk`.
    """
    path, name, staged = root / task["name"], task["name"], Path(task["staged"])
    # Videos are told apart by their names: their files are large.
    content = str(content_fraction(path, name)) if task["kind"] == "photo" else name
    outcomes = extract(
        path,
        name,
        task["kind"],
        cropping,
        tags=task["tags"],
        needs_tags=task["needs_tags"],
    )
    guarded = Guarded(outcomes)
    try:
        staging.write(staged, content, guarded, task["compress"])
    except RequestError as error:
        return {"request": str(error)}
    except OSError as error:
        return {"disk": staging.disk_error(error, staged.parent.parent)}
    return {"warning": guarded.surprise} if guarded.surprise else {}


def main() -> None:
    """Works until standard input ends."""
    # The process that started this one decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cropping, root = pickle.load(sys.stdin.buffer)
    with contextlib.suppress(ImportError, RequestError):
        from fakedet_jax.faces import opencv

        opencv.set_num_threads(1)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    receive = threading.Thread(
        target=_receive, args=(sys.stdin.buffer, tasks), daemon=True
    )
    receive.start()
    _answer(answers, {"ready": True})
    while True:
        _answer(answers, work_on(tasks.get(), root, cropping))


def _receive(source: IO[bytes], tasks: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Hands tasks on, and ends the process at once when there are no more to come."""
    for line in source:
        tasks.put(json.loads(line))
    os._exit(0)


def _answer(answers: IO[str], answer: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
