# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the pictures of a dataset once for each condition of a suite."""

import concurrent.futures
import itertools
from collections.abc import Iterator
from typing import Self

import numpy as np

from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.media.decode import decode
from fakedet_jax.perturb import apply
from fakedet_jax.perturb.suites import Suite
from fakedet_jax.runtime import parallel

# Decoded pictures are kept up to this many bytes; the others are decoded again for each
# condition.
MAX_KEPT_BYTES = 2 * 2**30

# Pictures that are decoded in advance.
_WINDOW = 64


class Pictures:
    """Iterates over the readable pictures of a dataset any number of times.

    Use it in a `with` statement, which ends its threads.

    Attributes:
        pool: Threads that decode, and that may do further work on the pictures. The
            thread that iterates must not be one of them.
        reasons: Reasons of the skipped pictures, by index; complete after the first
            pass.
    """

    def __init__(self, dataset: Dataset, num_threads: int) -> None:
        """Checks the labels; no picture is read yet.

        Args:
            dataset: The pictures.
            num_threads: Threads that decode, and threads that perturb on the host.

        Raises:
            RequestError: The pictures are all real or all fake.
        """
        self.reasons: dict[int, str] = {}
        self._dataset = dataset
        self._num_threads = num_threads
        self._kept: dict[int, np.ndarray] = {}
        self._num_kept_bytes = 0
        self._is_complete = False
        self._check_both()
        self.pool = concurrent.futures.ThreadPoolExecutor(num_threads, "fakedet-decode")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.pool.shutdown()

    @property
    def readable(self) -> list[int]:
        """Indices of the pictures that are not skipped."""
        indices = range(self._dataset.num_examples)
        return [index for index in indices if index not in self.reasons]

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields index and pixels of each readable picture, in order.

        Yields:
            The index, and uint8 `[height, width, 3]`.

        Raises:
            RequestError: A picture that was read in the first pass cannot be read now,
                none can be read, or the readable ones are all real or all fake.
        """
        indices = iter(self.readable)
        while window := list(itertools.islice(indices, _WINDOW)):
            loaded = self.pool.map(self._load, window)
            for index, picture in zip(window, loaded, strict=True):
                if isinstance(picture, str):
                    self._skip(index, picture)
                else:
                    self._keep(index, picture)
                    yield index, picture
        if not self._is_complete:
            self._is_complete = True
            self._check_any()
            self._check_both()

    def perturbed(self, suite: Suite, place: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields index and perturbed pixels of each readable picture, in order.

        The pictures must have been iterated over once before.

        Args:
            suite: The suite.
            place: Place of the condition in it, from 0.

        Yields:
            The index, and uint8 `[height, width, 3]`.

        Raises:
            RequestError: See `__iter__`.
        """
        perturbed = apply.apply(
            suite.conditions[place],
            (picture for _, picture in self),
            key=suite.key(place),
            mesh=parallel.data_mesh(),
            num_threads=self._num_threads,
        )
        yield from zip(self.readable, perturbed, strict=True)

    def _load(self, index: int) -> np.ndarray | str:
        """Returns the pixels of a picture, or the reason why it is skipped."""
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

    def _skip(self, index: int, reason: str) -> None:
        if self._is_complete:  # All conditions must be measured on the same pictures.
            raise RequestError(
                f"`data_dir`: {self._dataset.names[index]!r} could be read at first "
                f"and then {reason}; use pictures that do not change during the run"
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
        """Refuses pictures that are all real or all fake, whose AUC is undefined."""
        found = set(self._dataset.fake_labels[self.readable].tolist())
        if len(found) == 1:
            raise RequestError(
                "`dataset`: expected readable pictures that are real and fake, because "
                f"the AUC needs both, found only {BINARY_CLASSES[found.pop()]} ones"
            )
