# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The user's own photographs and videos: class folders, or a table of labels.

    DIR/{train,validation,test}/CLASS/…
    DIR/CLASS/…

A class is real when its name is `real`, or `real` and something that is no letter, or
is listed in `real_classes`, and not in `fake_classes`. Files in one folder within a
class stay in one split unless `subfolders` says otherwise; they may be frames of one
video.

A table of labels is a CSV file whose first line names the columns `path,label` and
optionally `split`, `identity` and `video`. With it, the folders have no meaning. A path
is relative to the data folder, with forward slashes. A label is the name of a class, or
0, False or real, or 1, True or fake. Several identities are separated by semicolons;
`video` names the video that a frame was extracted from.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fakedet_jax.data import folder as data_folder
from fakedet_jax.data import scan
from fakedet_jax.data.dataset import class_of_label, order_classes
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import tables
from fakedet_jax.settings import Settings, option

_SPLITS = {**data_folder.SPLIT_NAMES, "": None}
_REQUIRED = ("path", "label")
_OPTIONAL = ("split", "identity", "video")


def find_tops(root: Path) -> tuple[list[tuple[str | None, Path]], list[str]]:
    """Finds the folders that hold the class folders.

    Args:
        root: The data folder.

    Returns:
        Each split with its folder, or the split `None` with `root`; and notes about
        other folders beside the split folders.

    Raises:
        RequestError: Two folders are for the same split, or `root` cannot be read.
    """
    found, others = data_folder.find_split_folders(root)
    if not found:
        return [(None, root)], []
    names = [path.name for path in others]
    notes = scan.note("left out, folders beside those of the splits", names)
    return list(found.items()), notes


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of the user's own folders."""

    real_classes: tuple[str, ...] = option(
        (), "Real classes whose names do not say so."
    )
    fake_classes: tuple[str, ...] = option(
        (), "Fake classes whose names say that they are real."
    )
    subfolders: str = option(
        "together",
        "Whether the files of a folder within a class stay in one split.",
        choices=("together", "apart"),
    )
    labels: Path | None = option(
        None, "CSV file path,label that replaces class folders."
    )


def _list(root: Path, options: Options) -> Listing:
    if options.labels is not None:
        return _list_labelled(root, options)
    tops, notes = find_tops(root)
    folders = [(split, folder) for split, top in tops for folder in _find_classes(top)]
    fakes = _fakes([folder.name for _, folder in folders], options)
    items: list[Item] = []
    beside = []
    for split, folder in folders:
        found = scan.find_files(folder)
        if not found:
            raise RequestError(
                f"`data_dir`: the class folder {str(folder)!r} holds no pictures "
                "and no videos; add some or remove the folder"
            )
        for path in found:
            item = _item(path, root, folder.name, fakes[folder.name], split)
            if options.subfolders == "together":
                within = data_folder.folder_within(path, folder)
                item = dataclasses.replace(item, folder=within)
            items.append(item)
    for top in {root, *(top for _, top in tops)}:
        for kind in (scan.PHOTO, scan.VIDEO):
            beside += [scan.relative(path, root) for path in scan.list_files(top, kind)]
    notes += scan.note("left out, beside the class folders", sorted(beside))
    if not any(split for split, _ in tops):
        notes += data_folder.note_folders([item.folder for item in items])
    return Listing(items, notes=notes)


def _find_classes(top: Path) -> list[Path]:
    classes = scan.list_folders(top)
    if not classes:
        raise LayoutMismatch("a folder for each class, such as real and fake,", top)
    return classes


def _fakes(names: Sequence[str], options: Options) -> dict[str, bool]:
    """Whether each class is fake, by name."""
    ordered = order_classes(names, options.real_classes, options.fake_classes)
    return dict(zip(*ordered, strict=True))


def _item(
    path: Path, root: Path, class_name: str, is_fake: bool, split: str | None
) -> Item:
    name = scan.relative(path, root)
    kind = scan.kind_of(path) or scan.PHOTO
    return Item(
        path=name,
        kind=kind,
        class_name=class_name,
        is_fake=is_fake,
        split=split,
        video=name if kind == scan.VIDEO else "",
        manipulation=class_name if is_fake else "",
    )


def _list_labelled(root: Path, options: Options) -> Listing:
    """Lists the files in a table of labels."""
    table = options.labels
    assert table is not None
    rows: dict[str, dict[str, str]] = {}
    for line, row in tables.read_records(
        table,
        _REQUIRED,
        _OPTIONAL,
        if_missing="give the table of labels as `labels`",
    ):
        where = f"{str(table)!r}, line {line}"
        name = scan.listed_path(row["path"], where)
        if name in rows:
            raise RequestError(
                f"{where}: expected each file once, found {name!r} again; remove "
                "one line"
            )
        if not row["label"]:
            raise RequestError(f"{where}: expected a label, found none; add one")
        try:
            row["label"] = class_of_label(row["label"])
        except ValueError as error:
            raise RequestError(f"{where}: {error}; correct the table") from error
        if row.get("split", "") not in _SPLITS:
            raise RequestError(
                f"{where}: expected the split train, validation, test or empty, found "
                f"{row['split']!r}; correct the table"
            )
        rows[name] = {**row, "where": where}
    if not rows:
        raise RequestError(
            f"{str(table)!r}: expected lines with path and label, found none; add them"
        )
    found = {scan.relative(path, root): path for path in scan.find_files(root)}
    unknown = [name for name in rows if name not in found]
    if unknown:
        raise RequestError(
            f"{rows[unknown[0]]['where']}: expected pictures or videos below "
            f"`data_dir={str(root)!r}`, found {scan.some(unknown)}, which do not "
            "exist; correct the paths or remove the lines"
        )
    classes = {name: row["label"] for name, row in rows.items()}
    fakes = _fakes(list(classes.values()), options)
    items = [
        _labelled_item(found[name], root, classes[name], fakes[classes[name]], row)
        for name, row in rows.items()
    ]
    unlisted = [name for name in found if name not in rows]
    return Listing(
        items, notes=scan.note("left out, not in the table of labels", unlisted)
    )


def _labelled_item(
    path: Path, root: Path, class_name: str, is_fake: bool, row: dict[str, str]
) -> Item:
    item = _item(path, root, class_name, is_fake, _SPLITS[row.get("split", "")])
    names = [name.strip() for name in row.get("identity", "").split(";")]
    return dataclasses.replace(
        item,
        video=row.get("video", "") or item.video,
        identities=tuple(dict.fromkeys(filter(None, names))),
    )


LAYOUT = Layout(
    "folder",
    "name a folder with a folder for each class, such as DIR/real and DIR/fake or "
    "DIR/train/real, or give a table path,label as `labels`",
    _list,
    Options,
    has_protocol=False,
)
