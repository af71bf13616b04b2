# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small pictures and files for the tests of this package."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def colourful(height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """A smooth picture without symmetry: uint8 `[height, width, 3]`."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def encode(
    picture: np.ndarray | Image.Image, kind: str = "PNG", **options: Any
) -> bytes:
    """The bytes of a picture file in a format that Pillow writes."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def write_folder(root: Path, counts: Mapping[str, int], size: int = 24) -> Path:
    """Writes different pictures into class folders such as `train/real`."""
    seed = 0
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            seed += 1
            encoded = encode(colourful(size, size, seed), "PNG")
            (root / folder / f"{number:03}.png").write_bytes(encoded)
    return root
