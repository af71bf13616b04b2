# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of the conditions of a suite that are done, kept until all of them are.

A suite that was stopped goes on with what is missing, and several processes share one
suite: like the units of a large run, each condition is a file that appears whole, and
processes share nothing but the folder.
"""

import contextlib
import secrets
import shutil
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.runtime import storage


class ConditionScores:
    """The folder of a suite that is being measured.

    Args:
        results: The folder of the results; the scores are kept beside it.
        digest: Of all that the scores depend on. What was kept with another one is not
            used.
    """

    def __init__(self, results: Path, digest: str) -> None:
        self._folder = results.parent / f".{results.name}-{digest}"

    def missing(self, conditions: Collection[int]) -> list[int]:
        """Which of some conditions are not done, by their numbers."""
        return [number for number in conditions if self.read(number) is None]

    def read(self, number: int) -> Scored | None:
        """The scores of a condition; None where they are not there or damaged."""
        try:
            # NumPy does not close damaged files.
            with (
                self._path(number).open("rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                return Scored(arrays["values"], arrays["valid"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def write(self, number: int, scored: Scored) -> None:
        """Keeps the scores of a condition."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with storage.atomic_file(self._path(number)) as file:
            np.savez(file, values=scored.values, valid=scored.valid)

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Takes the scores for the results, which only one process can do.

        They are deleted at the end, unless that fails.

        Yields:
            Whether this process is the one.
        """
        mine = self._folder.with_name(f"{self._folder.name}.{secrets.token_hex(4)}")
        before = self._folder
        try:
            before.rename(mine)
        except FileNotFoundError:
            yield False
            return
        self._folder = mine
        try:
            yield True
        except BaseException:
            mine.rename(before)
            self._folder = before
            raise
        shutil.rmtree(mine, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:03}.npz"
