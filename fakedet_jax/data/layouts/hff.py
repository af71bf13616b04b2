# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Hybrid Fake Faces (Guo, Yang, Chen, Sun; CVIU 2021): 155,000 pictures, 8 classes.

The authors send the pictures on request and publish no description of the folders.
What is understood follows their label script, which reads `train/fake/…` and
`train/real/…`, and their tables:

    {train,val,test}/{real,fake}/CLASS/…
    {train,val,test}/CLASS/…
    {real,fake}/CLASS/…
    CLASS/…

Classes are recognised by letters and digits only: `CelebA-HQ`, `real_celebahq` and
`celeba_hq` are the same class. Without split folders, `splits.assign` chooses the
splits; the paper has 75 % training, 5 % validation and 20 % test.
"""

import re
from collections import Counter
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.dataset import is_real
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.data.layouts.class_folders import find_tops
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings

# By class: the number of pictures in the paper, and accepted folder names.
_CLASSES = {
    "real_celeba": (25_000, ("celeba",)),
    "real_celebahq": (10_000, ("celebahq", "celebahd")),
    "real_youtube": (
        25_000,
        ("youtube", "youtubeframe", "youtubeframes", "faceforensics", "ff"),
    ),
    "pggan": (10_000, ("pggan", "progan", "progressivegan")),
    "stylegan": (10_000, ("stylegan",)),
    "glow": (25_000, ("glow",)),
    "face2face": (25_000, ("face2face", "f2f")),
    "stargan": (25_000, ("stargan",)),
}
_SIDES = {"real": False, "fake": True}
_SPELLINGS = {
    spelling: name for name, (_, names) in _CLASSES.items() for spelling in names
}


def _list(root: Path, _: Settings) -> Listing:
    tops, notes = find_tops(root)
    items = []
    for split, top in tops:
        for folder, class_name in _find_classes(top).items():
            manipulation = "" if is_real(class_name) else class_name
            items += [
                Item.of(path, root, class_name, split=split, manipulation=manipulation)
                for path in scan.find_files(folder)
                if scan.kind_of(path) == scan.PHOTO
            ]
    if not items:
        raise LayoutMismatch("pictures in folders such as train/fake/PGGAN", root)
    return Listing(items, notes=notes + _notes(items))


def _find_classes(top: Path) -> dict[Path, str]:
    """Finds the class folders in the folder of a split, with their class names."""
    classes: dict[Path, str] = {}
    for folder in scan.list_folders(top):
        side = folder.name.lower()
        if side not in _SIDES:
            classes[folder] = _class_of(folder)
            continue
        inner = scan.list_folders(folder)
        if not inner:
            raise LayoutMismatch("a folder for each class, such as PGGAN,", folder)
        for path in inner:
            classes[path] = _class_of(path)
            if is_real(classes[path]) == _SIDES[side]:
                raise RequestError(
                    f"`data_dir`: expected {side} classes of hff in {str(folder)!r}, "
                    f"found {path.name!r}; move it"
                )
    if not classes:
        raise LayoutMismatch("a folder for each class, such as PGGAN,", top)
    return classes


def _class_of(folder: Path) -> str:
    spelling = re.sub(r"[^a-z0-9]", "", folder.name.lower())
    spelling = spelling.removeprefix("real").removeprefix("fake")
    if spelling not in _SPELLINGS:
        raise RequestError(
            f"`data_dir`: expected folders of the classes of hff "
            f"({', '.join(_CLASSES)}), found {str(folder)!r}; rename it, move it away, "
            "or use `dataset=folder`"
        )
    return _SPELLINGS[spelling]


def _notes(items: list[Item]) -> list[str]:
    counts = Counter(item.class_name for item in items)
    return [
        f"{name}: {counts[name]:,} pictures exist, {published:,} are published"
        for name, (published, _) in _CLASSES.items()
        if counts[name] != published
    ]


LAYOUT = Layout(
    "hff",
    "ask its authors (https://github.com/EricGzq/Hybrid-Fake-Face-Dataset), unpack the "
    "pictures as {train,val,test}/{real,fake}/CLASS or CLASS and name the folder above",
    _list,
)
