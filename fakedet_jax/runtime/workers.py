# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Worker processes that modules of this package run, and the messages to and from them.

Messages are pickled. They pass through pipes between a process and its own child, never
through files.
"""

import contextlib
import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

from fakedet_jax.runtime import processes


class Worker:
    """A worker process, seen from the process that has started it.

    The first message from the worker says that it is ready.
    """

    def __init__(self, module: str, setup: Any, pass_fds: Sequence[int] = ()) -> None:
        """Starts the process.

        Args:
            module: Full name of the module, whose function `work` is called with the
                `Parent`.
            setup: What the worker gets at its start.
            pass_fds: Open files that the process gets, under the same numbers.
        """
        self._process = processes.start_module(
            __name__,
            [module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # In a group of its own, so that Ctrl-C does not reach it.
            process_group=0,
            pass_fds=tuple(pass_fds),
        )
        assert self._process.stdin is not None  # For the type checker: a pipe.
        assert self._process.stdout is not None
        self._tasks = self._process.stdin
        self._answers = self._process.stdout
        self.send(setup)

    def send(self, message: Any) -> None:
        """Sends a message; `receive` tells if the process has died."""
        with contextlib.suppress(BrokenPipeError):
            self._tasks.write(pickle.dumps(message))
            self._tasks.flush()

    def receive(self) -> Any | None:
        """Waits for the next message; None if the process has died."""
        try:
            return pickle.load(self._answers)
        except (EOFError, pickle.UnpicklingError):  # Also in the middle of a message.
            return None

    def fileno(self) -> int:
        """The file that becomes readable when a message comes, for selectors.

        Use it only if at most one message is on its way.
        """
        return self._answers.fileno()

    def wait_for_end(self) -> int:
        """Waits for the end of a dying process; its exit code, or minus its signal."""
        return self._process.wait()

    def describe_end(self) -> str:
        """Waits for the end of a dying process and tells how it died."""
        code = self.wait_for_end()
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        return f"the process ended with exit code {code}"

    def stop(self) -> None:
        """Kills the process, even while it is busy."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._tasks.close()
        self._answers.close()


class Parent:
    """The process that has started this worker, seen from the worker.

    Attributes:
        setup: What it has given to `Worker`.
    """

    def __init__(self, messages: IO[bytes], answers: IO[bytes]) -> None:
        """Reads the setup, and listens from then on.

        Args:
            messages: What the parent writes to.
            answers: What the parent reads.
        """
        self.setup = pickle.load(messages)
        self._answers = answers
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Pipes are short: without it both processes could wait for room in them.
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def receive(self) -> Any:
        """Waits for the next message."""
        return self._tasks.get()

    def send(self, message: Any) -> None:
        """Sends a message; ends this process if the parent is gone."""
        try:
            pickle.dump(message, self._answers)
            self._answers.flush()
        except BrokenPipeError:
            os._exit(1)

    def _listen(self, messages: IO[bytes]) -> None:
        """Queues messages; ends the process at once when the parent is gone."""
        while True:
            try:
                message = pickle.load(messages)
            except (EOFError, pickle.UnpicklingError):
                os._exit(0)
            self._tasks.put(message)


def main() -> None:
    """Works until the process that has started this one ends."""
    # The parent decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not mix with the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # By name: the classes of a main module have another one in its parent.
    work = importlib.import_module(sys.argv[1]).work
    work(Parent(sys.stdin.buffer, answers))


if __name__ == "__main__":
    main()
