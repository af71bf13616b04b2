# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of `mode=predict`: a row for each file and face, and one for each frame."""

import collections
import contextlib
import csv
import dataclasses
import io
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from fakedet_jax.evaluation import log_odds, stability
from fakedet_jax.evaluation.operating_point import OperatingPoint
from fakedet_jax.faces.annotation import Mark
from fakedet_jax.faces.extraction import Row
from fakedet_jax.faces.file_rows import FileRows
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import storage, text

if TYPE_CHECKING:
    from fakedet_jax.faces.annotated_copies import AnnotatedCopies
    from fakedet_jax.report.review import Review

_LOGGER = logging.getLogger(__name__)

HEADER = (
    *("path", "face", "score", "decision", "error", "note", "log_odds"),
    *("mean_score", "faces", "frames", "face_pixels"),
)
# The number of the row for all faces of a video.
ALL = "all"
FRAME_HEADER = (
    *("path", "face", "frame", "time", "score", "decision"),
    *("left", "top", "right", "bottom", "detector_score", "error", "log_odds"),
)


# Further columns with `stability`, and with `provenance`.
STABILITY_HEADER = ("least", "most")
PROVENANCE = "provenance"

# Of the frames that were searched, a face has a score in at least this share by
# default; what a face detector sees for a moment is often no face.
_LEAST_SHARE = 0.1
# A face is told to be enlarged from here on.
_LEAST_ENLARGED = 2.0
# Reason of a crop whose score is NaN or infinite.
NOT_FINITE = "has a score that is not a finite number"


@dataclasses.dataclass(frozen=True)
class FaceResult:
    """Score of one face of a file, or the reason why it has none.

    Attributes:
        face: Number of the face, from 0; 0 also for a file without a face; None for all
            faces of a video.
        score: Mean score over its pictures; of all faces, the highest of their scores:
            a video with one forged face is forged. `None` if it has none.
        log_odds: Those of the mean score, which tell scores apart that are rounded to 0
            or 1; `None` if it has no score.
        reason: Why it has no score, else empty.
        note: How the file differs from the training pictures, and what was done about
            it, else empty.
        mean_score: Mean score; of all faces, the mean of their scores.
        faces: Number of faces with a score that the row is about.
        frames: Number of pictures with a score that the row is about.
        face_pixels: Shorter side of the region that was cut out, in pixels of the
            picture; of a video the median over these frames, and of all faces that of
            the one with the highest score. `None` if it has no score.
        enlarged: How many times the network's input is as large as what it sees of the
            picture; 0 where that is not known.
        changed: The scores after mild changes, in the order of `stability.CHANGES`;
            empty where these are not asked for.
    """

    face: int | None
    score: float | None
    log_odds: float | None = None
    reason: str = ""
    note: str = ""
    mean_score: float | None = None
    faces: int = 0
    frames: int = 0
    face_pixels: int | None = None
    enlarged: float = 0.0
    changed: tuple[float, ...] = ()

    @property
    def scores(self) -> tuple[float, ...]:
        """The score as it is and after changes; empty if it has none."""
        return () if self.score is None else (self.score, *self.changed)

    @property
    def range(self) -> tuple[float | None, float | None]:
        """The least and the most of these; None where there are no changes."""
        if not self.changed:
            return None, None
        return min(self.scores), max(self.scores)

    def remark(self, point: OperatingPoint) -> str:
        """What there is to say of this face beside `note`.

        That is why it is not decided, and that it has few pixels.
        """
        if not self.scores:
            return ""
        changes = tuple(stability.CHANGES) if self.changed else ()
        size = ""
        if self.enlarged >= _LEAST_ENLARGED:
            size = f"the face is enlarged {self.enlarged:.1f} times"
        return text.joined(size, point.why_unsure(self.scores, changes))

    def full_note(self, point: OperatingPoint) -> str:
        """The `note` of its row: how the file differs, and what to say of the face."""
        return text.joined(self.note, self.remark(point))


