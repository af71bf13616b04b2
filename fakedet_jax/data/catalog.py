# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loads datasets by the name that the setting `dataset` takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.config import DataConfig
from fakedet_jax.data import layouts, prepared
from fakedet_jax.data.dataset import Dataset, check_sides
from fakedet_jax.data.folder import (
    VALIDATION_FRACTION,
    check_split,
    choose_validation_fraction,
    load_folder,
)
from fakedet_jax.data.prepared import left_out
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import storage
from fakedet_jax.settings import Option

_FOLDER = "folder"
_SYNTHETIC = "synthetic_faces"


def load(data: DataConfig, split: str, *, needs: str | None = None) -> Dataset:
    """Loads a split of a dataset.

    Args:
        data: The dataset, one of `dataset_names()`. `folder` also loads any prepared
            dataset. `synthetic_faces` is built in its data folder on first use, by
            default in the user's cache folder; other datasets require the folder.
        split: `train`, `validation`, `test` or `all`.
        needs: Sides that the split must have, see `dataset.check_sides`; by default
            `both` for `train` and `either` for other splits.

    Returns:
        The dataset.

    Raises:
        RequestError: The dataset or split is unknown, a setting does not apply to the
            dataset, or its data do not have the expected form.
    """
    name, root = data.dataset, data.data_dir
    Option("Name of a dataset.", choices=dataset_names).check("dataset", name)
    check_split(split)
    if needs is None:
        needs = "both" if split == "train" else "either"
    if data.num_identities is not None and name != _SYNTHETIC:
        raise RequestError(
            f"`num_identities`: `dataset={name}` has a fixed number of people; use it "
            f"with `dataset={_SYNTHETIC}` only"
        )
    if name == _SYNTHETIC:
        dataset = _load_synthetic_faces(data, split)
    elif root is None:
        raise RequestError(f"`data_dir`: `dataset={name}` needs {_needs(name)}")
    elif (prepared_name := _prepared_name(name, root)) is not None:
        if data.validation_fraction not in (None, VALIDATION_FRACTION):
            raise RequestError(
                f"`validation_fraction`: {str(root)!r} is prepared, so that its splits "
                "are fixed; give it to `mode=prepare`"
            )
        if data.subfolders != DataConfig.subfolders:
            raise RequestError(
                f"`subfolders`: {str(root)!r} is prepared, so that its splits are "
                "fixed; give it to `mode=prepare`"
            )
        dataset = _load_prepared(root, prepared_name, split, data)
        check_sides(dataset, str(root), needs)
    else:
        dataset = load_folder(
            root,
            split,
            real_classes=data.real_classes,
            fake_classes=data.fake_classes,
            subfolders=data.subfolders,
            validation_fraction=data.validation_fraction,
            needs=needs,
        )
    return dataset.as_binary() if data.task == "binary" else dataset


def validation_fraction(data: DataConfig) -> float:
    """The share of the pictures that validation gets, also where no setting says it.

    Args:
        data: The dataset.

    Returns:
        The setting, or the default for the dataset.

    Raises:
        RequestError: The dataset cannot be read.
    """
    if data.validation_fraction is not None:
        return data.validation_fraction
    root = data.data_dir
    if data.dataset != _FOLDER or root is None or _prepared_name(_FOLDER, root):
        return VALIDATION_FRACTION
    return choose_validation_fraction(root, data.real_classes, data.fake_classes)


def read_faces(data: DataConfig) -> Mapping[str, Any] | None:
    """Reads how the faces of a dataset were detected and cropped.

    Args:
        data: The dataset.

    Returns:
        `faces` of `prepared.PreparedInfo`; None for datasets that were not prepared.

    Raises:
        RequestError: The dataset cannot be read.
    """
    if data.dataset == _SYNTHETIC or data.data_dir is None:
        return None
    name = _prepared_name(data.dataset, data.data_dir)
    return None if name is None else prepared.read_info(data.data_dir, name).faces


def read_left_out(data: DataConfig, split: str) -> list[left_out.LeftOut]:
    """Reads which files of a split gave no picture.

    Args:
        data: The dataset.
        split: `train`, `validation`, `test` or `all`.

    Returns:
        Files that `mode=prepare` left out; nothing for datasets that were not prepared.

    Raises:
        RequestError: The dataset cannot be read.
    """
    if data.dataset == _SYNTHETIC or data.data_dir is None:
        return []
    if _prepared_name(data.dataset, data.data_dir) is None:
        return []
    return left_out.read(data.data_dir, split)


def dataset_names() -> list[str]:
    """The valid names, sorted."""
    return sorted({_SYNTHETIC, *layouts.names()})


def default_data_dir() -> Path:
    """The folder in the user's cache where datasets are built."""
    return storage.user_cache_dir() / "datasets"


def _prepared_name(name: str, root: Path) -> str | None:
    """The name of the prepared dataset; None for a folder of pictures."""
    if name != _FOLDER:
        return name
    if not any(prepared.is_prepared(root, other) for other in layouts.names()):
        return None
    return prepared.read_info(root).name


def _load_prepared(root: Path, name: str, split: str, data: DataConfig) -> Dataset:
    dataset = prepared.load(root, name, split)
    known = dict(zip(dataset.classes, dataset.is_fake, strict=True))
    declared = ("real", False, data.real_classes), ("fake", True, data.fake_classes)
    for side, is_fake, names in declared:
        if wrong := [name for name in names if known.get(name) is not is_fake]:
            own = [name for name, fake in known.items() if fake is is_fake]
            raise RequestError(
                f"`{side}_classes`: {', '.join(map(repr, wrong))} cannot be declared "
                f"{side} in a prepared dataset, whose {side} classes are "
                f"{', '.join(map(repr, own))}; give it to `mode=prepare`"
            )
    return dataset


def _load_synthetic_faces(data: DataConfig, split: str) -> Dataset:
    # TFDS takes a second to import.
    from fakedet_jax.synthetic_faces import loading

    for field in ("real_classes", "fake_classes"):
        if getattr(data, field):
            raise RequestError(
                f"`{field}`: synthetic_faces has fixed classes; use it with "
                "`dataset=folder` only"
            )
    num_identities = data.num_identities
    if num_identities is None:
        num_identities = loading.NUM_IDENTITIES
    return loading.load(
        data.data_dir or default_data_dir(), split, num_identities=num_identities
    )


def _needs(name: str) -> str:
    if name == _FOLDER:
        return (
            "a folder of class folders, such as DIR/real and DIR/fake, or one that "
            "`mode=prepare` wrote; found none"
        )
    return "the folder that `mode=prepare` wrote for it; found none"
