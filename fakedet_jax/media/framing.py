# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The region of a picture that a network sees, and its size in pixels."""

import dataclasses


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
    """

    height: int
    width: int
    central_share: float = 1.0

    @classmethod
    def square(cls, side: int) -> "Framing":
        """The largest centred square, resized to `side` × `side` pixels."""
        return cls(side, side)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the input as an RGB array: `(height, width, 3)`."""
        return self.height, self.width, 3

    def __str__(self) -> str:
        """Height × width."""
        return f"{self.height} × {self.width}"

    def region(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The region of a picture that the network sees.

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
