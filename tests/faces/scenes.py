# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scenes with one face each whose place is known, to measure detectors with."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 480, 640


def scenes(folder: Path, splits: str = "*") -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lays each face crop of a folder into a picture of 640 × 480 pixels.

    The crops are 1.3 × the face box, so the box is taken to be the central 1 / 1.3 of
    them: a rough reference, good for an overlap of 0.4. They take 64 to 256 pixels, at
    varied places, on grounds that are plain in turns and noisy.

    Args:
        folder: Holds `SPLIT/CLASS/FILE`.
        splits: Which.

    Yields:
        The picture, uint8 RGB, and the box, `[4]`.
    """
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted(folder.glob(f"{splits}/*/*"))):
        side = int(rng.integers(64, 257))
        crop = Image.open(path).convert("RGB").resize((side, side), Image.LANCZOS)
        grey = rng.integers(40, 220)
        deviation = 25 * (number % 2)
        ground = rng.normal(grey, deviation, (HEIGHT, WIDTH, 3)) if deviation else grey
        picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        picture[:] = np.clip(ground, 0, 255)
        left = int(rng.integers(0, WIDTH - side + 1))
        top = int(rng.integers(0, HEIGHT - side + 1))
        picture[top : top + side, left : left + side] = np.asarray(crop)
        margin = side * (1 - 1 / 1.3) / 2
        start = np.array((left, top)) + margin
        yield picture, np.concatenate([start, start + side / 1.3])


def group(
    folder: Path, side: int, seed: int = 0, height: int = 3000, width: int = 4000
) -> tuple[np.ndarray, np.ndarray]:
    """A large photograph of 24 people, four rows of six.

    Args:
        folder: Holds `SPLIT/CLASS/FILE`, see `scenes`.
        side: Side of the crops in pixels, 1.3 × that of the faces.
        seed: Of the choice of the faces and their places.
        height: Of the picture.
        width: Of the picture.

    Returns:
        The picture, uint8 RGB, and the boxes, `[24, 4]`.
    """
    rng = np.random.default_rng(seed)
    paths = sorted(folder.glob("*/*/*"))
    ground = rng.integers(60, 180, (12, 16, 3)).astype(np.uint8)
    picture = np.array(Image.fromarray(ground).resize((width, height)))
    boxes = []
    for row in range(4):
        for column in range(6):
            path = paths[int(rng.integers(len(paths)))]
            crop = Image.open(path).convert("RGB").resize((side, side), Image.LANCZOS)
            top = row * height // 4 + int(rng.integers(height // 4 - side))
            left = column * width // 6 + int(rng.integers(width // 6 - side))
            picture[top : top + side, left : left + side] = np.asarray(crop)
            margin = side * (1 - 1 / 1.3) / 2
            start = np.array((left, top)) + margin
            boxes.append(np.concatenate([start, start + side / 1.3]))
    return picture, np.array(boxes)
