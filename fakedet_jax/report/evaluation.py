# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the results of an evaluation: tables, numbers, figures and a page."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fakedet_jax.data.dataset import describe_classes
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.data.prepared.left_out import LeftOut
from fakedet_jax.evaluation import metrics, protocol
from fakedet_jax.evaluation.operating_point import UNSURE, OperatingPoint
from fakedet_jax.report import canvas, curves, figures, html, page
from fakedet_jax.report.text_table import text_table
from fakedet_jax.runtime import storage
from fakedet_jax.runtime.text import joined


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The pictures of an evaluation with their scores, and those without one.

    Attributes:
        names: the path or key of each of the `n` scored pictures.
        labels: int64 `[n]`, indices into `classes`.
        scores: float64 `[n]`, evidence of being fake, in [0, 1].
        log_odds: float64 `[n]`, whose sigmoids are the scores; None if only scores are
            known, as of another program.
        threshold: scores at or above it are decided fake.
        unsure_between: scores from the first to below the second are not decided; None
            to decide all.
        changed: float64 `[n]`, the scores after mild changes, by what was done; a
            picture is not decided where they change the decision.
        classes: the name of every class.
        is_fake: whether each class is fake.
        predicted: int64 `[n]`, the class that a multi-class detector chose; None if the
            decision by the threshold is the prediction.
        skipped: path and reason of every picture that has no score.
        skipped_classes: the class of each of `skipped`, where it is known.
        reading: which classes count as real and which as fake, in words, before they
            were merged; made of `classes` if it is empty.
        left_out: files of the split that gave no picture, with reason and class.
        facts: what else is known of each picture, such as its video; None for pictures
            that were not prepared.
        manipulations: the manipulation of each of the `n` pictures; None if they are
            not to be reported separately.
        groups: the group of each of the `n` pictures; None for no groups.
        notes: how each of the `n` pictures differs from those of the training, empty
            for most; None where that is not known.
    """

    names: Sequence[str]
    labels: NDArray[Any]
    scores: NDArray[Any]
    threshold: float
    classes: Sequence[str] = metrics.BINARY_CLASSES
    is_fake: Sequence[bool] = (False, True)
    predicted: NDArray[Any] | None = None
    skipped: Sequence[tuple[str, str]] = ()
    skipped_classes: Sequence[str] = ()
    reading: str = ""
    left_out: Sequence[LeftOut] = ()
    facts: Facts | None = None
    manipulations: Sequence[str] | None = None
    notes: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    log_odds: NDArray[Any] | None = None
    unsure_between: tuple[float, float] | None = None
    changed: Mapping[str, NDArray[Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Makes arrays of numbers, and checks that all have one for each picture.

        Raises:
            ValueError: The lengths differ.
        """
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        object.__setattr__(self, "scores", np.asarray(self.scores, np.float64))
        if not self.reading:
            reading = describe_classes(self.classes, self.is_fake)
            object.__setattr__(self, "reading", reading)
        if self.log_odds is not None:
            object.__setattr__(self, "log_odds", np.asarray(self.log_odds, np.float64))
        if self.predicted is not None:
            object.__setattr__(self, "predicted", np.asarray(self.predicted, np.int64))
        lengths = {"labels": len(self.labels), "scores": len(self.scores)}
        for name in (
            "log_odds",
            "predicted",
            "facts",
            "manipulations",
            "groups",
            "notes",
        ):
            if getattr(self, name) is not None:
                lengths[name] = len(getattr(self, name))
        for name, length in lengths.items():
            if length != len(self.names):
                raise ValueError(f"{len(self.names)} names but {length} {name}")

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Whether each picture is fake, bool `[n]`."""
        return np.asarray(self.is_fake, np.bool_)[self.labels]

    @property
    def evidence(self) -> NDArray[Any]:
        """What ranks the pictures, float64 `[n]`: log-odds where they are known."""
        return self.scores if self.log_odds is None else self.log_odds

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Whether each picture is decided fake, bool `[n]`."""
        return metrics.decide(self.scores, self.threshold)

    @property
    def decisions(self) -> list[str]:
        """The decision of each picture: `real`, `fake` or `unsure`."""
        found = self._point.decide(self.scores)
        flipped = self.flips.values()
        return [
            UNSURE if any(flips) else decision
            for decision, *flips in zip(found, *flipped, strict=True)
        ]

    @property
    def flips(self) -> dict[str, NDArray[np.bool_]]:
        """Whether each change gives each picture another decision, bool `[n]`."""
        before = np.array(self._point.decide(self.scores))
        return {
            name: np.array(self._point.decide(scores)) != before
            for name, scores in self.changed.items()
        }

    @property
    def full_notes(self) -> list[str]:
        """What there is to say of each picture: its note, and why it is not decided."""
        scores = np.stack([self.scores, *self.changed.values()], axis=1).tolist()
        notes = self.notes or [""] * len(self.names)
        return [
            joined(note, self._point.why_unsure(own, [*self.changed]))
            if decision == UNSURE
            else note
            for note, decision, own in zip(notes, self.decisions, scores, strict=True)
        ]

    @property
    def _point(self) -> OperatingPoint:
        return OperatingPoint(self.threshold, self.unsure_between)

    @functools.cached_property
    def videos(self) -> protocol.VideoScores | None:
        """The scores of whole videos; None if no picture is a frame of one."""
        if self.facts is None or not any(self.facts.videos):
            return None
        return protocol.video_scores(self.fake, self.scores, self.facts, self.log_odds)

    @property
    def file_numbers(self) -> NDArray[np.int64]:
        """Numbers the files that the pictures are from, int64 `[n]`, from 0."""
        if self.facts is None:
            return np.arange(len(self.names))
        return protocol.file_numbers(self.facts)

    @property
    def without_score(self) -> list[tuple[str, int]]:
        """Classes with the number of their pictures and files that have no score."""
        names = [*self.skipped_classes, *(entry.class_name for entry in self.left_out)]
        return sorted(collections.Counter(names).items())

    def summarize(self) -> dict[str, Any]:
        """Computes the metrics of the pictures; see `metrics.summarize`."""
        return metrics.summarize(
            self.labels,
            self.scores,
            self.threshold,
            classes=self.classes,
            is_fake=self.is_fake,
            predicted=self.predicted,
            num_skipped=len(self.skipped),
            evidence=self.evidence,
        )

    def summarize_groups(self, num_resamples: int, seed: int) -> dict[str, Any]:
        """Measures each group; see `protocol.group_rows`.

        Args:
            num_resamples: bootstrap samples of the confidence intervals; 0 for none.
            seed: of the bootstrap samples.

        Returns:
            `groups`, the rows; nothing without groups.
        """
        if self.groups is None:
            return {}
        rows = protocol.group_rows(
            self.fake,
            self.scores,
            self.threshold,
            self.groups,
            facts=self.facts,
            num_resamples=num_resamples,
            seed=seed,
            evidence=self.evidence,
        )
        return {"groups": rows}

    def summarize_protocol(self, num_resamples: int, seed: int) -> dict[str, Any]:
        """Computes intervals and metrics of videos; see `protocol.summarize`.

        Args:
            num_resamples: bootstrap samples of the confidence intervals; 0 for none.
            seed: of the bootstrap samples.
        """
        return protocol.summarize(
            self.fake,
            self.scores,
            self.threshold,
            facts=self.facts,
            videos=self.videos,
            manipulations=self.manipulations,
            num_resamples=num_resamples,
            seed=seed,
            evidence=self.evidence,
            decisions=self.decisions if self.unsure_between or self.changed else None,
            flips=self.flips,
        )


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    *,
    title: str,
    threshold_origin: str = "",
    unsure_origin: str = "",
    calibration: str = "",
    config: Mapping[str, object] | None = None,
    examples: Sequence[page.Example] = (),
    panels: Mapping[str, html.Panel] | None = None,
    facts: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    num_resamples: int = 0,
    seed: int = 0,
    has_page: bool = True,
) -> dict[str, Any]:
    """Writes an evaluation as tables, numbers, figures and a page.

    The files are `scores.csv`, for frames of videos `video_scores.csv`, `skipped.csv`,
    `roc.png`, `precision_recall.png`, `confusion_matrix.png`, `scores.png`,
    `reliability.png`, one PNG file for each of `panels`, `report.html` and, last,
    `metrics.json`: a folder that contains it is complete. Each file is written whole or
    not at all.

    Args:
        folder: the folder; it is created if missing, and files of the same names are
            replaced.
        evaluation: the results.
        title: the heading of the page, such as the detector and the dataset.
        threshold_origin: a sentence that says how the threshold was chosen, if known.
        unsure_origin: a sentence that says which pictures are not decided, if any.
        calibration: a sentence that says how scores were calibrated, if known.
        config: settings to list, name to value.
        examples: pictures to show, as `telling_indices` chooses them.
        panels: further figures of the page, by the names of their files.
        facts: further entries of `metrics.json`, which the page lists.
        warnings: sentences on why the numbers may mislead, without their full stops;
            `warnings` of `metrics.json`, which has none without any.
        num_resamples: bootstrap samples of the confidence intervals; 0 for none.
        seed: of the bootstrap samples.
        has_page: whether the figures and the page are written.

    Returns:
        The content of `metrics.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # An evaluation that is repeated is incomplete until it has finished again.
    (folder / "metrics.json").unlink(missing_ok=True)
    summary = evaluation.summarize()
    summary.update(evaluation.summarize_protocol(num_resamples, seed))
    summary.update(evaluation.summarize_groups(num_resamples, seed))
    # The names of the classes alone do not tell which of them are fake.
    pairs = zip(evaluation.classes, evaluation.is_fake, strict=True)
    summary["fake_classes"] = sorted({name for name, is_fake in pairs if is_fake})
    summary["reading"] = evaluation.reading
    summary["num_left_out"] = len(evaluation.left_out)
    summary["without_score"] = dict(evaluation.without_score)
    summary.update(facts or {})
    if warnings:
        summary["warnings"] = list(warnings)
    header = ("path", "label", "score", "predicted", "decision", "note", "log_odds")
    storage.write_csv(
        folder / "scores.csv",
        (
            *header,
            *(("manipulation",) if evaluation.manipulations else ()),
            *(("least", "most") if evaluation.changed else ()),
        ),
        _score_rows(evaluation),
    )
    _write_video_scores(folder / "video_scores.csv", evaluation)
    storage.write_csv(
        folder / "skipped.csv",
        ("path", "reason", "class"),
        rows_without_score(evaluation),
    )
    # That of an earlier evaluation would tell other numbers.
    (folder / "report.html").unlink(missing_ok=True)
    if has_page:
        _write_page(
            folder,
            evaluation,
            summary,
            title=title,
            threshold_origin=threshold_origin,
            unsure_origin=unsure_origin,
            calibration=calibration,
            panels=panels or {},
            examples=examples,
            facts=facts or {},
            config=config or {},
        )
    storage.write_json(folder / "metrics.json", summary)
    return summary


def _write_page(
    folder: Path,
    evaluation: Evaluation,
    summary: dict[str, Any],
    *,
    panels: Mapping[str, html.Panel],
    **content: Any,
) -> None:
    """Writes the figures, and the page that shows them."""
    drawn = []
    for name, panel in (_draw(evaluation, summary) | dict(panels)).items():
        drawn.append((panel, canvas.render(panel.figure)))
        storage.write_bytes(folder / f"{name}.png", drawn[-1][1])
    text = page.render(evaluation, summary, panels=drawn, **content)
    storage.write_text(folder / "report.html", text)


def evaluation_table(summary: Mapping[str, Any]) -> str:
    """Formats the numbers of an evaluation and their intervals for a terminal.

    Args:
        summary: as `write_evaluation` returns it.

    Returns:
        Lines of text: one for each number, and then for each text; other lists are
        omitted.

    >>> shown = {"auc": 0.5, "auc_interval": [0.4, 0.6], "classes": [], "unit": "frame"}
    >>> print(evaluation_table(shown))
    auc  0.5000  [0.4000, 0.6000]
    unit: frame
    """
    rows, texts = [], []
    for name, value in summary.items():
        if isinstance(value, list | dict) or name.endswith("_interval"):
            continue
        if isinstance(value, str):  # As long as it likes.
            texts.append(f"{name}: {value}")
            continue
        known = "undefined" if value is None else str(value)
        shown = f"{value:.4f}" if isinstance(value, float) else known
        ends = summary.get(f"{name}_interval")
        interval = "" if ends is None else f"[{ends[0]:.4f}, {ends[1]:.4f}]"
        rows.append((name, shown, interval))
    for found in summary.get("found_at_false_alarms", ()):
        ends = found.get("interval")
        interval = "" if ends is None else f"[{ends[0]:.4f}, {ends[1]:.4f}]"
        name = f"fakes found at {found['false_alarms']:.1%} false alarms"
        if found["num_allowed"]:
            rows.append((name, f"{found['found']:.4f}", interval))
        else:
            rows.append((name, "unknown", page.needed_for(found["false_alarms"])))
    return "\n".join([*text_table(rows, left=range(3)), *texts])


def telling_indices(
    evaluation: Evaluation, *, num_mistakes: int = 12, num_correct: int = 6
) -> list[int]:
    """Chooses the pictures worth looking at: confident mistakes and clear successes.

    Confidence is the distance of the score from the threshold, divided by the length
    of [0, 1] on that side of it. Half of the successes are fakes and half are real. Of
    equally confident pictures the first is chosen.

    Args:
        evaluation: the results.
        num_mistakes: the largest number of mistakes.
        num_correct: the largest number of correct decisions.

    Returns:
        Indices into `evaluation.names`: false alarms, misses, fakes found, and real
        pictures that passed, the most confident first in each of these groups.
    """
    fake, decided = evaluation.fake, evaluation.decided
    room = np.where(decided, 1 - evaluation.threshold, evaluation.threshold)
    distance = np.abs(evaluation.scores - evaluation.threshold)
    confidence = distance / np.where(room > 0, room, 1)
    ranked = np.argsort(-confidence, kind="stable")
    alarms = ranked[(~fake & decided)[ranked]][: (num_mistakes + 1) // 2]
    misses = ranked[(fake & ~decided)[ranked]][: num_mistakes // 2]
    found = ranked[(fake & decided)[ranked]][: (num_correct + 1) // 2]
    passed = ranked[(~fake & ~decided)[ranked]][: num_correct // 2]
    return [int(index) for index in np.concatenate([alarms, misses, found, passed])]


def _score_rows(
    evaluation: Evaluation,
) -> Iterator[tuple[str | float, ...]]:
    outcomes: tuple[str, ...]
    if evaluation.predicted is None:
        outcomes = metrics.decision_classes(evaluation.classes, evaluation.is_fake)
        predicted = evaluation.decided.astype(np.int64)
    else:
        outcomes = tuple(evaluation.classes)
        predicted = evaluation.predicted
    # Iterating over lists is several times faster than over arrays.
    rows = zip(
        evaluation.names,
        evaluation.labels.tolist(),
        evaluation.scores.tolist(),
        predicted.tolist(),
        evaluation.decisions,
        evaluation.full_notes,
        _log_odds_cells(evaluation.log_odds, len(evaluation.names)),
        zip(evaluation.manipulations)
        if evaluation.manipulations
        else itertools.repeat((), len(evaluation.names)),
        _ranges(evaluation),
        strict=True,
    )
    for name, label, score, outcome, *more, made, ends in rows:
        yield (
            *(name, evaluation.classes[label], score, outcomes[outcome], *more),
            *made,
            *ends,
        )


def _ranges(evaluation: Evaluation) -> Iterable[list[float]]:
    """The least and the most of the scores of each picture, if it was changed."""
    if not evaluation.changed:
        return itertools.repeat([], len(evaluation.names))
    scores = np.stack([evaluation.scores, *evaluation.changed.values()])
    ends: list[list[float]] = np.stack([scores.min(0), scores.max(0)], axis=1).tolist()
    return ends


def _log_odds_cells(
    log_odds: NDArray[Any] | None, number: int
) -> Iterable[float | str]:
    """The cells of a column that is empty where only scores are known."""
    if log_odds is None:
        return itertools.repeat("", number)
    cells: list[float | str] = log_odds.tolist()
    return cells


def rows_without_score(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Rows of `skipped.csv`: path, reason and class of all that has no score."""
    classes = itertools.chain(evaluation.skipped_classes, itertools.repeat(""))
    for (name, reason), class_name in zip(evaluation.skipped, classes, strict=False):
        yield name, reason, class_name
    yield from evaluation.left_out


