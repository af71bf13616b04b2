# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small prepared dataset of videos, for the tests of this package."""

from pathlib import Path

from fakedet_jax.config import FaceConfig
from fakedet_jax.jobs.prepare import prepare
from tests.data.pictures import write_folder
from tests.media.media_files import moving, write_video
from tests.prepare.inputs import config

NUM_FRAMES = 4
# All in the split test: by class, so many videos.
VIDEOS = {"real": 3, "deepfakes": 2, "face_swap": 2}
NUM_PHOTOGRAPHS = 2


def prepare_videos(folder: Path) -> Path:
    """Prepares videos and two photographs, whole pictures of 32²; returns where."""
    root = folder / "originals"
    # For training there are photographs alone.
    counts = {"train/real": 2, "train/deepfakes": 2, "train/face_swap": 2}
    write_folder(root, {**counts, "test/real": NUM_PHOTOGRAPHS}, 32)
    pictures = moving(40, 32, 48)
    for number, (name, count) in enumerate(VIDEOS.items()):
        (root / "test" / name).mkdir(exist_ok=True)
        for video in range(count):
            start = 4 * (number + 3 * video)
            path = root / "test" / name / f"v{video}.mp4"
            write_video(path, pictures[start : start + NUM_FRAMES])
    output = folder / "prepared"
    prepare(config(root, output, faces=FaceConfig("none", size=32)))
    return output
