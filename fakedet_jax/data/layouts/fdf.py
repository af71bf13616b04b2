# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flickr Diverse Faces (Hukkelås, Mester, Lindseth; ISVC 2019): real photographs.

    fdf_metainfo.json      {"0": {"category": "training", …}, …}, 1,471,253 faces
    images/128/0.png       and smaller sizes 64, 32, 16, 8
    bounding_box/, landmarks/

or FDF256 by the same authors:

    train/fdf_metainfo.json, train/images/0.png, val/…

The pictures come in four archives, one per licence, so many users have only some of
them. There are a training and a validation split, and no test split. The metadata name
the photographer, not the person: identities are unknown. The boxes and landmarks are
not used; a face detector finds the faces.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts import lists
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option

_CLASS = "real_fdf"
_METADATA = "fdf_metainfo.json"
_CATEGORIES = {"training": "train", "validation": "validation"}
_FDF256_FOLDERS = {"train": "train", "val": "validation"}
_SIZES = (128, 64, 32, 16, 8)
_NUMBER = re.compile(r"[0-9]+")


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of FDF."""

    source_size: int = option(
        128, "Width of the pictures; FDF256 has one size only.", choices=_SIZES
    )
    held_out_as: str = option(
        "validation",
        "Split that the validation pictures are used as.",
        choices=("validation", "test"),
    )


def _list(root: Path, options: Options) -> Listing:
    source_size = options.source_size
    as_split = {"train": "train", "validation": options.held_out_as}
    halves = [
        name for name in _FDF256_FOLDERS if scan.is_folder(root / name / "images")
    ]
    items: list[Item] = []
    others: list[str] = []
    notes: list[str] = []
    if halves:
        for name in halves:
            for path in _pictures(root, root / name / "images", others):
                split = as_split[_FDF256_FOLDERS[name]]
                items.append(Item.of(path, root, _CLASS, split=split))
    elif scan.is_folder(root / f"images/{source_size}"):
        splits = _read_splits(root / _METADATA)
        for path in _pictures(root, root / f"images/{source_size}", others):
            found = splits.get(path.stem)
            side = as_split[found] if found else None
            items.append(Item.of(path, root, _CLASS, split=side))
        notes = _notes(items, len(splits))
    else:
        raise LayoutMismatch(
            f"the folder images/{source_size} (FDF256: train/images)", root
        )
    if not items:
        raise LayoutMismatch(f"pictures such as images/{source_size}/0.png", root)
    notes += scan.note("left out, names are not numbers", others)
    return Listing(items, notes=notes)


def _pictures(root: Path, top: Path, others: list[str]) -> Iterator[Path]:
    """Finds the pictures whose names are numbers, and collects the others."""
    for path in scan.find_files(top):
        if _NUMBER.fullmatch(path.stem) and scan.kind_of(path) == scan.PHOTO:
            yield path
        else:
            others.append(scan.relative(path, root))


def _read_splits(path: Path) -> dict[str, str]:
    """Reads the split of each face, by its number; empty without the metadata."""
    splits: dict[str, str] = {}
    if not path.is_file():
        return splits
    for number, value in lists.read_entries(path):
        category = str(value.get("category") if isinstance(value, dict) else None)
        if category not in _CATEGORIES:
            raise RequestError(
                f"{str(path)!r}, {number!r}: expected the category "
                f"{' or '.join(_CATEGORIES)}, found {category[:40]!r}; fetch the "
                "metadata again"
            )
        splits[number] = _CATEGORIES[category]
    return splits


def _notes(items: list[Item], num_listed: int) -> list[str]:
    if not num_listed:
        return [f"there is no {_METADATA}: no picture has an official split"]
    unlisted = [item.path for item in items if item.split is None]
    notes = scan.note(f"not in {_METADATA}, split to be assigned", unlisted)
    num_found = len(items) - len(unlisted)
    if num_found != num_listed:
        # Missing files are not listed: most users have only some of the archives.
        notes.append(f"{num_found:,} of the {num_listed:,} faces in {_METADATA} exist")
    return notes


LAYOUT = Layout(
    "fdf",
    "fetch metadata and pictures with download.py `download_images` from "
    "https://github.com/hukkelas/FDF and name its target_directory",
    _list,
    Options,
)
