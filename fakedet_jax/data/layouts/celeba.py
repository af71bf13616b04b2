# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""CelebA (Liu et al., ICCV 2015), aligned and cropped: 202,599 real photographs.

    img_align_celeba/000001.jpg
    identity_CelebA.txt           lines `000001.jpg 2880`: 10,177 identities
    list_eval_partition.txt       lines `000001.jpg 0`: 0 train, 1 validation, 2 test

The files may also lie in the folders `Img`, `Anno` and `Eval` in which they are
published. The pictures may be the PNG files with the same numbers.
"""

import dataclasses
from collections import defaultdict
from pathlib import Path, PurePosixPath

from fakedet_jax.data import scan
from fakedet_jax.data.layouts import lists
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option

_PICTURES = (
    "img_align_celeba",
    "Img/img_align_celeba",
    "img_align_celeba_png",
    "Img/img_align_celeba_png",
)
_IDENTITIES = ("identity_CelebA.txt", "Anno/identity_CelebA.txt")
_PARTITION = ("list_eval_partition.txt", "Eval/list_eval_partition.txt")
_SPLITS = {"0": "train", "1": "validation", "2": "test"}


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of CelebA."""

    split_by: str = option(
        "official",
        "official reads the partition; identity keeps the pictures of a person "
        "together.",
        choices=("official", "identity"),
    )


def _list(root: Path, options: Options) -> Listing:
    by_identity = options.split_by == "identity"
    folders = [root / name for name in _PICTURES if scan.is_folder(root / name)]
    if not folders:
        raise LayoutMismatch("the folder img_align_celeba", root)
    identities = _read_list(root, _IDENTITIES, required=by_identity)
    splits: dict[str, str] = {}
    if not by_identity:
        partition = _read_list(root, _PARTITION, required=True)
        wrong = [number for number in partition if partition[number] not in _SPLITS]
        if wrong:
            raise RequestError(
                f"{_PARTITION[0]}: expected 0, 1 or 2 after each picture, found "
                f"{partition[wrong[0]]!r} after {wrong[0]!r}; fetch the list again"
            )
        splits = {number: _SPLITS[code] for number, code in partition.items()}
    items = [
        Item.of(
            path,
            root,
            "real_celeba",
            split=splits.get(path.stem),
            identities=(identities[path.stem],) if path.stem in identities else (),
        )
        for path in scan.list_files(folders[0], scan.PHOTO)
    ]
    listed = splits or identities
    found = {PurePosixPath(item.path).stem for item in items}
    suffix = ".png" if folders[0].name.endswith("_png") else ".jpg"
    missing = [
        scan.relative(folders[0] / f"{number}{suffix}", root)
        for number in listed
        if number not in found
    ]
    return Listing(items, missing, _notes(items, identities, splits))


def _notes(
    items: list[Item], identities: dict[str, str], splits: dict[str, str]
) -> list[str]:
    notes = []
    if not identities:
        notes.append(
            f"there is no {_IDENTITIES[0]}: whether a person is in two splits cannot "
            "be checked"
        )
    unknown = [item.path for item in items if identities and not item.identities]
    notes += scan.note(f"without an identity in {_IDENTITIES[0]}", unknown)
    unlisted = [item.path for item in items if splits and item.split is None]
    notes += scan.note(f"not in {_PARTITION[0]}, split to be assigned", unlisted)
    sides = defaultdict(set)
    for number, split in splits.items():
        if number in identities:
            sides[identities[number]].add(split)
    torn = sorted(name for name, found in sides.items() if len(found) > 1)
    return notes + scan.note(f"identities in several splits of {_PARTITION[0]}", torn)


def _read_list(root: Path, names: tuple[str, ...], required: bool) -> dict[str, str]:
    """Reads the value of each picture in a list, by the number of the picture."""
    path = next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        if required:
            raise LayoutMismatch(f"the list {names[0]}", root)
        return {}
    found: dict[str, str] = {}
    for line, (name, value) in lists.read_lines(path, 2):
        where = f"{str(path)!r}, line {line}"
        number = PurePosixPath(scan.listed_path(name, where)).stem
        if found.setdefault(number, value) != value:
            raise RequestError(
                f"{where}: expected one line for {name!r}, found another with "
                f"{found[number]!r}; fetch the list again"
            )
    return found


LAYOUT = Layout(
    "celeba",
    "get img_align_celeba.zip, identity_CelebA.txt and list_eval_partition.txt from "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and name the folder that holds "
    "them",
    _list,
    Options,
)
