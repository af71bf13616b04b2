# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Copies of scored photographs and videos, with boxes and scores drawn in.

They are for the eye: photographs become PNG files, videos MP4 files without their
sound. No copy of another name is touched, and never a file that was scored.
"""

import collections
import concurrent.futures
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
from fakedet_jax.faces import annotation
from fakedet_jax.faces.annotation import Mark, Trace
from fakedet_jax.faces.extraction import Row
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media import video
from fakedet_jax.media.decode import decode, read_file
from fakedet_jax.runtime import storage

if TYPE_CHECKING:
    import av

_LOGGER = logging.getLogger(__name__)

# The usual frame rates take whole numbers of it, and MPEG-4 allows no finer one.
_TIME_BASE = Fraction(1, 60_000)
_DEFAULT_RATE = Fraction(25)
_ENCODERS = {"libx264": {"preset": "veryfast", "crf": "20"}, "mpeg4": {"qscale": "3"}}
_BT709 = 1  # Matrix, primaries and transfer curve alike have this number.
_MAX_NAME_BYTES = 200  # Of 255, so that there is room for a temporary name.


class AnnotatedCopies:
    """Writes the copies in several threads; use it in a `with` statement.

    Leaving it waits for the copies that are not finished; after an error it ends them.
    """

    def __init__(self, folder: Path, files: Sequence[FaceFile], num_threads: int):
        """Makes the folder and chooses the names.

        Args:
            folder: For the copies.
            files: All files that are scored.
            num_threads: That write.

        Raises:
            RequestError: The folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refusal(folder, error) from error
        self._folder = folder
        self._targets = plan_targets(folder, files)
        self._files = files
        self._max_pending = 2 * num_threads
        self._pending: collections.deque[concurrent.futures.Future[None]]
        self._pending = collections.deque()
        self._is_stopped = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-annotate"
        )

    def add(
        self, number: int, scored: Sequence[tuple[Row, Mark]], looked_at: Iterable[int]
    ) -> None:
        """Writes the copy of a file, soon.

        Args:
            number: Of the file, from 0.
            scored: Its faces, in the order of frames, and how they are to be drawn.
            looked_at: Numbers of the frames that were searched.

        Raises:
            RequestError: A copy cannot be written.
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
                write_photo(file.path, [mark for _, mark in scored], target)
            else:
                traces = _traces(scored, looked_at)
                write_video(file.path, traces, target, self._is_stopped)
        except ImageError as error:
            _LOGGER.warning("no copy was made of %s: it %s", file.path, error)


def plan_targets(folder: Path, files: Iterable[FaceFile]) -> list[Path]:
    """Chooses the name of each file's copy.

    It is the file's own name below the folder that was searched, with the extension of
    the copy; a number is added where that is taken, or is a file that is scored.

    Args:
        folder: For the copies.
        files: All files that are scored.

    Returns:
        For each file a path within the folder.
    """
    files = list(files)
    inputs = {_real(file.path) for file in files}
    # File systems may not tell capitals from small letters.
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


def write_photo(path: Path, marks: Sequence[Mark], target: Path) -> None:
    """Writes an annotated copy of a photograph as PNG, atomically.

    Args:
        path: The photograph.
        marks: What to draw.
        target: The file to write.

    Raises:
        ImageError: The photograph cannot be used.
        OSError: The copy cannot be written.
    """
    picture = annotation.draw(decode(read_file(path)), marks)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    storage.write_bytes(target, buffer.getvalue())


def write_video(
    path: Path, traces: Sequence[Trace], target: Path, is_stopped: threading.Event
) -> None:
    """Writes an annotated copy of a video as MP4 without sound, atomically.

    All frames are copied that can be decoded, each at its time.

    Args:
        path: The video.
        traces: Its faces.
        target: The file to write.
        is_stopped: Nothing is written once it is set.

    Raises:
        ImageError: The video cannot be used.
        OSError: The copy cannot be written.
        RequestError: PyAV is not installed.
    """
    rate = video.probe(path).frames_per_second
    with (
        video.read_frames(path, selection=video.EveryNth(1)) as frames,
        storage.atomic_file(target) as file,
    ):
        import av

        with av.open(file, "w", format="mp4") as container:
            writer = None
            for frame in frames:
                if is_stopped.is_set():
                    raise OSError("stopped")
                found = [trace.at(frame.number) for trace in traces]
                marks = [mark for mark in found if mark is not None]
                picture = annotation.draw(frame.picture, marks)
                writer = writer or _VideoWriter(container, picture.shape, rate)
                writer.add(picture, frame)
            if writer is not None:
                writer.finish()


class _VideoWriter:
    """Encodes pictures of one size, each at its time."""

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
        # Chroma has half the size: odd sides are stretched by a pixel.
        stream.height, stream.width = (n + n % 2 for n in shape[:2])
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = _TIME_BASE
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._last = -1

    def add(self, picture: np.ndarray, source: video.Frame) -> None:
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
        # Two frames that are shown at once would be refused.
        self._last = frame.pts = max(self._last + 1, round(time / _TIME_BASE))
        frame.time_base = _TIME_BASE
        frame.duration = round(1 / self._rate / _TIME_BASE)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())


def _traces(
    scored: Sequence[tuple[Row, Mark]], looked_at: Sequence[int]
) -> list[Trace]:
    by_face: dict[int, tuple[list[int], list[Mark]]] = {}
    for row, mark in scored:
        frames, marks = by_face.setdefault(row.face, ([], []))
        frames.append(row.frame)
        marks.append(mark)
    return [Trace(*by_face[face], looked_at) for face in sorted(by_face)]


def _shortened(name: PurePath) -> PurePath:
    """The name without extension."""
    return name.with_name(os.fsdecode(os.fsencode(name.stem)[:_MAX_NAME_BYTES]))


def _numbered(
    name: PurePath, extension: str, num_tried: collections.Counter[str]
) -> PurePath:
    """`a.png` at the first time, then `a-2.png` and so on."""
    key = str(name).casefold() + extension
    num_tried[key] += 1
    number = f"-{num_tried[key]}" if num_tried[key] > 1 else ""
    return name.with_name(f"{name.name}{number}{extension}")


def _real(path: Path) -> str:
    """Where a path leads, links followed; the path itself where that is unknown."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def _refusal(folder: Path, error: OSError) -> RequestError:
    return RequestError(
        f"`annotated`: {str(folder)!r} cannot be written ({error.strerror or error}); "
        "name another folder, or make room there"
    )
