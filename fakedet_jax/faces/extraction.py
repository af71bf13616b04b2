# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Extracts the face crops of a picture or video, with a row for everything skipped."""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from fakedet_jax.config import MediaConfig
from fakedet_jax.data.prepared import examples
from fakedet_jax.data.prepared.examples import Example
from fakedet_jax.errors import ImageError, RequestError
from fakedet_jax.faces import crops, masks, shots, tracking
from fakedet_jax.faces.cropping import Cropping
from fakedet_jax.faces.face import NUM_LANDMARKS, Face, check_picture, largest_first
from fakedet_jax.media import exif, provenance
from fakedet_jax.media.decode import (
    check_sides,
    decode_with_header,
    read_file,
    sniff_format,
)
from fakedet_jax.media.video import Frame, read_frames

WRITTEN, LEFT_OUT, NOTED = "written", "left out", "noted"

NO_FACE = "shows no face"
OTHER_FACES = "shows only much smaller faces than the main one of the video"
UNFORGED = "shows nothing forged, by its mask"
OTHERS_FORGED = "shows no face where its mask says that one was forged"
DAMAGED = "is damaged"
NO_TAGS = "has no usable EXIF tag"
GIVEN_EMPTY = "empty in the file of tags"

# Smallest area of a face that replaces the main one, relative to the main one's.
MIN_AREA = 1 / 4

# Of a face that nobody searched for.
_UNKNOWN_LANDMARKS = ((math.nan, math.nan),) * NUM_LANDMARKS

# Up to here the frames of a video are kept in memory; beyond, the file is read twice.
MAX_HELD_BYTES = 256 * 2**20


@dataclasses.dataclass(frozen=True)
class Row:
    """The outcome of a face, a frame or a file.

    Attributes:
        status: `WRITTEN` for a crop, `LEFT_OUT` for what was skipped, or `NOTED` for a
            problem of a file that was used nevertheless.
        reason: Why it was skipped, or the problem.
        frame: Number of the frame, from 0; -1 for pictures and whole files.
        time: Time of the frame in seconds; NaN if there is none.
        face: Number of the face in the picture or of its track in the video, from 0;
            -1 if there is none.
        score: Confidence of the face detector, in [0, 1]; NaN if it gives none.
        box: Left, top, right, bottom of the face in pixels of the upright picture;
            empty if there is none.
        crop_box: The region that the crop shows, likewise; of an aligned crop the
            smallest box around it.
        crop_side: Shorter side of that region, as it is turned, in the same pixels; 0
            if there is no crop.
        landmarks: Five points (x, y) in pixels of the crop; empty if there is no crop.
        width: Width of the upright picture in pixels; 0 if unknown.
        height: Height of the upright picture in pixels; 0 if unknown.
        tags: Camera settings in the order of `exif.TAGS`, NaN for missing ones; empty
            for videos and for files that are no pictures.
        note: How the picture differs from those of the training, and what was done
            about it; empty where there is nothing to say.
        provenance: What the file says of its origin, see `provenance.describe`; empty
            where that was not asked for, and for videos.
    """

    status: str
    reason: str = ""
    frame: int = -1
    time: float = math.nan
    face: int = -1
    score: float = math.nan
    box: tuple[float, ...] = ()
    crop_box: tuple[float, ...] = ()
    landmarks: tuple[tuple[float, ...], ...] = ()
    width: int = 0
    height: int = 0
    tags: tuple[float, ...] = ()
    note: str = ""
    provenance: str = ""
    crop_side: float = 0.0


# A row, and the crop of a written one: uint8 [height, width, 3].
Outcome = tuple[Row, np.ndarray | None]

# A frame and its faces, or the reason why it cannot be searched.
Searched = tuple[Frame, list[Face] | str]
# A function such as `map`: it keeps the order and works ahead only within memory.
MapFn = Callable[[Callable[[Frame], Searched], Iterable[Frame]], Iterator[Searched]]


