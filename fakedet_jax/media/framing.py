# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The region of a picture that a network sees, and its size in pixels."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Framing:
    """Size of a network's input and the rule that cuts it out of a picture.

    The region is the largest centred one with the aspect ratio of the input, or its
    central part. `Framing(224, 224, 224 / 256)` is the usual "resize the short side to
    256, then take the central 224 × 224" in one step.

    Attributes:
        height: Height of the input in pixels.
        width: Width of the input in pixels.
        central_share: Fraction of the sides of the largest region that is kept, in
            (0, 1].
        parts: Framings of several networks, whose inputs lie beside each other in one
            array, from left to right and at its top; empty for one network.
    """

    height: int
    width: int
    central_share: float = 1.0
    # Trainings that go on compare texts of framings, and have no parts.
    parts: "tuple[Framing, ...]" = dataclasses.field(default=(), repr=False)

    @classmethod
    def square(cls, side: int) -> "Framing":
        """The largest centred square, resized to `side` × `side` pixels."""
        return cls(side, side)

    @classmethod
    def beside(cls, parts: "Sequence[Framing]") -> "Framing":
        """The inputs of several networks in one array.

        Args:
            parts: Framings of one network each, at least one.

        >>> Framing.beside([Framing(112, 96, 0.75), Framing(128, 128)]).shape
        (128, 224, 3)
        """
        height = max(part.height for part in parts)
        return cls(height, sum(part.width for part in parts), parts=tuple(parts))

    @property
    def record(self) -> dict[str, Any]:
        """The fields, JSON-able; without `parts` where there are none."""
        fields = dataclasses.asdict(self)
        if not self.parts:
            del fields["parts"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Framing":
        """From what `dataclasses.asdict` gave, through JSON.

        Raises:
            TypeError: A field is missing or unknown.
        """
        parts = tuple(map(cls.from_json, fields.get("parts", ())))
        return cls(**{**fields, "parts": parts})

    @property
    def columns(self) -> tuple[int, ...]:
        """Where the parts start and the last one ends, in pixels from the left."""
        return (0, *itertools.accumulate(part.width for part in self.parts))

    @property
    def largest(self) -> "Framing":
        """The part that sees most of a picture, then the largest; else this one."""
        return max(
            self.parts or (self,),
            key=lambda part: (part.central_share, part.height * part.width),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the input as an RGB array: `(height, width, 3)`."""
        return self.height, self.width, 3

    def __str__(self) -> str:
        """Height × width, of each part."""
        if self.parts:
            return " and ".join(map(str, self.parts))
        return f"{self.height} × {self.width}"

    def region(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The region of a picture that the network sees; of several, the largest.

        A picture of exactly the input's size is taken as a whole, even if
        `central_share` is below 1, because it has been cropped before.

        Args:
            height: Height of the picture in pixels.
            width: Width of the picture in pixels.

        Returns:
            Left, top, right, bottom in pixels. A region with sides of whole pixels
            starts at whole pixels, because half a pixel of shift would blur it.

        >>> Framing(224, 224, 0.875).region(256, 512)
        (144.0, 16.0, 368.0, 240.0)
        """
        if self.parts:
            return self.largest.region(height, width)
        if (height, width) == (self.height, self.width):
            return 0.0, 0.0, float(width), float(height)
        scale = min(height / self.height, width / self.width) * self.central_share
        left, right = _centred(self.width * scale, width)
        top, bottom = _centred(self.height * scale, height)
        return left, top, right, bottom


def _centred(length: float, available: int) -> tuple[float, float]:
    whole = round(length)
    if abs(length - whole) < 1e-6:
        start = float((available - whole) // 2)
        return start, start + whole
    start = (available - length) / 2
    return start, start + length
