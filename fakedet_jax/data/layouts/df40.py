# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""DF40 (Yan et al., NeurIPS 2024): face crops of fakes that 40 methods made.

    DF40/simswap/{ff,cdf}/frames/…/….png                 31 methods, for tests
    DF40/heygen/{fake,real}/…                            9 methods, for tests
    DF40_train/simswap/{ff/,}frames/001_870/000.png      the 31 methods, for training
    FaceForensics++/original_sequences/youtube/c23/frames/001/000.png    real faces
    FaceForensics++/{train,val,test}.json                splits of FaceForensics++
    Celeb-DF-v2/{Celeb-real,YouTube-real}/frames/id0_0000/000.png        real faces

Folders and domains follow the authors' README (https://github.com/YZY-stack/DF40), the
folders of real faces their script `rearrange.py`, which is that of DeepfakeBench. The
31 methods were applied to videos of FaceForensics++ (`ff`) and of Celeb-DF (`cdf`); of
the latter, all is for tests. The other nine bring real faces of their own.

The README fixes no more, so we read the archives as generously as is safe. Below the
folder of a method, the first folder named ff, cdf, fake or real says what a picture is,
whatever folders lie around it; in `DF40_train` a picture without one is of `ff`. The
innermost folder is taken for the video, and names such as `001_870` and
`id0_id16_0003` for the videos that a face and its donor come from. Folders of landmarks
and masks, and the original videos, are not read. Which videos `DF40_train` holds is not
published: the lists of FaceForensics++ decide, so that those of its validation split
are for validation and those of its test split are left out. If no fake is for
validation, its real faces are for training too, and a part of all is held out.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts import faceforensics
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.settings import Settings, option

METHODS = (
    # Of faces swapped.
    *("fsgan", "faceswap", "simswap", "inswap", "blendface", "uniface", "mobileswap"),
    *("e4s", "facedancer", "deepfacelab"),
    # Reenacted.
    *("fomm", "facevid2vid", "wav2lip", "MRAA", "one_shot_free", "pirender", "tpsm"),
    *("lia", "danet", "sadtalker", "mcnet", "hyperreenact", "heygen"),
    # Synthesised as a whole.
    *("VQGAN", "StyleGAN2", "StyleGAN3", "StyleGANXL", "sd2.1", "ddim", "RDDM"),
    *("PixArt", "DiT", "SiT", "MidJourney", "whichfaceisreal"),
    # Edited.
    *("CollabDiff", "e4e", "stargan", "starganv2", "styleclip"),
)
DOMAINS = ("ff", "cdf", "own")

_TEST, _TRAIN = "DF40", "DF40_train"
_FF_FOLDER = "FaceForensics++"
_FF_FRAMES = f"{_FF_FOLDER}/original_sequences/youtube/c23/frames"
_CDF_FOLDERS = ("Celeb-DF-v2/Celeb-real", "Celeb-DF-v2/YouTube-real")
_FRAMES = "frames"
# What the folders of a method are called; each with its domain.
_SIDES = {"ff": "ff", "cdf": "cdf", "fake": "own", "real": "own"}
_BESIDE = frozenset(["landmarks", "masks"])
# Folders that say nothing of the video.
_GENERIC = frozenset([*_SIDES, _FRAMES])
_VIDEOS = {
    "ff": re.compile(r"(\d{3})(?:_(\d{3}))?"),
    "cdf": re.compile(r"(id\d+)_(?:(id\d+)_)?\d+|(\d{5})"),
}


