# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains classifiers on fakes that are made of the real pictures.

See `fakedet_jax.faces.self_blended`. Where landmarks of faces are known, as in prepared
datasets, they tell where the face is; else pictures are taken for crops of a face.
"""

import dataclasses

import numpy as np

from fakedet_jax.data import altered
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.rows import Forgery
from fakedet_jax.errors import RequestError
from fakedet_jax.faces.self_blended import self_blend

# Of the fakes that validation sees, the same in every run.
_SEED = 0


def forgery(share: float | None, dataset: Dataset) -> Forgery | None:
    """How training pictures become fakes.

    Args:
        share: Of the real pictures; None for no fakes.
        dataset: The training pictures.

    Raises:
        RequestError: See `class_of_fakes`.
    """
    if share is None:
        return None
    is_real = dataset.fake_labels == 0
    label = class_of_fakes(dataset)
    return Forgery(share, label, is_real, _SelfBlend(_landmarks(dataset)))


def with_fakes(dataset: Dataset) -> Dataset:
    """Photographs and a fake of each, to choose the step and the threshold on.

    Args:
        dataset: The photographs.

    Raises:
        RequestError: See `class_of_fakes`.
    """
    names = [f"{name} self-blended" for name in dataset.names]
    forge = _Fixed(_SelfBlend(_landmarks(dataset)))
    return altered.with_altered(dataset, forge, class_of_fakes(dataset), names)


def class_of_fakes(dataset: Dataset) -> int:
    """The label of pictures that are blended with themselves.

    Args:
        dataset: Names the classes.

    Raises:
        RequestError: There is no class of fakes, or more than one.
    """
    fakes = np.flatnonzero(dataset.is_fake)
    if len(fakes) != 1:
        names = ", ".join(repr(dataset.classes[label]) for label in fakes)
        raise RequestError(
            "`self_blended`: expected one class of fakes, which blended pictures "
            f"belong to, found {names or 'none'}; give `task=binary`"
        )
    return int(fakes[0])


@dataclasses.dataclass(frozen=True)
class _SelfBlend:
    """Makes a fake of a picture, as a seed says."""

    landmarks: np.ndarray | None = dataclasses.field(repr=False)

    def __call__(self, picture: np.ndarray, index: int, seed: int) -> np.ndarray:
        landmarks = None if self.landmarks is None else self.landmarks[index]
        return self_blend(picture, landmarks, np.random.default_rng([seed, index]))


@dataclasses.dataclass(frozen=True)
class _Fixed:
    """Makes the same fake of a picture each time."""

    forge: _SelfBlend

    def __call__(self, picture: np.ndarray, index: int) -> np.ndarray:
        return self.forge(picture, index, _SEED)


def _landmarks(dataset: Dataset) -> np.ndarray | None:
    return None if dataset.portraits is None else dataset.portraits.landmarks
