# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=export`: writes pictures of a dataset as files, in folder layout."""

import logging
from pathlib import Path

import numpy as np

from fakedet_jax.config import ExportConfig
from fakedet_jax.data import catalog
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import suite_export
from fakedet_jax.runtime import storage
from fakedet_jax.runtime.text import PlainNames

_LOGGER = logging.getLogger(__name__)

# Pictures of each class: enough to look at.
_USUAL_NUMBER = 4


def export(config: ExportConfig) -> int:
    """Writes `OUTPUT/CLASS/NAME`, the bytes of each file as they are stored.

    With a suite, `suite_export.export_suite` writes the pictures under each of its
    conditions instead.

    Args:
        config: The settings.

    Returns:
        How many pictures were written.

    Raises:
        RequestError: The settings are not as expected.
    """
    limit = config.num_per_class
    if limit is None:
        limit = 0 if config.suite else _USUAL_NUMBER
    dataset = catalog.load(config.data, config.split, needs="either")
    dataset = _first_of_each(dataset, limit or None)
    with storage.writing_to(config.output, "output"):
        if config.suite:
            written = suite_export.export_suite(config, dataset)
        else:
            written = _write(dataset, config.output)
    _LOGGER.info("wrote %d pictures under %s", written, config.output)
    return written


def _first_of_each(dataset: Dataset, limit: int | None) -> Dataset:
    """The first pictures of each class, in the order of the dataset."""
    chosen = [
        np.flatnonzero(dataset.labels == label)[:limit]
        for label in range(dataset.num_classes)
    ]
    return dataset.subset(np.sort(np.concatenate(chosen)))


def _file_names(dataset: Dataset) -> list[str]:
    """What each picture is called; no name leads out of the folder."""
    if dataset.facts is None:
        return [Path(name).name for name in dataset.names]
    # Crops have no files of their own, and frames of videos no names that would do.
    names = PlainNames()
    return [f"{names.make(name.replace('/', '_'))}.png" for name in dataset.names]


def _write(dataset: Dataset, output: Path) -> int:
    written = set()
    for index, name in enumerate(_file_names(dataset)):
        path = output / dataset.classes[dataset.labels[index]] / name
        if path in written:
            raise RequestError(
                f"`data_dir`: expected pictures of different names, found several that "
                f"would be {str(path)!r}; rename them"
            )
        written.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.write_bytes(path, dataset.source[index].encoded)
    return len(written)