class FileResult(FileRows[Sequence[float]]):
    """Collects the rows of one file and log-odds of its crops, never its pixels.

    The log-odds of a crop are first those of the picture as it is, and then those after
    each change, if these are asked for.
    """

    def __init__(
        self,
        is_video: bool,
        *,
        all_faces: bool = False,
        min_track_frames: int | None = None,
        framing: Framing | None = None,
    ) -> None:
        """Starts without rows.

        Args:
            is_video: Whether the file is a video, whose frames share one reason.
            all_faces: Whether all faces are scored; a video then has a further row.
            min_track_frames: A face of a video with a score in fewer frames has no
                row; None for a tenth of the frames that were searched, where all faces
                are scored and one is seen that often.
            framing: Of the network, to tell how much faces are enlarged; None where
                that is not asked for.
        """
        super().__init__(is_video)
        self._has_all = is_video and all_faces
        self._min_frames = min_track_frames if is_video else 1
        self._framing = framing

    def add(self, row: Row, result: Sequence[float] | None) -> None:
        """Adds a row and its log-odds; what is not finite becomes a reason."""
        if result is not None and not all(map(math.isfinite, result)):
            row, result = dataclasses.replace(row, reason=NOT_FINITE), None
        super().add(row, result)

    def faces(self) -> list[FaceResult]:
        """The results of the faces, at least one, by their numbers, then of all."""
        found = self.results()
        least = self._least_frames(list(map(len, found.values())))
        results = [
            self._with_size(_to_face(face, odds, self.note))
            for face, odds in found.items()
            if len(odds) >= least
        ]
        if left := len(found) - len(results):
            seen = f"seen in fewer than {text.counted(least, 'frame')}"
            verb = "has" if left == 1 else "have"
            self.problems.append(f"{text.counted(left, 'face')} {seen} {verb} no row")
        results += [
            FaceResult(face, None, reason=reason, note=self.note)
            for face, reason in self.skipped().items()
        ]
        if not results:
            reason = f"shows no face in at least {text.counted(least, 'frame')}"
            results = [FaceResult(0, None, reason=reason, note=self.note)]
        results.sort(key=lambda result: result.face or 0)
        return [*results, _of_all(results)] if self._has_all else results

    def _with_size(self, result: FaceResult) -> FaceResult:
        """Adds how large a face was in the pictures that have a score."""
        sides = [
            row.crop_side
            for row, odds in self.rows
            if odds is not None and row.face == result.face and row.crop_side
        ]
        if not sides:
            return result
        side = float(np.median(sides))
        return dataclasses.replace(
            result,
            face_pixels=round(side),
            enlarged=_enlargement(side, self._framing),
        )

    def _least_frames(self, lengths: list[int]) -> int:
        """Scored frames that a face needs for a row."""
        if self._min_frames is not None:
            return self._min_frames
        if not self._has_all or not lengths:
            return 1
        searched = len({row.frame for row, _ in self.rows if row.frame >= 0})
        least = max(1, round(_LEAST_SHARE * searched))
        return least if max(lengths) >= least else 1


def _of_all(results: list[FaceResult]) -> FaceResult:
    """The row of all faces of a video."""
    scored = [result for result in results if result.score is not None]
    if not scored:
        return dataclasses.replace(results[0], face=None)
    scores = [result.score or 0.0 for result in scored]
    highest = scored[int(np.argmax(scores))]
    return dataclasses.replace(
        highest,
        face=None,
        mean_score=math.fsum(scores) / len(scores),
        faces=len(scored),
        frames=sum(result.frames for result in scored),
        changed=tuple(map(max, zip(*(own.changed for own in scored), strict=True))),
    )


def _enlargement(side: float, framing: Framing | None) -> float:
    """How many times the input is as large as its region of a square of that side.

    >>> _enlargement(64.0, Framing(112, 96, 0.875))
    2.0
    """
    if framing is None:
        return 0.0
    part = framing.largest
    return max(part.height, part.width) / (side * part.central_share)


