# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small copies of pictures and of frames of videos, to look at."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fakedet_jax.errors import ImageError
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media import options, video
from fakedet_jax.media.decode import decode, read_file
from fakedet_jax.media.options import MediaConfig

LONGEST_SIDE = 640
_QUALITY = 85

_LOGGER = logging.getLogger(__name__)


def write_small(
    file: FaceFile, targets: Mapping[int, Path], how: MediaConfig = options.DEFAULT
) -> list[int]:
    """Writes small copies as JPEG.

    Args:
        file: A photograph or a video.
        targets: Numbers of frames to the files to write, in existing folders; -1 of a
            photograph.
        how: How the file becomes pixels.

    Returns:
        The frames that were written: others cannot be read any more, which a warning
        says.

    Raises:
        OSError: A copy cannot be written.
    """
    written: list[int] = []
    if not targets:
        return written
    try:
        if file.kind == "photo":
            write_jpeg(decode(read_file(file.path), how), targets[-1])
            return [-1]
        selection = video.Numbers(tuple(targets))
        with video.read_frames(file.path, selection=selection, how=how) as frames:
            for frame in frames:
                write_jpeg(frame.picture, targets[frame.number])
                written.append(frame.number)
    except ImageError as error:
        _LOGGER.warning("no copy of %s was written: it %s", file.path, error)
    return written


def write_jpeg(picture: np.ndarray, target: Path) -> None:
    """Writes a picture, uint8 `[height, width, 3]`, smaller where it is large."""
    image = Image.fromarray(picture)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    image.save(target, "JPEG", quality=_QUALITY)
