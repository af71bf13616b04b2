# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Collects the rows of one file and tells why faces of it have no result."""

import collections
from typing import Generic, TypeVar

from fakedet_jax.faces.extraction import NOTED, Row

_Result = TypeVar("_Result")


class FileRows(Generic[_Result]):
    """Rows of one photograph or video, each with the result of its crop.

    Attributes:
        rows: Rows of faces, frames and failures; the result is None where there is no
            crop, or the crop has no result.
        problems: Defects of the file as a whole, such as a video that ends too early.
        note: How the file differs from the training pictures, else empty.
        provenance: What the file says of its origin; empty where that is not known.
    """

    def __init__(self, is_video: bool) -> None:
        """Starts without rows.

        Args:
            is_video: Whether the file is a video, whose frames share one reason.
        """
        self.rows: list[tuple[Row, _Result | None]] = []
        self.problems: list[str] = []
        self.note = ""
        self.provenance = ""
        self._is_video = is_video

    def add(self, row: Row, result: _Result | None) -> None:
        """Adds a row, and the result of its crop; None if it has none."""
        self.note = self.note or row.note
        self.provenance = self.provenance or row.provenance
        if row.status != NOTED:
            self.rows.append((row, result))
        if row.frame < 0 and row.face < 0:
            self.problems.append(row.reason)

    def results(self) -> dict[int, list[_Result]]:
        """The results of each face, by its number."""
        found: dict[int, list[_Result]] = {}
        for row, result in self.rows:
            if result is not None:
                found.setdefault(row.face, []).append(result)
        return found

    def skipped(self) -> dict[int, str]:
        """The reason for each face without a result, by its number.

        A file without any result has at least one reason, under 0 if it has no face.
        """
        found = self.results()
        reasons = collections.defaultdict[int, list[str]](list)
        for row, _ in self.rows:
            if row.face not in found:
                reasons[row.face].append(row.reason)
        faces = [face for face in reasons if face >= 0]
        if not faces and not found:
            return {0: self._summarize(reasons[-1])}
        return {face: self._summarize(reasons[face]) for face in faces}

    def _summarize(self, reasons: list[str]) -> str:
        if not self._is_video:
            return reasons[0]
        of_file = [row.reason for row, _ in self.rows if row.frame < 0]
        if of_file:
            return of_file[0]
        counted = collections.Counter(reasons).most_common()
        parts = ", ".join(f"{count} × {reason}" for reason, count in counted)
        return f"has no usable frame ({parts})"
