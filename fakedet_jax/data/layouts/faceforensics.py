# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""FaceForensics++ (Rössler et al., ICCV 2019), as its download script leaves it.

    original_sequences/youtube/QUALITY/videos/004.mp4
    manipulated_sequences/METHOD/QUALITY/videos/519_515.mp4
    manipulated_sequences/METHOD/masks/videos/519_515.mp4      where they were fetched
    splits/{train,val,test}.json

A fake is named target_source: the first number is the video, the second the video that
the face comes from. The splits are lists of 360 + 70 + 70 pairs of numbers; both
numbers of a pair are in the same split. The actors and fakes of the DeepFakeDetection
collection, which the script can also download, are in no split and are left out;
`deepfakedetection` reads them.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import records
from fakedet_jax.settings import Settings, option

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
QUALITIES = ("raw", "c23", "c40")

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_SPLIT_FOLDERS = ("splits", "dataset/splits", ".")
_REAL = "original_sequences/youtube"
_FAKE = "manipulated_sequences"
_NAME = re.compile(r"([0-9]{3})(?:_([0-9]{3}))?")


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of FaceForensics++."""

    qualities: tuple[str, ...] = option(
        ("c23",), "Compressions of the videos.", choices=QUALITIES
    )
    methods: tuple[str, ...] | None = option(
        None, "Manipulation methods; all that exist by default.", choices=METHODS
    )
    split_by: str = option(
        "official",
        "official reads the lists of pairs; identity keeps the videos of a pair "
        "together without them.",
        choices=("official", "identity"),
    )


def _list(root: Path, options: Options) -> Listing:
    qualities = options.qualities
    methods: Collection[str] | None = options.methods
    if not scan.is_folder(root / "original_sequences"):
        raise LayoutMismatch("original_sequences and manipulated_sequences", root)
    listing = Listing([])
    if methods is None:
        methods = _find_methods(root, qualities)
        absent = [name for name in METHODS[:4] if name not in methods]
        listing.notes.extend(scan.note("missing methods", absent))
    pairs = {}
    if options.split_by == "official":
        pairs = read_splits(root, "not needed with `split_by=identity`")
    sides = {name: split for pair, split in pairs.items() for name in pair}
    strangers: list[str] = []
    for method in ("", *(name for name in METHODS if name in methods)):
        folder = f"{_FAKE}/{method}" if method else _REAL
        for quality in (name for name in QUALITIES if name in qualities):
            videos = root / folder / quality / "videos"
            if not scan.is_folder(videos):
                raise LayoutMismatch(
                    f"the folder {scan.relative(videos, root)} (`qualities` and "
                    "`methods` choose others)",
                    root,
                )
            paths = scan.list_files(videos, scan.VIDEO)
            for path in paths:
                item = _item(path, root, method, quality, sides)
                if item.identities:
                    listing.items.append(item)
                else:
                    strangers.append(item.path)
            stems = {path.stem for path in paths}
            listing.missing.extend(
                scan.relative(videos / f"{stem}.mp4", root)
                for stem in _expected(pairs, is_fake=bool(method))
                if stem not in stems
            )
    listing.notes.extend(_notes(root, listing.items, bool(sides)))
    listing.notes.extend(
        scan.note("left out, not named like 004.mp4 or 519_515.mp4", strangers)
    )
    return listing


def _find_methods(root: Path, qualities: Collection[str]) -> Collection[str]:
    """The methods that exist in some quality; if none do, those of the paper."""
    found = [
        method
        for method in METHODS
        if any(
            scan.is_folder(root / _FAKE / method / quality / "videos")
            for quality in qualities
        )
    ]
    return found or METHODS[:4]


def _item(
    path: Path, root: Path, method: str, quality: str, sides: Mapping[str, str]
) -> Item:
    identities = _identities(path.stem, is_fake=bool(method))
    found = {sides.get(identity) for identity in identities}
    return Item.of(
        path,
        root,
        method or "real",
        split=found.pop() if len(found) == 1 else None,
        video=f"{method or 'youtube'}/{path.stem}",
        identities=identities,
        manipulation=method,
        quality=quality,
        mask=find_mask(root, path) if method else "",
    )


def find_mask(root: Path, path: Path) -> str:
    """The video of masks of a fake, which all of its qualities share.

    Args:
        root: The data folder.
        path: The video, `METHOD/QUALITY/videos/NAME`.

    Returns:
        Its path relative to `root`; empty where there is none.
    """
    mask = path.parents[2] / "masks" / "videos" / path.name
    return scan.relative(mask, root) if mask.is_file() else ""


def _identities(stem: str, is_fake: bool) -> tuple[str, ...]:
    """The numbers in the name of a video; empty for other names."""
    match = _NAME.fullmatch(stem)
    if match is None or (match[2] is not None) != is_fake:
        return ()
    return tuple(number for number in match.groups() if number)


def _expected(pairs: Iterable[tuple[str, str]], is_fake: bool) -> Iterator[str]:
    """Names of the videos of all pairs, without the suffix."""
    for first, second in pairs:
        yield from (
            (f"{first}_{second}", f"{second}_{first}") if is_fake else (first, second)
        )


def _notes(root: Path, items: list[Item], is_official: bool) -> list[str]:
    unlisted = [item.path for item in items if is_official and item.split is None]
    notes = scan.note("in none of the official splits", unlisted)
    for name in ("original_sequences/actors", f"{_FAKE}/DeepFakeDetection"):
        if scan.is_folder(root / name):
            notes.append(
                f"{name} is left out: it is not in the official splits; "
                "`dataset=deepfakedetection` reads it"
            )
    return notes


def read_splits(root: Path, unless: str) -> dict[tuple[str, str], str]:
    """Reads the authors' split of each pair of videos.

    Args:
        root: Folder that holds the lists, or a folder `splits` with them.
        unless: When the lists are not needed, to end a message.

    Returns:
        The split by pair, such as `("071", "054")`.

    Raises:
        LayoutMismatch: There are no lists.
        RequestError: A list is damaged, or a video is in two splits.
    """
    folders = [root / name for name in _SPLIT_FOLDERS]
    folder = next((path for path in folders if (path / "train.json").is_file()), None)
    if folder is None:
        raise LayoutMismatch(
            "splits/train.json, val.json and test.json of the repository of "
            f"FaceForensics++ ({unless})",
            root,
        )
    pairs: dict[tuple[str, str], str] = {}
    sides: dict[str, str] = {}
    for name, split in _SPLITS.items():
        path = folder / f"{name}.json"
        for pair in _read_pairs(path):
            pairs[pair] = split
            for identity in pair:
                if sides.setdefault(identity, split) != split:
                    raise RequestError(
                        f"{str(path)!r}: expected each video in one split, found "
                        f"{identity!r} in {sides[identity]} and {split}; fetch the "
                        "lists again"
                    )
    return pairs


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    advice = "fetch the file again"
    pairs = records.read(path, list[tuple[str, str]], advice=advice)
    wrong = [
        pair
        for pair in pairs
        if not all(_identities(name, is_fake=False) for name in pair)
    ]
    if wrong or not pairs:
        raise RequestError(
            f"{str(path)!r}: expected pairs such as ('071', '054'), found "
            f"{records.shown(wrong[0]) if wrong else 'none'}; {advice}"
        )
    return pairs


LAYOUT = Layout(
    "faceforensics",
    "ask the authors of FaceForensics++ for the download script "
    "(https://github.com/ondyari/FaceForensics), fetch videos, put the folder "
    "dataset/splits of that repository beside them as splits, and name the folder that "
    "holds original_sequences",
    _list,
    Options,
)