def _write_video_scores(path: Path, evaluation: Evaluation) -> None:
    videos = evaluation.videos
    if videos is None:
        path.unlink(missing_ok=True)  # from an earlier evaluation of the same name
        return
    outcomes = metrics.decision_classes(evaluation.classes, evaluation.is_fake)
    decided = metrics.decide(videos.scores, evaluation.threshold)
    rows = zip(
        videos.names,
        evaluation.labels[videos.first].tolist(),
        videos.scores.tolist(),
        decided.tolist(),
        videos.num_frames.tolist(),
        _log_odds_cells(
            None if evaluation.log_odds is None else videos.evidence, len(videos.names)
        ),
        strict=True,
    )
    storage.write_csv(
        path,
        ("path", "label", "score", "predicted", "num_frames", "log_odds"),
        (
            (name, evaluation.classes[label], score, outcomes[is_fake], *others)
            for name, label, score, is_fake, *others in rows
        ),
    )


def _draw(evaluation: Evaluation, summary: Mapping[str, Any]) -> dict[str, html.Panel]:
    fake, threshold = evaluation.fake, evaluation.threshold
    labels, scores = evaluation.labels, evaluation.scores
    classes, is_fake = evaluation.classes, evaluation.is_fake
    matrix = np.asarray(summary["confusion_matrix"], np.int64)
    error = summary["calibration_error"]
    has_intervals = evaluation.videos is None
    return {
        "scores": html.Panel(
            "Distribution of the scores",
            figures.score_histogram(labels, scores, threshold, classes, is_fake),
            "One row per class. The further apart real (blue) and fake (orange) lie, "
            "the better. Bars on the wrong side of the dashed line are mistakes.",
        ),
        "confusion_matrix": html.Panel(
            "Which class was taken for which",
            figures.confusion(matrix, summary["classes"]),
            "Each row is a true class and adds up to 100 %. A perfect detector has "
            "100 % on the diagonal.",
        ),
        "roc": html.Panel(
            "Fakes found against false alarms (ROC)",
            curves.draw(curves.ROC, fake, scores, threshold, evaluation.evidence),
            "Every point of the curve is a threshold. Further left there are fewer "
            "false alarms, but fewer fakes are found.",
        ),
        "precision_recall": html.Panel(
            "Precision against recall",
            curves.draw(
                curves.PRECISION_RECALL, fake, scores, threshold, evaluation.evidence
            ),
            "The share of alarms that are right against the share of fakes that are "
            "found. It depends on the share of fakes in this set (dashed line).",
        ),
        "reliability": html.Panel(
            "Are scores probabilities?",
            curves.reliability(fake, scores, error, has_intervals=has_intervals),
            "Each point is about a tenth of the pictures. Across is the mean of their "
            "scores, upwards the share of fakes among them. On the dashed line both "
            "are the same. "
            + (
                "The vertical lines are 95 % intervals of the share."
                if has_intervals
                else "Frames of a video are alike, so that no intervals are drawn."
            ),
        ),
    }
