# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads selected frames of a video without changing their pixels.

Frames are decoded and converted to RGB without a second encoding. Only where the stored
picture is not the one that is meant, it is changed, and the reader says so: HDR,
interlaced frames and pixels that are not square; see `video_frame`.

Frame k is the k-th that decoding from the beginning gives, as OpenCV and FFmpeg count,
regardless of the header and of a variable frame rate. The readers of PyAV and OpenCV
either decode a long video as a whole for a few frames or seek to frames that are only
approximately right; `video_stream` has the index that avoids both.

Damage in parts of a file that need not be decoded goes unnoticed: each packet there
counts as a frame. The part after the last keyframe, where damage is common, is decoded
before the number of frames is relied on.
"""

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fakedet_jax.errors import ImageError
from fakedet_jax.media import options
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.media.video_frame import describe, rotation, shown_size, to_rgb
from fakedet_jax.media.video_stream import (
    MAX_PACKETS,
    IndexMismatch,
    PacketIndex,
    VideoStream,
    open_stream,
)
from fakedet_jax.settings import Settings, option

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
class Evenly(Settings):
    """Frames spread evenly from the first to the last.

    Attributes:
        count: Number of frames, at least 1. Their numbers are
            `numpy.linspace(0, num_frames - 1, count)`, rounded. A video with fewer
            frames gives each of them once.
    """

    count: int = option(help="Number of frames.", minimum=1)

    def pick(self, num_frames: int) -> Sequence[int]:
        """Selects among the frames of a video.

        Args:
            num_frames: Number of frames of the video.

        Returns:
            Numbers of the selected frames, increasing.

        >>> Evenly(4).pick(10)
        [0, 3, 6, 9]
        """
        if self.count >= num_frames:
            return range(num_frames)
        positions = np.rint(np.linspace(0, num_frames - 1, self.count))
        return [int(position) for position in positions]


@dataclasses.dataclass(frozen=True)
class EveryNth(Settings):
    """Frames at a fixed distance.

    Attributes:
        step: Distance between two frames, at least 1.
        start: Number of the first frame, at least 0.
    """

    step: int = option(help="Distance between two frames.", minimum=1)
    start: int = option(0, "Number of the first frame.", minimum=0)

    def pick(self, num_frames: int) -> Sequence[int]:
        """Selects among the frames of a video, see `Evenly.pick`.

        >>> list(EveryNth(4, start=1).pick(10))
        [1, 5, 9]
        """
        return range(self.start, num_frames, self.step)


@dataclasses.dataclass(frozen=True)
class Numbers(Settings):
    """Frames with given numbers.

    Attributes:
        numbers: Numbers from 0 in any order; they are read in increasing order, each
            once.
    """

    numbers: tuple[int, ...] = option(help="Numbers of the frames.", minimum=0)

    def pick(self, num_frames: int) -> Sequence[int]:
        """Selects among the frames of a video, see `Evenly.pick`.

        >>> Numbers((7, 2, 30)).pick(10)
        [2, 7]
        """
        return sorted({number for number in self.numbers if number < num_frames})


Selection = Evenly | EveryNth | Numbers


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """Properties of a video according to its header and its first frame.

    Attributes:
        width: Width of the upright picture in square pixels.
        height: Height of the upright picture in square pixels.
        num_frames: Number of frames according to the header, which may be wrong;
            `None` if it does not say.
        frames_per_second: Average frame rate; `None` if unknown.
        duration: Duration in seconds; `None` if unknown.
        rotation: Clockwise turn that makes stored frames upright, in degrees: 0, 90,
            180 or 270.
        codec: Name of the codec, such as `h264`.
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
        number: Position in the video, from 0.
        time: Seconds after the first frame; derived from the order and duration of the
            packets, or from the frame rate, if the format has no timestamps; NaN if
            none of them is known.
        picture: Upright RGB picture, read-only uint8 `[height, width, 3]`.
    """

    number: int
    time: float
    picture: np.ndarray


class Reading(Iterator[Frame]):
    """Iterator of the selected frames of a video; see `read_frames`.

    The file is opened for the first frame. It is closed after the last frame, by
    `close`, at the end of a `with` statement, or when the object is freed.
    """

    def __init__(
        self,
        path: str | Path,
        selection: Selection,
        num_threads: int,
        how: MediaConfig = options.DEFAULT,
    ):
        # The generator must not refer to this object, or neither would be freed.
        self._reader = _Reader(path, selection, num_threads, how)
        self._frames = self._reader.read()

    @property
    def num_frames(self) -> int | None:
        """Number of frames of the video; `None` until it is known."""
        return self._reader.num_frames

    @property
    def problem(self) -> str | None:
        """After the last frame: what could not be read; `None` if all could."""
        return self._reader.problem

    @property
    def notes(self) -> list[str]:
        """After the last frame: how frames were changed or chosen, a line each."""
        return list(self._reader.notes)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Closes the file; no more frames follow."""
        self._frames.close()

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_video(path: str | Path) -> bool:
    """Whether a file has the extension of a video.

    >>> is_video("519_515.MP4"), is_video("519.png")
    (True, False)
    """
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS


