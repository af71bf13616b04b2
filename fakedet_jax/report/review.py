# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The review of a prediction: a folder with a page and the pictures that it shows.

    report.html   the page, which opens from disk
    faces/        what the network saw of each face, of a video in one frame
    pictures/     smaller copies of the pictures in which faces were found
    maps/         what the network reacts to, where that was asked for

Pictures are written as files are finished, and the page appears last, when it is
complete. Nothing but the text of the rows of a few files is held in memory.
"""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import math
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, stability
from fakedet_jax.evaluation.attribution import Maps
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.predictions import FaceResult, FileResult, region_seen
from fakedet_jax.faces import copies
from fakedet_jax.faces.extraction import Row
from fakedet_jax.faces.stream import FaceFile
from fakedet_jax.media import options
from fakedet_jax.media.options import MediaConfig
from fakedet_jax.report import maps, review_page, wording
from fakedet_jax.runtime import storage, text

FACES, PICTURES, MAPS, PAGE = "faces", "pictures", "maps", "report.html"
FIELD = "report"

# Faces and files that wait until their pictures are written.
_MAX_WAITING = 32
# Points of a track that are drawn.
_MAX_POINTS = 1000
_QUALITY = 90

# From faces, uint8 `[n, height, width, 3]`, to what the network reacts to in each.
MapsFn = Callable[[np.ndarray], Maps]


def check_folder(folder: Path) -> None:
    """Refuses a folder that holds anything, which a review could be mixed up with.

    Raises:
        RequestError: It does, or is no folder.
    """
    with storage.writing_to(folder, FIELD):
        try:
            is_empty = not folder.is_dir() or not any(folder.iterdir())
        except FileNotFoundError:
            is_empty = True
        is_free = is_empty and (folder.is_dir() or not folder.exists())
    if not is_free:
        found = "a folder that holds files" if folder.is_dir() else "a file"
        raise RequestError(
            f"`{FIELD}`: expected a new or an empty folder, found {found}, "
            f"{str(folder)!r}; name another, or remove it"
        )


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What the network saw of a face, in the frame of its highest score."""

    row: Row
    log_odds: float
    picture: np.ndarray


@dataclasses.dataclass
class _Waiting:
    """A file whose rows wait for their pictures.

    Attributes:
        entry: Of the page.
        seen: Numbers of its faces in the page, their places among the rows, and what
            the network saw.
        copies: Is done when the copies of its pictures are written, with the numbers of
            their frames; -1 of a photograph.
    """

    entry: dict[str, Any]
    seen: list[tuple[int, int, _Seen]]
    copies: "concurrent.futures.Future[list[int]]"


