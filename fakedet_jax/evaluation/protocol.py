# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Metrics of frames, videos and manipulations, as published protocols define them.

The score of a video is the mean of the scores of its frames, and video-level AUC is the
AUC of these means. Pure functions of arrays.

References:
    A. Rössler et al., FaceForensics++, ICCV 2019: accuracy for each manipulation.
    Y. Li et al., Celeb-DF, CVPR 2020: AUC of frames.
"""

import collections
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.evaluation import bootstrap, log_odds, metrics

# Shares of real pictures called fake, at which evaluations tell the fakes found.
FALSE_ALARM_RATES = (0.001, 0.01, 0.05, 0.1)

# Metrics of a group of pictures, in the order of tables.
GROUP_METRICS = (
    *("accuracy", "auc", "average_precision", "equal_error_rate", "fpr", "fnr"),
)

# The units that a resample draws.
VIDEO, PICTURE = "video", "picture"


class VideoScores(NamedTuple):
    """One score for each face in a video; most videos have one face.

    Attributes:
        names: `v` names: path of the video, and number of the face if it has several.
        files: Int64 `[v]`, number of the file, see `file_numbers`.
        first: Int64 `[v]`, index of the first frame among all examples.
        fake: Bool `[v]`, whether the face is fake.
        scores: Float64 `[v]`, in [0, 1], means over the frames.
        evidence: Float64 `[v]`, ranks the videos: the log-odds of these means, or the
            means themselves where only scores are known.
        num_frames: Int64 `[v]`, number of frames.
    """

    names: list[str]
    files: NDArray[np.int64]
    first: NDArray[np.int64]
    fake: NDArray[np.bool_]
    scores: NDArray[np.float64]
    evidence: NDArray[np.float64]
    num_frames: NDArray[np.int64]


def file_numbers(facts: Facts) -> NDArray[np.int64]:
    """Numbers the files that examples come from, as groups for resampling.

    All examples of a video have one number, also where its frames are files of their
    own, and every photograph has its own. A video in several qualities is several
    files, and so are the videos that were made of one recording.

    Args:
        facts: Facts about `n` examples.

    Returns:
        Int64 `[n]`, numbers from 0 in the order in which files appear.
    """
    numbers: dict[tuple[str, ...], int] = {}
    keys = map(_file_of, *_columns_of_files(facts))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _columns_of_files(facts: Facts) -> tuple[Sequence[Any], ...]:
    columns = (facts.paths, facts.videos, facts.frames.tolist(), facts.labels.tolist())
    return (*columns, facts.manipulations, facts.qualities)


def _file_of(
    path: str, video: str, frame: int, label: int, manipulation: str, quality: str
) -> tuple[str, ...]:
    """Identifies the video that an example is from, or the photograph that it is."""
    if video and frame < 0:  # A file that is a frame of a video.
        return ("video", video, str(label), manipulation, quality)
    return ("file", path, quality)


def video_scores(
    fake: ArrayLike,
    scores: ArrayLike,
    facts: Facts,
    frame_log_odds: ArrayLike | None = None,
) -> VideoScores:
    """Averages the scores of the frames of each face in each video.

    Faces that were told apart in a video have a score each, as one may be fake and
    another real. Photographs have no such score.

    Args:
        fake: Bool `[n]`, whether each example is fake.
        scores: Float `[n]`, in [0, 1].
        facts: Facts about the `n` examples.
        frame_log_odds: Float `[n]`, finite, whose sigmoids are the scores, if they are
            known.

    Returns:
        The scores of the videos, in the order in which they appear.

    Raises:
        ValueError: A face has real and fake frames.
    """
    is_fake = np.asarray(fake, np.bool_)
    files = file_numbers(facts)
    frames = np.flatnonzero([bool(video) for video in facts.videos])
    keys = np.stack([files[frames], np.asarray(facts.faces, np.int64)[frames]], axis=1)
    tracks, first, track, num_frames = np.unique(
        keys, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    track = track.reshape(-1)  # Its shape depends on the version of NumPy.
    num_fake = np.bincount(track, is_fake[frames], len(tracks))
    mixed = np.flatnonzero((num_fake > 0) & (num_fake < num_frames))
    first = frames[first]
    num_faces = collections.Counter(tracks[:, 0].tolist())
    names = [
        _name_of(facts, place) + (f" face {face}" if num_faces[file] > 1 else "")
        for place, (file, face) in zip(first.tolist(), tracks.tolist(), strict=True)
    ]
    if mixed.size:
        raise ValueError(f"{names[mixed[0]]!r} has real and fake frames")
    if frame_log_odds is None:
        sums = np.bincount(track, np.asarray(scores, np.float64)[frames], len(tracks))
        # Rounding must not leave the range of the scores.
        means = evidence = np.clip(sums / num_frames, 0, 1)
    else:
        own = np.asarray(frame_log_odds, np.float64)[frames]
        means, evidence = log_odds.means(own, track, len(tracks))
    return VideoScores(
        names,
        files=tracks[:, 0],
        first=first,
        fake=num_fake > 0,
        scores=means,
        evidence=evidence,
        num_frames=num_frames.astype(np.int64),
    )


def _name_of(facts: Facts, place: int) -> str:
    """The name of the video that an example is from."""
    return facts.paths[place] if facts.frames[place] >= 0 else facts.videos[place]


def group_rows(
    fake: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    values: Sequence[str],
    *,
    facts: Facts | None = None,
    num_resamples: int = 0,
    seed: int = 0,
    evidence: ArrayLike | None = None,
) -> list[dict[str, Any]]:
    """Measures the pictures of each group by themselves.

    Args:
        fake: Bool `[n]`, whether each picture is fake.
        scores: Float `[n]`, finite.
        threshold: Scores at or above it are decided fake; finite.
        values: `n` values, which make the groups.
        facts: See `summarize`.
        num_resamples: See `summarize`.
        seed: See `summarize`.
        evidence: See `metrics.summarize`.

    Returns:
        A row for each value, sorted: `name`, `num_real`, `num_fake`, `accuracy`, `auc`,
        `average_precision`, `equal_error_rate`, `fpr` and `fnr`, each with its
        `_interval`. What a group does not define, and intervals without resamples, are
        None.

    Raises:
        ValueError: See `metrics.summarize`.
    """
    is_fake = np.asarray(fake, np.bool_)
    shown = np.asarray(scores, np.float64)
    ranks = shown if evidence is None else np.asarray(evidence, np.float64)
    groups = np.array(values, object)
    rows = []
    for name in sorted(set(values)):
        own = np.flatnonzero(groups == name)
        chosen = is_fake[own], shown[own], threshold
        found = metrics.summarize(*chosen, evidence=ranks[own])
        found |= summarize(
            *chosen,
            facts=None if facts is None else facts.at(own),
            num_resamples=num_resamples,
            seed=seed,
            evidence=ranks[own],
        )
        num_fake = int(np.sum(is_fake[own]))
        row: dict[str, Any] = {"name": name, "num_real": len(own) - num_fake}
        row["num_fake"] = num_fake
        for metric in GROUP_METRICS:
            row[metric] = found[metric]
            row[f"{metric}_interval"] = found.get(f"{metric}_interval")
        rows.append(row)
    return rows


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    return float(part.sum() / whole.sum()) if whole.any() else None


def error_shares(
    fake: NDArray[np.bool_], scores: ArrayLike, threshold: float
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """What the rates of both errors count, and of what they are shares.

    Args:
        fake: Bool `[n]`, whether each picture is fake.
        scores: Float `[n]`.
        threshold: Scores at or above it are decided fake.

    Returns:
        Of `fpr` and `fnr` two arrays, bool `[n]`; see `bootstrap.intervals`.
    """
    called_fake = metrics.decide(scores, threshold)
    return {"fpr": (called_fake & ~fake, ~fake), "fnr": (~called_fake & fake, fake)}


def wilson_intervals(
    shares: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]],
) -> dict[str, bootstrap.Interval | None]:
    """The 95 % intervals of shares of pictures that are independent of each other.

    Unlike those of a bootstrap they are not empty where no picture counts, or all do.

    Args:
        shares: By name two arrays, bool `[n]`, such as those of `error_shares`.

    Returns:
        By name the two ends, within [0, 1]; None for a share of nothing.

    >>> fake, scores = np.array([False, False, True]), np.array([0.2, 0.7, 0.9])
    >>> found = wilson_intervals(error_shares(fake, scores, threshold=0.5))
    >>> [round(end, 3) for end in found["fpr"]]
    [0.095, 0.905]
    """
    return {
        name: metrics.wilson_interval(int(part.sum()), int(whole.sum()))
        for name, (part, whole) in shares.items()
    }


def _undecided(
    fake: NDArray[np.bool_], decisions: NDArray[Any]
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The pictures that shares count, and those of which they are shares."""
    called_real, called_fake = (decisions == name for name in metrics.BINARY_CLASSES)
    is_sure = called_real | called_fake
    right = called_fake == fake
    return {
        "unsure_share": (~is_sure, np.ones_like(is_sure)),
        "decided_accuracy": (is_sure & right, is_sure),
        "decided_fpr": (is_sure & ~right & ~fake, is_sure & ~fake),
        "decided_fnr": (is_sure & ~right & fake, is_sure & fake),
    }


