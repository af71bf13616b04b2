# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Deepfake Detection Challenge (Dolhansky et al., 2020), as published.

    dfdc_train_part_0/metadata.json   {"a.mp4": {"label": "FAKE", "split": "train",
    dfdc_train_part_0/a.mp4                      "original": "b.mp4"}, …}
    validation/, test/                videos, and labels.csv: filename,label (1 = fake)

Parts may also lie in a folder `train`, and the data folder may be a single part.
`metadata.json` with `is_fake` may replace `labels.csv`. People have no names here: the
identity of a fake is the video that it was made from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fakedet_jax.data import scan
from fakedet_jax.data.dataset import BINARY_CLASSES, class_of_label
from fakedet_jax.data.layouts import lists
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import tables
from fakedet_jax.settings import Settings

_METADATA = "metadata.json"
_LABELS = "labels.csv"
_IS_FAKE = dict(zip(BINARY_CLASSES, (False, True), strict=True))
_CLASSES = {False: "real_dfdc", True: "dfdc"}
_TRAIN_FOLDER = "train"
_HELD_OUT = ("validation", "test")


def _list(root: Path, _: Settings) -> Listing:
    listing = Listing([])
    for part in _find_parts(root):
        _add(listing, root, part, _read_metadata(part / _METADATA, "train"))
    for split in _HELD_OUT:
        folder = root / split
        if scan.is_folder(folder):
            entries = _read_held_out(folder, split)
            inner = folder / "videos"
            videos = inner if scan.is_folder(inner) else folder
            _add(listing, root, videos, entries)
    if not listing.items and not listing.missing:
        raise LayoutMismatch(
            f"folders such as dfdc_train_part_0 with a {_METADATA}, or test with a "
            f"{_LABELS},",
            root,
        )
    return listing


def _find_parts(root: Path) -> Iterator[Path]:
    train = root / _TRAIN_FOLDER
    folders = [root, *scan.list_folders(root)]
    if scan.is_folder(train):
        folders += scan.list_folders(train)
    for folder in folders:
        if folder.name not in _HELD_OUT and (folder / _METADATA).is_file():
            yield folder


def _add(
    listing: Listing,
    root: Path,
    videos: Path,
    entries: dict[str, tuple[bool, str, str]],
) -> None:
    """Adds the videos of a folder; entries are (is_fake, split, original) by name."""
    paths = {path.name: path for path in scan.list_files(videos, scan.VIDEO)}
    for name, (is_fake, split, original) in entries.items():
        if name not in paths:
            listing.missing.append(scan.relative(videos / name, root))
            continue
        listing.items.append(
            Item.of(
                paths[name],
                root,
                _CLASSES[is_fake],
                split=split,
                video=_video(videos / name, root),
                # An original lies in the same part as its fakes.
                identities=(_video(videos / original, root),) if original else (),
            )
        )
    unlisted = [
        scan.relative(paths[name], root) for name in paths if name not in entries
    ]
    listing.notes.extend(scan.note("left out, not in any list of labels", unlisted))


def _video(path: Path, root: Path) -> str:
    return scan.relative(path.with_suffix(""), root)


def _read_held_out(folder: Path, split: str) -> dict[str, tuple[bool, str, str]]:
    if (folder / _LABELS).is_file():
        return _read_labels(folder / _LABELS, split)
    if (folder / _METADATA).is_file():
        return _read_metadata(folder / _METADATA, split)
    raise LayoutMismatch(f"{_LABELS} or {_METADATA} beside the videos", folder)


def _class_of(label: str) -> str:
    try:
        return class_of_label(label)
    except ValueError:
        return ""


def _read_labels(path: Path, split: str) -> dict[str, tuple[bool, str, str]]:
    entries: dict[str, tuple[bool, str, str]] = {}
    rows = tables.read_rows(
        path, ("filename", "label"), if_missing="fetch it from the publishers"
    )
    for line, (name, label) in rows:
        where = f"{str(path)!r}, line {line}"
        name = _plain_name(name, where)
        is_fake = _IS_FAKE.get(_class_of(label))
        if is_fake is None:
            raise RequestError(
                f"{where}: expected the label 0 (real) or 1 (fake), found {label!r}; "
                "fetch the list again"
            )
        if entries.setdefault(name, (is_fake, split, ""))[0] != is_fake:
            raise RequestError(
                f"{where}: expected one label for {name!r}, found both; fetch the list "
                "again"
            )
    return entries


def _read_metadata(path: Path, split: str) -> dict[str, tuple[bool, str, str]]:
    entries: dict[str, tuple[bool, str, str]] = {}
    for name, value in lists.read_entries(path):
        where = f"{str(path)!r}, {name!r}"
        name = _plain_name(name, where)
        is_fake = _read_label(value, where)
        own_split = value.get("split", split)
        if own_split not in ("train", *_HELD_OUT):
            raise RequestError(
                f"{where}: expected the split train, validation or test, found "
                f"{own_split!r}; fetch the file again"
            )
        is_original = not is_fake and own_split == "train"
        original = name if is_original else value.get("original")
        is_known = isinstance(original, str) and original
        original = _plain_name(original, where) if is_known else ""
        if name in entries:
            raise RequestError(f"{where}: expected one entry, found two; keep one")
        entries[name] = (is_fake, own_split, original)
    return entries


def _read_label(value: Any, where: str) -> bool:
    if isinstance(value, dict):
        if value.get("label") in ("REAL", "FAKE"):
            return bool(value["label"] == "FAKE")
        if value.get("label") is None and value.get("is_fake") in (0, 1):
            return bool(value["is_fake"])
    raise RequestError(
        f'{where}: expected "label" REAL or FAKE, or "is_fake" 0 or 1, found '
        f"{str(value)[:80]!r}; fetch the file again"
    )


def _plain_name(text: str, where: str) -> str:
    name = scan.listed_path(text, where)
    if "/" in name:
        raise RequestError(
            f"{where}: expected the name of a file without folders, found {text!r}; "
            "fetch the list again"
        )
    return name


LAYOUT = Layout(
    "dfdc",
    "get the parts from https://ai.meta.com/datasets/dfdc or the Kaggle competition "
    "deepfake-detection-challenge, unpack each and name the folder above them",
    _list,
)