def _spelling(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


# The archives are not spelt alike.
_SPELLINGS = {
    **{_spelling(method): method for method in METHODS},
    "stargan2": "starganv2",
    "whichisreal": "whichfaceisreal",
}


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of DF40."""

    methods: tuple[str, ...] | None = option(
        None, "Manipulation methods; all that exist by default.", choices=METHODS
    )
    domains: tuple[str, ...] = option(
        DOMAINS,
        "What fakes were made from: ff is FaceForensics++, cdf Celeb-DF, own the rest.",
        choices=DOMAINS,
    )


@dataclasses.dataclass
class _Found:
    """What is listed, and what is left out, by reason."""

    items: list[Item] = dataclasses.field(default_factory=list)
    left_out: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def leave_out(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)


def _list(root: Path, options: Options) -> Listing:
    tops = [root / name for name in (_TEST, _TRAIN) if scan.is_folder(root / name)]
    if not tops:
        raise LayoutMismatch(f"the folders {_TEST} and {_TRAIN}", root)
    sides: dict[str, str] = {}
    if any(scan.is_folder(root / name) for name in (_TRAIN, _FF_FRAMES)):
        pairs = faceforensics.read_splits(
            root / _FF_FOLDER, f"not needed where {_TEST} and Celeb-DF are alone"
        )
        sides = {name: split for pair, split in pairs.items() for name in pair}
    found = _Found()
    for top in tops:
        for folder in scan.list_folders(top):
            method = _SPELLINGS.get(_spelling(folder.name))
            if method is None:
                found.leave_out(
                    "folders of no published method", scan.relative(folder, root)
                )
            elif options.methods is None or method in options.methods:
                _add_method(found, root, folder, method, sides, options.domains)
    if not found.items:
        raise LayoutMismatch(
            "pictures such as simswap/ff/frames/001_870/000.png", tops[0]
        )
    notes = []
    for name, add in (("ff", _add_real_ff), ("cdf", _add_real_cdf)):
        num_before = len(found.items)
        if name in options.domains:
            add(found, root, sides)
            if len(found.items) == num_before:
                notes.append(f"there are no real faces of the domain {name}")
    items = _with_validation(found.items)
    for reason, names in found.left_out.items():
        notes += scan.note(f"left out, {reason}", names)
    return Listing(items, notes=notes)


def _add_method(
    found: _Found,
    root: Path,
    folder: Path,
    method: str,
    sides: Mapping[str, str],
    domains: Collection[str],
) -> None:
    """Lists the pictures of a method, for tests or for training."""
    is_train = folder.parent.name == _TRAIN
    for path in scan.find_files(folder):
        name = scan.relative(path, root)
        parts = path.parent.relative_to(folder).parts
        if any(part.lower() in _BESIDE for part in parts):
            continue
        if scan.kind_of(path) != scan.PHOTO:
            found.leave_out("videos", name)
            continue
        side = next((part.lower() for part in parts if part.lower() in _SIDES), "")
        side = side or ("ff" if is_train else "")
        if not side:
            found.leave_out(f"in no folder {', '.join(_SIDES)}", name)
            continue
        domain = _SIDES[side]
        video = next((p for p in reversed(parts) if p.lower() not in _GENERIC), "")
        numbers = _numbers(domain, video)
        split = "test"
        if is_train:
            # What the lists do not know has the split of its folder.
            of_numbers = {sides.get(number, "train") for number in numbers} or {"train"}
            split = of_numbers.pop() if len(of_numbers) == 1 else "test"
            if domain != "ff" or split == "test":
                found.leave_out(f"in {_TRAIN}, but for tests", name)
                continue
        if domain not in domains:
            continue
        is_real = side == "real"
        found.items.append(
            Item.of(
                path,
                root,
                f"real_{method}" if is_real else method,
                split=split,
                video=f"{method}/{side}/{video}" if video else "",
                identities=_identities(domain, numbers),
                manipulation="" if is_real else method,
            )
        )


def _add_real_ff(found: _Found, root: Path, sides: Mapping[str, str]) -> None:
    for path, video in _find_frames(root / _FF_FRAMES):
        if video not in sides:
            found.leave_out("in no split of FaceForensics++", scan.relative(path, root))
            continue
        found.items.append(
            Item.of(
                path,
                root,
                "real_ff",
                split=sides[video],
                video=f"real_ff/{video}",
                identities=_identities("ff", (video,)),
            )
        )


def _add_real_cdf(found: _Found, root: Path, _: Mapping[str, str]) -> None:
    for folder in _CDF_FOLDERS:
        for path, video in _find_frames(root / folder / _FRAMES):
            found.items.append(
                Item.of(
                    path,
                    root,
                    "real_cdf",
                    split="test",
                    video=f"real_cdf/{video}",
                    identities=_identities("cdf", _numbers("cdf", video)),
                )
            )


def _find_frames(folder: Path) -> Iterator[tuple[Path, str]]:
    """The frames in a folder of folders, each with the name of its video."""
    if scan.is_folder(folder):
        for video in scan.list_folders(folder):
            for path in scan.list_files(video, scan.PHOTO):
                yield path, video.name


def _numbers(domain: str, video: str) -> tuple[str, ...]:
    """Who is in a video by its name; empty for other names."""
    match = _VIDEOS[domain].fullmatch(video) if domain in _VIDEOS else None
    return tuple(filter(None, match.groups())) if match else ()


def _identities(domain: str, numbers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{domain} {number}" for number in numbers)


def _with_validation(items: list[Item]) -> list[Item]:
    """Uses the validation split of real faces only where fakes have one too."""
    if any(item.is_fake and item.split == "validation" for item in items):
        return items
    return [
        dataclasses.replace(item, split="train") if item.split == "validation" else item
        for item in items
    ]


LAYOUT = Layout(
    "df40",
    "fetch the crops with the links at https://github.com/YZY-stack/DF40, unpack them "
    f"as {_TEST} and {_TRAIN}, the real faces beside them as {_FF_FOLDER} and "
    "Celeb-DF-v2, put the lists of FaceForensics++ (train.json, val.json, test.json) "
    f"into {_FF_FOLDER} and name the folder above",
    _list,
    Options,
)
