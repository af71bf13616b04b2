# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Joins the faces of a video's frames to tracks and smooths their boxes over time.

Face detectors search each frame alone, so boxes jitter by a few pixels, and without
smoothing so would the crops. The smoothing fits a line to the frames before and after.
Boxes of a face that moves steadily therefore do not lag behind, even at gaps and at the
ends of the video.
"""

import bisect
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from fakedet_jax.faces.face import Face, intersection_over_union

MIN_OVERLAP = 0.2
MAX_MISSING = 5
RADIUS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """One face in the frames of a video.

    Attributes:
        id: Number of the track in the video, from 0, in order of appearance.
        frames: Numbers of the frames with the face, increasing; there may be gaps.
        faces: The face in each of `frames`.
    """

    id: int
    frames: tuple[int, ...]
    faces: tuple[Face, ...]

    @property
    def area(self) -> float:
        """Sum of the areas of all boxes; large for a face that is near and stays."""
        return sum(face.area for face in self.faces)


def join(
    detections: Mapping[int, Sequence[Face]],
    *,
    cuts: Collection[int] = (),
    min_overlap: float = MIN_OVERLAP,
    max_missing: int = MAX_MISSING,
) -> list[Track]:
    """Joins the faces in the frames of a video to tracks.

    A track is continued by the face that overlaps best with the box predicted from its
    recent motion; failing that, with its last box. Pairs of a track and a face are
    matched greedily, the best overlap first. Unmatched faces start new tracks.

    Args:
        detections: Faces by the number of their frame, the largest first. Frames that
            were searched without finding a face are included, with no faces. The
            frames need not be consecutive.
        cuts: Numbers of the frames with which a new shot starts; all tracks end there.
        min_overlap: Lowest intersection over union with which a face may continue a
            track.
        max_missing: A track ends if its face is missing in more than this number of
            searched frames in a row.

    Returns:
        The tracks in the order of their ids. Every face is in exactly one.
    """
    tracks: list[_Growing] = []
    starts = sorted(cuts)
    shot, first_of_shot = 0, 0  # Number of the shot, position of its first frame.
    for position, frame in enumerate(sorted(detections)):
        faces = detections[frame]
        # The frame of the cut itself may not have been searched.
        if shot != (shot := bisect.bisect_right(starts, frame)):
            first_of_shot = position
        first = max(first_of_shot, position - 1 - max_missing)
        alive = [track for track in tracks if track.position >= first]
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

    A line is fitted to the values in the frames less than `radius` away, weighted by
    1 − distance / radius. The values are the centre of the box, the logarithms of its
    sides, and the landmarks. Frames further apart do not affect each other, so faces in
    scattered frames stay unchanged; steady crops need faces in adjacent frames.

    Args:
        track: The track.
        radius: Radius in frames of the video, at least 1; 1 changes nothing.

    Returns:
        The track with smoothed boxes and landmarks.

    Raises:
        ValueError: `radius` is less than 1.
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
    """The track with the largest area, the first among equals; `None` without tracks.

    >>> face = Face.at([0, 0, 10, 10])
    >>> main_track([Track(0, (0,), (face,)), Track(1, (0, 1), (face, face))]).id
    1
    """
    return max(tracks, key=lambda track: (track.area, -track.id), default=None)


@dataclasses.dataclass
class _Growing:
    """An unfinished track; `position` counts searched frames up to its last face."""

    position: int
    frames: list[int]
    faces: list[Face]

    def add(self, position: int, frame: int, face: Face) -> None:
        self.position = position
        self.frames.append(frame)
        self.faces.append(face)

    def last_at(self, frame: int) -> np.ndarray:
        """The last box."""
        del frame
        return self.faces[-1].box

    def expected_at(self, frame: int) -> np.ndarray:
        """The last box, moved on by the recent motion of its centre."""
        # Over a few frames, because the jitter of a box is no motion.
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
    """Pairs rows with columns, the largest overlap first, each row and column once."""
    pairs: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    # The sort is stable: among equals, the first row and its first column win.
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
    """Evaluates at each time a weighted line through the values around it.

    Args:
        times: Increasing times, `[n]`.
        values: Values at these times, `[n, k]`.
        radius: Times this far away or further have no weight.

    Returns:
        Fitted values, `[n, k]`.
    """
    fitted = np.empty_like(values)
    starts = np.searchsorted(times, times - radius, side="right")
    ends = np.searchsorted(times, times + radius, side="left")
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        away = times[start:end] - times[index]
        weights = 1 - np.abs(away) / radius
        total, first, second = (weights @ away**power for power in range(3))
        spread = total * second - first**2
        # The line at distance 0; a single time gives no slope.
        line = weights * (second - first * away) / spread if spread > 0 else weights
        fitted[index] = line @ values[start:end]
    return fitted
