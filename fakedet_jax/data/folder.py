# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Datasets in class folders, with or without split folders.

`DIR/{train,validation,test}/CLASS/*` keeps its splits; without a validation folder, a
part of `train` is held out. `DIR/CLASS/*` is split by a hash of the content of each
file: copies of a picture are always in the same split, and a picture keeps its split
when others are added. Pictures in a folder within a class, which may be the frames of a
video, stay together: the name of the folder is hashed instead.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import logging
import math
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fakedet_jax.data import scan
from fakedet_jax.data.dataset import (
    Dataset,
    Record,
    check_sides,
    digest_of,
    order_classes,
)
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media.decode import check_file, read_file
from fakedet_jax.runtime.text import counted
from fakedet_jax.settings import Option

TEST_FRACTION = 0.2
# Without a setting, validation gets the first share of the pictures or, where that is
# less than `WANTED_PICTURES` real or fake ones, as many, up to the second share. A
# threshold that rests on a dozen pictures is worth little.
VALIDATION_FRACTION, MAX_VALIDATION_FRACTION = 0.05, 0.2
WANTED_PICTURES = 100
SPLITS = ("train", "validation", "test", "all")

# Names of split folders, in lower case.
SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}

_logger = logging.getLogger(__name__)


def load_folder(
    data_dir: str | Path,
    split: str,
    *,
    real_classes: Collection[str] = (),
    fake_classes: Collection[str] = (),
    subfolders: str = "together",
    validation_fraction: float | None = None,
    needs: str = "either",
    num_threads: int = 8,
) -> Dataset:
    """Lists a folder of labelled pictures without decoding any.

    Args:
        data_dir: A folder of class folders, or of split folders (`train`; `validation`,
            `val` or `valid`; `test`) with class folders.
        split: `train`, `validation`, `test` or `all`.
        real_classes: Real classes whose names do not say so.
        fake_classes: Fake classes whose names say that they are real.
        subfolders: `together` keeps the pictures of a folder within a class in one
            split; `apart` splits them by content.
        validation_fraction: Fraction of the pictures for `validation` where no folder
            decides: of `train` with split folders, of all pictures without; by default
            that of `default_validation_fraction`.
        needs: Sides that the split must have; see `dataset.check_sides`.
        num_threads: Threads that hash files, where hashes are needed.

    Returns:
        The dataset, in alphabetical order of paths. Unreadable files are included, and
        fail when they are decoded.

    Raises:
        RequestError: The folder is not as described above, or an argument is not valid.
    """
    root = Path(data_dir)
    check_split(split)
    if validation_fraction is not None:
        check_validation_fraction(validation_fraction)
    folders, others = _find_folders(root)
    for path in others:
        _logger.warning("%s lies beside split folders and is ignored", path)
    classes, is_fake = order_classes(
        (name for found in folders.values() for name in found),
        real_classes,
        fake_classes,
    )
    if validation_fraction is None:
        validation_fraction = VALIDATION_FRACTION
        if split in ("train", "validation"):
            validation_fraction = choose_validation_fraction(
                root, real_classes, fake_classes
            )
    sources, bounds = _find_split(split, folders, root, validation_fraction)

    files = [
        _File(path, classes.index(name), folder_within(path, path_of_class))
        for folder in sources
        for name, path_of_class in folders[folder].items()
        for path in _pictures_of_class(path_of_class)
    ]
    num_in_all = len(files) if "all" in folders else None
    if bounds is not None:
        is_whole = subfolders == "together"
        files = _select(files, root, bounds, is_whole, num_threads)
    if not files:
        raise RequestError(
            f"`data_dir`: no picture of {root} falls into the split {split!r}; add "
            "pictures, raise `validation_fraction`, make split folders, or give "
            "`subfolders=apart` if there are few folders within the classes"
        )
    source = _FolderSource(
        os.fspath(root),
        tuple(os.fspath(file.path.relative_to(root)) for file in files),
        tuple(file.label for file in files),
    )
    dataset = Dataset(
        name="folder",
        split=split,
        classes=classes,
        is_fake=is_fake,
        source=source,
        names=[os.fspath(file.path) for file in files],
        labels=np.asarray([file.label for file in files], np.int32),
        folders=[file.folder for file in files],
        num_in_all=num_in_all,
    )
    check_sides(dataset, str(root), needs)
    return dataset