def probe(path: str | Path) -> VideoInfo:
    """Describes a video by its header and its first frame.

    Args:
        path: The video file.

    Returns:
        Its properties.

    Raises:
        ImageError: The file cannot be used; the message is the reason.
        RequestError: PyAV is not installed.
    """
    with open_stream(path) as stream:
        frame = next(stream.decode(), None)
        if frame is None:
            raise ImageError(_NOTHING)
        turn = rotation(frame)
        size = shown_size(frame, stream.pixel_aspect)[::-1]
        return VideoInfo(
            *(size if turn % 180 == 0 else size[::-1]),
            num_frames=stream.num_announced,
            frames_per_second=stream.frames_per_second,
            duration=stream.duration,
            rotation=turn,
            codec=stream.codec,
        )


def read_frames(
    path: str | Path,
    *,
    selection: Selection,
    num_threads: int = 1,
    how: MediaConfig = options.DEFAULT,
) -> Reading:
    """Reads selected frames of a video.

    Damage is tolerated. Frames that cannot be decoded, or that the decoder marks as
    damaged, are left out, and `problem` of the result then describes the loss.

    Args:
        path: The video, a regular file; other files that it refers to are not opened.
        selection: Which frames to read.
        num_threads: Number of decoding threads, 0 for one per processor; the frames do
            not depend on it.
        how: Whether HDR is converted.

    Returns:
        An iterator of frames in increasing order. It holds up to 256 MiB of frames in
        memory for `Evenly`, otherwise one frame.

    Raises:
        ImageError: The file cannot be used; the message is the reason. The first step
            of the iterator raises it.
        RequestError: PyAV is not installed. The first step of the iterator raises it.
    """
    return Reading(path, selection, num_threads, how)


_NOTHING = "cannot be decoded: none of its frames can be decoded"
_MAX_HELD_BYTES = 256 * 2**20


class _Reader:
    """Yields the selected frames and collects the problems of the file."""

    def __init__(
        self,
        path: str | Path,
        selection: Selection,
        num_threads: int,
        how: MediaConfig,
    ):
        self.num_frames: int | None = None
        self.problem: str | None = None
        self.notes: dict[str, None] = {}  # A set that keeps its order.
        self._how = how
        self._times: np.ndarray | None = None
        self._path = path
        self._selection = selection
        self._num_threads = num_threads
        self._wanted: Sequence[int] = ()
        self._num_given = 0
        self._num_damaged = 0
        self._num_failed = 0

    def read(self) -> Generator[Frame, None, None]:
        """Yields the frames; uses the index until it proves wrong."""
        with open_stream(self._path, self._num_threads) as stream:
            index = stream.list_packets()
            self._times = index.times
            self.notes |= dict.fromkeys(stream.notes)
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
        position = -2  # Number of the last decoded frame.
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
        """Decodes from the last keyframe to the end, to verify the number of frames.

        Returns:
            The wanted frames of this part by number, unless they need too much memory.
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
        """Decodes the whole file; frames that were yielded before are skipped."""
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
        """Decodes the whole file to find its last undamaged frame."""
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
        """Yields a frame, unless the decoder has marked it as damaged."""
        self._num_given += 1
        if frame.is_corrupt:
            self._num_damaged += 1
            return
        if stream.has_timestamps and frame.pts is not None and origin is not None:
            time = (frame.pts - origin) * stream.time_base
        elif self._times is not None and number < len(self._times):
            time = float(self._times[number])
        else:
            time = number / (stream.frames_per_second or math.nan)
        self.notes |= dict.fromkeys(describe(frame, self._how, stream.pixel_aspect))
        yield Frame(number, time, to_rgb(frame, self._how, stream.pixel_aspect))

    def _describe(self, index: PacketIndex) -> str | None:
        """Describes in one line what could not be read; `None` if all could."""
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
                f"{self._num_damaged} of the selected frames are damaged and left out"
            )
        if isinstance(self._selection, Numbers) and self.num_frames is not None:
            beyond = [n for n in self._selection.numbers if n >= self.num_frames]
            if beyond:
                parts.append(f"has no frame {min(beyond)}, only {self.num_frames}")
        return "; ".join(parts) or None
