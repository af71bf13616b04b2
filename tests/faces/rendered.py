# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rendered faces that Haar finds, cut out tightly or loosely."""

import functools
from pathlib import Path

from PIL import Image

from fakedet_jax.media.decode import decode
from fakedet_jax.synthetic_faces import examples
from tests.data.pictures import encode

# How much of the sides of a picture is shown.
TIGHT, LOOSE = 0.75, 1.0


def write_faces(root: Path, shown: float, splits: tuple[str, ...] = ("",)) -> Path:
    """Writes 12 photographs and 12 fakes of people into the folders of each split.

    Args:
        root: Where the folders of the splits lie.
        shown: How much of each side of the pictures is left.
        splits: Each has other people.
    """
    for number, split in enumerate(splits):
        for place, (is_real, picture) in enumerate(_render(number)):
            side = picture.width
            margin = round(side * (1 - shown) / 2)
            crop = picture.crop((margin, margin, side - margin, side - margin))
            folder = root / split / ("real" if is_real else "fake")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{place:02}.png").write_bytes(encode(crop))
    return root


@functools.cache
def _render(number: int) -> list[tuple[bool, Image.Image]]:
    return [
        (example.label == "real", Image.fromarray(decode(example.encoded)))
        for identity in range(3 * number, 3 * number + 3)
        for example in examples.make_examples(0, identity, 100)
    ]
