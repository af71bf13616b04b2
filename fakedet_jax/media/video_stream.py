# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The picture stream of a video file: opened safely, indexed, decoded, as RGB.

FFmpeg's libraries, through PyAV, do the reading. They follow playlists and addresses on
the network when a file asks for it, whatever its name; here they get an opened file and
a list of formats that hold their pictures themselves.

A decoder needs the frames before a frame, so frames are found through an index: the
timestamps of all packets, which cost no decoding. An index can promise frames that
cannot be decoded. Hence frames that were reached by seeking are compared with it, one
by one, and `IndexMismatch` tells that it cannot be trusted.

PyAV keeps the messages of FFmpeg to itself unless a program asks for them.
"""

import bisect
import contextlib
import dataclasses
import functools
import itertools
import math
import os
import stat
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media.decode import MAX_PIXELS

if TYPE_CHECKING:
    import av

MAX_PACKETS = 2_000_000  # Seven hours of pictures and sound.


@dataclasses.dataclass(frozen=True)
class Keyframe:
    """A packet at which decoding can start.

    Attributes:
        number: Of the first frame that is shown from here on.
        shown: When it is shown, in units of the stream's time base.
        decoded: When it is decoded, in the same units; `None` where not stated.
        position: Byte in the file.
    """

    number: int
    shown: int
    decoded: int | None
    position: int | None


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """What the packets of a stream announce.

    Attributes:
        timestamps: int64 `[num_frames]`, increasing: when each frame is shown, in
            units of the stream's time base.
        keyframes: In the order of the file.
        num_packets: How many packets there are, those of frames that are not shown
            included.
        is_reliable: Whether packets and timestamps permit to number frames by them.
        missing: Share of the video that lies beyond the end of the file, 0 to 1.
    """

    timestamps: np.ndarray
    keyframes: tuple[Keyframe, ...]
    num_packets: int
    is_reliable: bool
    missing: float

    @property
    def num_frames(self) -> int:
        """How many frames the packets announce."""
        return len(self.timestamps)

    def keyframe_before(self, number: int) -> Keyframe:
        """Returns where to start in order to reach a frame."""
        return self.keyframes[bisect.bisect_right(self._numbers, number) - 1]

    def find(self, packet: "av.Packet") -> Keyframe | None:
        """Returns the keyframe that a packet is; `None` where it is none."""
        return self._by_packet.get((packet.pts, packet.pos))

    @functools.cached_property
    def _numbers(self) -> list[int]:
        return [keyframe.number for keyframe in self.keyframes]

    @functools.cached_property
    def _by_packet(self) -> dict[tuple[int | None, int | None], Keyframe]:
        return {(key.shown, key.position): key for key in self.keyframes}


class IndexMismatch(Exception):  # noqa: N818 - a finding, not a failure.
    """The frames that come out of the decoder are not those of the index."""


@contextlib.contextmanager
def open_stream(path: str | Path, num_threads: int = 1) -> Iterator["VideoStream"]:
    """Opens the first picture stream of a video file and closes it afterwards.

    Args:
        path: A regular file; a link to one is followed.
        num_threads: Decoding threads; 0 for one per processor.

    Yields:
        The stream. What FFmpeg raises while it is open becomes an `ImageError`.

    Raises:
        ImageError: The file cannot be used; the message says why.
        RequestError: PyAV is not installed.
    """
    av = _import_av()
    with _open_file(Path(path)) as file, _reasons(av):
        try:
            container = av.open(
                file,
                "r",
                options=_OPTIONS | {"max_pixels": str(MAX_PIXELS)},
                metadata_errors="replace",
                io_open=_refuse,
            )
        except av.error.ArgumentError as error:
            raise ImageError(
                "cannot be decoded: its format is not one of those that are read"
            ) from error
        with container:
            yield VideoStream(av, container, num_threads)


class VideoStream:
    """Packets and frames of an opened stream; see `open_stream`.

    Attributes:
        codec: Name of the codec.
        time_base: Seconds per unit of timestamps.
        has_timestamps: Whether the format states when each frame is shown.
        num_failed: Packets so far that the decoder refused.
    """

    def __init__(
        self, av: ModuleType, container: "av.container.InputContainer", num_threads: int
    ):
        self._av = av
        self._container = container
        self._stream = stream = _find_stream(container)
        if stream.codec_context is None:
            raise ImageError("cannot be decoded: there is no decoder for its codec")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{width}×{height} pixels exceed the limit of {MAX_PIXELS}"
            )
        # A stream may grow while it is decoded: the decoder refuses, too.
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.codec_context.thread_count = num_threads
        if num_threads != 1:
            stream.codec_context.thread_type = "AUTO"
        self._format = container.format.name.partition(",")[0]
        self.codec: str = stream.codec_context.codec.canonical_name
        self.time_base = float(stream.time_base or 0)
        self.has_timestamps = self._format not in _UNTIMED_FORMATS
        self.num_failed = 0
        self._is_primed = False

    @property
    def num_announced(self) -> int | None:
        """How many frames the header promises; `None` where it does not say."""
        return self._stream.frames or None

    @property
    def frames_per_second(self) -> float | None:
        """The average rate; `None` where it is unknown."""
        rate = self._stream.average_rate
        return float(rate) if rate else None

    @property
    def duration(self) -> float | None:
        """In seconds, as announced; `None` where it is unknown."""
        if self._stream.duration is not None:
            return self._stream.duration * self.time_base
        if self._container.duration is not None:
            return self._container.duration / self._av.time_base
        return None

    def list_packets(self) -> PacketIndex:
        """Reads all packets without decoding them.

        Returns:
            The index. Afterwards frames are reached by `decode_from` only.

        Raises:
            ImageError: There are more packets than `MAX_PACKETS`.
        """
        shown = array("q")
        keys: list[tuple[int, int | None, int | None]] = []
        is_reliable = self._format in _INDEXED_FORMATS
        num_packets = 0
        end = 0.0
        for count, packet in enumerate(self._packets(every_stream=True)):
            if count == MAX_PACKETS:
                raise ImageError(f"has more than {MAX_PACKETS} packets")
            if packet.pts is not None:
                last = packet.pts + (packet.duration or 0)
                end = max(end, float(last * packet.time_base))
            if packet.stream_index != self._stream.index or self._is_cut(packet):
                continue
            num_packets += 1
            if packet.pts is None:
                is_reliable = False
                continue
            if packet.is_keyframe:
                keys.append((packet.pts, packet.dts, packet.pos))
            elif not keys:
                is_reliable = False
            if not packet.is_discard:  # Such frames are decoded and not shown.
                shown.append(packet.pts)
        timestamps = np.sort(np.frombuffer(shown, np.int64))
        keyframes = tuple(
            Keyframe(int(np.searchsorted(timestamps, key[0])), *key) for key in keys
        )
        starts = np.array([keyframe.number for keyframe in keyframes])
        is_reliable = (
            is_reliable
            and len(timestamps) > 0
            and len(keyframes) > 0
            and keyframes[0].number == 0
            and bool(np.all(np.diff(timestamps) > 0))
            and bool(np.all(np.diff(starts) >= 0))
        )
        missing = self._missing(num_packets, end)
        return PacketIndex(timestamps, keyframes, num_packets, is_reliable, missing)

    def decode(self) -> Iterator["av.VideoFrame"]:
        """Decodes a stream that was just opened from its beginning.

        Packets that the decoder refuses are counted and passed over.

        Yields:
            Frames in the order in which they are shown.
        """
        return self._decode(self._packets())

    def decode_from(
        self, index: PacketIndex, keyframe: Keyframe
    ) -> Iterator[tuple[int, "av.VideoFrame"]]:
        """Seeks to a keyframe and decodes from there.

        Args:
            index: What `list_packets` returned.
            keyframe: One of its keyframes.

        Yields:
            Numbers and frames, from that of the keyframe (or an earlier one) to the
            last of the video, without a gap.

        Raises:
            IndexMismatch: A frame is missing, or was not announced.
        """
        if not self._is_primed:
            # Decoders mend what a known encoder did wrong, and old 4:4:4 files of x264
            # name their encoder in the first frame only.
            self._is_primed = True
            _, packets = self._seek(index, index.keyframes[0])
            self._decode_packet(next(packets))
        start, packets = self._seek(index, keyframe)
        number = start.number
        for frame in self._decode(packets):
            if frame.pts is not None and frame.pts < start.shown:
                continue  # Shown before the keyframe, and perhaps built on others.
            if number == index.num_frames or frame.pts != index.timestamps[number]:
                raise IndexMismatch
            if self.num_failed or frame.is_corrupt:
                raise IndexMismatch  # Only the beginning tells whether that is so.
            yield number, frame
            number += 1
        if number != index.num_frames:
            raise IndexMismatch

    def _packets(self, every_stream: bool = False) -> Iterator["av.Packet"]:
        """Reads packets up to the end of the file or where it becomes unreadable."""
        packets = self._container.demux(*(() if every_stream else (self._stream,)))
        # An empty packet would tell the decoder that the stream ends.
        with contextlib.suppress(self._av.error.FFmpegError):
            yield from (packet for packet in packets if packet.size)

    def _decode(self, packets: Iterator["av.Packet"]) -> Iterator["av.VideoFrame"]:
        for packet in packets:
            if not self._is_cut(packet):
                yield from self._decode_packet(packet)
        yield from self._decode_packet(None)

    def _decode_packet(self, packet: "av.Packet | None") -> "list[av.VideoFrame]":
        try:
            return self._stream.decode(packet)
        except self._av.error.FFmpegError:
            self.num_failed += 1
            return []

    def _is_cut(self, packet: "av.Packet") -> bool:
        """Whether the file ends within a packet; half a frame would be invented."""
        return self._format in _INDEXED_FORMATS and packet.is_corrupt

    def _seek(
        self, index: PacketIndex, keyframe: Keyframe
    ) -> tuple[Keyframe, Iterator["av.Packet"]]:
        """Goes to a keyframe or an earlier one; which of the two is returned."""
        # Some formats list keyframes by when they are shown, others by the other.
        for timestamp in (keyframe.shown, keyframe.decoded):
            if timestamp is None:
                continue
            with contextlib.suppress(self._av.error.FFmpegError):
                self._container.seek(timestamp, stream=self._stream)
                packets = self._packets()
                first = next(packets, None)
                start = index.find(first) if first else None
                if first and start and start.number <= keyframe.number:
                    return start, itertools.chain([first], packets)
        raise IndexMismatch

    def _missing(self, num_packets: int, end: float) -> float:
        """The share of the video that the file announces and does not hold."""
        if self._format == "mov":  # Its header lists every packet.
            listed = self._stream.index_entries
            if num_packets >= len(listed):
                return 0.0
            num_listed = sum(entry.size > 0 for entry in listed)
            return max(0.0, 1 - num_packets / num_listed) if num_listed else 0.0
        if self._format not in _TIMED_FORMATS:  # FFmpeg would guess a duration.
            return 0.0
        duration = (self._container.duration or 0) / self._av.time_base
        if self._format == "avi" and self.num_announced:
            # What FFmpeg gives has been shortened to the size of the file already.
            duration = self.num_announced / (self.frames_per_second or math.inf)
        if not duration:
            return 0.0
        start = (self._container.start_time or 0) / self._av.time_base
        missing = 1 - (end - start) / duration
        return missing if missing > _DURATION_TOLERANCE else 0.0


_INDEXED_FORMATS = ("mov", "matroska")  # Seeking is exact in them.
_UNTIMED_FORMATS = ("avi", "h264", "hevc", "m4v", "mpegvideo", "dv")
_TIMED_FORMATS = ("matroska", "avi", "flv", "asf")
_DURATION_TOLERANCE = 0.02  # Headers are not exact to the frame.

# Formats that hold their pictures themselves: no playlists, devices or still pictures.
_FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg"),
    *("mxf", "dv", "ivf", "nut", "h264", "hevc", "m4v", "yuv4mpegpipe"),
)
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}


def check_installed() -> None:
    """Checks at once what would fail at the first video.

    Raises:
        RequestError: PyAV is missing.
    """
    _import_av()


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise RequestError(
            "reading videos needs PyAV; pip install 'fakedet-jax[video]'"
        ) from error
    return av


def _open_file(path: Path) -> BinaryIO:
    """Opens a regular file without its name, from which FFmpeg would draw conclusions.

    Raises:
        ImageError: The path is not such a file or cannot be read.
    """
    try:
        # Opening a pipe would otherwise wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            raise ImageError("is a link to a file that does not exist") from None
        raise ImageError("does not exist") from None
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # A null character in the name.
        raise ImageError(f"cannot be read: {error}") from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("is a folder, not a video")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("is not a regular file (a pipe, socket or device)")
    raise ImageError("is empty (0 bytes)")


def _refuse(url: str, *_: Any) -> None:
    raise PermissionError("it refers to other files")


@contextlib.contextmanager
def _reasons(av: ModuleType) -> Iterator[None]:
    """Turns whatever FFmpeg raises on a broken file into a reason."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise ImageError(f"cannot be decoded: {error.strerror}") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error


def _find_stream(container: "av.container.InputContainer") -> "av.VideoStream":
    no_video = "attached_pic", "timed_thumbnails"  # The cover of a song, and such.
    for stream in container.streams.video:
        if not any(
            stream.disposition & type(stream.disposition)[name] for name in no_video
        ):
            return stream
    raise ImageError("has no video stream")
