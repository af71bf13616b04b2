# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of faces that are found and cut out as files are read, for prediction.

Photographs, and the frames of videos, are searched in several threads; each video is
decoded in one thread, and several videos at a time. What comes out is in the order of
the files all the same. Threads work ahead of the batches only as far as memory allows:
of a video at most `extraction.MAX_HELD_BYTES` of frames are held, and the frames that
are being searched.
"""

import collections
import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import (
    LEFT_OUT,
    Guarded,
    Outcome,
    Row,
    Searched,
    extract,
)
from fakedet_jax.media import batching
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.video import Frame, is_video
from fakedet_jax.runtime.processes import available_cores

NO_PICTURE = -1

# Faces of a video that wait for their batch.
_MAX_WAITING = 32
_SECONDS_BETWEEN_LOOKS = 0.1


class FaceFile(NamedTuple):
    """A file in which faces are to be found.

    Attributes:
        path: The file; its extension tells videos from photographs.
        name: Its path relative to the folder that was searched, for the detector.
        error: Why it cannot be used, where that is known already.
    """

    path: Path
    name: str
    error: str | None = None

    @property
    def kind(self) -> str:
        """`photo` or `video`."""
        return "video" if is_video(self.path) else "photo"


class FaceItem(NamedTuple):
    """What became of a face, a frame or a file; or that a file has come to its end.

    Attributes:
        file: Number of the file, from 0.
        row: What became of it; `None` at the end of the file.
        position: Of its crop in the batch; `NO_PICTURE` where there is none.
    """

    file: int
    row: Row | None
    position: int = NO_PICTURE


FaceBatch = tuple[list[FaceItem], batching.Batch | None]


def stream_faces(
    files: Iterable[FaceFile],
    cropping: Cropping,
    *,
    framing: Framing,
    batch_size: int,
    num_threads: int = 8,
) -> Generator[FaceBatch, None, None]:
    """Finds the faces of files, cuts them out, and fills batches across files.

    Args:
        files: The files; taken only as fast as batches are.
        cropping: How faces are found and cut out.
        framing: Of the network's input.
        batch_size: Rows per batch.
        num_threads: Threads that decode photographs and search for faces.

    Yields:
        Items in the order of the files, and the batch of their crops, with the padding
        at its end; `None` where no item has a crop. `index` counts the crops of the
        whole stream; `label` is 0.

    Raises:
        RequestError: Something that is needed is not installed, or is refused.
    """
    filling = _Filling(framing, batch_size)
    pending: collections.deque[tuple[int, Iterator[Outcome]]] = collections.deque()
    max_pending = max(batch_size, 2 * num_threads)
    numbered = enumerate(files)
    with contextlib.closing(_Workers(cropping, framing, num_threads)) as workers:
        while True:
            while len(pending) < max_pending and (entry := next(numbered, None)):
                pending.append((entry[0], workers.start(entry[1])))
            if not pending:
                break
            number, outcomes = pending.popleft()
            for outcome in outcomes:
                filling.add(number, *outcome)
                if filling.is_full:
                    yield filling.take()
            filling.items.append(FaceItem(number, None))
        if filling.items:
            yield filling.take()


class _Filling:
    """The batch that is being filled."""

    def __init__(self, framing: Framing, batch_size: int):
        self.items: list[FaceItem] = []
        self._framing = framing
        self._batch_size = batch_size
        self._rows: list[dict[str, object]] = []
        self._num_crops = 0

    @property
    def is_full(self) -> bool:
        # Many frames without a face shall not wait for ever for one with a face.
        return len(self._rows) == self._batch_size or (
            len(self.items) >= 8 * self._batch_size
        )

    def add(self, file: int, row: Row, picture: np.ndarray | None) -> None:
        position = NO_PICTURE
        if picture is not None:
            position = len(self._rows)
            self._rows.append(
                batching.make_row(self._num_crops, 0, picture, self._framing)
            )
            self._num_crops += 1
        self.items.append(FaceItem(file, row, position))

    def take(self) -> FaceBatch:
        items, rows = self.items, self._rows
        self.items, self._rows = [], []
        if not rows:
            return items, None
        padding = batching.make_row(batching.NO_EXAMPLE, 0, None, self._framing)
        rows += [padding] * (self._batch_size - len(rows))
        return items, batching.stack_rows(rows)


class _Stopped(BaseException):
    """Nobody wants the outcomes any longer; no fault of a file."""


class _Workers:
    """Threads that turn files into outcomes whose pictures are those of the network.

    Tasks begin in the order of the files. So the file whose outcomes are waited for is
    always under way, and videos that are ahead of it may wait for room.
    """

    def __init__(self, cropping: Cropping, framing: Framing, num_threads: int):
        self._cropping = cropping
        self._framing = framing
        self._max_ahead = num_threads
        self._is_stopped = threading.Event()
        # These tasks wait for nothing; those of videos wait for them and for room.
        self._pictures = concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-faces"
        )
        self._videos = concurrent.futures.ThreadPoolExecutor(
            min(num_threads, available_cores()), "fakedet-videos"
        )

    def start(self, file: FaceFile) -> Iterator[Outcome]:
        """Begins to work on a file, or lets it wait for its turn."""
        if file.error is not None:
            return iter([(Row(LEFT_OUT, file.error), None)])
        if file.kind == "photo":
            task = self._pictures.submit(lambda: list(self._extract(file)))
            return _outcomes_of(task)
        waiting = _Waiting(_MAX_WAITING)
        self._videos.submit(self._fill, file, waiting)
        return _drain(waiting)

    def close(self) -> None:
        """Ends the threads; a picture that is being decoded is waited for."""
        self._is_stopped.set()
        # Videos wait for their frames: those that are not searched yet go first.
        for pool in (self._pictures, self._videos):
            pool.shutdown(wait=True, cancel_futures=True)

    def _extract(self, file: FaceFile) -> Iterator[Outcome]:
        outcomes = extract(
            file.path, file.name, file.kind, self._cropping, self._search
        )
        for row, pixels in Guarded(outcomes):
            picture = None if pixels is None else to_input(pixels, self._framing)
            yield row, picture

    def _search(
        self, search: Callable[[Frame], Searched], frames: Iterable[Frame]
    ) -> Iterator[Searched]:
        """Like `map`, in several threads and a few frames ahead."""
        ahead: collections.deque[concurrent.futures.Future[Searched]]
        ahead = collections.deque()
        for frame in frames:
            ahead.append(self._submit(search, frame))
            if len(ahead) > self._max_ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _submit(
        self, search: Callable[[Frame], Searched], frame: Frame
    ) -> "concurrent.futures.Future[Searched]":
        if self._is_stopped.is_set():
            raise _Stopped
        return self._pictures.submit(search, frame)

    def _fill(self, file: FaceFile, waiting: "_Waiting") -> None:
        try:
            for outcome in self._extract(file):
                self._put(waiting, outcome)
            self._put(waiting, None)
        except _Stopped:
            return
        except BaseException as error:
            with contextlib.suppress(_Stopped):
                self._put(waiting, error)

    def _put(self, waiting: "_Waiting", item: "Outcome | BaseException | None") -> None:
        while not self._is_stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=_SECONDS_BETWEEN_LOOKS)
                return
        raise _Stopped


# Outcomes of a video; then `None`, or what went wrong.
_Waiting = queue.Queue[Outcome | BaseException | None]


def _outcomes_of(
    task: "concurrent.futures.Future[list[Outcome]]",
) -> Iterator[Outcome]:
    yield from task.result()


def _drain(waiting: _Waiting) -> Iterator[Outcome]:
    while (item := waiting.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
