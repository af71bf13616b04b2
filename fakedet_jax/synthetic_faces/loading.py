# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds `synthetic_faces` once and reads it at random."""

import dataclasses
import functools
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.portraits import Portraits
from fakedet_jax.data.tfds_source import TfdsSource, is_complete, quiet
from fakedet_jax.errors import RequestError
from fakedet_jax.synthetic_faces.examples import CLASSES, NUM_IDENTITIES, SPLITS

if TYPE_CHECKING:
    from fakedet_jax.synthetic_faces.builder import SyntheticFaces

NAME = "synthetic_faces"
# Features with the settings of the camera, in the order of `exif.TAGS`.
_SETTINGS = ("iso", "f_number", "exposure_time", "focal_length")

_FEWEST_IDENTITIES = 6  # two each for validation and test, so that faces can be swapped


def prepare(
    data_dir: Path,
    *,
    num_identities: int = NUM_IDENTITIES,
    seed: int = 0,
    num_processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Builds the data set under `data_dir`, unless it is there.

    A build that is interrupted leaves nothing that is taken for a data set.

    Args:
        data_dir: folder of data sets; this one gets a folder of its own in it.
        num_identities: people, eight pictures each; those beyond `NUM_IDENTITIES` are
            for training.
        seed: of every random choice; the files depend on it and on `num_identities`.
        num_processes: how many make pictures; None for one per core.
        progress: called with the number of pictures made and their total; without it,
            lines are logged.

    Raises:
        RequestError: `num_identities` is too small, or `data_dir` cannot be written.
    """
    builder = _builder(
        data_dir,
        num_identities,
        seed,
        num_processes=num_processes,
        progress=progress,
    )
    if is_complete(builder.data_dir):
        return
    try:
        with quiet(), tempfile.TemporaryDirectory() as empty:
            builder.download_and_prepare(download_dir=empty)
    except OSError as error:
        # Another process may have finished first; then its files are as good.
        if not is_complete(_builder(data_dir, num_identities, seed).data_dir):
            raise RequestError(
                f"`data_dir`: {NAME} cannot be built in {data_dir} "
                f"({error.strerror or error}); name a folder that can be written"
            ) from error


@dataclasses.dataclass(frozen=True, repr=False)
class SyntheticFacesSource(TfdsSource):
    """Random access to the files of one split.

    Attributes:
        data_dir: where `prepare` built the data set.
        split: `train`, `validation`, `test` or `all`.
        num_identities: see `prepare`.
        seed: see `prepare`.
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


def load_source(
    data_dir: Path,
    split: str,
    *,
    num_identities: int = NUM_IDENTITIES,
    seed: int = 0,
) -> SyntheticFacesSource:
    """Returns random access to a split that `prepare` has built.

    Raises:
        RequestError: there is no such split, or the data set is not there.
    """
    if split not in (*SPLITS, "all"):
        raise RequestError(
            f"`split`: expected {', '.join(SPLITS)}, all, found {split!r}"
        )
    if not is_complete(_builder(data_dir, num_identities, seed).data_dir):
        raise RequestError(
            f"`data_dir`: {NAME} is not in {data_dir}; build it first with "
            "fakedet_jax.synthetic_faces.prepare"
        )
    return SyntheticFacesSource(Path(data_dir), split, num_identities, seed)


def load(
    data_dir: Path,
    split: str,
    *,
    num_identities: int = NUM_IDENTITIES,
    seed: int = 0,
) -> Dataset:
    """Returns a split of the data set, which is built when it is not there.

    Args:
        data_dir: folder of data sets.
        split: `train`, `validation`, `test` or `all`; no person is in two of them.
        num_identities: see `prepare`.
        seed: see `prepare`.

    Returns:
        The dataset with its portraits; those of a fake are the landmarks and settings
        of the photograph that it was made of.

    Raises:
        RequestError: there is no such split, or the data set cannot be built.
    """
    if split in (*SPLITS, "all"):
        prepare(data_dir, num_identities=num_identities, seed=seed)
    source = load_source(data_dir, split, num_identities=num_identities, seed=seed)
    names, labels = source.index
    return Dataset(
        name=NAME,
        split=split,
        classes=CLASSES,
        is_fake=tuple(name != "real" for name in CLASSES),
        source=source,
        names=names,
        labels=labels,
        portraits=_portraits(source),
    )


def _portraits(source: SyntheticFacesSource) -> Portraits:
    """The landmarks and settings that the records hold."""
    columns = source.columns("landmarks", *_SETTINGS)
    return Portraits(
        np.array(columns["landmarks"], np.float32),
        np.stack([np.array(columns[name], np.float32) for name in _SETTINGS], axis=1),
    )


def _builder(
    data_dir: Path, num_identities: int, seed: int, **kwargs: Any
) -> "SyntheticFaces":
    from fakedet_jax.synthetic_faces.builder import SyntheticFaces, SyntheticFacesConfig

    if num_identities < _FEWEST_IDENTITIES:
        raise RequestError(
            f"`num_identities`: expected at least {_FEWEST_IDENTITIES}, found "
            f"{num_identities}; ask for more"
        )
    config = SyntheticFacesConfig(
        name=f"identities{num_identities}_seed{seed}",
        version="1.0.0",
        description=f"{num_identities} people, seed {seed}",
        num_identities=num_identities,
        seed=seed,
    )
    # TFDS warns of every configuration that its class does not list.
    logger = logging.getLogger("absl")
    logger.addFilter(_is_no_custom_note)
    try:
        return SyntheticFaces(data_dir=str(data_dir), config=config, **kwargs)
    finally:
        logger.removeFilter(_is_no_custom_note)


def _is_no_custom_note(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Using custom data configuration")
