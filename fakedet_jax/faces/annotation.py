# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws the boxes and scores of faces into pictures and video frames."""

import bisect
import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from fakedet_jax.faces import colours

# Smaller pictures are enlarged, because a label would not fit into them.
_LEAST_SIDE = 240
_MAX_ENLARGED = 4_000_000


@dataclasses.dataclass(frozen=True)
class Mark:
    """What is drawn for a face.

    Attributes:
        box: Left, top, right, bottom in pixels.
        score: Evidence of being fake, 0 to 1.
        decision: `real`, `fake` or `unsure`.
        seen: What the network saw: left, top, right, bottom in pixels; empty where it
            is not drawn.
        number: Number of the face, which stands before the decision; None for none.
    """

    box: tuple[float, ...]
    score: float
    decision: str
    seen: tuple[float, ...] = ()
    number: int | None = None

    @property
    def text(self) -> str:
        """Text of the label.

        >>> Mark((0, 0, 9, 9), 0.934, "fake").text
        'fake 0.93'
        """
        number = "" if self.number is None else f"{self.number}: "
        return f"{number}{self.decision} {self.score:.2f}"

    @property
    def colour(self) -> str:
        """Colour of box and label, hexadecimal RGB."""
        return colours.DECISIONS[self.decision]


class MovingMark:
    """The mark of a face in all frames of a video, of which some were scored.

    Between two scored frames the box moves linearly, and the score is that of the
    nearer one. Before the first and after the last scored frame, the mark is shown half
    the way to the next frame that was searched without finding the face; without such a
    frame, up to the start or the end of the video. Nothing moves over a cut: up to it
    the mark is that before, from it on that behind, and in a shot without a scored
    frame there is none.
    """

    def __init__(
        self,
        frames: Sequence[int],
        marks: Sequence[Mark],
        looked_at: Sequence[int],
        cuts: Sequence[int] = (),
    ):
        """Takes the scored frames of a face.

        Args:
            frames: Numbers of the frames in which it was scored, increasing.
            marks: Its mark in each of `frames`.
            looked_at: Numbers of all frames in which faces were searched for,
                increasing.
            cuts: Numbers of the frames with which a new shot starts, increasing.
        """
        self._frames = list(frames)
        self._marks = list(marks)
        self._cuts = list(cuts)
        before = bisect.bisect_left(looked_at, frames[0])
        after = bisect.bisect_right(looked_at, frames[-1])
        self._first, self._last = -math.inf, math.inf
        if before > 0:
            self._first = (looked_at[before - 1] + frames[0]) / 2
        if after < len(looked_at):
            self._last = (looked_at[after] + frames[-1]) / 2
        # To a cut that is nearer than the next search, all the way is known.
        start = bisect.bisect_right(self._cuts, frames[0])
        end = bisect.bisect_right(self._cuts, frames[-1])
        if start > 0 and (before == 0 or looked_at[before - 1] < self._cuts[start - 1]):
            self._first = self._cuts[start - 1]
        if end < len(self._cuts) and (
            after == len(looked_at) or self._cuts[end] <= looked_at[after]
        ):
            self._last = self._cuts[end] - 1

    def at(self, frame: int) -> Mark | None:
        """The mark in frame number `frame`; `None` if it is not shown there."""
        if not self._first <= frame <= self._last:
            return None
        after = bisect.bisect_left(self._frames, frame, hi=len(self._frames) - 1)
        before = max(after - 1, 0)
        span = self._frames[after] - self._frames[before]
        # Before its first and after its last scored frame the box does not move.
        share = min((frame - self._frames[before]) / span, 1) if span else 1
        first, second = self._marks[before], self._marks[after]
        start = bisect.bisect_right(self._cuts, self._frames[before])
        end = bisect.bisect_right(self._cuts, self._frames[after])
        if span and start < end and share < 1:
            if frame < self._cuts[start]:
                return first
            return second if frame >= self._cuts[end - 1] else None
        nearer = second if share > 0.5 else first
        box = _between(first.box, second.box, share)
        seen = nearer.seen
        if first.seen and second.seen:
            seen = _between(first.seen, second.seen, share)
        return dataclasses.replace(nearer, box=box, seen=seen)


def _between(
    first: tuple[float, ...], second: tuple[float, ...], share: float
) -> tuple[float, ...]:
    pairs = zip(first, second, strict=True)
    return tuple((1 - share) * a + share * b for a, b in pairs)