def choose_validation_fraction(
    root: str | Path,
    real_classes: Collection[str] = (),
    fake_classes: Collection[str] = (),
) -> float:
    """The share of a folder's pictures that validation gets without a setting.

    Args:
        root: See `load_folder`.
        real_classes: See `load_folder`.
        fake_classes: See `load_folder`.

    Returns:
        See `default_validation_fraction`; for a folder with a validation folder the
        usual share, which is not used.

    Raises:
        RequestError: The folder is not as `load_folder` expects it.
    """
    folders, _ = _find_folders(Path(root))
    if "validation" in folders:
        return VALIDATION_FRACTION
    classes, is_fake = order_classes(
        (name for found in folders.values() for name in found),
        real_classes,
        fake_classes,
    )
    kinds = dict(zip(classes, is_fake, strict=True))
    counts = {False: 0, True: 0}
    for name, path in folders.get("all", folders.get("train", {})).items():
        files = scan.find_files(path)
        counts[kinds[name]] += sum(scan.kind_of(file) == scan.PHOTO for file in files)
    return default_validation_fraction(counts[False], counts[True])


def default_validation_fraction(num_real: int, num_fake: int) -> float:
    """The share of the pictures that validation gets without a setting.

    Enough for `WANTED_PICTURES` real and as many fake ones, but at least
    `VALIDATION_FRACTION` and at most `MAX_VALIDATION_FRACTION`.

    Args:
        num_real: Real pictures that can be held out.
        num_fake: Fake ones; with none of a kind, only the other counts.

    Returns:
        A share of whole percents.

    >>> [default_validation_fraction(n, 5000) for n in (300, 800, 4000)]
    [0.2, 0.13, 0.05]
    """
    fewest = min((number for number in (num_real, num_fake) if number), default=0)
    if not fewest:
        return VALIDATION_FRACTION
    percents = math.ceil(100 * WANTED_PICTURES / fewest) / 100
    return min(max(percents, VALIDATION_FRACTION), MAX_VALIDATION_FRACTION)


def check_split(split: str) -> None:
    """Checks the setting `split`.

    Args:
        split: Name of a split.

    Raises:
        RequestError: It is not one of `SPLITS`.
    """
    Option("Split of a dataset.", choices=SPLITS).check("split", split)


def check_validation_fraction(fraction: float) -> None:
    """Checks the setting `validation_fraction`.

    Args:
        fraction: Share of all pictures or groups.

    Raises:
        RequestError: Nothing would be left for training.
    """
    limits = Option("Share of the pictures.", minimum=0, below=1 - TEST_FRACTION)
    limits.check("validation_fraction", fraction)


def content_fraction(path: Path, name: str) -> float:
    """Hashes the content of a file to a number that is evenly distributed over [0, 1).

    Args:
        path: The file.
        name: Hashed instead of the content if the file cannot be read.

    Returns:
        The number, the same for equal content.
    """
    try:
        status = path.stat()
        digest = _content_digest(path, status.st_size, status.st_mtime_ns)
    except (ImageError, OSError):
        digest = _name_digest(name)
    return _to_fraction(digest)


def folder_within(path: Path, class_folder: Path) -> str:
    """The folder of a file within its class, with forward slashes; empty for none.

    >>> folder_within(Path("in/real/519/0.png"), Path("in/real"))
    '519'
    """
    folder = path.parent.relative_to(class_folder)
    return folder.as_posix() if folder.parts else ""


def note_folders(folders: Iterable[str]) -> list[str]:
    """A note that files stay together; empty if none of them lies in a folder.

    Args:
        folders: The folder of each file within its class; empty for none.
    """
    found = set(folders) - {""}
    if not found:
        return []
    return [
        f"the files of each of {counted(len(found), 'folder')} within the classes stay "
        "in one split, as if they were of one video; `subfolders=apart` splits them "
        "by content"
    ]


