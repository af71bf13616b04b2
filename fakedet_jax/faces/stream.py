# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the faces of files, cuts them out, and yields batches of crops.

Several processes read a file each. Without them, several threads search photographs and
frames, and several videos are decoded at a time, one thread each. The results have the
order of the files. Memory stays bounded: a video holds at most
`extraction.MAX_HELD_BYTES` of frames, and those that are being searched.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fakedet_jax.data.prepared.examples import Example
from fakedet_jax.errors import RequestError
from fakedet_jax.faces import opencv
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.extraction import (
    LEFT_OUT,
    Guarded,
    Outcome,
    Row,
    Searched,
)
from fakedet_jax.faces.process_readers import ProcessReaders
from fakedet_jax.faces.reader_process import Task
from fakedet_jax.media import batching, video, video_stream
from fakedet_jax.media import files as media_files
from fakedet_jax.media.decode import to_input
from fakedet_jax.media.framing import Framing
from fakedet_jax.media.video import Frame
from fakedet_jax.runtime.processes import available_cores

NO_PICTURE = -1

# From here on it pays to start processes, and to fill the memory of the devices.
MANY_FILES = 256

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
        example: The crop of a prepared dataset that is meant instead of a file.
    """

    path: Path
    name: str
    error: str | None = None
    example: Example | None = None

    @property
    def kind(self) -> str:
        """`photo` or `video`."""
        if self.example is not None:
            return "photo"
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
            "expected files such as .avi, .heic, .jpg, .mp4, .png, .tif or .webp"
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
    if cropping.detector.name == "none" and cropping.otherwise is None:
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
    if cropping.may_take_all or any(file.kind == "video" for file in files):
        return batch_size
    return min(batch_size, len(files))


@dataclasses.dataclass(frozen=True)
class Reading:
    """Who reads files.

    Attributes:
        num_workers: Number of processes; 0 reads in threads of this process.
        num_threads: Number of those threads.
        seconds_per_file: A file that takes longer is given up; 0 for no limit. Needs a
            process.
    """

    num_workers: int = 0
    num_threads: int = 8
    seconds_per_file: float = 0.0


_THREADS = Reading()


def choose_reading(
    num_files: int,
    *,
    num_workers: int | None,
    num_threads: int,
    seconds_per_file: float,
) -> Reading:
    """Chooses who reads files.

    Args:
        num_files: How many there are.
        num_workers: The wanted number of processes; None for as many as there are
            cores, or for threads where that is sooner done.
        num_threads: Threads without processes.
        seconds_per_file: See `Reading`.

    Raises:
        RequestError: Files have a limit, and no process.
    """
    if num_workers is None:
        is_large = num_files >= MANY_FILES
        cores = available_cores()
        num_workers = cores if is_large or seconds_per_file else 0
        num_workers = min(num_workers, num_files)
    if seconds_per_file and not num_workers:
        raise RequestError(
            "`seconds_per_file`: only a reading process can be ended; expected "
            "`num_workers` of at least 1, found 0"
        )
    return Reading(num_workers, num_threads, seconds_per_file)


def stream_faces(
    files: Iterable[FaceFile | None],
    cropping: Cropping,
    *,
    framing: Framing,
    batch_size: int,
    reading: Reading = _THREADS,
    has_provenance: bool = False,
) -> Generator[FaceBatch, None, None]:
    """Finds the faces of files, cuts them out, and fills batches across files.

    Close the generator to end its threads and processes.

    Args:
        files: The files; they are consumed only as fast as batches are. None ends a
            batch, so that the batches of what follows do not depend on what precedes.
        cropping: How faces are found and cut out.
        framing: Region and size of the network's input.
        batch_size: Rows per batch.
        reading: Who reads the files.
        has_provenance: Whether rows tell what a file says of its origin.

    Yields:
        Items in the order of the files, and the batch of their crops, padded at its
        end; `None` if no item has a crop. `index` counts the crops of the whole stream;
        `label` is 0.

    Raises:
        RequestError: A package or model that is needed is missing or damaged.
        RuntimeError: A process cannot start.
    """
    filling = _Filling(framing, batch_size)
    pending: collections.deque[Iterator[Outcome] | None] = collections.deque()
    # While a batch is computed, the next one is read.
    max_pending = max(2 * batch_size, 2 * reading.num_threads, 8 * reading.num_workers)
    waiting = iter(files)
    number = 0
    with _open_readers(cropping, framing, reading, max_pending) as readers:
        while True:
            room = max(0, max_pending - len(pending))
            for file in itertools.islice(waiting, room):
                pending.append(
                    None if file is None else _start(readers, file, has_provenance)
                )
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


class _Readers(Protocol):
    """Threads or processes that turn files into outcomes, in the order of the files."""

    def start(self, task: Task) -> Iterator[Outcome]:
        """Queues a file and returns its outcomes, which arrive as they are found."""

    def close(self) -> None:
        """Ends the threads or processes."""


@contextlib.contextmanager
def _open_readers(
    cropping: Cropping, framing: Framing, reading: Reading, max_pending: int
) -> Iterator[_Readers]:
    if reading.num_workers:
        with contextlib.closing(
            ProcessReaders(
                cropping,
                framing,
                reading.num_workers,
                num_ahead=max_pending,
                seconds_per_file=reading.seconds_per_file,
            )
        ) as processes:
            yield processes
        return
    with (
        opencv.one_thread() if cropping.may_search else contextlib.nullcontext(),
        contextlib.closing(
            _ThreadReaders(cropping, framing, reading.num_threads)
        ) as threads,
    ):
        yield threads


def _start(
    readers: _Readers, file: FaceFile, has_provenance: bool
) -> Iterator[Outcome]:
    if file.error is not None:
        return iter([(Row(LEFT_OUT, file.error), None)])
    return readers.start(
        Task(file.path, file.name, file.kind, file.example, has_provenance)
    )


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


class _ThreadReaders:
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

    def start(self, task: Task) -> Iterator[Outcome]:
        """Queues a file and returns its outcomes, which arrive as they are found."""
        if task.kind == "photo":
            return _outcomes_of(
                self._pictures.submit(lambda: list(self._extract(task)))
            )
        waiting = _Waiting(_MAX_WAITING)
        self._videos.submit(self._fill, task, waiting)
        return _drain(waiting)

    def close(self) -> None:
        """Ends the threads, after the pictures that are being decoded."""
        self._is_stopped.set()
        # Videos wait for their frames, so frames in the queue are cancelled first.
        for pool in (self._pictures, self._videos):
            pool.shutdown(wait=True, cancel_futures=True)

    def _extract(self, task: Task) -> Iterator[Outcome]:
        outcomes = task.extract(self._cropping, self._search)
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

    def _fill(self, task: Task, waiting: "_Waiting") -> None:
        try:
            for outcome in self._extract(task):
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