def extract(
    path: Path,
    name: str,
    kind: str,
    cropping: Cropping,
    map_fn: MapFn = map,
    *,
    tags: Sequence[float] | None = None,
    needs_tags: bool = False,
    mask: Path | None = None,
    has_provenance: bool = False,
) -> Iterator[Outcome]:
    """Extracts the faces of a file.

    Args:
        path: The file.
        name: Path of the file, relative to the data folder, for the face detector.
        kind: `photo` for a picture, or `video`.
        cropping: How faces are found and cut out.
        map_fn: Applies the search to the frames of a video, possibly in parallel.
        tags: Camera settings that replace those in the file of a picture, in the order
            of `exif.TAGS`, NaN for missing ones; `None` reads the file, and an empty
            sequence leaves them out.
        needs_tags: Whether a picture without any camera setting is skipped.
        mask: Video of masks of a manipulated video. Only faces that were forged are cut
            out, or of them the main one, and frames without any are skipped; see
            `masks`.
        has_provenance: Whether the rows of a picture tell what its file says of its
            origin.

    Yields:
        At least one outcome; for a video at least one per selected frame.

    Raises:
        RequestError: An optional package is not installed, or rejects a setting.
    """
    try:
        if kind == "photo":
            encoded = read_file(path)
            outcomes = _from_photo(encoded, name, cropping, tags, needs_tags)
            origin = provenance.describe(encoded) if has_provenance else ""
            for row, pixels in outcomes:
                yield dataclasses.replace(row, provenance=origin), pixels
        else:
            yield from _from_video(path, name, cropping, map_fn, mask)
    except ImageError as error:
        yield Row(LEFT_OUT, str(error)), None


def extract_example(example: Example, media: MediaConfig) -> Iterator[Outcome]:
    """Extracts a crop of a prepared dataset, whose face was cut out before.

    Args:
        example: The crop.
        media: How its content becomes pixels.

    Yields:
        The whole picture, or why it cannot be used.

    Raises:
        RequestError: The dataset is missing or damaged.
    """
    try:
        picture, _ = decode_with_header(examples.read(example), media)
    except ImageError as error:
        yield Row(LEFT_OUT, str(error)), None
        return
    yield _whole(picture, Row(WRITTEN))


class Guarded:
    """Iterates over the outcomes of a file and turns an unexpected error into one.

    The error thus affects this file only.

    Attributes:
        surprise: The unexpected error; empty if there was none.
    """

    def __init__(self, outcomes: Iterator[Outcome]):
        self.surprise = ""
        self._outcomes = outcomes

    def __iter__(self) -> Iterator[Outcome]:
        try:
            yield from self._outcomes
        except RequestError:
            raise
        except Exception as error:
            detail = " ".join(str(error).split())
            self.surprise = f"{type(error).__name__}: {detail}"
            reason = f"caused an unexpected error ({self.surprise})"
            yield Row(LEFT_OUT, reason), None


def _from_photo(
    encoded: bytes,
    name: str,
    cropping: Cropping,
    given: Sequence[float] | None,
    needs_tags: bool,
) -> Iterator[Outcome]:
    sniff_format(encoded)  # What is no picture has no tags to be told about.
    tags = tuple(given or ())
    reasons: Mapping[str, str] = dict.fromkeys(exif.TAGS, GIVEN_EMPTY)
    if given is None:
        read = exif.read_tags(encoded)
        tags, reasons = tuple(exif.to_array(read).tolist()), read.reasons
    if needs_tags and all(map(math.isnan, tags)):
        yield Row(LEFT_OUT, _describe_missing(reasons), tags=tags), None
        return
    try:
        picture, header = decode_with_header(encoded, cropping.media)
        notes = header.notes(cropping.media)
        if header.shrink > 1 and cropping.detector.name == "boxes":
            raise ImageError(f"{notes[-1]}, and its face boxes are of the full size")
    except ImageError as error:
        yield Row(LEFT_OUT, str(error), tags=tags), None
        return
    for note in notes:
        yield Row(NOTED, note, tags=tags), None
    yield from from_picture(picture, name, cropping, tags)


