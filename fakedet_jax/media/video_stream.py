# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The picture stream of a video file: safe opening, a frame index and decoding.

FFmpeg decodes, through PyAV. Left alone, it follows playlists and network addresses
that a file names; here it gets an opened file and a list of formats that contain their
pictures themselves.

FFmpeg seeks by time, not by the number of a frame, so the index of frames is built
here. It consists of the timestamps of all packets, which need no decoding. It may
announce frames that cannot be decoded, so frames that are reached by seeking are
compared with it one by one; `IndexMismatch` says that it cannot be trusted.
"""

import bisect
import contextlib
import dataclasses
import functools
import itertools
import math
import operator
import os
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media import asf
from fakedet_jax.media.decode import check_pixels
from fakedet_jax.media.files import check_regular, unreadable

if TYPE_CHECKING:
    import av

MAX_PIXELS = 178_956_970  # 512 MiB of RGB.
MAX_PACKETS = 2_000_000  # Seven hours of pictures and sound.


@dataclasses.dataclass(frozen=True)
class Keyframe:
    """A packet at which decoding can start.

    Attributes:
        number: Number of the first frame that is shown from here on, from 0.
        shown: Presentation timestamp, in units of the stream's time base.
        decoded: Decoding timestamp, in the same units; `None` if the file lacks it.
        position: Byte offset in the file; `None` if unknown.
    """

    number: int
    shown: int
    decoded: int | None
    position: int | None


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """The frames of a stream as its packets announce them.

    Attributes:
        timestamps: Presentation timestamps of the frames, increasing int64
            `[num_frames]`, in units of the stream's time base.
        keyframes: Keyframes in the order of the file.
        num_packets: Number of packets, including those of frames that are not shown.
        is_reliable: Whether packets and timestamps are fit for numbering the frames.
        missing: Share of the video that is missing at the end of the file, 0 to 1.
        times: Seconds of each frame after the first, float64 `[num_frames]`, in a
            format without presentation timestamps; `None` for others, and where the
            packets do not tell.
    """

    timestamps: np.ndarray
    keyframes: tuple[Keyframe, ...]
    num_packets: int
    is_reliable: bool
    missing: float
    times: np.ndarray | None = None

    @property
    def num_frames(self) -> int:
        """Number of frames that the packets announce."""
        return len(self.timestamps)

    def keyframe_before(self, number: int) -> Keyframe:
        """The last keyframe at or before frame `number`, to start decoding at."""
        after = bisect.bisect_right(self.keyframes, number, key=_number_of)
        return self.keyframes[after - 1]

    def find(self, packet: "av.Packet") -> Keyframe | None:
        """The keyframe that `packet` contains; `None` if it contains none."""
        return self._by_packet.get((packet.pts, packet.pos))

    @functools.cached_property
    def _by_packet(self) -> dict[tuple[int | None, int | None], Keyframe]:
        return {(key.shown, key.position): key for key in self.keyframes}


_number_of = operator.attrgetter("number")


class IndexMismatch(Exception):  # noqa: N818 - a finding, not a failure.
    """The decoded frames differ from those of the index."""


@contextlib.contextmanager
def open_stream(path: str | Path, num_threads: int = 1) -> Iterator["VideoStream"]:
    """Opens the picture stream of a video file during a `with` block.

    Of several picture streams it is the first that the file marks as default, else the
    first.

    Args:
        path: The file; links are followed.
        num_threads: Number of decoding threads; 0 for one per processor.

    Yields:
        The stream. Errors of FFmpeg while it is open become `ImageError`s.

    Raises:
        ImageError: The file cannot be used; the message is the reason.
        RequestError: PyAV is not installed.
    """
    av = _import_av()
    with _open_file(Path(path)) as file, _reasons(av):
        announced = asf.read_duration(file)
    with open_container(path) as container:
        yield VideoStream(av, container, num_threads, announced)


@contextlib.contextmanager
def open_container(path: str | Path) -> Iterator["av.container.InputContainer"]:
    """Opens a video file during a `with` block; no other file is ever opened.

    Args:
        path: The file; links are followed.

    Yields:
        The file. Errors of FFmpeg while it is open become `ImageError`s.

    Raises:
        ImageError: The file cannot be used; the message is the reason.
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
            yield container


