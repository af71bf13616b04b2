# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The datasets that can be asked for by name."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from fakedet_jax.config import DataConfig
from fakedet_jax.data import layouts, prepared
from fakedet_jax.data.dataset import Dataset, check_sides
from fakedet_jax.data.folder import SPLITS, load_folder
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import storage

TASKS = ("binary", "multiclass")

_FOLDER = "folder"
_SYNTHETIC = "synthetic_faces"


def load(
    name: str,
    data_dir: str | Path | None,
    split: str,
    *,
    real_classes: Collection[str] = (),
    validation_fraction: float = 0.05,
    num_identities: int | None = None,
    task: str = "multiclass",
    needs: str | None = None,
) -> Dataset:
    """Loads a dataset by its name.

    Args:
        name: One of `dataset_names()`. `folder` is also every dataset of face crops
            that was prepared.
        data_dir: Where the data lie. `synthetic_faces` is built there on first use,
            and in the user's cache folder without it; the others need it.
        split: `train`, `validation`, `test` or `all`.
        real_classes: For a folder of pictures: further names of real classes.
        validation_fraction: For a folder of pictures: the part that becomes
            `validation` where no folder says so.
        num_identities: Of `synthetic_faces`: people, of whom those beyond the usual
            number are for training; None for the usual number.
        task: `binary` merges the classes into real and fake, `multiclass` keeps them.
        needs: Which sides must be there, as `dataset.check_sides` says; by default
            both of the split `train`, and either of the others.

    Returns:
        The dataset.

    Raises:
        RequestError: There is no such dataset, split or task, or the data are not as
            expected.
    """
    if name not in dataset_names():
        raise RequestError(
            f"`dataset`: expected {', '.join(dataset_names())}, found {name!r}"
        )
    if split not in SPLITS:
        raise RequestError(f"`split`: expected {', '.join(SPLITS)}, found {split!r}")
    if task not in TASKS:
        raise RequestError(f"`task`: expected {' or '.join(TASKS)}, found {task!r}")
    if needs is None:
        needs = "both" if split == "train" else "either"
    if num_identities is not None and name != _SYNTHETIC:
        raise RequestError(
            f"`num_identities`: `dataset={name}` has the people that it has; use it "
            f"with `dataset={_SYNTHETIC}` only"
        )
    root = Path(data_dir) if data_dir else None
    if name == _SYNTHETIC:
        dataset = _load_synthetic_faces(root, split, real_classes, num_identities)
    elif root is None:
        raise RequestError(f"`data_dir`: `dataset={name}` needs {_needs(name)}")
    elif (prepared_name := _prepared_name(name, root)) is not None:
        if validation_fraction != DataConfig.validation_fraction:
            raise RequestError(
                f"`validation_fraction`: {str(root)!r} is prepared, so that its splits "
                "are fixed; give it to `mode=prepare`"
            )
        dataset = _load_prepared(root, prepared_name, split, real_classes)
        check_sides(dataset, str(root), needs)
    else:
        dataset = load_folder(
            root,
            split,
            real_classes=real_classes,
            validation_fraction=validation_fraction,
            needs=needs,
        )
    return dataset.as_binary() if task == "binary" else dataset


def load_configured(
    data: DataConfig, split: str, *, needs: str | None = None
) -> Dataset:
    """Loads a split of the pictures that a request names; see `load`."""
    return load(
        data.dataset,
        data.data_dir,
        split,
        real_classes=data.real_classes,
        validation_fraction=data.validation_fraction,
        num_identities=data.num_identities,
        task=data.task,
        needs=needs,
    )


def read_faces(data: DataConfig) -> Mapping[str, Any] | None:
    """How the faces of a dataset were found and cut out, as `prepared.read_info` says.

    Returns:
        None for pictures that are taken as they are.

    Raises:
        RequestError: The dataset is not as expected.
    """
    if data.dataset == _SYNTHETIC or data.data_dir is None:
        return None
    name = _prepared_name(data.dataset, data.data_dir)
    return None if name is None else prepared.read_info(data.data_dir, name).faces


def dataset_names() -> list[str]:
    """The valid names of datasets, sorted."""
    return sorted({_SYNTHETIC, *layouts.names()})


def default_data_dir() -> Path:
    """The folder in the user's cache where datasets are built."""
    return storage.user_cache_dir() / "datasets"


def _prepared_name(name: str, root: Path) -> str | None:
    """The prepared dataset that is meant; None for a folder of pictures."""
    if name != _FOLDER:
        return name
    if not any(prepared.is_prepared(root, other) for other in layouts.names()):
        return None
    return prepared.read_info(root).name


def _load_prepared(
    root: Path, name: str, split: str, real_classes: Collection[str]
) -> Dataset:
    dataset = prepared.load(root, name, split)
    known = dict(zip(dataset.classes, dataset.is_fake, strict=True))
    wrong = [real for real in real_classes if known.get(real, True)]
    if wrong:
        real = [name for name, fake in known.items() if not fake]
        raise RequestError(
            f"`real_classes`: {', '.join(map(repr, wrong))} cannot be declared real in "
            f"a prepared dataset, whose real classes are {', '.join(map(repr, real))}; "
            "give it to `mode=prepare`"
        )
    return dataset


def _load_synthetic_faces(
    data_dir: Path | None,
    split: str,
    real_classes: Collection[str],
    num_identities: int | None,
) -> Dataset:
    # TFDS takes a second to import; only who asks for the dataset waits.
    from fakedet_jax.synthetic_faces import loading

    if real_classes:
        raise RequestError(
            "`real_classes`: synthetic_faces has fixed classes; use it with "
            "`dataset=folder` only"
        )
    if num_identities is None:
        num_identities = loading.NUM_IDENTITIES
    return loading.load(
        data_dir or default_data_dir(), split, num_identities=num_identities
    )


def _needs(name: str) -> str:
    if name == _FOLDER:
        return (
            "a folder of class folders, such as DIR/real and DIR/fake, or one that "
            "`mode=prepare` wrote; found none"
        )
    return "the folder that `mode=prepare` wrote for it; found none"
