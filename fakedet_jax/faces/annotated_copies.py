# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes copies of pictures and videos with the boxes and scores of their faces drawn.

Pictures become PNG files and videos become MP4 files with their sound. A copy never
overwrites a file that was scored.
"""

import collections
import concurrent.futures
import contextlib
import io
import logging
import math
import os
import threading
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces import annotation, shots
from fakedet_jax.faces.annotation import Mark, MovingMark
from fakedet_jax.faces.extraction import Row
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media import options, sound, video
from fakedet_jax.media.decode import decode, read_file
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    import av

_LOGGER = logging.getLogger(__name__)

# The usual frame rates are whole multiples, and MPEG-4 allows no finer unit.
_TIME_BASE = Fraction(1, 60_000)
_DEFAULT_RATE = Fraction(25)
_ENCODERS = {"libx264": {"preset": "veryfast", "crf": "20"}, "mpeg4": {"qscale": "3"}}
_BT709 = 1  # The number of its matrix, its primaries and its transfer curve.
_MAX_NAME_BYTES = 200  # Of 255, which leaves room for a temporary name.


class AnnotatedCopies:
    """Writes annotated copies in several threads; use it in a `with` statement.

    The end of the `with` block waits for unfinished copies; after an error it cancels
    them.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[FaceFile],
        num_threads: int,
        how: MediaConfig = options.DEFAULT,
    ):
        """Creates the folder and chooses the names of the copies.

        Args:
            folder: Folder of the copies.
            files: All files that are scored.
            num_threads: Number of writing threads.
            how: How files became the pixels in which faces were found.

        Raises:
            RequestError: The folder cannot be created.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refusal(folder, error) from error
        self._folder = folder
        self._targets = plan_targets(folder, files)
        self._files = files
        self._how = how
        self._max_pending = 2 * num_threads
        self._pending = collections.deque[concurrent.futures.Future[None]]()
        self._is_stopped = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-annotate"
        )

    def add(
        self, number: int, scored: Sequence[tuple[Row, Mark]], looked_at: Iterable[int]
    ) -> None:
        """Queues the copy of a file; waits while too many copies are queued.

        Args:
            number: Number of the file in `files`.
            scored: Its faces and their marks, in the order of frames.
            looked_at: Numbers of the frames in which faces were searched for.

        Raises:
            RequestError: An earlier copy cannot be written.
        """
        while len(self._pending) >= self._max_pending:
            self._finish(self._pending.popleft())
        self._pending.append(
            self._pool.submit(self._write, number, scored, sorted(set(looked_at)))
        )

    def __enter__(self) -> "AnnotatedCopies":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._pending:
                self._finish(self._pending.popleft())
        finally:
            self._is_stopped.set()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, task: "concurrent.futures.Future[None]") -> None:
        try:
            task.result()
        except OSError as error:
            raise _refusal(self._folder, error) from error

    def _write(
        self, number: int, scored: Sequence[tuple[Row, Mark]], looked_at: list[int]
    ) -> None:
        file, target = self._files[number], self._targets[number]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if file.kind == "photo":
                marks = [mark for _, mark in scored]
                write_photo(file.path, marks, target, self._how)
            else:
                cuts = _find_cuts(file.path, looked_at, self._is_stopped, self._how)
                moving = _moving_marks(scored, looked_at, cuts)
                write_video(file.path, moving, target, self._is_stopped, self._how)
        except ImageError as error:
            _LOGGER.warning("no copy of %s was written: it %s", file.path, error)


def plan_targets(folder: Path, files: Iterable[FaceFile]) -> list[Path]:
    """Chooses the path of each file's copy.

    It is the file's path relative to the folder that was searched, with the extension
    of the copy. A number is added if that path is taken or is a file that is scored.

    Args:
        folder: Folder of the copies.
        files: All files that are scored.

    Returns:
        For each file a path within `folder`.
    """
    files = list(files)
    inputs = {_real(file.path) for file in files}
    # Some file systems ignore the case of letters.
    taken: set[str] = set()
    for file in files:
        parents = PurePath(file.name).parents
        taken.update(str(parent).casefold() for parent in parents)
    num_tried: collections.Counter[str] = collections.Counter()
    targets = []
    for file in files:
        extension = ".mp4" if file.kind == "video" else ".png"
        name = _shortened(PurePath(file.name))
        while True:
            candidate = _numbered(name, extension, num_tried)
            key = str(candidate).casefold()
            target = folder / candidate
            if key not in taken and _real(target) not in inputs:
                break
        taken.add(key)
        targets.append(target)
    return targets


def write_photo(
    path: Path,
    marks: Sequence[Mark],
    target: Path,
    how: MediaConfig = options.DEFAULT,
) -> None:
    """Writes an annotated copy of a picture as PNG, atomically.

    Args:
        path: The picture.
        marks: Marks of its faces.
        target: File to write.
        how: How the file becomes pixels.

    Raises:
        ImageError: The picture cannot be used.
        OSError: The copy cannot be written.
    """
    picture = annotation.draw(decode(read_file(path), how), marks)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    storage.write_bytes(target, buffer.getvalue())


def write_video(
    path: Path,
    moving: Sequence[MovingMark],
    target: Path,
    is_stopped: threading.Event,
    how: MediaConfig = options.DEFAULT,
) -> None:
    """Writes an annotated copy of a video as MP4 with its sound, atomically.

    The copy contains all frames that can be decoded, with their timestamps.

    Args:
        path: The video.
        moving: Marks of its faces.
        target: File to write.
        is_stopped: Cancels the copy when it is set.
        how: How the file becomes pixels.

    Raises:
        ImageError: The video cannot be used.
        OSError: The copy cannot be written, or `is_stopped` was set.
        RequestError: PyAV is not installed.
    """
    rate = video.probe(path).frames_per_second
    with (
        video.read_frames(path, selection=video.EveryNth(1), how=how) as frames,
        storage.atomic_file(target) as file,
    ):
        import av

        with (
            av.open(file, "w", format="mp4") as container,
            contextlib.ExitStack() as stack,
        ):
            writer = track = None
            for frame in frames:
                if is_stopped.is_set():
                    raise OSError("stopped")
                found = [mark.at(frame.number) for mark in moving]
                marks = [mark for mark in found if mark is not None]
                picture = annotation.draw(frame.picture, marks)
                if writer is None or track is None:
                    writer = _VideoWriter(container, picture.shape, rate)
                    track = stack.enter_context(sound.open_sound(path, container))
                # Players expect sound and pictures of a time side by side.
                track.pass_on(writer.add(picture, frame))
            if writer is not None and track is not None:
                writer.finish()
                track.pass_on(math.inf)


class _VideoWriter:
    """Encodes pictures of one size with the timestamps of their source."""

    def __init__(
        self,
        container: "av.container.OutputContainer",
        shape: tuple[int, ...],
        rate: float | None,
    ):
        import av

        codec = next(name for name in _ENCODERS if name in av.codecs_available)
        self._rate = (
            Fraction(rate).limit_denominator(1001)
            if rate and math.isfinite(rate) and 0.1 <= rate <= 1000
            else _DEFAULT_RATE
        )
        self._container = container
        stream = container.add_stream(codec, self._rate, dict(_ENCODERS[codec]))
        assert isinstance(stream, av.VideoStream)  # For the type checker.
        self._stream = stream
        # Chroma has half the resolution, so odd sides are stretched by a pixel.
        stream.height, stream.width = (n + n % 2 for n in shape[:2])
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = _TIME_BASE
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._last = -1

    def add(self, picture: np.ndarray, source: video.Frame) -> float:
        """Encodes a picture, and returns its time in seconds."""
        import av

        time: float | Fraction = source.time
        if math.isnan(time):
            time = source.number / self._rate
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
            self._stream.width,
            self._stream.height,
            format="yuv420p",
            dst_colorspace=_BT709,
        )
        # The container rejects two frames with the same timestamp.
        self._last = frame.pts = max(self._last + 1, round(time / _TIME_BASE))
        frame.time_base = _TIME_BASE
        frame.duration = round(1 / self._rate / _TIME_BASE)
        self._container.mux(self._stream.encode(frame))
        return float(frame.pts * _TIME_BASE)

    def finish(self) -> None:
        self._container.mux(self._stream.encode())


def _moving_marks(
    scored: Sequence[tuple[Row, Mark]], looked_at: Sequence[int], cuts: Sequence[int]
) -> list[MovingMark]:
    by_face: dict[int, tuple[list[int], list[Mark]]] = {}
    for row, mark in scored:
        frames, marks = by_face.setdefault(row.face, ([], []))
        frames.append(row.frame)
        marks.append(mark)
    return [MovingMark(*by_face[face], looked_at, cuts) for face in sorted(by_face)]


def _find_cuts(
    path: Path, looked_at: Sequence[int], is_stopped: threading.Event, how: MediaConfig
) -> list[int]:
    """Finds the frames with which a new shot starts, by decoding the whole video.

    Two searched frames of different shots without a hard cut between them, as after a
    dissolve, have a cut half the way.
    """
    if not looked_at or len(looked_at) == looked_at[-1] + 1:
        return []
    cuts: list[int] = []
    searched = set(looked_at)
    before = last_searched = None
    last_number = 0
    with video.read_frames(path, selection=video.EveryNth(1), how=how) as frames:
        for frame in frames:
            if is_stopped.is_set():
                raise OSError("stopped")
            after = shots.shrink(frame.picture)
            if before is not None and shots.is_cut(before, after):
                cuts.append(frame.number)
            before = after
            if frame.number not in searched:
                continue
            is_hard = bool(cuts) and cuts[-1] > last_number
            if (
                last_searched is not None
                and not is_hard
                and shots.is_cut(last_searched, after)
            ):
                cuts.append((last_number + frame.number + 1) // 2)
            last_searched, last_number = after, frame.number
    return cuts


def _shortened(name: PurePath) -> PurePath:
    """The name without extension, cut to the allowed length."""
    return name.with_name(os.fsdecode(os.fsencode(name.stem)[:_MAX_NAME_BYTES]))


def _numbered(
    name: PurePath, extension: str, num_tried: collections.Counter[str]
) -> PurePath:
    """Returns `a.png` in the first call for a name, then `a-2.png` and so on."""
    key = str(name).casefold() + extension
    num_tried[key] += 1
    number = f"-{num_tried[key]}" if num_tried[key] > 1 else ""
    return name.with_name(f"{name.name}{number}{extension}")


def _real(path: Path) -> str:
    """Resolves the links of a path; returns the path itself if that fails."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def _refusal(folder: Path, error: OSError) -> RequestError:
    return RequestError(
        f"`annotated`: {str(folder)!r} cannot be written ({error.strerror or error}); "
        "name another folder or make room there"
    )
