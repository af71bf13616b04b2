# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small folder of photographs and videos, sound ones and others."""

import os
from pathlib import Path

from fakedet_jax.config import DataConfig, FaceConfig, FrameConfig, PrepareConfig
from tests.data.pictures import colourful, encode, write_folder
from tests.media.media_files import write_video

NUM_FRAMES = 4

# By path: how the reason begins why nothing of a file is written.
UNUSABLE = {
    "fake/cut.jpg": "is truncated",
    "fake/empty.png": "is empty",
    "fake/text.png": "is not a picture",
    "real/zero.mp4": "is empty",
}


def write_inputs(root: Path) -> Path:
    """Writes 12 photographs, some of them named alike, and 4 videos."""
    write_folder(root, {"real": 4, "fake": 4})
    (root / "real" / "\udce9t\udce9.png").write_bytes(encode(colourful(20, 20, 99)))
    write_video(root / "real" / "v.mp4", 12)
    write_video(root / "fake" / "v.mp4", 10, display={"degrees": 90})
    write_video(root / "fake" / "one.mkv", 1)
    (root / "fake" / "cut.jpg").write_bytes(encode(colourful(64, 64), "JPEG")[:600])
    (root / "fake" / "empty.png").write_bytes(b"")
    (root / "fake" / "text.png").write_bytes(b"no picture")
    (root / "real" / "zero.mp4").write_bytes(b"")
    # Made once for all, or a copy of the folder would be another one.
    for path in root.rglob("*.*"):
        os.utime(path, ns=(10**18, 10**18))
    return root


def config(root: Path, output: Path, **settings: object) -> PrepareConfig:
    """Asks for whole pictures of a folder, by one process."""
    given = {
        "faces": FaceConfig("none"),
        "frames": FrameConfig(NUM_FRAMES),
        "num_workers": 1,
        **settings,
    }
    data = DataConfig("folder", root, validation_fraction=0.2)
    return PrepareConfig(output=output, data=data, **given)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