class VideoStream:
    """Packets and frames of an opened stream; made by `open_stream`.

    Attributes:
        codec: Name of the codec, such as `h264`.
        time_base: Unit of the timestamps in seconds.
        has_timestamps: Whether the format stores presentation timestamps.
        num_failed: Number of packets so far that could not be decoded.
        pixel_aspect: Width of a stored pixel by its height; 1 if unknown.
        notes: What a user should know of the choice of the stream, a line each.
    """

    def __init__(
        self,
        av: ModuleType,
        container: "av.container.InputContainer",
        num_threads: int,
        announced: float | None,
    ):
        self._av = av
        self._announced = announced
        self._container = container
        stream, self.notes = find_stream(container)
        self._stream = stream
        if stream.codec_context is None:
            raise ImageError("cannot be decoded: there is no decoder for its codec")
        check_pixels(
            stream.codec_context.height, stream.codec_context.width, MAX_PIXELS
        )
        # The size may change within a stream, so the decoder has the limit too.
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.codec_context.thread_count = num_threads
        if num_threads != 1:
            stream.codec_context.thread_type = "AUTO"
        self._format = container.format.name.partition(",")[0]
        self.codec: str = stream.codec_context.codec.canonical_name
        self.time_base = float(stream.time_base or 0)
        self.pixel_aspect = Fraction(stream.sample_aspect_ratio or 1)
        self.has_timestamps = self._format not in _UNTIMED_FORMATS
        self.num_failed = 0
        self._is_primed = False

    @property
    def num_announced(self) -> int | None:
        """Number of frames according to the header; `None` if it does not say."""
        return self._stream.frames or None

    @property
    def frames_per_second(self) -> float | None:
        """Average frame rate; `None` if unknown."""
        rate = self._stream.average_rate
        if self._format in _RAW_FORMATS:  # FFmpeg makes their average up.
            rate = self._stream.guessed_rate
        return float(rate) if rate else None

    @property
    def duration(self) -> float | None:
        """Duration in seconds according to the header; `None` if unknown."""
        if self._stream.duration is not None:
            return self._stream.duration * self.time_base
        if self._container.duration is not None:
            return self._container.duration / self._av.time_base
        return None

    def list_packets(self) -> PacketIndex:
        """Reads all packets without decoding them.

        Afterwards only `decode_from` can reach the frames.

        Returns:
            The index of the stream.

        Raises:
            ImageError: The file has more than `MAX_PACKETS` packets.
        """
        shown, stamps = array("q"), array("q")
        keys: list[tuple[int, int | None, int | None]] = []
        is_reliable = self._format in _INDEXED_FORMATS
        num_packets = 0
        end = 0.0
        clock = _Clock(self._format)
        for count, packet in enumerate(self._packets(every_stream=True)):
            if count == MAX_PACKETS:
                raise ImageError(f"has more than {MAX_PACKETS} packets")
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None:
                last = stamp + (packet.duration or 0)
                end = max(end, float(last * packet.time_base))
            if packet.stream_index != self._stream.index or self._is_cut(packet):
                continue
            num_packets += 1
            clock.add(packet)
            if stamp is not None:
                stamps.append(stamp)
            if packet.pts is None:
                is_reliable = False
                continue
            if packet.is_keyframe:
                keys.append((packet.pts, packet.dts, packet.pos))
            elif not keys:
                is_reliable = False
            if not packet.is_discard:  # Discarded frames are decoded but not shown.
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
        gaps = np.diff(np.sort(np.frombuffer(stamps, np.int64)))
        interval = float(np.median(gaps)) * self.time_base if len(gaps) else 0.0
        missing = self._missing(num_packets, end, interval)
        return PacketIndex(
            timestamps,
            keyframes,
            num_packets,
            is_reliable,
            missing,
            clock.times(self.time_base),
        )

    def decode(self) -> Iterator["av.VideoFrame"]:
        """Decodes a newly opened stream from its beginning.

        Packets that cannot be decoded are counted and skipped.

        Returns:
            The frames in presentation order.
        """
        return self._decode(self._packets())

    def decode_from(
        self, index: PacketIndex, keyframe: Keyframe
    ) -> Iterator[tuple[int, "av.VideoFrame"]]:
        """Seeks to a keyframe and decodes from there.

        Args:
            index: Index of the stream, from `list_packets`.
            keyframe: A keyframe of the index.

        Yields:
            Numbers and frames without a gap, from the keyframe or an earlier one to
            the end of the video.

        Raises:
            IndexMismatch: A frame is missing, was not announced or is damaged.
        """
        if not self._is_primed:
            # Decoders work around faults of known encoders, and old 4:4:4 files of
            # x264 name their encoder in the first frame only.
            self._is_primed = True
            _, packets = self._seek(index, index.keyframes[0])
            self._decode_packet(next(packets))
        start, packets = self._seek(index, keyframe)
        number = start.number
        for frame in self._decode(packets):
            if frame.pts is not None and frame.pts < start.shown:
                continue  # Shown before the keyframe and may depend on earlier frames.
            if number == index.num_frames or frame.pts != index.timestamps[number]:
                raise IndexMismatch
            if self.num_failed or frame.is_corrupt:
                raise IndexMismatch  # Decoding from the start may give a sound frame.
            yield number, frame
            number += 1
        if number != index.num_frames:
            raise IndexMismatch

    def _packets(self, every_stream: bool = False) -> Iterator["av.Packet"]:
        """Reads packets up to the end of the file or to an unreadable part."""
        packets = self._container.demux(*(() if every_stream else (self._stream,)))
        # An empty packet would signal the end of the stream to the decoder.
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
        """Whether the file ends within a packet; half of its frame would be made up."""
        return self._format in _INDEXED_FORMATS and packet.is_corrupt

    def _seek(
        self, index: PacketIndex, keyframe: Keyframe
    ) -> tuple[Keyframe, Iterator["av.Packet"]]:
        """Seeks to a keyframe or an earlier one; returns it and the packets from it."""
        # Some formats seek by presentation timestamps, others by decoding timestamps.
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

    def _missing(self, num_packets: int, end: float, interval: float) -> float:
        """Share of the announced video that the file does not contain, 0 to 1.

        Args:
            num_packets: Number of packets of the stream.
            end: Seconds at which the last packet of the file ends.
            interval: Seconds between two frames.
        """
        if self._format == "mov":  # Its header lists every packet.
            listed = self._stream.index_entries
            if num_packets >= len(listed):
                return 0.0
            num_listed = sum(entry.size > 0 for entry in listed)
            return max(0.0, 1 - num_packets / num_listed) if num_listed else 0.0
        if self._format not in _TIMED_FORMATS:  # FFmpeg would guess a duration.
            return 0.0
        duration = (self._container.duration or 0) / self._av.time_base
        is_shortened = self._format == "asf" and not duration
        if is_shortened:
            # FFmpeg drops the duration of a file that is shorter than it should be.
            duration = self._announced or 0.0
        if self._format == "avi" and self.num_announced:
            # FFmpeg shortens its duration to the size of the file.
            duration = self.num_announced / (self.frames_per_second or math.inf)
        if not duration:
            return 0.0
        start = (self._container.start_time or 0) / self._av.time_base
        if self._format == "flv":  # Its duration counts from zero.
            start = 0.0
        gap = duration - (end - start)
        if num_packets == 1 and not is_shortened:
            # The only frame may last for up to a second.
            interval = 1 / (self.frames_per_second or 1.0)
        # Packets of FLV and ASF do not say how long they last.
        is_short = gap <= max(_DURATION_TOLERANCE * duration, 1.5 * interval)
        return 0.0 if is_short else gap / duration


