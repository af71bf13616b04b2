# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Joins the faces of a video's frames to tracks, and smooths their boxes over time.

A detector looks at each frame alone, so its boxes tremble by a few pixels, and so would
the crops. The smoothing looks at both sides of each frame, and fits a line: a face that
moves evenly is not dragged behind, neither at the ends of the video nor at gaps.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fakedet_jax.faces.face import Face, intersection_over_union

MIN_OVERLAP = 0.2
MAX_MISSING = 5
RADIUS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One face through a video.

    Attributes:
        id: From 0 within the video, in the order in which faces appear.
        frames: Numbers of the frames in which it was found, rising; there may be gaps.
        faces: The face in each of `frames`.
    """

    id: int
    frames: tuple[int, ...]
    faces: tuple[Face, ...]

    @property
    def area(self) -> float:
        """Sum of the areas of its boxes: large for a face that is near and stays."""
        return sum(face.area for face in self.faces)


def join(
    detections: Mapping[int, Sequence[Face]],
    *,
    min_overlap: float = MIN_OVERLAP,
    max_missing: int = MAX_MISSING,
) -> list[Track]:
    """Joins the faces of frames to tracks.

    A track goes on with the face that covers best the place where it is expected by
    its last move; then, where none does, its last place. The pair of a track and a
    face that fit best is taken first, and so on. What is left begins new tracks.

    Args:
        detections: By the number of the frame, the faces found in it, the largest
            first; frames that were looked at in vain are there too, with none. The
            frames need not be successive.
        min_overlap: Intersection over union from which a face may go on a track.
        max_missing: A track ends when its face is not found in more than so many of
            the frames in succession.

    Returns:
        The tracks, by id. Every face is in exactly one.
    """
    tracks: list[_Growing] = []
    for position, frame in enumerate(sorted(detections)):
        faces = detections[frame]
        alive = [
            track for track in tracks if position - track.position - 1 <= max_missing
        ]
        taken: dict[int, _Growing] = {}
        for expect in (_Growing.expected_at, _Growing.last_at):
            waiting = [track for track in alive if track.position < position]
            free = [index for index in range(len(faces)) if index not in taken]
            places = np.array([expect(track, frame) for track in waiting])
            boxes = np.array([faces[index].box for index in free])
            overlaps = intersection_over_union(places, boxes)
            for row, column in _best_pairs(overlaps, min_overlap):
                waiting[row].add(position, frame, faces[free[column]])
                taken[free[column]] = waiting[row]
        for index, face in enumerate(faces):
            if index not in taken:
                tracks.append(_Growing(position, [frame], [face]))
    return [
        Track(number, tuple(track.frames), tuple(track.faces))
        for number, track in enumerate(tracks)
    ]


def smooth(track: Track, radius: int = RADIUS) -> Track:
    """Smooths the boxes and landmarks of a track over time.

    Each value is that of a straight line fitted to the frames less than `radius` away,
    the nearer the heavier: weight 1 − distance / radius. The centre of the box, the
    logarithms of its sides and the landmarks are fitted. Frames further apart do not
    touch each other, so what was found in scattered frames stays as it is; detect in
    neighbouring frames too where their crops shall be steady.

    Args:
        track: The track.
        radius: In frames of the video, at least 1, which changes nothing.

    Returns:
        The same track with other boxes and landmarks.
    """
    if radius < 1:
        raise ValueError(f"expected a radius of at least 1 frame, found {radius}")
    if not track.frames:
        return track
    frames = np.array(track.frames, np.float64)
    boxes = np.array([face.box for face in track.faces], np.float64)
    landmarks = np.array([face.landmarks for face in track.faces], np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    log_sides = np.log(boxes[:, 2:] - boxes[:, :2])
    fitted = _fit_lines(frames, np.concatenate([centres, log_sides], axis=1), radius)
    half_sides = np.exp(fitted[:, 2:]) / 2
    boxes = np.concatenate([fitted[:, :2] - half_sides, fitted[:, :2] + half_sides], 1)
    known = np.isfinite(landmarks).all(axis=(1, 2))
    landmarks[known] = _fit_lines(
        frames[known], landmarks[known].reshape(-1, landmarks[0].size), radius
    ).reshape(-1, *landmarks.shape[1:])
    faces = [
        Face.at(box, points, face.score)
        for box, points, face in zip(boxes, landmarks, track.faces, strict=True)
    ]
    return Track(track.id, track.frames, tuple(faces))


def main_track(tracks: Iterable[Track]) -> Track | None:
    """The track with the largest area, the first of equals; `None` without tracks.

    >>> face = Face.at([0, 0, 10, 10])
    >>> main_track([Track(0, (0,), (face,)), Track(1, (0, 1), (face, face))]).id
    1
    """
    return max(tracks, key=lambda track: (track.area, -track.id), default=None)


@dataclasses.dataclass
class _Growing:
    """A track that is not finished; `position` counts the frames looked at."""

    position: int
    frames: list[int]
    faces: list[Face]

    def add(self, position: int, frame: int, face: Face) -> None:
        self.position = position
        self.frames.append(frame)
        self.faces.append(face)

    def last_at(self, frame: int) -> np.ndarray:
        """The last box, wherever it may be by now."""
        del frame
        return self.faces[-1].box

    def expected_at(self, frame: int) -> np.ndarray:
        """The last box, moved on as its centre moved before."""
        # A few frames back, for the tremble of a box is no move.
        back = max(-len(self.frames), -_LOOK_BACK)
        elapsed = self.frames[-1] - self.frames[back]
        if elapsed == 0:
            return self.faces[-1].box
        move = _centre(self.faces[-1]) - _centre(self.faces[back])
        ahead = (frame - self.frames[-1]) / elapsed
        return self.faces[-1].box + np.tile(move * ahead, 2)


_LOOK_BACK = 4


def _centre(face: Face) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


def _best_pairs(overlaps: np.ndarray, minimum: float) -> list[tuple[int, int]]:
    """Pairs rows with columns, the largest value first, each row and column once."""
    pairs: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    # A stable sort: of equals the first row, and in it the first column.
    for flat in np.argsort(-overlaps, axis=None, kind="stable").tolist():
        row, column = divmod(flat, overlaps.shape[1])
        if overlaps[row, column] < minimum:
            break
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs


def _fit_lines(times: np.ndarray, values: np.ndarray, radius: int) -> np.ndarray:
    """The values at each time of weighted lines through their neighbourhoods.

    Args:
        times: `[n]`, rising.
        values: `[n, k]`.
        radius: Times this far away, and further, have no weight.

    Returns:
        `[n, k]`.
    """
    fitted = np.empty_like(values)
    starts = np.searchsorted(times, times - radius, side="right")
    ends = np.searchsorted(times, times + radius, side="left")
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        away = times[start:end] - times[index]
        weights = 1 - np.abs(away) / radius
        total, first, second = (weights @ away**power for power in range(3))
        spread = total * second - first**2
        # The line at distance 0; one time alone has no slope.
        line = weights * (second - first * away) / spread if spread > 0 else weights
        fitted[index] = line @ values[start:end]
    return fitted