def from_picture(
    picture: np.ndarray,
    name: str | None,
    cropping: Cropping,
    tags: tuple[float, ...] = (),
) -> Iterator[Outcome]:
    """Extracts the faces of a decoded picture.

    Args:
        picture: uint8 `[height, width, 3]`, upright RGB.
        name: Path of its file, relative to the data folder, for the face detector; None
            where it has none.
        cropping: How faces are found and cut out.
        tags: Camera settings of the rows.

    Yields:
        At least one outcome.

    Raises:
        RequestError: OpenCV is not installed or rejects the model.
    """
    cropping, note = cropping.of_size(*picture.shape[:2])
    if cropping.takes_whole:
        yield _whole(picture, Row(WRITTEN, tags=tags, note=note))
        return
    try:
        faces = cropping.detector.detect(picture, name)
    except ImageError as error:
        yield Row(LEFT_OUT, str(error), tags=tags, note=note), None
        return
    if not faces:
        row = _left_out(NO_FACE, picture)
        yield dataclasses.replace(row, tags=tags, note=note), None
    for number, face in enumerate(faces if cropping.all_faces else faces[:1]):
        row = Row(WRITTEN, tags=tags, note=note)
        yield _cut(picture, face, number, row, cropping)


def _describe_missing(reasons: Mapping[str, str]) -> str:
    """Tells why no tag is usable; a reason that applies to all tags is given once.

    >>> _describe_missing(dict.fromkeys(exif.TAGS, "no EXIF data"))
    'has no usable EXIF tag: no EXIF data'
    """
    causes = set(reasons.values())
    # "Absent" is about a single tag; any other common reason is about the file.
    if len(causes) == 1 and exif.ABSENT not in causes:
        return f"{NO_TAGS}: {causes.pop()}"
    listed = "; ".join(f"{exif.TITLES[name]}: {reasons[name]}" for name in exif.TAGS)
    return f"{NO_TAGS} ({listed})"


def _from_video(
    path: Path, name: str, cropping: Cropping, map_fn: MapFn, mask: Path | None
) -> Iterator[Outcome]:
    def search(frame: Frame) -> Searched:
        how, _ = cropping.of_size(*frame.picture.shape[:2])
        try:
            return frame, how.detector.detect(frame.picture, name, frame.number)
        except ImageError as error:
            return frame, str(error)

    found: dict[int, list[Face]] = {}
    rows: list[Row] = []  # Rows of the frames without a face.
    held: dict[int, Frame] | None = {}
    num_bytes = 0
    cuts: set[int] = set()
    before: np.ndarray | None = None
    note = None
    how = cropping
    with read_frames(path, selection=cropping.selection, how=cropping.media) as reading:
        for frame, faces in map_fn(search, reading):
            after = shots.shrink(frame.picture)
            if before is not None and shots.is_cut(before, after):
                cuts.add(frame.number)
            before = after
            if note is None:  # All frames of a video have one size.
                how, note = cropping.of_size(*frame.picture.shape[:2])
            if isinstance(faces, str):
                rows.append(_left_out(faces, frame.picture, frame))
                continue
            found[frame.number] = faces
            if not faces:
                rows.append(_left_out(NO_FACE, frame.picture, frame))
                continue
            num_bytes += frame.picture.nbytes
            if held is not None:
                held[frame.number] = frame
            if num_bytes > MAX_HELD_BYTES:
                held = None
        problem, num_frames = reading.problem, reading.num_frames
        notes = reading.notes
    seen = {*found, *(row.frame for row in rows)}
    for number in cropping.selection.pick(num_frames or 0):
        if number not in seen:
            rows.append(Row(LEFT_OUT, DAMAGED, frame=number))
    forged = masks.Forged() if mask is None else masks.measure(mask, found)
    if forged.note:
        notes = [*notes, forged.note]
    chosen = _choose(found, cuts, how, forged)
    if held is None:
        with read_frames(
            path, selection=cropping.selection, how=cropping.media
        ) as again:
            yield from _noted(_cut_frames(again, found, chosen, how), note)
    else:
        yield from _noted(_cut_frames(held.values(), found, chosen, how), note)
    if not seen and not rows:
        rows.append(Row(LEFT_OUT, problem or "gives no frame"))
    else:
        problems = [problem] if problem is not None else []
        rows += [Row(NOTED, text) for text in (*problems, *notes)]
    yield from _noted(((row, None) for row in rows), note)


