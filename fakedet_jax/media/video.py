# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads chosen frames of a video, pixel for pixel as they are stored.

Pictures are decoded and converted to RGB, and nothing else: no resampling, no filter,
no second encoding. Frame k is the k-th that decoding from the beginning gives, as
OpenCV and FFmpeg count, whatever the header says and however uneven the frame rate is.
For that, and yet not to decode a long video for a few frames, see `video_stream`.

Damage within a stretch of a file that need not be decoded goes unnoticed: each packet
there counts as a frame. The stretch at the end, where damage is common, is decoded
before the number of frames is relied upon.
"""

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media.video_frame import rotation, to_rgb
from fakedet_jax.media.video_stream import (
    MAX_PACKETS,
    IndexMismatch,
    PacketIndex,
    VideoStream,
    open_stream,
)

if TYPE_CHECKING:
    import av

VIDEO_EXTENSIONS = frozenset(
    [
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi"),
        *(".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".flv"),
        *(".f4v", ".wmv", ".asf", ".ogv", ".mxf", ".dv", ".ivf", ".nut", ".y4m"),
        *(".h264", ".264", ".hevc", ".265"),
    ]
)


@dataclasses.dataclass(frozen=True)
class Evenly:
    """Frames spread evenly from the first to the last.

    Attributes:
        count: How many: `numpy.linspace(0, num_frames - 1, count)`, rounded. A video
            with fewer frames gives each once.
    """

    count: int

    def __post_init__(self) -> None:
        _check_at_least(self, "count", 1)

    def pick(self, num_frames: int) -> Sequence[int]:
        """Returns the numbers of the chosen frames, increasing.

        >>> Evenly(4).pick(10)
        [0, 3, 6, 9]
        """
        if self.count >= num_frames:
            return range(num_frames)
        positions = np.rint(np.linspace(0, num_frames - 1, self.count))
        return [int(position) for position in positions]


@dataclasses.dataclass(frozen=True)
class EveryNth:
    """Frames at a fixed distance.

    Attributes:
        step: The distance, at least 1.
        start: The first frame, at least 0.
    """

    step: int
    start: int = 0

    def __post_init__(self) -> None:
        _check_at_least(self, "step", 1)
        _check_at_least(self, "start", 0)

    def pick(self, num_frames: int) -> Sequence[int]:
        """Returns the numbers of the chosen frames, increasing.

        >>> list(EveryNth(4, start=1).pick(10))
        [1, 5, 9]
        """
        return range(self.start, num_frames, self.step)


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Frames by their numbers.

    Attributes:
        numbers: In any order; they are read in increasing order, each once.
    """

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(number < 0 for number in self.numbers):
            raise RequestError(
                f"Numbers: frames count from 0, but {min(self.numbers)} was asked for"
            )

    def pick(self, num_frames: int) -> Sequence[int]:
        """Returns the numbers of the chosen frames, increasing.

        >>> Numbers((7, 2, 30)).pick(10)
        [2, 7]
        """
        return sorted({number for number in self.numbers if number < num_frames})


Selection = Evenly | EveryNth | Numbers


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What the header of a video and its first frame tell.

    Attributes:
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.
        num_frames: As the header states, which may be wrong; `None` where it does not.
        frames_per_second: On average; `None` where unknown.
        duration: In seconds; `None` where unknown.
        rotation: By how much stored frames are turned to stand upright, in degrees
            clockwise: 0, 90, 180 or 270.
        codec: Such as `h264`.
    """

    width: int
    height: int
    num_frames: int | None
    frames_per_second: float | None
    duration: float | None
    rotation: int
    codec: str


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video.

    Attributes:
        number: Its place in the video, from 0.
        time: When it is shown, in seconds after the first frame; by the frame rate
            where the format does not state it, NaN where that is unknown too.
        picture: uint8 `[height, width, 3]`, RGB, upright, not writable.
    """

    number: int
    time: float
    picture: np.ndarray


