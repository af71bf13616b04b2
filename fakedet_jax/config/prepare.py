# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures: looked at, and made into datasets."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.config.data import DataConfig
from fakedet_jax.config.faces import FaceConfig, FrameConfig
from fakedet_jax.config.networks import BackboneConfig
from fakedet_jax.config.work import ENGINE_FOLLOWS, EngineConfig
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.settings import Settings, option, part


def _layout_options(values: Mapping[str, Any]) -> type[Settings]:
    from fakedet_jax.data import layouts  # Layouts need settings too.

    return layouts.options_of(values)


def _all_layout_options() -> Iterator[type[Settings]]:
    from fakedet_jax.data import layouts

    return layouts.all_options()


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckConfig(Settings):
    """Labelled pictures that are looked at before a training."""

    paths: tuple[str, ...] = option((), "Folder with a folder for each class.")
    real_classes: tuple[str, ...] = option(
        (), "Classes that are real although their names do not say so."
    )
    fake_classes: tuple[str, ...] = option(
        (), "Classes that are fake although their names say that they are real."
    )
    subfolders: str = option(
        "together",
        "Whether the pictures of a folder within a class stay in one split: together "
        "or apart.",
        choices=("together", "apart"),
    )
    workdir: Path | None = option(
        None,
        "Folder of a training: tells whether the faces are framed like those of its "
        "pictures, which must still be there.",
    )
    network: BackboneConfig = part(BackboneConfig)
    num_threads: int = option(8, "Decoding threads.", minimum=1)
    output: Path | None = option(None, "JSON file for the results.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareConfig(Settings):
    """A dataset of face crops, made of photographs and videos."""

    output: Path = option(help="Folder for the dataset.")
    data: DataConfig = part(DataConfig)
    faces: FaceConfig = part(FaceConfig)
    frames: FrameConfig = part(FrameConfig)
    media: MediaConfig = part(MediaConfig)
    split_by: str = option(
        "official",
        "How the splits are made: official (the dataset's own, else by people, videos "
        "or content), identity (by people), or frames (each video is divided).",
        choices=("official", "identity", "frames"),
    )
    layout_options: Mapping[str, Any] = part(
        select=_layout_options, every=_all_layout_options, is_partial=True
    )
    compress: bool = option(
        False,
        "Whether crops are compressed, which makes files smaller and reading slower.",
    )
    num_workers: int | None = option(
        None, "Working processes; one per core by default.", minimum=1
    )
    seed: int = option(0, "Seed of the splits.", minimum=0, maximum=2**32 - 1)
    engine: EngineConfig | None = part(
        EngineConfig,
        is_optional=True,
        triggers=("engine",),
        reason=ENGINE_FOLLOWS,
    )
    tags: Path | None = option(
        None,
        "CSV file with the columns path,iso,aperture,exposure_time,focal_length, "
        "for photographs without EXIF data.",
    )
