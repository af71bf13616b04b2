# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which part of a picture a network looks at, and in how many pixels, as data."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Framing:
    """The input of a network in pixels, and the rule that cuts it out of a picture.

    The largest centred region with the proportions of the input is taken, or the
    central part of it. `Framing(224, 224, 224 / 256)` is the usual "short side to 256,
    then the central 224 × 224" as one step.

    Attributes:
        height: Of the input, pixels.
        width: Of the input, pixels.
        central_share: Part of the sides of the largest region that is kept, in (0, 1].
    """

    height: int
    width: int
    central_share: float = 1.0

    @classmethod
    def square(cls, side: int) -> "Framing":
        """The largest centred square, in `side` × `side` pixels."""
        return cls(side, side)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Framing":
        """From what `dataclasses.asdict` gave, through JSON.

        Raises:
            TypeError: Fields are missing or unknown.
        """
        return cls(**fields)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the input as an RGB array: `(height, width, 3)`."""
        return self.height, self.width, 3

    def __str__(self) -> str:
        """Height × width."""
        return f"{self.height} × {self.width}"

    def region(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The region of a picture that the network sees.

        A picture that has the size of the input is taken whole, whatever the share:
        whoever brings such pictures has cut them already.

        Args:
            height: Of the picture, pixels.
            width: Of the picture, pixels.

        Returns:
            Left, top, right, bottom in pixels. A region of whole pixels lies on whole
            pixels: half a pixel of shift would blur what needs no resizing.

        >>> Framing(224, 224, 0.875).region(256, 512)
        (144.0, 16.0, 368.0, 240.0)
        """
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