class PredictionOutput:
    """Writes the tables, and passes scored faces to the annotated copies.

    Scores are written with all digits, so that a reader decides as the tables do.

    Attributes:
        counts: Number of rows of the table that are `fake`, `real`, `error` and, where
            there are any, `unsure`.
        num_scored: Number of files with a score.
        num_failed: Number of files without one.
        reasons: Numbers of files without a score, by the reason of their first face.
        notes: Numbers of files that differ from the training pictures, by note.
    """

    def __init__(
        self,
        files: list[FaceFile],
        point: OperatingPoint,
        table: TextIO,
        frame_table: TextIO | None = None,
        copies: "AnnotatedCopies | None" = None,
        framing: Framing | None = None,
        start_file: Callable[[bool], FileResult] = FileResult,
        *,
        stability: bool = False,
        has_provenance: bool = False,
        review: "Review | None" = None,
    ):
        """Writes the headers.

        Args:
            files: All files, in the order in which they are finished.
            point: Which scores are decided fake.
            table: Stream for the table of files and faces.
            frame_table: Stream for the table of frames.
            copies: Writer of annotated copies.
            framing: Of the network, to draw what it saw.
            start_file: From whether a file is a video to what collects its rows.
            stability: Whether log-odds after changes are added too.
            has_provenance: Whether rows tell what the file says of its origin.
            review: Writer of the page on which results are reviewed.
        """
        self.counts = collections.Counter(fake=0, real=0, error=0)
        self.num_scored = self.num_failed = 0
        self.reasons: collections.Counter[str] = collections.Counter()
        self.notes: collections.Counter[str] = collections.Counter()
        self._files = files
        self._point = point
        self._streams = [table] if frame_table is None else [table, frame_table]
        self._table, *frames = (
            csv.writer(stream, lineterminator="\n") for stream in self._streams
        )
        self._frame_table = frames[0] if frames else None
        self._copies = copies
        self._framing = framing
        self._start_file = start_file
        self._current: FileResult | None = None
        self._stability = stability
        self._has_provenance = has_provenance
        self._review = review
        self._table.writerow(
            (
                *HEADER,
                *(STABILITY_HEADER if stability else ()),
                *((PROVENANCE,) if has_provenance else ()),
            )
        )
        if self._frame_table is not None:
            self._frame_table.writerow(FRAME_HEADER)

    def add(
        self,
        file: int,
        row: Row,
        log_odds: Sequence[float] | None,
        picture: np.ndarray | None = None,
    ) -> None:
        """Adds a row of the file of that number.

        Args:
            file: The number.
            row: The row.
            log_odds: See `FileResult`; None without a crop.
            picture: The crop as the network saw it, for the review.
        """
        if self._current is None:
            self._current = self._start_file(self._files[file].kind == "video")
        self._current.add(row, log_odds)
        if self._review is not None and log_odds is not None and picture is not None:
            self._review.see(row, log_odds[0], picture)

    def finish(self, number: int) -> None:
        """Writes the results of a file, after all of its rows were added."""
        file, result = self._files[number], self._current
        assert result is not None  # Each file has a row.
        self._current = None
        faces = result.faces()
        decisions = [
            self._point.decide_together(face.scores) if face.scores else ""
            for face in faces
        ]
        if self._review is not None:
            self._review.finish(number, result, [*zip(faces, decisions, strict=True)])
        for face, decision in zip(faces, decisions, strict=True):
            if face.face is not None:
                self.counts[decision or "error"] += 1
            number_or_all = ALL if face.face is None else face.face
            counts = (face.faces, face.frames) if face.faces else ("", "")
            side = "" if face.face_pixels is None else face.face_pixels
            self._table.writerow(
                (
                    *(file.path, number_or_all, face.score, decision),
                    *(face.reason, face.full_note(self._point), face.log_odds),
                    *(face.mean_score, *counts, side),
                    *(face.range if self._stability else ()),
                    *((result.provenance,) if self._has_provenance else ()),
                )
            )
        if result.note:
            self.notes[result.note] += 1
        is_scored = any(face.score is not None for face in faces)
        self.num_scored += is_scored
        self.num_failed += not is_scored
        if not is_scored:
            self.reasons[faces[0].reason] += 1
        for problem in result.problems if is_scored else ():
            _LOGGER.warning("%s was scored, but %s", file.path, problem)
        result.rows.sort(key=lambda entry: (entry[0].frame, entry[0].face))
        if self._frame_table is not None:
            self._frame_table.writerows(
                self._frame_cells(file, *entry) for entry in result.rows
            )
        is_numbered = (
            len({row.face for row, odds in result.rows if odds is not None}) > 1
        )
        if self._copies is not None and is_scored:
            marks = [
                (
                    row,
                    Mark(
                        row.box,
                        scores[0],
                        self._point.decide_together(scores),
                        region_seen(row, self._framing),
                        number=row.face if is_numbered else None,
                    ),
                )
                for row, odds in result.rows
                if (scores := _scores(odds))
            ]
            looked_at = {row.frame for row, _ in result.rows if row.frame >= 0}
            self._copies.add(number, marks, looked_at)

    def flush(self) -> None:
        """Makes the written rows visible to readers of the tables."""
        for stream in self._streams:
            stream.flush()

    def _frame_cells(
        self, file: FaceFile, row: Row, odds: Sequence[float] | None
    ) -> tuple[object, ...]:
        scores = _scores(odds)
        box = [f"{value:.2f}" for value in row.box] or [""] * 4
        return (
            file.path,
            row.face if row.face >= 0 else "",
            row.frame if row.frame >= 0 else "",
            _number(row.time),
            scores[0] if scores else "",
            self._point.decide_together(scores) if scores else "",
            *box,
            _number(row.score),
            row.reason,
            odds[0] if odds else "",
        )


