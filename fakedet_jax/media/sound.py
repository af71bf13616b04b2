# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The sound of a video, for a copy of its pictures."""

import contextlib
import itertools
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from fakedet_jax.errors import ImageError
from fakedet_jax.media import video_stream

if TYPE_CHECKING:
    import av

_LOGGER = logging.getLogger(__name__)

# What MP4 holds as it is and players know; everything else is encoded as AAC.
_COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "alac")
# Within so many packets of pictures, the first one shown has come.
_MAX_REORDERED = 64


class Sound:
    """Passes the sound of a video on to a copy; made by `open_sound`.

    The first picture of the copy is shown at zero.
    """

    def __init__(
        self,
        source: "av.container.InputContainer | None",
        target: "av.container.OutputContainer",
        start: Fraction,
    ) -> None:
        self._target = target
        self._start = start
        self._packets: Iterator[av.Packet] = iter(())
        self._waiting: list[av.Packet] = []
        if source is None or not source.streams.audio:
            return
        stream = source.streams.audio[0]
        if stream.codec_context is None or not stream.codec_context.rate:
            return
        self._copied: av.AudioStream | None = None
        if stream.codec_context.codec.canonical_name in _COPIED:
            self._copied = target.add_stream_from_template(stream)
            self._packets = (
                packet for packet in source.demux(stream) if packet.dts is not None
            )
        else:
            self._packets = _as_aac(source, stream, target)

    def pass_on(self, seconds: float) -> None:
        """Writes the sound up to a time of the copy; `math.inf` for all of it."""
        for packet in itertools.chain(self._take(), self._packets):
            assert packet.dts is not None and packet.time_base is not None
            if float(packet.dts * packet.time_base - self._start) > seconds:
                self._waiting.append(packet)
                return
            self._write(packet)

    def _take(self) -> Iterator["av.Packet"]:
        while self._waiting:
            yield self._waiting.pop()

    def _write(self, packet: "av.Packet") -> None:
        assert packet.dts is not None and packet.time_base is not None
        shift = round(self._start / packet.time_base)
        packet.dts -= shift
        packet.pts = packet.dts if packet.pts is None else packet.pts - shift
        if packet.pts < 0:  # Before the first picture.
            return
        if self._copied is not None:
            packet.stream = self._copied
        self._target.mux(packet)


@contextlib.contextmanager
def open_sound(path: Path, target: "av.container.OutputContainer") -> Iterator[Sound]:
    """Opens the first sound track of a video for a copy.

    The stream of pictures must be in the copy already, without a packet.

    Args:
        path: The video.
        target: The copy, an MP4 file.

    Yields:
        The sound; without a track that can be read it has nothing to pass on.
    """
    with contextlib.ExitStack() as stack:
        try:
            start = _first_time(path)
            source = stack.enter_context(video_stream.open_container(path))
            sound = Sound(source, target, start)
        except (ImageError, ValueError) as error:
            _LOGGER.warning("the copy of %s has no sound: it %s", path, error)
            sound = Sound(None, target, Fraction(0))
        yield sound


def _first_time(path: Path) -> Fraction:
    """When the first picture is shown, in the seconds of the file."""
    with video_stream.open_container(path) as container:
        stream, _ = video_stream.find_stream(container)
        packets = itertools.islice(container.demux(stream), _MAX_REORDERED)
        shown = [
            packet.pts * packet.time_base
            for packet in packets
            if packet.pts is not None and packet.time_base is not None
        ]
    return Fraction(min(shown, default=0))


def _as_aac(
    source: "av.container.InputContainer",
    stream: "av.AudioStream",
    target: "av.container.OutputContainer",
) -> Iterator["av.Packet"]:
    """Decodes a track and encodes it again."""
    import av

    encoder = target.add_stream("aac", rate=stream.codec_context.rate)
    assert isinstance(encoder, av.AudioStream)  # For the type checker.
    encoder.layout = "mono" if stream.codec_context.channels == 1 else "stereo"

    def packets() -> Iterator[av.Packet]:
        resampler = av.AudioResampler(
            format=encoder.codec_context.format,
            layout=encoder.layout,
            rate=encoder.codec_context.rate,
            frame_size=encoder.codec_context.frame_size or 1024,
        )
        for frame in itertools.chain(source.decode(stream), [None]):
            for resampled in resampler.resample(frame):
                yield from encoder.encode(resampled)
        yield from encoder.encode(None)

    return packets()
