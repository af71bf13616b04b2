# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training pictures as the options of a training have them perturbed."""

import dataclasses

import numpy as np

from fakedet_jax.data import altered
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.perturb import specification
from fakedet_jax.perturb.treatment import Treatment, fixed_set
from fakedet_jax.systems.options import PerturbCopiesOptions, PerturbOptions


def check(options: PerturbOptions) -> None:
    """Refuses what cannot be done.

    Raises:
        RequestError: A perturbation is unknown, or there is none to make copies with.
    """
    specification.parse_all(options.perturb)
    copies = isinstance(options, PerturbCopiesOptions) and options.perturb_copies
    if copies and not options.perturb:
        raise RequestError(
            "`perturb_copies`: there is nothing to do to the pictures; give "
            "`perturb` too, or leave it out"
        )


def treatment(
    options: PerturbOptions, dataset: Dataset, seed: int, copies: float | None
) -> tuple[Dataset, Treatment | None]:
    """The pictures that a training loop sees, and what is done to them.

    Args:
        options: Of the training.
        dataset: The pictures.
        seed: Of all random choices.
        copies: Size of a fixed set, as a multiple of the pictures; None draws anew each
            time a picture is read.

    Returns:
        The pictures, some of them several times where there are several copies, and
        their treatment.
    """
    parts = specification.parse_all(options.perturb)
    if not parts:
        return dataset, None
    if copies is None:
        return dataset, Treatment(parts, seed)
    examples, part_of = fixed_set(dataset.labels, len(parts), copies, seed)
    return dataset.subset(examples), Treatment(parts, seed, part_of)


def pictures(
    options: PerturbOptions, dataset: Dataset, seed: int, copies: float | None
) -> Dataset:
    """The perturbed pictures whose features are computed once.

    Args:
        options: Of the training.
        dataset: The pictures.
        seed: Of all random choices.
        copies: See `treatment`; 1 by default.

    Returns:
        The same dataset where nothing is perturbed.
    """
    chosen, how = treatment(options, dataset, seed, copies or 1)
    return chosen if how is None else altered.altered(chosen, _Perturb(how))


@dataclasses.dataclass(frozen=True)
class _Perturb:
    """Perturbs a picture as a treatment has it, the same each time."""

    how: Treatment

    def __call__(self, picture: np.ndarray, index: int) -> np.ndarray:
        return self.how.apply(picture, self.how.choose(index))