def find_split_folders(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """Finds split folders, by the name of the split, and the other folders.

    Args:
        root: The data folder.

    Raises:
        RequestError: Two folders are for the same split, or `root` cannot be read.
    """
    found: dict[str, Path] = {}
    others = []
    for path in scan.list_folders(root):
        name = SPLIT_NAMES.get(path.name.lower())
        if name is None:
            others.append(path)
        elif name in found:
            raise RequestError(
                f"`data_dir`: {root} holds both {found[name].name!r} and "
                f"{path.name!r} for the split {name!r}; keep one of them"
            )
        else:
            found[name] = path
    return found, others


class _File(NamedTuple):
    path: Path
    label: int
    folder: str


@dataclasses.dataclass(frozen=True, repr=False)
class _FolderSource:
    """Reads the files below a folder."""

    root: str
    paths: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Record:
        path = Path(self.root, self.paths[index])
        return Record(read_file(path), self.labels[index], os.fspath(path))

    def __repr__(self) -> str:
        digest = digest_of([*self.paths, *map(str, self.labels)])
        return f"{type(self).__name__}(num_records={len(self)}, digest={digest})"


# Size and time tell versions of a file apart. The cache saves reading every file again
# for a second split.
@functools.lru_cache(maxsize=2**20)
def _content_digest(path: Path, size: int, modified_ns: int) -> bytes:
    del size, modified_ns
    check_file(path)
    new_digest = functools.partial(hashlib.blake2b, digest_size=8)
    with path.open("rb") as file:
        return hashlib.file_digest(file, new_digest).digest()


def _find_folders(root: Path) -> tuple[dict[str, dict[str, Path]], list[Path]]:
    """Class folders by split, or under `all`; and folders beside those of splits."""
    split_folders, others = find_split_folders(root)
    if not split_folders:
        return {"all": _find_classes(root)}, []
    return {name: _find_classes(path) for name, path in split_folders.items()}, others


def _find_classes(folder: Path) -> dict[str, Path]:
    """Finds the class folders in a folder, by name."""
    classes = {path.name: path for path in scan.list_folders(folder)}
    if not classes:
        raise RequestError(
            f"`data_dir`: {folder} holds no class folders; expected a folder per "
            "class, such as real and fake, with the pictures inside"
        )
    loose = scan.list_files(folder, scan.PHOTO)
    if loose:
        _logger.warning(
            "ignored: %s in %s beside the class folders",
            counted(len(loose), "picture"),
            folder,
        )
    return classes


def _pictures_of_class(folder: Path) -> list[Path]:
    found = scan.find_files(folder)
    paths = [path for path in found if scan.kind_of(path) == scan.PHOTO]
    num_videos = len(found) - len(paths)
    if not paths:
        found_videos = f" but {counted(num_videos, 'video')}" if num_videos else ""
        raise RequestError(
            f"`data_dir`: the class folder {folder} holds no pictures{found_videos}; "
            "add some, name another folder, or cut faces out with `mode=prepare`; for "
            "a dataset with a name give `dataset` too"
        )
    if num_videos:
        _logger.warning(
            "ignored: %s in %s; cut their faces out with `mode=prepare`",
            counted(num_videos, "video"),
            folder,
        )
    return paths


def _find_split(
    split: str, folders: Collection[str], root: Path, validation_fraction: float
) -> tuple[list[str], tuple[float, float] | None]:
    """Tells where the pictures of a split are.

    Returns:
        The folders that contain them, and the bounds of their content hashes; None
        where folders decide.
    """
    if split == "all":
        return [name for name in ("all", *SPLITS[:3]) if name in folders], None
    if "all" in folders:
        # Test comes first, so that it does not depend on `validation_fraction`.
        rest = TEST_FRACTION + validation_fraction
        return ["all"], {
            "test": (0.0, TEST_FRACTION),
            "validation": (TEST_FRACTION, rest),
            "train": (rest, 1.0),
        }[split]
    held_out = {
        "validation": (0.0, validation_fraction),
        "train": (validation_fraction, 1.0),
    }
    is_divided = "train" in folders and "validation" not in folders
    if is_divided and validation_fraction > 0 and split in held_out:
        return ["train"], held_out[split]
    if split not in folders:
        raise RequestError(
            f"`split`: {root} holds no folder for the split {split!r}; found "
            f"{', '.join(sorted(folders))}"
        )
    return [split], None


def _select(
    files: Sequence[_File],
    root: Path,
    bounds: tuple[float, float],
    is_whole: bool,
    num_threads: int,
) -> list[_File]:
    """Selects the files whose hash is in the bounds of a split.

    With `is_whole` the files of a folder within a class have the hash of its name.
    """
    low, high = bounds

    def place(file: _File) -> float:
        if is_whole and file.folder:
            return _to_fraction(_name_digest(f"folder {file.folder}"))
        return content_fraction(file.path, os.fspath(file.path.relative_to(root)))

    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        fractions = list(pool.map(place, files))
    return [file for file, u in zip(files, fractions, strict=True) if low <= u < high]


def _name_digest(name: str) -> bytes:
    encoded = name.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(encoded, digest_size=8).digest()


def _to_fraction(digest: bytes) -> float:
    return int.from_bytes(digest, "big") / 2**64
