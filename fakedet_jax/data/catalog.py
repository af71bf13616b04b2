# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The datasets that can be asked for by name."""

from collections.abc import Callable, Collection
from pathlib import Path

from fakedet_jax import storage
from fakedet_jax.config import DataConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.folder import SPLITS, load_folder
from fakedet_jax.errors import RequestError

TASKS = ("binary", "multiclass")


def load(
    name: str,
    data_dir: str | Path | None,
    split: str,
    *,
    real_classes: Collection[str] = (),
    validation_fraction: float = 0.05,
    task: str = "multiclass",
    require_both: bool | None = None,
) -> Dataset:
    """Loads a dataset by its name.

    Args:
        name: One of `dataset_names()`.
        data_dir: Where the data lie. `folder` needs it; `synthetic_faces` is built
            there on first use, and in the user's cache folder without it.
        split: `train`, `validation`, `test` or `all`.
        real_classes: For `folder`: further names of real classes.
        validation_fraction: For `folder`: the part that becomes `validation` where no
            folder says so.
        task: `binary` merges the classes into real and fake, `multiclass` keeps them.
        require_both: For `folder`: whether it is an error that real or fake pictures
            are missing. By default it is for the split `train`.

    Returns:
        The dataset.

    Raises:
        RequestError: There is no such dataset, split or task, or the data are not as
            expected.
    """
    if name not in _LOADERS:
        raise RequestError(
            f"--dataset: expected {', '.join(dataset_names())}, found {name!r}"
        )
    if split not in SPLITS:
        raise RequestError(f"--split: expected {', '.join(SPLITS)}, found {split!r}")
    if task not in TASKS:
        raise RequestError(f"--task: expected {' or '.join(TASKS)}, found {task!r}")
    if require_both is None:
        require_both = split == "train"
    dataset = _LOADERS[name](
        Path(data_dir) if data_dir else None,
        split,
        real_classes,
        validation_fraction,
        require_both,
    )
    return dataset.as_binary() if task == "binary" else dataset


def load_configured(
    data: DataConfig, split: str, *, require_both: bool | None = None
) -> Dataset:
    """Loads a split of the pictures that a request names; see `load`."""
    return load(
        data.dataset,
        data.data_dir,
        split,
        real_classes=data.real_classes,
        validation_fraction=data.validation_fraction,
        task=data.task,
        require_both=require_both,
    )


def dataset_names() -> list[str]:
    """The valid names of datasets, sorted."""
    return sorted(_LOADERS)


def default_data_dir() -> Path:
    """The folder in the user's cache where datasets are built."""
    return storage.user_cache_dir() / "datasets"


def _load_folder(
    data_dir: Path | None,
    split: str,
    real_classes: Collection[str],
    validation_fraction: float,
    require_both: bool,
) -> Dataset:
    if data_dir is None:
        raise RequestError(
            "--data_dir: --dataset=folder needs a folder of class folders, such as "
            "DIR/real and DIR/fake; found none"
        )
    return load_folder(
        data_dir,
        split,
        real_classes=real_classes,
        validation_fraction=validation_fraction,
        require_both=require_both,
    )


def _load_synthetic_faces(
    data_dir: Path | None,
    split: str,
    real_classes: Collection[str],
    validation_fraction: float,
    require_both: bool,
) -> Dataset:
    # TFDS takes a second to import; only who asks for the dataset waits.
    from fakedet_jax.data import synthetic_faces

    del validation_fraction, require_both  # It comes with splits of both kinds.
    if real_classes:
        raise RequestError(
            "--real_classes: synthetic_faces has fixed classes; use the flag with "
            "--dataset=folder only"
        )
    return synthetic_faces.load(data_dir or default_data_dir(), split)


_LOADERS: dict[
    str, Callable[[Path | None, str, Collection[str], float, bool], Dataset]
] = {
    "folder": _load_folder,
    "synthetic_faces": _load_synthetic_faces,
}