def _scores(odds: Sequence[float] | None) -> list[float]:
    found: list[float] = log_odds.scores(odds or ()).tolist()
    return found


def _to_face(face: int, odds: list[Sequence[float]], note: str) -> FaceResult:
    """The mean scores of the crops of a face, as they are and after each change."""
    means = [log_odds.means(own, [0] * len(odds), 1) for own in zip(*odds, strict=True)]
    score, *changed = (float(own[0]) for own, _ in means)
    return FaceResult(
        face,
        score,
        float(means[0][1][0]),
        note=note,
        mean_score=score,
        faces=1,
        frames=len(odds),
        changed=tuple(changed),
    )


def partial_path(path: Path) -> Path:
    """Where the rows of a table are until it is complete.

    What is no regular file, such as a pipe, has no other place.

    >>> partial_path(Path("out/scores.csv")).name
    'scores.csv.part'
    """
    if path.exists() and not path.is_file():
        return path
    return path.with_name(f"{path.name}.part")


@contextlib.contextmanager
def open_table(path: Path | None, field: str) -> Iterator[TextIO]:
    """Opens a CSV file; bytes of names that are not UTF-8 are written as escapes.

    It has its name only when it is complete, after the `with` block. Until then, and
    after a failure, its rows are in `partial_path`, and an earlier table stays.

    Args:
        path: The file; `None` for standard output.
        field: The setting that named it, for messages.

    Yields:
        The stream to write to.

    Raises:
        RequestError: The file cannot be written.
    """
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
        return
    with storage.writing_to(path, field, "file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        target = partial_path(path)
        if path.is_file():
            path.open("ab").close()  # Whether it may be replaced is known at once.
        stream = target.open(
            "w", encoding="utf-8", errors="backslashreplace", newline=""
        )
    with stream:
        yield stream
    if target != path:
        with storage.writing_to(path, field, "file"):
            target.replace(path)


def region_seen(row: Row, framing: Framing | None) -> tuple[float, ...]:
    """The region of the picture that a network saw; empty where it is not known.

    Of a crop that was aligned, it is the smallest box around that region.
    """
    if framing is None or not row.crop_box:
        return ()
    left, top, right, bottom = row.crop_box
    region = framing.region(round(bottom - top), round(right - left))
    x_start, y_start, x_end, y_end = region
    return left + x_start, top + y_start, left + x_end, top + y_end


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
