# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds and cuts out the faces of files in processes, which a file may end.

Unlike threads they never wait for the interpreter of another, so that any number of
cores is used. A file whose process dies is tried again in a new one.
"""

import collections
import math
import signal
from collections.abc import Iterator

from fakedet_jax.errors import RequestError
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import LEFT_OUT, Outcome, Row
from fakedet_jax.faces.reader_process import End, Found, Ready, Setup, Task
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import workers
from fakedet_jax.runtime.slots import Slots

# How often a file is tried whose process dies. That may be no fault of the file, such
# as when memory runs out.
NUM_ATTEMPTS = 3

_MODULE = "fakedet_jax.faces.reader_process"
# Of the memory for pictures that wait.
_MAX_BYTES = 256 * 2**20


class ProcessReaders:
    """Processes that find and cut out the faces of files.

    Each has files of its own and reads them in order, so the file whose outcomes are
    needed next is always being read, and nothing else can fill the slots of its
    process.
    """

    def __init__(
        self,
        cropping: Cropping,
        framing: Framing,
        num_processes: int,
        *,
        num_ahead: int,
        seconds_per_file: float = 0.0,
    ) -> None:
        """Starts the processes.

        Args:
            cropping: How faces are found and cut out.
            framing: Region and size of the network's input.
            num_processes: Number of processes, at least 1.
            num_ahead: Pictures of all processes that may wait for the reader.
            seconds_per_file: A file that takes longer is given up; 0 for no limit.
        """
        fitting = _MAX_BYTES // math.prod(framing.shape)
        count = max(2, min(num_ahead, fitting) // num_processes)
        self._processes = [
            _Process(cropping, framing, count, seconds_per_file)
            for _ in range(num_processes)
        ]

    def start(self, task: Task) -> Iterator[Outcome]:
        """Queues a file and returns its outcomes, which arrive as they are found.

        Args:
            task: The file. Its outcomes must be taken before those of later files.
        """
        process = min(self._processes, key=lambda one: len(one.waiting))
        process.give(task)
        return process.outcomes()

    def close(self) -> None:
        """Ends the processes, even while they are busy."""
        for process in self._processes:
            process.close()


class _Process:
    """A reading process and the files that it has."""

    def __init__(
        self,
        cropping: Cropping,
        framing: Framing,
        num_slots: int,
        seconds_per_file: float,
    ) -> None:
        self.waiting: collections.deque[Task] = collections.deque()
        self._cropping = cropping
        self._framing = framing
        self._num_slots = num_slots
        self._seconds = seconds_per_file
        self._open()

    def _open(self) -> None:
        self._is_ready = False
        self._slots = Slots(self._num_slots, self._framing.shape)
        handle = self._slots.handle
        self._worker = workers.Worker(
            _MODULE,
            Setup(self._cropping, self._framing, handle, self._seconds),
            pass_fds=(handle.memory, handle.free),
        )

    def give(self, task: Task) -> None:
        self.waiting.append(task)
        self._worker.send(task)

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes of the file that was given first of those that wait."""
        num_taken = 0
        for attempt in range(1, NUM_ATTEMPTS + 1):
            num_left = num_taken  # Of those that an earlier process has found, too.
            while (message := self._receive()) is not None:
                if isinstance(message, End):
                    if message.request:
                        raise RequestError(message.request)
                    self.waiting.popleft()
                    return
                row, has_picture = message
                picture = self._slots.take() if has_picture else None
                if num_left:
                    num_left -= 1
                    continue
                num_taken += 1
                yield row, picture
            reason = self._reason(self._worker.wait_for_end(), attempt)
            if reason:
                self.waiting.popleft()
            self._renew()
            if reason:
                yield Row(LEFT_OUT, reason), None
                return

    def _receive(self) -> Found | End | None:
        """The next message about a file; None if the process has died with it."""
        message = self._worker.receive()
        if isinstance(message, Ready):
            self._is_ready = True
            message = self._worker.receive()
        if not self._is_ready:
            raise RuntimeError(
                f"a reading process could not start ({self._worker.describe_end()}); "
                "its own message is above"
            )
        return message

    def _reason(self, code: int, attempt: int) -> str:
        """Why a file is given up whose process has ended; empty to try it again."""
        if code == -signal.SIGALRM:
            return f"takes longer than {self._seconds:g} s"
        if attempt < NUM_ATTEMPTS:
            return ""
        return f"cannot be processed: {self._worker.describe_end()} each time"

    def _renew(self) -> None:
        """Starts a new process for the files that wait."""
        self.close()
        self._open()
        for task in self.waiting:
            self._worker.send(task)

    def close(self) -> None:
        self._worker.stop()
        self._slots.close()
