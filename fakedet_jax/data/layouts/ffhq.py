# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flickr-Faces-HQ (Karras, Laine, Aila; CVPR 2019): 70,000 real photographs.

    images1024x1024/00000/00000.png … images1024x1024/69000/69999.png
    thumbnails128x128/00000/00000.png …

The authors use the first 60,000 for training and the last 10,000 for validation. There
is no test split; the last 10,000 can be used as one.
"""

import dataclasses
import re
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.settings import Settings, option

_SIZES = {1024: "images1024x1024", 128: "thumbnails128x128"}
_NUM_TRAIN, _NUM_ALL = 60_000, 70_000
_NUMBER = re.compile(r"[0-9]{5}")


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of FFHQ."""

    source_size: int = option(1024, "Width of the pictures.", choices=tuple(_SIZES))
    held_out_as: str = option(
        "validation",
        "Split that the last 10,000 pictures are used as.",
        choices=("validation", "test"),
    )


def _list(root: Path, options: Options) -> Listing:
    name = _SIZES[options.source_size]
    top = root / name
    if not scan.is_folder(top):
        # The data folder may be the folder of pictures itself.
        if not any(_NUMBER.fullmatch(path.name) for path in scan.list_folders(root)):
            raise LayoutMismatch(f"the folder {name}", root)
        top = root
    items, others = [], []
    for path in scan.find_files(top):
        number = int(path.stem) if _NUMBER.fullmatch(path.stem) else _NUM_ALL
        if number >= _NUM_ALL or scan.kind_of(path) != scan.PHOTO:
            others.append(scan.relative(path, root))
            continue
        split = "train" if number < _NUM_TRAIN else options.held_out_as
        items.append(Item.of(path, root, "real_ffhq", split=split))
    if not items:
        raise LayoutMismatch("pictures such as 00000/00000.png", top)
    notes = scan.note("left out, names are not numbers below 70000", others)
    if len(items) != _NUM_ALL:
        notes.append(f"{len(items):,} pictures exist, {_NUM_ALL:,} are published")
    return Listing(items, notes=notes)


LAYOUT = Layout(
    "ffhq",
    "fetch the aligned pictures with the script at "
    "https://github.com/NVlabs/ffhq-dataset and name the folder that holds "
    "images1024x1024 (`source_size=128`: thumbnails128x128)",
    _list,
    Options,
)