class _Clock:
    """Times of the frames of a format that stores no presentation timestamps.

    AVI numbers its packets in the order of decoding, and dropped frames have numbers
    too; the k-th frame that is shown has the k-th of them. A raw stream has nothing but
    the durations that the codec states.
    """

    def __init__(self, name: str):
        self._is_raw = name in _RAW_FORMATS
        self._is_needed = name in _UNTIMED_FORMATS
        self._stamps = array("q")

    def add(self, packet: "av.Packet") -> None:
        """Adds the next packet of the stream."""
        if not self._is_needed:
            return
        stamp = packet.dts if packet.dts is not None else packet.pts
        if self._is_raw:
            stamp = packet.duration or None
        if stamp is None:
            self._is_needed = False
        else:
            self._stamps.append(stamp)

    def times(self, time_base: float) -> np.ndarray | None:
        """Seconds after the first frame; `None` if the packets do not tell."""
        if not self._is_needed or not self._stamps:
            return None
        stamps = np.frombuffer(self._stamps, np.int64)
        if self._is_raw:
            return (np.cumsum(stamps) - stamps) * time_base
        stamps = np.sort(stamps)
        return (stamps - stamps[0]) * time_base


_INDEXED_FORMATS = ("mov", "matroska")  # Seeking is exact in them.
_UNTIMED_FORMATS = ("avi", "h264", "hevc", "m4v", "mpegvideo", "dv")
_RAW_FORMATS = ("h264", "hevc", "m4v", "mpegvideo")
_TIMED_FORMATS = ("matroska", "avi", "flv", "asf")
_DURATION_TOLERANCE = 0.02  # Headers are not exact to the frame.

