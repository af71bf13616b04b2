# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the faces of files, cuts them out, and yields batches of crops.

Several threads search photographs and frames; several videos are decoded at a time,
one thread each. The results have the order of the files. Memory stays bounded: a video
holds at most `extraction.MAX_HELD_BYTES` of frames, and those that are being searched.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.faces import opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import (
    LEFT_OUT,
    Guarded,
    Outcome,
    Row,
    Searched,
    extract,
)
from fakedet_jax.media import batching, video, video_stream
from fakedet_jax.media import files as media_files
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.video import Frame
from fakedet_jax.runtime.processes import available_cores

NO_PICTURE = -1

EXTENSIONS = media_files.PICTURE_EXTENSIONS | video.VIDEO_EXTENSIONS

_LOGGER = logging.getLogger(__name__)

# Outcomes of a video that may wait for the batch.
_MAX_WAITING = 32
_SECONDS_BETWEEN_CHECKS = 0.1


class FaceFile(NamedTuple):
    """A file whose faces are to be found.

    Attributes:
        path: The file; its extension tells videos from photographs.
        name: Path relative to the folder that was searched, for the face detector.
        error: Why the file cannot be used, if that is known already.
    """

    path: Path
    name: str
    error: str | None = None

    @property
    def kind(self) -> str:
        """`photo` or `video`."""
        return "video" if video.is_video(self.path) else "photo"


class FaceItem(NamedTuple):
    """Outcome of a face, a frame or a file, or the end of a file.

    Attributes:
        file: Number of the file, from 0.
        row: The outcome; `None` at the end of the file.
        position: Row of the crop in the batch; `NO_PICTURE` if there is no crop.
    """

    file: int
    row: Row | None
    position: int = NO_PICTURE


# Items in the order of the files, and the batch of their crops; `None` without a crop.
FaceBatch = tuple[list[FaceItem], batching.Batch | None]


def find_files(paths: Sequence[str]) -> list[FaceFile]:
    """Finds photographs and videos.

    Args:
        paths: Files, and folders that are searched for files with `EXTENSIONS`.

    Returns:
        The files, at least one.

    Raises:
        RequestError: There is no file.
    """
    found = []
    for top in map(Path, paths):
        root = top if top.is_dir() else top.parent
        for file in media_files.find_pictures([top], EXTENSIONS):
            name = str(file.path.relative_to(root))
            if file.path == root:  # The folder itself cannot be read.
                name = root.name or "folder"
            found.append(FaceFile(file.path, name, file.error))
    if not found:
        raise RequestError(
            f"`paths`: no photographs or videos in {', '.join(map(repr, paths))}; "
            f"expected files that end in {', '.join(sorted(EXTENSIONS))}"
        )
    return found


def check_videos(files: Iterable[FaceFile], cropping: Cropping) -> None:
    """Checks that videos can be read, and warns if their frames are taken whole.

    Args:
        files: The files, photographs among them or not.
        cropping: How faces are found and cut out.

    Raises:
        RequestError: There are videos, and PyAV is not installed.
    """
    if any(file.error is None and file.kind == "video" for file in files):
        check_video_support(cropping)


def check_video_support(cropping: Cropping) -> None:
    """Checks that videos can be read, and warns if their frames are taken whole.

    Args:
        cropping: How faces are found and cut out.

    Raises:
        RequestError: PyAV is not installed.
    """
    video_stream.check_installed()
    if cropping.detector.name == "none":
        _LOGGER.warning(
            "frames of videos are taken whole, because no faces are searched for; "
            "unless they are face crops, give `face_detector`"
        )


def limit_batch_size(
    batch_size: int, files: Sequence[FaceFile], cropping: Cropping
) -> int:
    """Lowers a batch size to the number of crops if that is known to be smaller.

    Args:
        batch_size: The wanted number of rows.
        files: All files.
        cropping: How faces are found and cut out.

    Returns:
        At most the number of files if each of them gives one crop at most.
    """
    if cropping.all_faces or any(file.kind == "video" for file in files):
        return batch_size
    return min(batch_size, len(files))


