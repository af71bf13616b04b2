# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What `mode=predict` writes: a row for each file and face, and for each frame."""

import collections
import contextlib
import csv
import dataclasses
import io
import logging
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.faces.annotation import Mark
from fakedet_jax.faces.extraction import NOTED, Row
from fakedet_jax.faces.stream import FaceFile

if TYPE_CHECKING:
    from fakedet_jax.faces.annotated_copies import AnnotatedCopies

_LOGGER = logging.getLogger(__name__)

HEADER = ("path", "face", "score", "decision", "error")
FRAME_HEADER = (
    *("path", "face", "frame", "time", "score", "decision"),
    *("left", "top", "right", "bottom", "detector_score", "error"),
)


@dataclasses.dataclass(frozen=True)
class FaceResult:
    """What became of a face of a file, or of a file without one.

    Attributes:
        face: Its number, from 0.
        score: The mean of its scores; `None` where it has none.
        reason: Why it has no score.
    """

    face: int
    score: float | None
    reason: str = ""


class FileResult:
    """Gathers the rows of one file; never its pixels.

    Attributes:
        rows: Of its faces, frames and failures, with the score where there is one.
        problems: What is odd about the file as a whole.
    """

    def __init__(self, is_video: bool):
        self.rows: list[tuple[Row, float | None]] = []
        self.problems: list[str] = []
        self._is_video = is_video

    def add(self, row: Row, score: float | None) -> None:
        """Takes a row; a score for those with a crop."""
        if row.status != NOTED:
            self.rows.append((row, score))
        if row.frame < 0 and row.face < 0:
            self.problems.append(row.reason)

    def faces(self) -> list[FaceResult]:
        """The faces by their numbers; at least one result."""
        scores = collections.defaultdict[int, list[float]](list)
        reasons = collections.defaultdict[int, list[str]](list)
        for row, score in self.rows:
            if score is not None:
                scores[row.face].append(score)
            else:
                reasons[row.face].append(row.reason)
        results = [
            FaceResult(face, math.fsum(values) / len(values))
            for face, values in scores.items()
        ]
        results += [
            FaceResult(face, None, self._reason(reasons[face]))
            for face in reasons
            if face >= 0 and face not in scores
        ]
        if not results:
            results = [FaceResult(0, None, self._reason(reasons[-1]))]
        return sorted(results, key=lambda result: result.face)

    def _reason(self, reasons: list[str]) -> str:
        if not self._is_video:
            return reasons[0]
        of_file = [row.reason for row, _ in self.rows if row.frame < 0]
        if of_file:
            return of_file[0]
        counted = collections.Counter(reasons).most_common()
        parts = ", ".join(f"{count} × {reason}" for reason, count in counted)
        return f"has no usable frame ({parts})"


class PredictionOutput:
    """Writes the tables, and hands on what is to be drawn.

    Attributes:
        counts: Of the rows of the table that are `fake`, `real` and `error`.
        num_scored: Files with a score.
        num_failed: Files without one.
    """

    def __init__(
        self,
        files: list[FaceFile],
        threshold: float,
        table: TextIO,
        frame_table: TextIO | None = None,
        copies: "AnnotatedCopies | None" = None,
    ):
        """Writes the headers.

        Args:
            files: All files, in the order in which they come.
            threshold: Scores at or above it are decided fake.
            table: For the rows of files and faces.
            frame_table: For the rows of frames.
            copies: Takes what is to be drawn.
        """
        self.counts = collections.Counter(fake=0, real=0, error=0)
        self.num_scored = self.num_failed = 0
        self._files = files
        self._threshold = threshold
        self._streams = [table] if frame_table is None else [table, frame_table]
        self._table, *frames = (
            csv.writer(stream, lineterminator="\n") for stream in self._streams
        )
        self._frame_table = frames[0] if frames else None
        self._copies = copies
        self._current: FileResult | None = None
        self._table.writerow(HEADER)
        if self._frame_table is not None:
            self._frame_table.writerow(FRAME_HEADER)

    def add(self, file: int, row: Row, score: float | None) -> None:
        """Takes a row of a file, and its score if it has a crop."""
        if self._current is None:
            self._current = FileResult(self._files[file].kind == "video")
        self._current.add(row, score)

    def finish(self, number: int) -> None:
        """Writes what became of a file, once all of its rows were added."""
        file, result = self._files[number], self._current
        assert result is not None  # Each file has a row.
        self._current = None
        faces = result.faces()
        for face in faces:
            score, decision = "", ""
            if face.score is not None:
                score, decision = f"{face.score:.6f}", self._decide(face.score)
            self.counts[decision or "error"] += 1
            self._table.writerow((file.path, face.face, score, decision, face.reason))
        is_scored = any(face.score is not None for face in faces)
        self.num_scored += is_scored
        self.num_failed += not is_scored
        for problem in result.problems if is_scored else ():
            _LOGGER.warning("%s was scored, but %s", file.path, problem)
        result.rows.sort(key=lambda entry: (entry[0].frame, entry[0].face))
        if self._frame_table is not None:
            self._frame_table.writerows(
                self._frame_cells(file, *entry) for entry in result.rows
            )
        if self._copies is not None and is_scored:
            marks = [
                (row, Mark(row.box, score, self._decide(score) == "fake"))
                for row, score in result.rows
                if score is not None
            ]
            looked_at = {row.frame for row, _ in result.rows if row.frame >= 0}
            self._copies.add(number, marks, looked_at)

    def flush(self) -> None:
        """Lets readers of the tables see what was written."""
        for stream in self._streams:
            stream.flush()

    def _decide(self, score: float) -> str:
        return "fake" if metrics.decide(score, self._threshold) else "real"

    def _frame_cells(
        self, file: FaceFile, row: Row, score: float | None
    ) -> tuple[object, ...]:
        box = [f"{value:.2f}" for value in row.box] or [""] * 4
        return (
            file.path,
            row.face if row.face >= 0 else "",
            row.frame if row.frame >= 0 else "",
            _number(row.time),
            "" if score is None else _number(score),
            "" if score is None else self._decide(score),
            *box,
            _number(row.score),
            row.reason,
        )


@contextlib.contextmanager
def open_table(path: Path | None, flag: str) -> Iterator[TextIO]:
    """Opens a CSV; bytes of names that are no UTF-8 are written as escapes.

    Args:
        path: The file; `None` for standard output.
        flag: That named it.

    Yields:
        What to write to.

    Raises:
        RequestError: The file cannot be written.
    """
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise RequestError(
            f"{flag}: {str(path)!r} cannot be written ({error.strerror})"
        ) from error
    with stream:
        yield stream


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