def manipulation_rows(
    fake: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    manipulations: Sequence[str],
    videos: VideoScores | None = None,
    evidence: ArrayLike | None = None,
) -> list[dict[str, Any]]:
    """Measures the fakes of each manipulation against all real pictures.

    Args:
        fake: Bool `[n]`, whether each picture is fake.
        scores: Float `[n]`, finite.
        threshold: Scores at or above it are decided fake; finite.
        manipulations: `n` names: how each fake was made; those of real pictures are
            ignored.
        videos: Scores of the videos of these pictures, if there are any.
        evidence: See `metrics.summarize`.

    Returns:
        A row for each manipulation, sorted by `name`: `num_fake`, `num_examples` (with
        the real ones), `auc`, `average_precision`, `accuracy`, `recall` and, with
        videos, `num_fake_videos`, `num_videos` and `video_auc`. Undefined numbers are
        None.

    Raises:
        ValueError: See `metrics.summarize`.
    """
    is_fake = np.asarray(fake, np.bool_)
    values = np.asarray(scores, np.float64)
    ranks = values if evidence is None else np.asarray(evidence, np.float64)
    names = np.array(manipulations, object)
    rows = []
    for name in sorted(set(names[is_fake])):
        chosen = ~is_fake | (names == name)
        found = metrics.summarize(
            is_fake[chosen], values[chosen], threshold, evidence=ranks[chosen]
        )
        row: dict[str, Any] = {
            "name": name,
            "num_fake": int(np.sum(is_fake & chosen)),
            "num_examples": found["num_examples"],
        }
        for key in ("auc", "average_precision", "accuracy", "recall"):
            row[key] = found[key]
        if videos is not None:
            own = ~videos.fake | (names[videos.first] == name)
            row["num_fake_videos"] = int(np.sum(videos.fake & own))
            row["num_videos"] = int(own.sum())
            row["video_auc"] = metrics.auc(videos.fake[own], videos.evidence[own])
        rows.append(row)
    return rows


