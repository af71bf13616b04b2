# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Celeb-DF v2 (Li et al., CVPR 2020), as its authors distribute it.

    Celeb-real/id0_0000.mp4           identity, video        590 videos
    YouTube-real/00000.mp4            identity unknown       300
    Celeb-synthesis/id0_id1_0000.mp4  target, source, video  5,639
    List_of_testing_videos.txt        lines `label path`     518

In the list, 1 means real. Videos that are not listed are for training. The list
separates videos, not people: most identities are in both splits.
"""

import re
from pathlib import Path, PurePosixPath

from fakedet_jax.data import scan
from fakedet_jax.data.layouts import lists
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings

# By folder: the class, and the names of its videos, with who is in them.
_FOLDERS = {
    "Celeb-real": ("real_celeb", re.compile(r"(id\d+)_\d+")),
    "YouTube-real": ("real_youtube", re.compile(r"\d+")),
    "Celeb-synthesis": ("celeb_synthesis", re.compile(r"(id\d+)_(id\d+)_\d+")),
}
_FAKE_FOLDER = "Celeb-synthesis"
_TESTING = "List_of_testing_videos.txt"
_NUM_TESTING = 518


def _list(root: Path, _: Settings) -> Listing:
    for folder in _FOLDERS:
        if not scan.is_folder(root / folder):
            raise LayoutMismatch(
                f"the folders {', '.join(_FOLDERS)} and the file {_TESTING}", root
            )
    if not (root / _TESTING).is_file():
        raise LayoutMismatch(
            f"{_TESTING}, without which test videos would be trained on,", root
        )
    testing = _read_testing(root / _TESTING)
    items, unnamed = [], []
    for folder, (class_name, names) in _FOLDERS.items():
        for path in scan.list_files(root / folder, scan.VIDEO):
            name = scan.relative(path, root)
            match = names.fullmatch(path.stem)
            if match is None:
                unnamed.append(name)
            items.append(
                Item.of(
                    path,
                    root,
                    class_name,
                    split="test" if name in testing else "train",
                    video=f"{folder}/{path.stem}",
                    identities=match.groups() if match else (),
                    manipulation="face swap" if folder == _FAKE_FOLDER else "",
                )
            )
    notes = []
    if len(testing) != _NUM_TESTING:
        notes.append(
            f"{_TESTING} names {len(testing):,} videos; as published it names "
            f"{_NUM_TESTING}"
        )
    notes += scan.note("names that do not say who is in the video", unnamed)
    return Listing(items, sorted(testing - {item.path for item in items}), notes)


def _read_testing(path: Path) -> set[str]:
    """Reads the list of test videos and checks its labels against the folders."""
    testing = set()
    for line, (label, text) in lists.read_lines(path, 2):
        where = f"{str(path)!r}, line {line}"
        name = scan.listed_path(text, where)
        folder = PurePosixPath(name).parts[0]
        if folder not in _FOLDERS:
            raise RequestError(
                f"{where}: expected a video in {', '.join(_FOLDERS)}, found {name!r}; "
                "fetch the list again"
            )
        expected = "0" if folder == _FAKE_FOLDER else "1"
        if label != expected:
            raise RequestError(
                f"{where}: expected the label {expected} of the videos in {folder} (1 "
                f"is real), found {label!r}; fetch the list again"
            )
        testing.add(name)
    if not testing:
        raise RequestError(
            f"{str(path)!r}: expected lines such as '1 Celeb-real/id0_0000.mp4', found "
            "none; fetch the list again"
        )
    return testing


LAYOUT = Layout(
    "celeb_df_v2",
    "ask the authors of Celeb-DF for version 2 with the form at "
    "https://github.com/yuezunli/celeb-deepfakeforensics, unpack it and name the "
    f"folder that holds {_TESTING}",
    _list,
    # Nearly everyone is linked with everyone else.
    hold_out_by="video",
)
