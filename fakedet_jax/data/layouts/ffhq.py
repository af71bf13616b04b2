# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flickr-Faces-HQ (Karras, Laine, Aila; CVPR 2019): 70,000 real photographs.

    images1024x1024/00000/00000.png … images1024x1024/69000/69999.png
    thumbnails128x128/00000/00000.png …

Its authors appoint the first 60,000 to training and the last 10,000 to validation;
there is no test split, so whoever needs one may call the last 10,000 so.
"""

import re
from pathlib import Path

from fakedet_jax.data.layouts import scan
from fakedet_jax.data.layouts.base import (
    Item,
    Layout,
    LayoutMismatch,
    Listing,
    check_choice,
)

_SIZES = {1024: "images1024x1024", 128: "thumbnails128x128"}
_NUM_TRAIN, _NUM_ALL = 60_000, 70_000
_NUMBER = re.compile(r"[0-9]{5}")


def _list(
    root: Path, *, source_size: int = 1024, held_out_as: str = "validation"
) -> Listing:
    """Lists FFHQ.

    Args:
        root: The folder that holds `images1024x1024` or `thumbnails128x128`, or one of
            these two.
        source_size: Width of the pictures: 1024 or 128.
        held_out_as: What the last 10,000 are for: `validation` or `test`.
    """
    check_choice("source_size", source_size, list(_SIZES))
    check_choice("held_out_as", held_out_as, ("validation", "test"))
    top = root / _SIZES[source_size]
    if not scan.is_folder(top):
        if not any(_NUMBER.fullmatch(path.name) for path in scan.list_folders(root)):
            raise LayoutMismatch(f"the folder {_SIZES[source_size]}", root)
        top = root
    items, others = [], []
    for path in scan.find_files(top):
        number = int(path.stem) if _NUMBER.fullmatch(path.stem) else _NUM_ALL
        if number >= _NUM_ALL or scan.kind_of(path) != scan.PHOTO:
            others.append(scan.relative(path, root))
            continue
        items.append(
            Item(
                path=scan.relative(path, root),
                kind=scan.PHOTO,
                class_name="real_ffhq",
                is_fake=False,
                split="train" if number < _NUM_TRAIN else held_out_as,
            )
        )
    if not items:
        raise LayoutMismatch("pictures such as 00000/00000.png", top)
    notes = scan.note("left out, their names are no numbers below 70000", others)
    if len(items) != _NUM_ALL:
        notes.append(f"{len(items):,} pictures are there, published are {_NUM_ALL:,}")
    return Listing(items, notes=notes)


LAYOUT = Layout(
    "ffhq",
    "fetch the aligned pictures with the script at "
    "https://github.com/NVlabs/ffhq-dataset and name the folder that holds "
    "images1024x1024 (`source_size=128`: thumbnails128x128)",
    _list,
)
