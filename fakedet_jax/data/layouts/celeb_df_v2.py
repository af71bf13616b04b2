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
from collections.abc import Sequence
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
FAKE_FOLDER = "Celeb-synthesis"
TESTING = "List_of_testing_videos.txt"
_NUM_TESTING = 518


def _list(root: Path, _: Settings) -> Listing:
    for folder in _FOLDERS:
        if not scan.is_folder(root / folder):
            raise LayoutMismatch(
                f"the folders {', '.join(_FOLDERS)} and the file {TESTING}", root
            )
    if not (root / TESTING).is_file():
        raise LayoutMismatch(
            f"{TESTING}, without which test videos would be trained on,", root
        )
    testing = read_testing(root / TESTING, tuple(_FOLDERS), one_is_real=True)
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
                    manipulation="face swap" if folder == FAKE_FOLDER else "",
                )
            )
    notes = []
    if len(testing) != _NUM_TESTING:
        notes.append(
            f"{TESTING} names {len(testing):,} videos; as published it names "
            f"{_NUM_TESTING}"
        )
    notes += scan.note("names that do not say who is in the video", unnamed)
    return Listing(items, sorted(testing - {item.path for item in items}), notes)


def read_testing(
    path: Path, folders: Sequence[str], *, one_is_real: bool | None
) -> set[str]:
    """Reads a list of test videos and checks its labels against the folders.

    Args:
        path: The list, with lines `label path`.
        folders: Folders that the videos may lie in.
        one_is_real: Whether the label 1 means real, and 0 fake, or the other way
            round; None takes what the first line says.

    Returns:
        Paths of the videos, relative to the data folder.

    Raises:
        RequestError: The list is damaged, or a label contradicts the folder.
    """
    testing = set()
    for line, (label, text) in lists.read_lines(path, 2):
        where = f"{str(path)!r}, line {line}"
        name = scan.listed_path(text, where)
        folder = PurePosixPath(name).parts[0]
        if folder not in folders:
            raise RequestError(
                f"{where}: expected a video in {', '.join(folders)}, found {name!r}; "
                "fetch the list again"
            )
        is_real = folder != FAKE_FOLDER
        if one_is_real is None:
            one_is_real = is_real == (label == "1")
        expected = str(int(is_real == one_is_real))
        if label != expected:
            meaning = "real" if one_is_real else "fake"
            raise RequestError(
                f"{where}: expected the label {expected} of the videos in {folder} (1 "
                f"is {meaning}), found {label!r}; fetch the list again"
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
    f"folder that holds {TESTING}",
    _list,
    # Nearly everyone is linked with everyone else.
    hold_out_by="video",
)