def _noted(outcomes: Iterable[Outcome], note: str | None) -> Iterator[Outcome]:
    """Adds what there is to say about the frames of a video to its rows."""
    for row, pixels in outcomes:
        yield dataclasses.replace(row, note=note) if note else row, pixels


# The faces of a frame to cut out, with the numbers of their tracks, or the reason why
# there are none.
_Chosen = list[tuple[int, Face]] | str


def _choose(
    found: dict[int, list[Face]],
    cuts: Collection[int],
    cropping: Cropping,
    forged: masks.Forged,
) -> dict[int, _Chosen]:
    """Chooses the faces to cut out by frame."""
    tracks = tracking.join(found, cuts=cuts)
    # How well each face fits the mask, where there is one.
    fits = {
        (frame, id(face)): overlap
        for frame, overlaps in forged.overlaps.items()
        for face, overlap in zip(found[frame], overlaps, strict=True)
    }
    # Given boxes are taken as they are, even if a face jumps.
    placed = map(tracking.smooth, tracks) if cropping.is_search else tracks
    candidates: dict[int, list[_Candidate]] = {frame: [] for frame in found}
    for track, smooth in zip(tracks, placed, strict=True):
        places = zip(track.frames, track.faces, smooth.faces, strict=True)
        for frame, face, place in places:
            fit = fits.get((frame, id(face)), math.nan)
            candidates[frame].append(_Candidate(track.id, place, fit))
    if not cropping.is_search:
        for frame, faces in candidates.items():
            by_face = {id(candidate.face): candidate for candidate in faces}
            candidates[frame] = [by_face[id(face)] for face in found[frame]]
    main = _main_track(tracks, fits)
    chosen: dict[int, _Chosen] = {}
    for frame, faces in candidates.items():
        if frame in forged.unforged:
            chosen[frame] = UNFORGED
            continue
        kept = [candidate for candidate in faces if candidate.fit != 0]
        if faces and not kept:
            chosen[frame] = OTHERS_FORGED
        elif cropping.all_faces or main is None:
            chosen[frame] = [(candidate.track, candidate.face) for candidate in kept]
        elif not cropping.is_search:
            chosen[frame] = [(0, face.face) for face in _best(kept)[:1]]
        else:
            chosen[frame] = _choose_main(kept, main)
    return chosen


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A face that may be cut out.

    Attributes:
        track: Number of its track.
        face: The face, smoothed over time where it was searched for.
        fit: How well it fits the mask of the frame; NaN where there is none.
    """

    track: int
    face: Face
    fit: float


def _best(candidates: list[_Candidate]) -> list[_Candidate]:
    """Those that fit the mask best come first; without a mask nothing changes."""
    return sorted(
        candidates, key=lambda face: 0.0 if math.isnan(face.fit) else -face.fit
    )


def _main_track(
    tracks: list[tracking.Track], fits: Mapping[tuple[int, int], float]
) -> tracking.Track | None:
    """The track that fits the masks best; without masks that with the largest area."""
    totals = [
        sum(
            fits.get((frame, id(face)), 0)
            for frame, face in zip(track.frames, track.faces, strict=True)
        )
        for track in tracks
    ]
    if any(totals):
        return tracks[int(np.argmax(totals))]
    return tracking.main_track(tracks)


def _choose_main(candidates: list[_Candidate], main: tracking.Track) -> _Chosen:
    """The main face of a frame; without it, the largest face if it is large enough.

    Between distant frames a face may move too far for its track to continue. Much
    smaller faces belong to other people or are false. With a mask, the face that fits
    it best counts, whatever its size.
    """
    for candidate in candidates:
        if candidate.track == main.id:
            return [(0, candidate.face)]
    forged = [candidate for candidate in candidates if candidate.fit > 0]
    if forged:
        return [(0, _best(forged)[0].face)]
    area = float(np.median([face.area for face in main.faces]))
    largest = largest_first(candidate.face for candidate in candidates)[:1]
    kept = [(0, face) for face in largest if face.area >= MIN_AREA * area]
    return kept or OTHER_FACES


def _cut_frames(
    frames: Iterable[Frame],
    found: dict[int, list[Face]],
    chosen: dict[int, _Chosen],
    cropping: Cropping,
) -> Iterator[Outcome]:
    for frame in frames:
        if not found.get(frame.number):
            continue
        faces = chosen[frame.number]
        if isinstance(faces, str):
            yield _left_out(faces, frame.picture, frame), None
            continue
        for number, face in faces:
            row = Row(WRITTEN, frame=frame.number, time=frame.time)
            yield _cut(frame.picture, face, number, row, cropping)


def _cut(
    picture: np.ndarray, face: Face, number: int, row: Row, cropping: Cropping
) -> Outcome:
    """Cuts out one face, or returns the reason in the row."""
    height, width = picture.shape[:2]
    row = dataclasses.replace(
        row,
        face=number,
        score=face.score,
        box=tuple(face.box.tolist()),
        width=width,
        height=height,
    )
    try:
        if cropping.align:
            assert cropping.size is not None  # For the type checker.
            scale = cropping.scale or crops.SCALE
            crop = crops.align(picture, face, cropping.size, scale=scale)
        else:
            crop = crops.cut(picture, face, scale=cropping.scale, size=cropping.size)
        check_sides("has a face whose crop is", *crop.pixels.shape[:2])
    except ImageError as error:
        return dataclasses.replace(row, status=LEFT_OUT, reason=str(error)), None
    # The smallest box in the picture around the region that the crop shows.
    region = crops.map_box(
        crops.invert(crop.transform), (0, 0, *crop.pixels.shape[1::-1])
    )
    side = min(crop.pixels.shape[:2])
    row = dataclasses.replace(
        row,
        crop_box=tuple(region.astype(np.float32).tolist()),
        crop_side=side / math.sqrt(abs(np.linalg.det(crop.transform[:, :2]))),
        landmarks=tuple(map(tuple, crop.face.landmarks.tolist())),
    )
    return row, crop.pixels


def _whole(picture: np.ndarray, row: Row) -> Outcome:
    """Takes a picture as its only crop: the outcome of `_cut` without its arithmetic.

    That arithmetic is a sixth of the time of a small JPEG file.
    """
    try:
        check_picture(picture)
    except ImageError as error:
        return dataclasses.replace(row, status=LEFT_OUT, reason=str(error)), None
    height, width = picture.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    row = dataclasses.replace(
        row,
        face=0,
        box=box,
        crop_box=box,
        crop_side=float(min(height, width)),
        landmarks=_UNKNOWN_LANDMARKS,
        width=width,
        height=height,
    )
    return row, picture


def _left_out(reason: str, picture: np.ndarray, frame: Frame | None = None) -> Row:
    height, width = picture.shape[:2]
    row = Row(LEFT_OUT, reason, width=width, height=height)
    if frame is None:
        return row
    return dataclasses.replace(row, frame=frame.number, time=frame.time)
