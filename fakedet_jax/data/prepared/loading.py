# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads prepared datasets."""

import dataclasses
import functools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.data import layouts
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.folder import SPLITS, check_split
from fakedet_jax.data.prepared.facts import FILE_NAME, Facts
from fakedet_jax.data.tfds_source import TfdsSource, is_complete, quiet
from fakedet_jax.errors import RequestError
from fakedet_jax.media.files import MISSING
from fakedet_jax.runtime import records
from fakedet_jax.runtime.text import one_line

VERSION = "1.1.0"
_METADATA = "metadata.json"
_AGAIN = "delete the folder and prepare the dataset again"


@dataclasses.dataclass(frozen=True)
class PreparedInfo:
    """Description of a prepared dataset.

    Attributes:
        name: Name of the dataset.
        classes: Names of the classes, the real ones first.
        is_fake: For every class, whether it is fake.
        faces: How the faces were detected and cropped: the settings `detector`,
            `scale`, `size`, `align`, `all_faces` and `frames`.
        digest: Identifies the crops, their names, labels and tags.
    """

    name: str
    classes: tuple[str, ...]
    is_fake: tuple[bool, ...]
    faces: Mapping[str, Any]
    digest: str


@dataclasses.dataclass(frozen=True, repr=False)
class PreparedSource(TfdsSource):
    """Random access to the crops of one split.

    Attributes:
        data_dir: Folder of the prepared dataset.
        split: `train`, `validation`, `test` or `all`.
        name: Name of the dataset.
        digest: See `PreparedInfo`.
    """

    name: str
    digest: str

    def __repr__(self) -> str:
        return f"PreparedSource({self.name!r}, {self.split!r}, digest={self.digest})"

    @functools.cached_property
    def _builder(self) -> Any:
        import tensorflow_datasets as tfds

        with quiet():
            return tfds.builder_from_directory(folder_of(self.data_dir, self.name))


def is_prepared(data_dir: str | Path, name: str) -> bool:
    """Whether a folder contains the complete prepared dataset with this name."""
    folder = folder_of(data_dir, name)
    return is_complete(folder) and (folder / FILE_NAME).is_file()


def find(data_dir: str | Path) -> list[str]:
    """Names of the complete prepared datasets in a folder."""
    return [name for name in layouts.names() if is_prepared(data_dir, name)]


def folder_of(data_dir: str | Path, name: str) -> Path:
    """The folder of the files of a prepared dataset, whether it exists or not."""
    return Path(data_dir) / name / VERSION


def read_info(data_dir: str | Path, name: str | None = None) -> PreparedInfo:
    """Reads the description of a prepared dataset.

    Args:
        data_dir: The `output` folder of `mode=prepare`.
        name: Name of the dataset; None for the only one in the folder.

    Raises:
        RequestError: There is no prepared dataset, or its metadata cannot be read.
    """
    if name is None:
        found = find(data_dir)
        if len(found) != 1:
            raise RequestError(
                f"`data_dir`: expected one prepared dataset in {str(data_dir)!r}, "
                f"found {', '.join(found) or 'none'}; name the `output` folder of "
                "`mode=prepare`"
            )
        name = found[0]
    _check_prepared(data_dir, name)
    path = folder_of(data_dir, name) / _METADATA
    content = records.read(path, dict[str, Any], advice=_AGAIN)
    return records.convert(
        {**content, "name": name}, PreparedInfo, source=repr(str(path)), advice=_AGAIN
    )


def load(data_dir: str | Path, name: str, split: str) -> Dataset:
    """Loads a split of a prepared dataset without reading pictures.

    Args:
        data_dir: The `output` folder of `mode=prepare`.
        name: Name of the dataset, such as `faceforensics`.
        split: `train`, `validation`, `test` or `all`.

    Returns:
        The dataset, with a `PreparedSource`.

    Raises:
        RequestError: The dataset is missing or damaged, or the split is empty.
    """
    info = read_info(data_dir, name)
    whole = _read_facts(data_dir, name)
    facts = _of_split(whole, data_dir, name, split)
    return Dataset(
        name=name,
        split=split,
        classes=info.classes,
        is_fake=info.is_fake,
        source=PreparedSource(Path(data_dir), split, name, info.digest),
        names=facts.names,
        labels=facts.labels,
        facts=facts,
        portraits=facts.portraits,
        num_in_all=len(whole),
    )


def load_facts(data_dir: str | Path, name: str, split: str) -> Facts:
    """Reads the facts of a split, in the order of `load`.

    Args:
        data_dir: The `output` folder of `mode=prepare`.
        name: Name of the dataset.
        split: `train`, `validation`, `test` or `all`.

    Raises:
        RequestError: The dataset is missing or damaged, or the split is empty.
    """
    return _of_split(_read_facts(data_dir, name), data_dir, name, split)


def _read_facts(data_dir: str | Path, name: str) -> Facts:
    """The facts of all splits."""
    _check_prepared(data_dir, name)
    path = folder_of(data_dir, name) / FILE_NAME
    try:
        return Facts.load(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{str(path)!r}: expected a file that `mode=prepare` wrote, found "
            f"something else ({one_line(error)}); {_AGAIN}"
        ) from error


def _of_split(facts: Facts, data_dir: str | Path, name: str, split: str) -> Facts:
    """The facts of a split, at least one."""
    check_split(split)
    chosen = facts.of_split(split)
    if not len(chosen):
        found = [name for name in SPLITS if name in set(facts.splits)]
        advice = (
            "prepare it again with a larger `validation_fraction`"
            if split == "validation"
            else "choose one of these"
        )
        raise RequestError(
            f"`data_dir`: {name} in {str(data_dir)!r} has nothing in the split "
            f"{split!r}, only in {', '.join(found)}; {advice}"
        )
    return chosen


def _check_prepared(data_dir: str | Path, name: str) -> None:
    if is_prepared(data_dir, name):
        return
    if not Path(data_dir).exists():
        raise RequestError(f"`data_dir`: {str(data_dir)!r} {MISSING}")
    instructions = layouts.create(name).instructions
    raise RequestError(
        f"`data_dir`: expected a prepared dataset {name} in {str(data_dir)!r}, found "
        f"none; make it with `mode=prepare` `dataset={name}` `data_dir=ORIGINALS` "
        f"`output=DIR` and name DIR here, where for ORIGINALS: {instructions}"
    )
