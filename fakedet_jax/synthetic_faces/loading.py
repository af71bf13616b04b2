# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds `synthetic_faces` on first use and gives random access to it."""

import dataclasses
import functools
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.folder import check_split
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.data.tfds_source import TfdsSource, is_complete, quiet, to_text
from fakedet_jax.errors import RequestError
from fakedet_jax.synthetic_faces.examples import CLASSES, NUM_IDENTITIES, SETTINGS

if TYPE_CHECKING:
    from fakedet_jax.synthetic_faces.builder import SyntheticFaces

NAME = "synthetic_faces"

# Validation and test need two identities each to swap faces.
_FEWEST_IDENTITIES = 6


def prepare(
    data_dir: Path,
    *,
    num_identities: int = NUM_IDENTITIES,
    seed: int = 0,
    num_processes: int | None = None,
) -> None:
    """Builds the dataset in `data_dir`, unless it exists there.

    An interrupted build leaves nothing that could be mistaken for a dataset.

    Args:
        data_dir: Folder of datasets; this one gets its own folder in it.
        num_identities: Number of identities, with eight pictures each; the first
            `NUM_IDENTITIES` are split, further ones train only.
        seed: Seed of all random choices.
        num_processes: Number of processes; `None` for one per core. The files do not
            depend on it.

    Raises:
        RequestError: `num_identities` is too small, or `data_dir` cannot be written.
    """
    builder = _builder(data_dir, num_identities, seed, num_processes=num_processes)
    if is_complete(builder.data_dir):
        return
    try:
        with quiet(), tempfile.TemporaryDirectory() as empty:
            builder.download_and_prepare(download_dir=empty)
    except OSError as error:
        # Another process may have built the same files first.
        if not is_complete(_builder(data_dir, num_identities, seed).data_dir):
            raise RequestError(
                f"`data_dir`: {NAME} cannot be built in {str(data_dir)!r} "
                f"({error.strerror or error}); name a folder that can be written"
            ) from error


@dataclasses.dataclass(frozen=True, repr=False)
class SyntheticFacesSource(TfdsSource):
    """Random access to the files of one split.

    Attributes:
        data_dir: Folder in which `prepare` has built the dataset.
        split: `train`, `validation`, `test` or `all`.
        num_identities: Number of identities, see `prepare`.
        seed: Seed of all random choices.
    """

    num_identities: int = NUM_IDENTITIES
    seed: int = 0

    def __repr__(self) -> str:
        return (
            f"SyntheticFacesSource({self.split!r}, "
            f"num_identities={self.num_identities}, seed={self.seed})"
        )

    @functools.cached_property
    def _builder(self) -> "SyntheticFaces":
        return _builder(self.data_dir, self.num_identities, self.seed)


def load(
    data_dir: Path,
    split: str,
    *,
    num_identities: int = NUM_IDENTITIES,
    seed: int = 0,
) -> Dataset:
    """Loads a split of the dataset, which is built if it does not exist.

    Args:
        data_dir: Folder of datasets.
        split: `train`, `validation`, `test` or `all`; no identity is in two of the
            first three.
        num_identities: Number of identities, see `prepare`.
        seed: Seed of all random choices.

    Returns:
        The dataset with portraits. Landmarks and camera settings of a fake are those
        of the photograph that it was made from.

    Raises:
        RequestError: There is no such split, or the dataset cannot be built.
    """
    check_split(split)
    prepare(data_dir, num_identities=num_identities, seed=seed)
    source = SyntheticFacesSource(data_dir, split, num_identities, seed)
    columns = source.columns("name", "label", "landmarks", *SETTINGS)
    settings = [np.array(columns[name], np.float32) for name in SETTINGS]
    return Dataset(
        name=NAME,
        split=split,
        classes=CLASSES,
        is_fake=tuple(name != "real" for name in CLASSES),
        source=source,
        names=[to_text(name) for name in columns["name"]],
        labels=np.array(columns["label"], np.int32),
        portraits=Portraits(
            np.array(columns["landmarks"], np.float32), np.stack(settings, axis=1)
        ),
    )


def _builder(
    data_dir: Path, num_identities: int, seed: int, **kwargs: Any
) -> "SyntheticFaces":
    from fakedet_jax.synthetic_faces.builder import SyntheticFaces, SyntheticFacesConfig

    if num_identities < _FEWEST_IDENTITIES:
        raise RequestError(
            f"`num_identities`: expected at least {_FEWEST_IDENTITIES}, found "
            f"{num_identities}; choose a larger number"
        )
    config = SyntheticFacesConfig(
        name=f"identities{num_identities}_seed{seed}",
        version="1.0.0",
        description=f"{num_identities} people, seed {seed}",
        num_identities=num_identities,
        seed=seed,
    )
    # TFDS warns of every configuration that its builder class does not list.
    logger = logging.getLogger("absl")
    logger.addFilter(_is_no_custom_note)
    try:
        return SyntheticFaces(data_dir=str(data_dir), config=config, **kwargs)
    finally:
        logger.removeFilter(_is_no_custom_note)


def _is_no_custom_note(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Using custom data configuration")