def summarize(
    fake: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    facts: Facts | None = None,
    videos: VideoScores | None = None,
    manipulations: Sequence[str] | None = None,
    num_resamples: int = 0,
    seed: int = 0,
    evidence: ArrayLike | None = None,
    decisions: Sequence[str] | None = None,
    flips: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, Any]:
    """Computes the metrics that `metrics.summarize` leaves out, ready for JSON.

    Args:
        fake: Bool `[n]`, whether each picture is fake.
        scores: Float `[n]`, finite.
        threshold: Scores at or above it are decided fake; finite.
        facts: Facts about the `n` pictures, which group them for resampling; None to
            draw single pictures.
        videos: Result of `video_scores`; None where no picture is from a video.
        manipulations: `n` names: how each fake was made, or its class.
        num_resamples: Number of bootstrap resamples for the intervals; 0 for no
            intervals.
        seed: Seed of the resamples.
        evidence: See `metrics.summarize`.
        decisions: `n` decisions, `real`, `fake` or `unsure`; None where all pictures
            are decided by the threshold.
        flips: Bool `[n]`, whether a mild change gives each picture another decision, by
            what was done.

    Returns:
        With `decisions`: `unsure_share`, and of the others `decided_accuracy`,
        `decided_fpr` and `decided_fnr`, with intervals like those below. With
        `flips`: `flip_share` (of pictures with any), and `flips`, the share for each
        change. With videos:
        `video_auc`, `video_accuracy`, `num_videos` (the number of scores) and
        `num_real_videos`. With more than one manipulation: `manipulations`, see
        `manipulation_rows`. With resamples: `accuracy_interval`, `auc_interval`,
        `average_precision_interval`, `equal_error_rate_interval`,
        `calibration_error_interval`, `fpr_interval`, `fnr_interval` (of photographs
        Wilson's) and, with videos, `video_auc_interval`, each
        `[low, high]` or None where undefined, and `interval_level`, `interval_unit`
        (`video` or `picture`, whichever was drawn) and `num_resamples`. With real and
        fake pictures: `found_at_false_alarms`, a row for each of `FALSE_ALARM_RATES`
        with `false_alarms` (the rate), `num_allowed` (of the real pictures), `found`
        and, with resamples, `interval`.

    Raises:
        ValueError: See `metrics.summarize`.
    """
    result: dict[str, Any] = {}
    ranks = scores if evidence is None else evidence
    found_rows: list[dict[str, Any]] = [
        {"false_alarms": rate, "num_allowed": allowed, "found": found}
        for rate, allowed, found in metrics.found_at(fake, ranks, FALSE_ALARM_RATES)
    ]
    if videos is not None:
        right = metrics.decide(videos.scores, threshold) == videos.fake
        result["video_auc"] = metrics.auc(videos.fake, videos.evidence)
        result["video_accuracy"] = float(right.mean())
        result["num_videos"] = len(videos.names)
        result["num_real_videos"] = int(np.sum(~videos.fake))
    shares: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
    everything = np.ones(np.asarray(fake).size, np.bool_)
    if decisions is not None:
        shares = _undecided(np.asarray(fake, np.bool_), np.array(decisions))
    if flips:
        shares["flip_share"] = np.any(list(flips.values()), axis=0), everything
        result["flips"] = {name: float(own.mean()) for name, own in flips.items()}
    if shares:
        for name, (part, whole) in shares.items():
            result[name] = _share(part, whole)
    shares |= error_shares(np.asarray(fake, np.bool_), scores, threshold)
    if num_resamples:
        groups = np.arange(len(np.asarray(scores)))
        ends_of = bootstrap.intervals(
            fake,
            scores,
            threshold,
            groups if facts is None else file_numbers(facts),
            num_resamples=num_resamples,
            seed=seed,
            videos=None
            if videos is None
            else (videos.fake, videos.evidence, videos.files),
            rates=FALSE_ALARM_RATES,
            evidence=ranks,
            shares=shares,
        )
        for row, rate in zip(found_rows, FALSE_ALARM_RATES, strict=False):
            ends = ends_of[bootstrap.found_name(rate)]
            row["interval"] = None if ends is None else list(ends)
        for rate in FALSE_ALARM_RATES:
            del ends_of[bootstrap.found_name(rate)]
        if videos is None:
            ends_of |= wilson_intervals(shares)
        else:
            for name, (part, whole) in shares.items():
                if _share(part, whole) in (0, 1):
                    # All resamples agree, and nothing tells how alike frames are.
                    ends_of[name] = None
        for name, ends in ends_of.items():
            result[f"{name}_interval"] = None if ends is None else list(ends)
        result["interval_level"] = bootstrap.LEVEL
        result["interval_unit"] = PICTURE if videos is None else VIDEO
        result["num_resamples"] = num_resamples
    if found_rows:
        result["found_at_false_alarms"] = found_rows
    if manipulations is not None:
        rows = manipulation_rows(fake, scores, threshold, manipulations, videos, ranks)
        if len(rows) > 1:
            result["manipulations"] = rows
    return result
