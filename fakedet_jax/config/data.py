# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How datasets and files are read."""

import dataclasses
from pathlib import Path

from fakedet_jax.settings import Settings, option

SPLITS = ("train", "validation", "test", "all")


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """A dataset, and how its classes and splits are read."""

    dataset: str = option(
        "",
        "Dataset: synthetic_faces (embedded), folder (your own pictures) or the "
        "name of a published dataset. The default is folder if `data_dir` is given, "
        "else synthetic_faces.",
    )
    data_dir: Path | None = option(
        None,
        "Folder of the dataset, or its address in a bucket.",
        may_change=True,
    )
    real_classes: tuple[str, ...] = option(
        (), "Classes that are real although their names do not say so."
    )
    task: str = option(
        "multiclass",
        "multiclass keeps the classes; binary merges them into real and fake.",
        choices=("multiclass", "binary"),
    )
    validation_fraction: float | None = option(
        None,
        "Share of the training pictures held out for validation where the dataset has "
        "no validation split; by default 0.05, and of pictures of your own enough for "
        "100 real and 100 fake ones, up to 0.2.",
        minimum=0,
        below=1,
    )
    num_identities: int | None = option(
        None,
        "Number of simulated identities of synthetic_faces (default 400); the first "
        "400 are split, further ones train only.",
    )
    fake_classes: tuple[str, ...] = option(
        (), "Classes that are fake although their names say that they are real."
    )
    subfolders: str = option(
        "together",
        "Where a folder is split: together keeps the pictures of a folder within a "
        "class in one split, such as the frames of a video; apart splits them.",
        choices=("together", "apart"),
    )

    def __post_init__(self) -> None:
        """Chooses the default dataset, and checks the settings.

        Raises:
            RequestError: A value is not valid.
        """
        if not self.dataset:
            default = "folder" if self.data_dir else "synthetic_faces"
            object.__setattr__(self, "dataset", default)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class InputConfig(Settings):
    """How pictures are read."""

    num_workers: int = option(
        0,
        "Reading processes; 0 reads in threads of the main process.",
        minimum=0,
        may_change=True,
    )
    num_threads: int = option(
        8, "Decoding threads per process.", minimum=1, may_change=True
    )


@dataclasses.dataclass(frozen=True)
class FileInputConfig(InputConfig):
    """How files are read that users name."""

    num_workers: int | None = option(  # type: ignore[assignment]
        None,
        "Reading processes; 0 reads in threads of the main process. By default there "
        "are as many as cores for 256 files or more, else 0.",
        minimum=0,
    )