class Reading(Iterator[Frame]):
    """The chosen frames of a video, one after the other; see `read_frames`.

    The file is opened for the first frame and closed after the last, by `close`, at the
    end of a `with` statement, or when nobody holds the object any longer.
    """

    def __init__(self, path: str | Path, selection: Selection, num_threads: int):
        # The generator does not hold this object: both are freed with the last user.
        self._reader = _Reader(path, selection, num_threads)
        self._frames = self._reader.read()

    @property
    def num_frames(self) -> int | None:
        """How many frames the video has; `None` until that is known."""
        return self._reader.num_frames

    @property
    def problem(self) -> str | None:
        """After the last frame: what of the file could not be read; else `None`."""
        return self._reader.problem

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Closes the file; there are no more frames."""
        self._frames.close()

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_video(path: str | Path) -> bool:
    """Whether the name of a file ends like that of a video.

    >>> is_video("519_515.MP4"), is_video("519.png")
    (True, False)
    """
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS


def probe(path: str | Path) -> VideoInfo:
    """Describes a video by its header and its first frame.

    Args:
        path: The video file.

    Returns:
        The description.

    Raises:
        ImageError: The file cannot be used; the message says why.
        RequestError: PyAV is not installed.
    """
    with open_stream(path) as stream:
        frame = next(stream.decode(), None)
        if frame is None:
            raise ImageError(_NOTHING)
        turn = rotation(frame)
        size = (frame.width, frame.height)
        return VideoInfo(
            *(size if turn % 180 == 0 else size[::-1]),
            num_frames=stream.num_announced,
            frames_per_second=stream.frames_per_second,
            duration=stream.duration,
            rotation=turn,
            codec=stream.codec,
        )


def read_frames(
    path: str | Path, *, selection: Selection, num_threads: int = 1
) -> Reading:
    """Reads frames of a video.

    Damage is tolerated: what can be decoded is given, without pictures that the decoder
    marks as patched up, and `problem` of the result tells at the end what was lost.

    Args:
        path: The video file, a regular file; nothing that it refers to is opened.
        selection: Which frames.
        num_threads: Decoding threads; 0 for one per processor. The frames are the same.

    Returns:
        An iterator of frames with increasing numbers. Up to 256 MiB of frames are held
        in memory for `Evenly`, one otherwise.

    Raises:
        ImageError: Raised by the first step of the iterator: the file cannot be used;
            the message says why.
        RequestError: Likewise: PyAV is not installed.
    """
    return Reading(path, selection, num_threads)


_NOTHING = "cannot be decoded: not one of its frames can be"
_MAX_HELD_BYTES = 256 * 2**20


class _Reader:
    """Gives the chosen frames and gathers what is wrong with the file."""

    def __init__(self, path: str | Path, selection: Selection, num_threads: int):
        self.num_frames: int | None = None
        self.problem: str | None = None
        self._path = path
        self._selection = selection
        self._num_threads = num_threads
        self._wanted: Sequence[int] = ()
        self._num_given = 0
        self._num_damaged = 0
        self._num_failed = 0

    def read(self) -> Generator[Frame, None, None]:
        """Yields the frames, by the index as long as it proves right."""
        with open_stream(self._path, self._num_threads) as stream:
            index = stream.list_packets()
            is_done = False
            if index.is_reliable:
                with contextlib.suppress(IndexMismatch):
                    yield from self._read_by_index(stream, index)
                    is_done = True
            self._num_failed = stream.num_failed
        if not is_done:
            yield from self._read_in_order()
        self.problem = self._describe(index)

    def _read_by_index(
        self, stream: VideoStream, index: PacketIndex
    ) -> Iterator[Frame]:
        wanted = self._wanted = self._selection.pick(index.num_frames)
        held = {}
        if isinstance(self._selection, Evenly):
            held = self._check_end(stream, index)
        frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        position = -2  # Of the frame that was decoded last.
        for number in wanted:
            frame = held.pop(number, None)
            if frame is None:
                keyframe = index.keyframe_before(number)
                if keyframe.number > position + 1:
                    frames = stream.decode_from(index, keyframe)
                position, frame = next(item for item in frames if item[0] == number)
            yield from self._give(stream, number, frame, int(index.timestamps[0]))
        self.num_frames = index.num_frames

    def _check_end(
        self, stream: VideoStream, index: PacketIndex
    ) -> dict[int, "av.VideoFrame"]:
        """Decodes from the last keyframe to the end, to know the number of frames.

        Returns:
            The wanted frames there, by their numbers, unless they need too much memory.
        """
        keyframe = index.keyframes[-1]
        wanted = {number for number in self._wanted if number >= keyframe.number}
        held = {}
        for number, frame in stream.decode_from(index, keyframe):
            if 3 * frame.width * frame.height * len(wanted) > _MAX_HELD_BYTES:
                wanted = set()
            if number in wanted:
                held[number] = frame
        return held

    def _read_in_order(self) -> Iterator[Frame]:
        """Decodes everything; frames that were given already are passed over."""
        if not isinstance(self._selection, Evenly):
            self._wanted = self._selection.pick(MAX_PACKETS)
        elif not self._num_given:
            self._wanted = self._selection.pick(self._count_frames())
        remaining = iter(self._wanted[self._num_given :])
        target = next(remaining, None)
        number, origin = -1, None
        with open_stream(self._path, self._num_threads) as stream:
            for number, frame in enumerate(stream.decode()):
                if number == 0:
                    origin = frame.pts
                if number == target:
                    yield from self._give(stream, number, frame, origin)
                    target = next(remaining, None)
                if target is None:
                    break
            else:
                self.num_frames = number + 1
            self._num_failed = max(self._num_failed, stream.num_failed)
        if number < 0:
            raise ImageError(_NOTHING)

    def _count_frames(self) -> int:
        """Decodes everything to learn which whole frame is the last."""
        num_frames = 0
        with open_stream(self._path, self._num_threads) as stream:
            for number, frame in enumerate(stream.decode()):
                if not frame.is_corrupt:
                    num_frames = number + 1
            self._num_failed = max(self._num_failed, stream.num_failed)
        self.num_frames = num_frames
        return num_frames

    def _give(
        self,
        stream: VideoStream,
        number: int,
        frame: "av.VideoFrame",
        origin: int | None,
    ) -> Iterator[Frame]:
        """Yields a frame, unless the decoder had to patch it up."""
        self._num_given += 1
        if frame.is_corrupt:
            self._num_damaged += 1
            return
        if stream.has_timestamps and frame.pts is not None and origin is not None:
            time = (frame.pts - origin) * stream.time_base
        else:
            time = number / (stream.frames_per_second or math.nan)
        yield Frame(number, time, to_rgb(frame))

    def _describe(self, index: PacketIndex) -> str | None:
        """Tells in one line what could not be read, if anything."""
        parts = []
        if index.missing:
            parts.append(
                f"ends too early: {index.missing:.1%} of what it announces is missing"
            )
        num_failed = self._num_failed
        if index.is_reliable and self.num_frames is not None:
            num_failed = max(num_failed, index.num_frames - self.num_frames)
        if num_failed:
            parts.append(
                f"{num_failed} of {index.num_packets} frames "
                f"({num_failed / index.num_packets:.1%}) could not be decoded"
            )
        if self._num_damaged:
            parts.append(
                f"{self._num_damaged} of the chosen frames are damaged and left out"
            )
        if isinstance(self._selection, Numbers) and self.num_frames is not None:
            beyond = [n for n in self._selection.numbers if n >= self.num_frames]
            if beyond:
                parts.append(f"has no frame {min(beyond)}, only {self.num_frames}")
        return "; ".join(parts) or None


def _check_at_least(selection: Selection, field: str, minimum: int) -> None:
    value = getattr(selection, field)
    if value < minimum:
        raise RequestError(
            f"{type(selection).__name__}: {field} must be at least {minimum}, "
            f"but is {value}"
        )
