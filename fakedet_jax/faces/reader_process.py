# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The worker process that finds and cuts out the faces of one file after the other.

Pictures pass through shared memory; the messages hold their rows only.
"""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fakedet_jax.data.prepared.examples import Example
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import extraction, opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import Guarded, Row
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import slots, workers


class Setup(NamedTuple):
    """What a reading process is told at its start.

    Attributes:
        cropping: How faces are found and cut out.
        framing: Region and size of the network's input.
        slots: Where pictures go, each of the shape of `framing`.
        seconds_per_file: After so long with one file the process is ended by SIGALRM;
            0 for no limit.
    """

    cropping: Cropping
    framing: Framing
    slots: slots.Handle
    seconds_per_file: float


class Task(NamedTuple):
    """A file to read; see `extraction.extract`.

    Attributes:
        path: The file.
        name: Its path relative to the data folder.
        kind: `photo` or `video`.
        example: The crop of a prepared dataset that is meant instead of a file.
        has_provenance: Whether rows tell what the file says of its origin.
    """

    path: Path
    name: str
    kind: str
    example: Example | None = None
    has_provenance: bool = False

    def extract(
        self, cropping: Cropping, map_fn: extraction.MapFn = map
    ) -> Iterator[extraction.Outcome]:
        """Extracts the faces without camera settings."""
        if self.example is not None:
            return extraction.extract_example(self.example, cropping.media)
        return extraction.extract(
            self.path,
            self.name,
            self.kind,
            cropping,
            map_fn,
            tags=(),
            has_provenance=self.has_provenance,
        )


class Ready(NamedTuple):
    """The first message of the process."""


class Found(NamedTuple):
    """An outcome: its row, and whether its picture is in the next slot."""

    row: Row
    has_picture: bool


class End(NamedTuple):
    """The end of a file, or of all work because of a wrong request."""

    request: str = ""


class _Alarm:
    """Ends this process when one file takes too long.

    The system does it, however busy this process is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def start(self) -> None:
        if self._seconds:
            signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def stop(self) -> float:
        """Returns the seconds that were left."""
        return signal.setitimer(signal.ITIMER_REAL, 0)[0]

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        left = self.stop()
        yield
        if left:
            signal.setitimer(signal.ITIMER_REAL, left)


def work(parent: workers.Parent) -> None:
    """Works until this process is ended."""
    setup: Setup = parent.setup
    with contextlib.suppress(RequestError):  # Not every face detector needs OpenCV.
        opencv.set_num_threads(1)
    filler = slots.Filler(setup.slots)
    alarm = _Alarm(setup.seconds_per_file)
    parent.send(Ready())
    while True:
        task: Task = parent.receive()
        end = End()
        alarm.start()
        try:
            for row, pixels in Guarded(task.extract(setup.cropping)):
                if pixels is not None:
                    picture = to_input(pixels, setup.framing)
                    with alarm.paused():
                        filler.wait()
                    filler.put(picture)
                with alarm.paused():
                    parent.send(Found(row, pixels is not None))
        except RequestError as error:
            end = End(str(error))
        alarm.stop()
        parent.send(end)