# Formats that contain their pictures: no playlists, devices or still pictures.
_FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg"),
    *("mxf", "dv", "ivf", "nut", "h264", "hevc", "m4v", "yuv4mpegpipe"),
)
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}


def check_installed() -> None:
    """Checks that videos can be read.

    Raises:
        RequestError: PyAV is not installed.
    """
    _import_av()


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise RequestError(
            "reading videos needs PyAV, which is not installed; "
            "run: pip install 'fakedet-jax[video]'"
        ) from error
    return av


def _open_file(path: Path) -> BinaryIO:
    """Opens a regular file that is not empty.

    Raises:
        ImageError: The path is not such a file or cannot be read.
    """
    if not check_regular(path, "video"):
        raise ImageError("is empty (0 bytes)")
    try:
        # Without its name, from which FFmpeg would guess the format.
        return os.fdopen(os.open(path, os.O_RDONLY), "rb")
    except OSError as error:
        raise unreadable(error) from error


def _refuse(url: str, *_: Any) -> None:
    raise PermissionError("it refers to other files")


@contextlib.contextmanager
def _reasons(av: ModuleType) -> Iterator[None]:
    """Turns whatever FFmpeg raises on a damaged file into an `ImageError`."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise ImageError(f"cannot be decoded: {error.strerror}") from error
    except OSError as error:
        raise unreadable(error) from error


def find_stream(
    container: "av.container.InputContainer",
) -> "tuple[av.VideoStream, list[str]]":
    """Chooses the picture stream, and says so if there are several."""

    def has(stream: "av.VideoStream", *names: str) -> bool:
        kinds = type(stream.disposition)
        return any(stream.disposition & kinds[name] for name in names)

    # Such as the cover of a song.
    found = [
        stream
        for stream in container.streams.video
        if not has(stream, "attached_pic", "timed_thumbnails")
    ]
    if not found:
        raise ImageError("has no video stream")
    chosen = next((stream for stream in found if has(stream, "default")), found[0])
    if len(found) == 1:
        return chosen, []
    note = f"has {len(found)} picture tracks, of which number {found.index(chosen) + 1}"
    why = "the default one" if has(chosen, "default") else "the first one"
    return chosen, [f"{note}, {why}, was read"]
