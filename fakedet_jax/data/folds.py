# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Deals the pictures of a dataset into parts for cross-validation."""

import numpy as np

from fakedet_jax.data import splits
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.data.layouts.base import Item
from fakedet_jax.errors import RequestError
from fakedet_jax.runtime.text import counted


def deal(
    dataset: Dataset, num_folds: int, *, seed: int, whole_folders: bool = True
) -> np.ndarray:
    """Deals pictures into parts with about as many real and fake ones each.

    Pictures that share a person or a video are in one part, and so are all copies of a
    picture, which have one name.

    Args:
        dataset: The pictures.
        num_folds: Number of parts.
        seed: Of the choice.
        whole_folders: Whether the pictures of a folder within a class stay together.

    Returns:
        int32 `[num_examples]`, the part of each picture, from 0.

    Raises:
        RequestError: There are fewer groups of real or of fake pictures than parts.
    """
    groups = splits.groups(_items(dataset, whole_folders), seed)
    fake = dataset.fake_labels
    for side, kind in enumerate(BINARY_CLASSES):
        found = sum(side in fake[group] for group in groups)
        if found < num_folds:
            raise RequestError(
                f"`threshold_folds`: {num_folds} parts need as many groups of {kind} "
                "training pictures that share no person, video or folder, found "
                f"{counted(found, 'group')}; choose fewer parts, or leave it out"
            )
    parts = np.zeros(dataset.num_examples, np.int32)
    filled = np.zeros((num_folds, len(BINARY_CLASSES)), np.int64)
    # The largest first, so that the small ones even the parts out.
    for group in sorted(groups, key=len, reverse=True):
        brought = np.bincount(fake[group], minlength=len(BINARY_CLASSES))
        part = int(np.argmin(filled @ brought))
        parts[group] = part
        filled[part] += brought
    return parts


def _items(dataset: Dataset, whole_folders: bool) -> list[Item]:
    """What links the pictures."""
    num, facts = dataset.num_examples, dataset.facts
    people = [()] * num if facts is None else facts.people
    videos = [""] * num if facts is None else facts.videos
    use_folders = whole_folders and dataset.folders
    folders = dataset.folders if use_folders else [""] * num
    return [
        Item(name, "photo", "", False, video=video, identities=own, folder=folder)
        for name, video, own, folder in zip(
            dataset.names, videos, people, folders, strict=True
        )
    ]
