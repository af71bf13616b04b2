# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The pictures of a dataset, gone through once for every condition of a suite."""

import concurrent.futures
import itertools
from collections.abc import Iterator

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media.decode import decode
from fakedet_jax.perturb import apply
from fakedet_jax.perturb.perturbation import Mix, Perturbation

# Decoded pictures are kept for the next condition up to so many bytes; those beyond are
# decoded again for every condition.
MAX_KEPT_BYTES = 2 * 2**30

# Pictures that are decoded ahead.
_WINDOW = 64


class Pictures:
    """The readable pictures of a dataset with their indices, as often as wanted.

    Attributes:
        reasons: By index, why a picture is left out; complete after the first pass.
    """

    def __init__(
        self, dataset: Dataset, pool: concurrent.futures.ThreadPoolExecutor
    ) -> None:
        """Reads nothing yet.

        Args:
            dataset: The pictures.
            pool: Threads that decode them; not the one that takes them.

        Raises:
            RequestError: They are all real or all fake.
        """
        self.reasons: dict[int, str] = {}
        self._dataset = dataset
        self._pool = pool
        self._kept: dict[int, np.ndarray] = {}
        self._num_kept_bytes = 0
        self._is_complete = False
        self._check_both()

    @property
    def readable(self) -> list[int]:
        """Indices of the pictures that are not left out."""
        indices = range(self._dataset.num_examples)
        return [index for index in indices if index not in self.reasons]

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Gives indices and pictures, uint8 `[height, width, 3]`, in order.

        Raises:
            RequestError: A picture that could be read before cannot be read any more,
                none can be read, or those that can are all real or all fake.
        """
        indices = iter(self.readable)
        while window := list(itertools.islice(indices, _WINDOW)):
            loaded = self._pool.map(self._load, window)
            for index, picture in zip(window, loaded, strict=True):
                if isinstance(picture, str):
                    self._leave_out(index, picture)
                else:
                    self._keep(index, picture)
                    yield index, picture
        if not self._is_complete:
            self._is_complete = True
            self._check_any()
            self._check_both()

    def perturbed(
        self,
        condition: Perturbation | Mix,
        *,
        key: jax.Array,
        mesh: Mesh,
        num_threads: int,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Gives indices and perturbed pictures, after a first pass; see `apply`."""
        perturbed = apply.apply(
            condition,
            (picture for _, picture in self),
            key=key,
            mesh=mesh,
            num_threads=num_threads,
        )
        yield from zip(self.readable, perturbed, strict=True)

    def _load(self, index: int) -> np.ndarray | str:
        """The picture, or why there is none."""
        if index in self._kept:
            return self._kept[index]
        try:
            picture = decode(self._dataset.source[index].encoded)
            apply.check_picture(picture)
        except ImageError as error:
            return str(error)
        return picture

    def _keep(self, index: int, picture: np.ndarray) -> None:
        is_new = index not in self._kept
        if is_new and self._num_kept_bytes + picture.nbytes <= MAX_KEPT_BYTES:
            self._kept[index] = picture
            self._num_kept_bytes += picture.nbytes

    def _leave_out(self, index: int, reason: str) -> None:
        if self._is_complete:  # The conditions would not be of the same pictures.
            raise RequestError(
                f"`data_dir`: {self._dataset.names[index]!r} could be read at first "
                f"and then {reason}; name pictures that nobody changes"
            )
        self.reasons[index] = reason

    def _check_any(self) -> None:
        if not self.readable:
            first = min(self.reasons)
            raise RequestError(
                f"`dataset`: none of the {self._dataset.num_examples} pictures can be "
                f"read; the first, {self._dataset.names[first]!r}, "
                f"{self.reasons[first]}"
            )

    def _check_both(self) -> None:
        """Refuses pictures that are all real or all fake: they have no AUC."""
        found = set(self._dataset.fake_labels[self.readable].tolist())
        if len(found) == 1:
            raise RequestError(
                "`dataset`: expected real and fake pictures that can be read, as an "
                f"AUC needs both, found only {BINARY_CLASSES[found.pop()]} ones"
            )
