# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a picture is framed like the pictures that a detector was trained on.

A detector that was trained on face crops judges whatever lies in the central square of
a picture. Of a whole photograph this is a shirt or a wall as often as a face. Shape and
size tell most photographs from crops, without looking at a pixel.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from fakedet_jax.runtime import records

# Relative to the training pictures: another shape, or a size that no crop of such a
# dataset has.
_SHAPE_TOLERANCE = 1.1
_MAX_TIMES_LARGER = 3
# Of the training pictures; a few may be odd.
_QUANTILES = 0.01, 0.99


@dataclasses.dataclass(frozen=True)
class Expected:
    """Shape and size of the training pictures.

    Attributes:
        lowest_aspect: Width / height, of the narrowest but for a few.
        highest_aspect: Of the widest but for a few.
        longest_side: Pixels, of the largest but for a few.
    """

    lowest_aspect: Annotated[float, Meta(gt=0, le=1e6)]
    highest_aspect: Annotated[float, Meta(gt=0, le=1e6)]
    longest_side: Annotated[float, Meta(gt=0, le=1e6)]

    @property
    def record(self) -> dict[str, float]:
        """JSON-able."""
        return dataclasses.asdict(self)

    def difference(self, height: int, width: int) -> str:
        """Says how a picture differs from the training pictures.

        Args:
            height: Height of the upright picture in pixels.
            width: Width of the upright picture in pixels.

        Returns:
            Such as "is not square like the training pictures"; empty where it is framed
            alike, as far as shape and size tell.

        >>> UNKNOWN.difference(2048, 1638), UNKNOWN.difference(256, 256)
        ('is not square', '')
        """
        low = self.lowest_aspect / _SHAPE_TOLERANCE
        high = self.highest_aspect * _SHAPE_TOLERANCE
        like = "" if self is UNKNOWN else " like the training pictures"
        than = "usual face crops" if self is UNKNOWN else "the training pictures"
        if not low <= width / height <= high:
            is_square = self.lowest_aspect == self.highest_aspect == 1
            shape = "square" if is_square else "shaped"
            return f"is not {shape}{like}"
        if max(height, width) > _MAX_TIMES_LARGER * self.longest_side:
            return f"is far larger than {than}"
        return ""


# Where nobody knows the training pictures: squares of up to about 1,024 pixels.
UNKNOWN = Expected(1.0, 1.0, 342.0)


def of_pictures(sizes: Sequence[tuple[int, int]]) -> Expected:
    """Measures training pictures.

    Args:
        sizes: Height and width of each picture, at least one.

    >>> of_pictures([(256, 256), (256, 256)]).longest_side
    256.0
    """
    heights, widths = np.array(sizes, np.float64).T
    low, high = np.quantile(widths / heights, _QUANTILES)
    longest = np.quantile(np.maximum(heights, widths), _QUANTILES[1])
    return Expected(float(low), float(high), float(longest))


def from_record(record: Any) -> Expected:
    """Restores an `Expected.record`.

    Args:
        record: The record; it is checked, because its file may be wrong. None where
            nobody knows the training pictures.

    Raises:
        RequestError: It is wrong.
    """
    if record is None:
        return UNKNOWN
    return records.convert(
        record,
        Expected,
        source="`workdir`: config.json: pictures",
        advice="train again in another `workdir`",
    )
