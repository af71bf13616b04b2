# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Celeb-DF++ (Li, Zhu, Cui, Lyu; 2025, arXiv:2507.18015): fakes of 22 methods.

    Celeb-real/id0_0000.mp4, YouTube-real/00000.mp4      the videos of Celeb-DF v2
    Celeb-synthesis/FaceSwap/BlendFace/….mp4             8 methods
    Celeb-synthesis/FaceReenact/LivePortrait/….mp4       7
    Celeb-synthesis/TalkingFace/SadTalker/….mp4          7
    List_of_testing_videos.txt                           lines `label path`

The folders and the number of test videos are those of the authors' README
(https://github.com/OUC-VAS/Celeb-DF-PP): 178 real ones, 200 of each method that swaps
or reenacts faces and 300 of each that makes faces talk; the test videos of Celeb-DF v2
stand for its own method. That method's folder is `Celeb-DF` in the README and
`Celeb-DF-v2` in the authors' scripts; both are read. Videos that are not listed are for
training, and the list separates videos, not people, as in Celeb-DF v2.

Two things are not published. The first is what a label means: one meaning must hold for
the whole list, and the folders say which. The second are the names of the videos: from
those that start like `id0_id1_0000` or `id0_0000` we take who is in the video.
"""

import dataclasses
import re
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.data.layouts.celeb_df_v2 import FAKE_FOLDER, TESTING, read_testing
from fakedet_jax.settings import Settings, option

_REAL_FOLDERS = {"Celeb-real": "real_celeb", "YouTube-real": "real_youtube"}
_SCENARIOS = {
    "FaceSwap": (
        *("Celeb-DF", "BlendFace", "GHOST", "HifiFace", "InSwapper", "MobileFaceSwap"),
        *("SimSwap", "UniFace"),
    ),
    "FaceReenact": (
        *("DaGAN", "FSRT", "HyperReenact", "LIA", "LivePortrait", "MCNET", "TPSMM"),
    ),
    "TalkingFace": (
        *("AniTalker", "EchoMimic", "EDTalk", "FLOAT", "IP_LAP", "Real3DPortrait"),
        "SadTalker",
    ),
}
METHODS = tuple(method for methods in _SCENARIOS.values() for method in methods)
_OTHER_NAMES = {"Celeb-DF-v2": "Celeb-DF"}
_PEOPLE = re.compile(r"(id\d+)_(?:(id\d+)_)?\d+(?!\d)")
_NUM_TESTING = 5_418


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of Celeb-DF++."""

    methods: tuple[str, ...] | None = option(
        None, "Manipulation methods; all that exist by default.", choices=METHODS
    )


def _list(root: Path, options: Options) -> Listing:
    for name in (*_REAL_FOLDERS, FAKE_FOLDER):
        if not scan.is_folder(root / name):
            raise LayoutMismatch(
                f"the folders {', '.join(_REAL_FOLDERS)}, {FAKE_FOLDER} and the file "
                f"{TESTING}",
                root,
            )
    if not (root / TESTING).is_file():
        raise LayoutMismatch(
            f"{TESTING}, without which test videos would be trained on,", root
        )
    listed = read_testing(
        root / TESTING, (*_REAL_FOLDERS, FAKE_FOLDER), one_is_real=None
    )
    # By the published name of the folder, whatever it is called here.
    testing = {_published(name): name for name in listed}
    listing = Listing([])
    chosen = METHODS if options.methods is None else options.methods
    folders = [pair for pair in _find_methods(root) if pair[0] in chosen]
    present = {method for method, _ in folders}
    absent = [
        method for method in METHODS if method in chosen and method not in present
    ]
    if not folders or (options.methods is not None and absent):
        raise LayoutMismatch(
            f"folders such as {_scenario(absent[0])}/{absent[0]} (`methods` chooses "
            "others)",
            root / FAKE_FOLDER,
        )
    unnamed: list[str] = []
    real_folders = [("", root / folder) for folder in _REAL_FOLDERS]
    for method, folder in (*real_folders, *folders):
        for path in scan.list_files(folder, scan.VIDEO):
            item = _item(path, root, method, testing)
            listing.items.append(item)
            if not item.identities and folder.name != "YouTube-real":
                unnamed.append(item.path)
    found = {_published(item.path) for item in listing.items}
    # Test videos of methods that are absent are not missing.
    sought = {*_REAL_FOLDERS, *(f"{FAKE_FOLDER}/{_scenario(m)}/{m}" for m in present)}
    listing.missing.extend(
        name
        for key, name in testing.items()
        if key not in found and key.rpartition("/")[0] in sought
    )
    listing.notes.extend(_notes(root, absent, unnamed, len(testing)))
    return listing


def _find_methods(root: Path) -> list[tuple[str, Path]]:
    """The methods that exist, with their folders."""
    found = []
    for scenario, methods in _SCENARIOS.items():
        folder = root / FAKE_FOLDER / scenario
        for path in scan.list_folders(folder) if scan.is_folder(folder) else ():
            method = _OTHER_NAMES.get(path.name, path.name)
            if method in methods:
                found.append((method, path))
    return found


def _scenario(method: str) -> str:
    return next(name for name, methods in _SCENARIOS.items() if method in methods)


def _item(path: Path, root: Path, method: str, testing: dict[str, str]) -> Item:
    name = scan.relative(path, root)
    people = _PEOPLE.match(path.stem)
    # The scenario comes first, because Real3DPortrait alone would name a real class.
    class_name = f"{_scenario(method)}_{method}" if method else ""
    return Item.of(
        path,
        root,
        class_name or _REAL_FOLDERS[path.parent.name],
        split="test" if _published(name) in testing else "train",
        video=_published(name).removesuffix(path.suffix),
        identities=tuple(filter(None, people.groups())) if people else (),
        manipulation=method,
    )


def _published(name: str) -> str:
    """The path of a video with the published name of its method's folder.

    >>> _published("Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4")
    'Celeb-synthesis/FaceSwap/Celeb-DF/id0_id1_0000.mp4'
    """
    return "/".join(_OTHER_NAMES.get(part, part) for part in name.split("/"))


def _notes(
    root: Path, absent: list[str], unnamed: list[str], num_testing: int
) -> list[str]:
    notes = scan.note("missing methods", absent)
    known = {*_SCENARIOS, *METHODS, *_OTHER_NAMES}
    others = [
        scan.relative(path, root)
        for folder in scan.list_folders(root / FAKE_FOLDER)
        for path in (folder, *scan.list_folders(folder))
        if path.name not in known
    ]
    notes += scan.note("left out, folders of no published method", others)
    if num_testing != _NUM_TESTING:
        notes.append(
            f"{TESTING} names {num_testing:,} videos; as published it names "
            f"{_NUM_TESTING:,}"
        )
    return notes + scan.note("names that do not say who is in the video", unnamed)


LAYOUT = Layout(
    "celeb_df_pp",
    "ask the authors of Celeb-DF++ with the form at "
    "https://github.com/OUC-VAS/Celeb-DF-PP, unpack it and name the folder that holds "
    f"{TESTING}",
    _list,
    Options,
    # Nearly everyone is linked with everyone else.
    hold_out_by="video",
)