def stream_faces(
    files: Iterable[FaceFile | None],
    cropping: Cropping,
    *,
    framing: Framing,
    batch_size: int,
    num_threads: int = 8,
) -> Generator[FaceBatch, None, None]:
    """Finds the faces of files, cuts them out, and fills batches across files.

    Close the generator to end its threads.

    Args:
        files: The files; they are consumed only as fast as batches are. None ends a
            batch, so that the batches of what follows do not depend on what precedes.
        cropping: How faces are found and cut out.
        framing: Region and size of the network's input.
        batch_size: Rows per batch.
        num_threads: Threads that decode photographs and search for faces.

    Yields:
        Items in the order of the files, and the batch of their crops, padded at its
        end; `None` if no item has a crop. `index` counts the crops of the whole stream;
        `label` is 0.

    Raises:
        RequestError: A package or model that is needed is missing or damaged.
    """
    filling = _Filling(framing, batch_size)
    pending: collections.deque[Iterator[Outcome] | None] = collections.deque()
    max_pending = max(batch_size, 2 * num_threads)
    waiting = iter(files)
    number = 0
    with (
        opencv.one_thread() if cropping.is_search else contextlib.nullcontext(),
        contextlib.closing(_Workers(cropping, framing, num_threads)) as workers,
    ):
        while True:
            room = max(0, max_pending - len(pending))
            for file in itertools.islice(waiting, room):
                pending.append(None if file is None else workers.start(file))
            if not pending:
                break
            outcomes = pending.popleft()
            if outcomes is None:
                if filling.items:
                    yield filling.take()
                continue
            for outcome in outcomes:
                filling.add(number, *outcome)
                if filling.is_full:
                    yield filling.take()
            filling.items.append(FaceItem(number, None))
            number += 1
        if filling.items:
            yield filling.take()


class _Filling:
    """A batch that is being filled."""

    def __init__(self, framing: Framing, batch_size: int):
        self.items: list[FaceItem] = []
        self._framing = framing
        self._batch_size = batch_size
        self._rows: list[dict[str, object]] = []
        self._num_crops = 0

    @property
    def is_full(self) -> bool:
        # Many frames without a face must not wait until a face is found.
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
        return items, batching.fill_batch(rows, self._batch_size, self._framing)


class _Stopped(BaseException):
    """The stream was closed; not a fault of a file."""


class _Workers:
    """Threads that turn files into outcomes with pictures of the network's input size.

    Tasks start in the order of the files. So the file whose outcomes are needed next is
    always being processed, and later videos may wait until there is room.
    """

    def __init__(self, cropping: Cropping, framing: Framing, num_threads: int):
        self._cropping = cropping
        self._framing = framing
        self._max_ahead = num_threads
        self._is_stopped = threading.Event()
        # Tasks of this pool never wait. Those of videos wait for them and for room.
        self._pictures = concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-faces"
        )
        self._videos = concurrent.futures.ThreadPoolExecutor(
            min(num_threads, available_cores()), "fakedet-videos"
        )

    def start(self, file: FaceFile) -> Iterator[Outcome]:
        """Queues a file and returns its outcomes, which arrive as they are found."""
        if file.error is not None:
            return iter([(Row(LEFT_OUT, file.error), None)])
        if file.kind == "photo":
            task = self._pictures.submit(lambda: list(self._extract(file)))
            return _outcomes_of(task)
        waiting = _Waiting(_MAX_WAITING)
        self._videos.submit(self._fill, file, waiting)
        return _drain(waiting)

    def close(self) -> None:
        """Ends the threads, after the pictures that are being decoded."""
        self._is_stopped.set()
        # Videos wait for their frames, so frames in the queue are cancelled first.
        for pool in (self._pictures, self._videos):
            pool.shutdown(wait=True, cancel_futures=True)

    def _extract(self, file: FaceFile) -> Iterator[Outcome]:
        outcomes = extract(
            file.path,
            file.name,
            file.kind,
            self._cropping,
            self._search,
            tags=(),
        )
        for row, pixels in Guarded(outcomes):
            picture = None if pixels is None else to_input(pixels, self._framing)
            yield row, picture

    def _search(
        self, search: Callable[[Frame], Searched], frames: Iterable[Frame]
    ) -> Iterator[Searched]:
        """Searches frames like `map`, in several threads and a few frames ahead."""
        ahead: collections.deque[concurrent.futures.Future[Searched]]
        ahead = collections.deque()
        for frame in frames:
            if self._is_stopped.is_set():
                raise _Stopped
            ahead.append(self._pictures.submit(search, frame))
            if len(ahead) > self._max_ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

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
                waiting.put(item, timeout=_SECONDS_BETWEEN_CHECKS)
                return
        raise _Stopped


# Outcomes of a video; then `None`, or the exception that ended it.
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
