# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""DeepFakeDetection (Google and Jigsaw, 2019), as FaceForensics++ hands it out.

    original_sequences/actors/QUALITY/videos/01__exit_phone_room.mp4
    manipulated_sequences/DeepFakeDetection/QUALITY/videos/
        01_02__exit_phone_room__YVGY8LOK.mp4
    manipulated_sequences/DeepFakeDetection/masks/videos/…     where they were fetched

28 actors play scenes; a fake is named target_source. There are no official splits, and
nearly all actors are linked by fakes, so that none can be made by people. All videos
are for tests of detectors that were trained elsewhere.

The folders are those of the download script; the names of videos we know from public
lists of them, such as those in the scripts of DeepfakeBench's users, not from a
description by the publishers.
"""

import dataclasses
import re
from pathlib import Path

from fakedet_jax.data import scan
from fakedet_jax.data.layouts.base import Item, Layout, LayoutMismatch, Listing
from fakedet_jax.data.layouts.faceforensics import QUALITIES, find_mask
from fakedet_jax.settings import Settings, option

# By folder: the class, and the names of its videos, with the actors in them.
_FOLDERS = {
    "original_sequences/actors": ("real_actors", re.compile(r"(\d{2})__.+")),
    "manipulated_sequences/DeepFakeDetection": (
        "DeepFakeDetection",
        re.compile(r"(\d{2})_(\d{2})__.+__[0-9A-Z]{8}"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """Options of DeepFakeDetection."""

    qualities: tuple[str, ...] = option(
        ("c23",), "Compressions of the videos.", choices=QUALITIES
    )


def _list(root: Path, options: Options) -> Listing:
    items, strangers = [], []
    for folder, (class_name, names) in _FOLDERS.items():
        for quality in (name for name in QUALITIES if name in options.qualities):
            videos = root / folder / quality / "videos"
            if not scan.is_folder(videos):
                raise LayoutMismatch(
                    f"the folder {scan.relative(videos, root)} (`qualities` chooses "
                    "others)",
                    root,
                )
            for path in scan.list_files(videos, scan.VIDEO):
                match = names.fullmatch(path.stem)
                if match is None:
                    strangers.append(scan.relative(path, root))
                    continue
                is_fake = folder.startswith("manipulated")
                items.append(
                    Item.of(
                        path,
                        root,
                        class_name,
                        split="test",
                        video=f"{class_name}/{path.stem}",
                        identities=tuple(f"actor {actor}" for actor in match.groups()),
                        manipulation=class_name if is_fake else "",
                        quality=quality,
                        mask=find_mask(root, path) if is_fake else "",
                    )
                )
    notes = scan.note("left out, not named like the videos of actors", strangers)
    return Listing(items, notes=notes)


LAYOUT = Layout(
    "deepfakedetection",
    "fetch the actors and DeepFakeDetection with the download script of "
    "FaceForensics++ (https://github.com/ondyari/FaceForensics) and name the folder "
    "that holds original_sequences",
    _list,
    Options,
)
