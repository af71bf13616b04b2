# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Facts of portraits that some detectors learn from: landmarks and camera settings.

Prepared and synthetic datasets store both. For others, `inspection.read_portraits`
reads the camera settings from the files; see `fakedet_jax.media.exif`.

>>> portraits = Portraits.unknown(2)
>>> portraits.landmarks.shape, portraits.tags.shape
((2, 5, 2), (2, 4))
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fakedet_jax.media import exif

NUM_LANDMARKS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Portraits:
    """Landmarks and camera settings of the examples of a dataset, in its order.

    Attributes:
        landmarks: float32 `[n, 5, 2]`, (x, y) in pixels of the picture: right eye, left
            eye, nose tip, right and left corner of the mouth; NaN where unknown.
        tags: float32 `[n, 4]`, camera settings in the order of `exif.TAGS` and in the
            units of `exif.ExifTags`; NaN where missing.
    """

    landmarks: np.ndarray
    tags: np.ndarray

    def __post_init__(self) -> None:
        shapes = (self.landmarks.shape, self.tags.shape)
        num = len(self.tags)
        if shapes != ((num, NUM_LANDMARKS, 2), (num, len(exif.TAGS))):
            raise ValueError(
                f"expected landmarks [n, {NUM_LANDMARKS}, 2] and tags "
                f"[n, {len(exif.TAGS)}], found {shapes[0]} and {shapes[1]}"
            )

    def __len__(self) -> int:
        return len(self.tags)

    def at(self, indices: Sequence[int] | np.ndarray) -> "Portraits":
        """The entries at `indices`, int `[n]`, in that order."""
        chosen = np.asarray(indices, np.int64)
        return Portraits(self.landmarks[chosen], self.tags[chosen])

    @classmethod
    def unknown(cls, num_examples: int) -> "Portraits":
        """Entries without any known landmark or setting."""
        return cls(
            np.full((num_examples, NUM_LANDMARKS, 2), np.nan, np.float32),
            np.full((num_examples, len(exif.TAGS)), np.nan, np.float32),
        )