class Review:
    """Writes a review; use it in a `with` statement."""

    def __init__(
        self,
        folder: Path,
        files: Sequence[FaceFile],
        info: DetectorInfo,
        *,
        detector: str,
        facts: Mapping[str, object],
        num_threads: int = 4,
        how: MediaConfig = options.DEFAULT,
        maps_fn: MapsFn | None = None,
        layers_of: str = "",
    ) -> None:
        """Makes the folder.

        Args:
            folder: New or empty.
            files: All files, in the order in which they are finished.
            info: What the detector says of itself.
            detector: Its name, for the page.
            facts: Further facts about the run, name to value.
            num_threads: Threads that write pictures.
            how: How files become the pixels in which faces were found.
            maps_fn: Computes maps; None for none.
            layers_of: See `Maps`.

        Raises:
            RequestError: The folder holds anything, or cannot be made.
        """
        check_folder(folder)
        self._is_new = not folder.exists()
        kinds = [FACES, PICTURES, *([MAPS] if maps_fn else [])]
        with storage.writing_to(folder, FIELD):
            for kind in kinds:
                (folder / kind).mkdir(parents=True)
        self._folder = folder
        self._files = files
        self._info = info
        self._how = how
        self._maps_fn = maps_fn
        self._num_faces = 0
        self._best: dict[int, _Seen] = {}
        self._waiting: list[_Waiting] = []
        self._pool = concurrent.futures.ThreadPoolExecutor(
            num_threads, "fakedet-review"
        )
        self._stack = contextlib.ExitStack()
        self._values: dict[str, Any] = {
            "title": f"Review of {text.counted(len(files), 'file')}",
            "about": _about(info, layers_of),
            "detector": detector,
            "threshold_origin": info.origin_with_doubt,
            "unsure_origin": info.unsure_origin,
            "facts": facts,
        }

    def __enter__(self) -> "Review":
        with storage.writing_to(self._folder, FIELD):
            self._write_row = self._stack.enter_context(
                review_page.writing(self._folder / PAGE, **self._values)
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        is_whole = False
        try:
            if kind is None:
                with storage.writing_to(self._folder, FIELD), self._stack:
                    self._write_waiting()
                is_whole = True
            else:
                self._stack.__exit__(kind, *rest)
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            if not is_whole:
                self._remove()

    def see(self, row: Row, odds: float, picture: np.ndarray) -> None:
        """Takes what the network saw of a face of the file that is not finished.

        Args:
            row: The face.
            odds: Its log-odds.
            picture: The network's input, uint8 `[height, width, 3]`.
        """
        best = self._best.get(row.face)
        if math.isfinite(odds) and (best is None or odds > best.log_odds):
            # A copy, so that the batch can be freed.
            self._best[row.face] = _Seen(row, odds, picture.copy())

    def finish(
        self, number: int, result: FileResult, judged: Sequence[tuple[FaceResult, str]]
    ) -> None:
        """Takes the results of a file, after what the network saw of its faces.

        Args:
            number: Of the file.
            result: Its rows.
            judged: Its faces and their decisions, empty without a score.

        Raises:
            RequestError: A picture cannot be written.
        """
        file, best = self._files[number], self._best
        self._best = {}
        entry = _file_entry(file, result, {face.face for face, _ in judged})
        seen: list[tuple[int, int, _Seen]] = []
        frames: set[int] = set()
        leading = _leading(judged)
        numbers = {face: self._num_faces + place for place, face in enumerate(best)}
        self._num_faces += len(best)
        for place, (face, decision) in enumerate(judged):
            shown = leading if face.face is None else face.face
            own = None if face.score is None or shown is None else best.get(shown)
            row = own.row if own else _only_picture(file, result)
            row_entry = _row_entry(face, decision, row, self._info)
            if face.face is None and leading is not None:
                row_entry["leading"] = leading
            if own is not None:
                row_entry["image"] = f"{FACES}/{numbers[own.row.face]:06}.jpg"
                seen.append((numbers[own.row.face], place, own))
            if row is not None and _is_part(row):
                frames.add(row.frame)
                row_entry["picture"] = _copy_name(number, row.frame)
            entry["faces"].append(row_entry)
        task = self._pool.submit(self._copy, number, sorted(frames))
        self._waiting.append(_Waiting(entry, seen, task))
        num_seen = sum(len(one.seen) for one in self._waiting)
        if max(num_seen, len(self._waiting)) >= _MAX_WAITING:
            with storage.writing_to(self._folder, FIELD):
                self._write_waiting()

    def _copy(self, number: int, frames: list[int]) -> list[int]:
        """Writes smaller copies of a photograph or of frames of a video."""
        targets = {frame: self._folder / _copy_name(number, frame) for frame in frames}
        return copies.write_small(self._files[number], targets, self._how)

    def _write_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        faces = {one: seen.picture for file in waiting for one, _, seen in file.seen}
        tasks = [
            self._pool.submit(self._save, FACES, f"{one:06}.jpg", picture)
            for one, picture in faces.items()
        ]
        drawn = self._start_maps(faces)
        for file in waiting:
            written = file.copies.result()
            for row in file.entry["faces"]:
                # Between two readings a file may have gone.
                if "picture" in row and row.get("frame", -1) not in written:
                    del row["picture"]
            for one, place, _ in file.seen:
                if one in drawn:
                    file.entry["faces"][place] |= drawn[one].result()
            self._write_row(file.entry)
        for task in tasks:
            task.result()

    def _save(self, kind: str, name: str, picture: np.ndarray) -> str:
        # What is lossless has no quality.
        Image.fromarray(picture).save(self._folder / kind / name, quality=_QUALITY)
        return f"{kind}/{name}"

    def _start_maps(
        self, faces: Mapping[int, np.ndarray]
    ) -> dict[int, "concurrent.futures.Future[dict[str, Any]]"]:
        """Computes the maps of faces, and starts to draw them."""
        if self._maps_fn is None or not faces:
            return {}
        found = self._maps_fn(np.stack([*faces.values()]))
        return {
            one: self._pool.submit(self._draw, one, picture, found, place)
            for place, (one, picture) in enumerate(faces.items())
        }

    def _draw(
        self, number: int, picture: np.ndarray, found: Maps, place: int
    ) -> dict[str, Any]:
        """Writes the maps of a face, and returns what the page says of them."""
        drawn = [
            {
                "image": self._save(MAPS, f"{number:06}_{one.name}.png", one.image),
                "title": one.title,
                "caption": one.caption,
            }
            for one in maps.draw(picture, found, place)
        ]
        layers = [(name, _short(far)) for name, far in maps.layers_of(found, place)]
        return {"maps": drawn, **({"layers": layers} if layers else {})}

    def _remove(self) -> None:
        """Removes what was written, after a failure."""
        for kind in (FACES, PICTURES, MAPS):
            shutil.rmtree(self._folder / kind, ignore_errors=True)
        if self._is_new:
            with contextlib.suppress(OSError):
                self._folder.rmdir()


def _leading(judged: Sequence[tuple[FaceResult, str]]) -> int | None:
    """The number of the face with the highest score, which is that of all faces."""
    scored = [
        (face.score, face.face)
        for face, _ in judged
        if face.face is not None and face.score is not None
    ]
    return max(scored, key=lambda one: one[0])[1] if scored else None


def _about(info: DetectorInfo, layers_of: str) -> dict[str, Any]:
    """What the script knows of all rows."""
    return {
        "threshold": info.threshold,
        "unsure_between": info.unsure_between,
        "changes": list(stability.CHANGES),
        "maps_note": maps.NOTE,
        "layers_note": maps.layers_note(layers_of),
    }


def _file_entry(
    file: FaceFile, result: FileResult, with_row: Collection[int | None]
) -> dict[str, Any]:
    """What the page says of a file as a whole; its faces are added later.

    Args:
        file: The file.
        result: Its rows.
        with_row: Numbers of the faces that have a row.
    """
    is_scored = any(odds for _, odds in result.rows)
    entry: dict[str, Any] = {
        "path": wording.printable(str(file.path)),
        "name": wording.printable(file.path.name),
        "note": wording.printable(result.note),
        "origin": wording.printable(result.provenance),
        "problems": [*map(wording.printable, result.problems)] if is_scored else [],
    }
    if file.kind == "video":
        entry |= {"is_video": True, **_tracks(result, with_row)}
    return {name: value for name, value in entry.items() if value} | {"faces": []}


def _tracks(result: FileResult, with_row: Collection[int | None]) -> dict[str, Any]:
    """The scores of each face of a video over time."""
    scored = [
        (row, odds[0]) for row, odds in result.rows if odds and row.face in with_row
    ]
    if not scored:
        return {}
    has_times = all(math.isfinite(row.time) for row, _ in scored)
    tracks: dict[int, list[tuple[float, float]]] = {}
    scores = log_odds.scores([odds for _, odds in scored]).tolist()
    for (row, _), score in zip(scored, scores, strict=True):
        place = row.time if has_times else float(row.frame)
        tracks.setdefault(row.face, []).append((round(place, 3), _short(score)))
    return {
        "has_times": has_times,
        "tracks": [
            {"face": face, "points": thin(sorted(points))}
            for face, points in sorted(tracks.items())
        ],
    }


def thin(
    points: Sequence[tuple[float, float]], most: int = _MAX_POINTS
) -> list[tuple[float, float]]:
    """Leaves out points of a curve, but none of its peaks.

    Args:
        points: Places and values, by place.
        most: How many stay at most.

    Returns:
        All, or the least and the greatest of each of as many parts as fit, in order.

    >>> thin([(0, 0.1), (1, 0.9), (2, 0.5), (3, 0.4)], 2)
    [(0, 0.1), (1, 0.9)]
    """
    if len(points) <= most:
        return list(points)
    kept: list[tuple[float, float]] = []
    bounds = np.linspace(0, len(points), most // 2 + 1).astype(int).tolist()
    for start, end in itertools.pairwise(bounds):
        part = points[start:end]
        ends = {min(part, key=lambda one: one[1]), max(part, key=lambda one: one[1])}
        kept += sorted(ends)
    return kept


def _row_entry(
    face: FaceResult, decision: str, row: Row | None, info: DetectorInfo
) -> dict[str, Any]:
    """What the page says of a face; what is not known is left out."""
    entry: dict[str, Any] = {"face": "all" if face.face is None else face.face}
    if face.score is None:
        entry["reason"] = wording.printable(face.reason)
    else:
        entry |= {
            "decision": decision,
            "score": _short(face.score),
            "log_odds": _short(face.log_odds or 0.0),
            "frames": face.frames,
        }
        if face.face_pixels is not None:
            entry["face_pixels"] = face.face_pixels
        if remark := face.remark(info.point):
            entry["note"] = remark
        if face.changed:
            entry["range"] = [_short(min(face.scores)), _short(max(face.scores))]
            entry["changed"] = [*map(_short, face.changed)]
    if row is None:
        return entry
    if row.width and row.height:
        entry["size"] = [row.width, row.height]
    if row.frame >= 0:
        entry["frame"] = row.frame
        if math.isfinite(row.time):
            entry["time"] = round(row.time, 3)
    if _is_part(row) and row.box:
        entry["box"] = [round(value, 1) for value in row.box]
        if region := region_seen(row, info.framing):
            entry["seen"] = [round(value, 1) for value in region]
    if math.isfinite(row.score):
        entry["confidence"] = _short(row.score)
    return entry


def _only_picture(file: FaceFile, result: FileResult) -> Row | None:
    """The row of a photograph that was read, but has no face."""
    if file.kind != "photo":
        return None
    return next((row for row, _ in result.rows if row.width), None)


def _is_part(row: Row) -> bool:
    """Whether there is more of the picture than the face."""
    whole = (0.0, 0.0, float(row.width), float(row.height))
    return row.width > 0 and tuple(row.box) != whole


def _copy_name(number: int, frame: int) -> str:
    ending = f"_{frame:06}" if frame >= 0 else ""
    return f"{PICTURES}/{number:06}{ending}.jpg"


def _short(value: float) -> float:
    """Rounds to six digits, which are enough to read and to sort."""
    return float(f"{value:.6g}")