def draw(picture: np.ndarray, marks: Iterable[Mark]) -> np.ndarray:
    """Draws boxes with labels, in sizes that suit the picture and the face.

    A thinner box shows what the network saw.

    Args:
        picture: RGB picture, uint8 `[height, width, 3]`.
        marks: What to draw; the first mark ends up on top.

    Returns:
        A copy, uint8 `[height, width, 3]`. A picture too small for a label is enlarged
        by a whole factor without interpolation.
    """
    times = _enlargement(*picture.shape[:2])
    if times > 1:
        picture = picture.repeat(times, 0).repeat(times, 1)
    image = Image.fromarray(picture)
    canvas = ImageDraw.Draw(image)
    short = min(image.size)
    line = max(2, round(short / 240))
    enlarged = [
        dataclasses.replace(
            mark,
            box=tuple(times * value for value in mark.box),
            seen=tuple(times * value for value in mark.seen),
        )
        for mark in marks
    ]
    for mark in reversed(enlarged):
        if mark.seen:
            # Thinner than the box of the face.
            _draw_box(canvas, mark.seen, mark.colour, image.size, max(1, line // 2))
        _draw_box(canvas, mark.box, mark.colour, image.size, line)
    taken: list[_Place] = []
    for mark in enlarged:
        # The label of a small face must not hide its neighbours.
        letters = min(max((mark.box[2] - mark.box[0]) / 4, short / 54), short / 24)
        _draw_label(canvas, mark, image.size, _font(max(14, round(letters))), taken)
    return np.asarray(image)


def _enlargement(height: int, width: int) -> int:
    wanted = math.ceil(_LEAST_SIDE / min(height, width))
    affordable = math.isqrt(_MAX_ENLARGED // (height * width))
    return max(1, min(wanted, affordable))


@functools.lru_cache(maxsize=256)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    # Without FreeType, Pillow has letters of one size only.
    return ImageFont.load_default(size if features.check("freetype2") else None)


def _draw_box(
    canvas: ImageDraw.ImageDraw,
    box: tuple[float, ...],
    colour: str,
    size: tuple[int, int],
    line: int,
) -> None:
    """Draws the part of a box that is in the picture, with lines on all sides."""
    last = np.tile(size, 2) - 1
    # The last pixel of a box that ends at 8 is number 7.
    corners = np.clip(np.rint(box) - (0, 0, 1, 1), 0, last)
    corners[2:] = np.maximum(corners[:2], corners[2:])
    canvas.rectangle(corners.tolist(), outline=colour, width=line)


# Left, top, right and bottom of a label.
_Place = tuple[int, int, int, int]


def _draw_label(
    canvas: ImageDraw.ImageDraw,
    mark: Mark,
    size: tuple[int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    taken: list[_Place],
) -> None:
    """Writes the label where there is room, and adds its place to `taken`."""
    left, top, right, bottom = canvas.textbbox((0, 0), mark.text, font=font)
    margin = math.ceil((bottom - top) / 4)
    width = round(right - left + 2 * margin)
    height = round(bottom - top + 2 * margin)
    place = _place(mark.box, (width, height), size, taken)
    taken.append(place)
    x, y = place[:2]
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=mark.colour)
    canvas.text(
        (x + margin - left, y + margin - top), mark.text, fill="white", font=font
    )


def _place(
    box: tuple[float, ...],
    label: tuple[int, int],
    size: tuple[int, int],
    taken: Sequence[_Place],
) -> _Place:
    """Chooses the place of a label.

    Args:
        box: Of the face.
        label: Width and height of the label.
        size: Width and height of the picture.
        taken: Places of other labels.

    Returns:
        The first that covers no other label of: above the box, at its upper edge,
        beneath it, at its lower edge, each flush left or flush right; where all do, the
        one that covers least.
    """
    width, height = label
    tops = (box[1] - height, box[1], box[3], box[3] - height)
    candidates = []
    for number, y in enumerate(tops):
        # Within the picture, "above" and "beneath" may have no room.
        if number % 2 == 0 and not 0 <= y <= size[1] - height:
            continue
        for x in (box[0], box[2] - width):
            left = round(max(0, min(x, size[0] - width)))
            top = round(max(0, min(y, size[1] - height)))
            candidates.append((left, top, left + width, top + height))
    return min(
        candidates, key=lambda place: sum(_overlap(place, other) for other in taken)
    )


def _overlap(first: _Place, second: _Place) -> int:
    """The common area of two places in pixels."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0, width) * max(0, height)
