# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`mode=evaluate`: measures a trained detector on a labelled dataset."""

import collections
import concurrent.futures
import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fakedet_jax import report, systems
from fakedet_jax.config import DataConfig, EvaluateConfig, MeasureConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import ImageError
from fakedet_jax.evaluation import data as evaluation_data
from fakedet_jax.evaluation import stability
from fakedet_jax.evaluation.data import EvaluationData
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored, Scorer
from fakedet_jax.faces import expected, widths
from fakedet_jax.faces.cropping import TAKEN_WHOLE
from fakedet_jax.jobs import compute, origin, threshold
from fakedet_jax.jobs.saturation import Saturation
from fakedet_jax.media.decode import decode, read_size, to_input
from fakedet_jax.perturb import specification
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import parallel
from fakedet_jax.systems.base import Fitted
from fakedet_jax.training import writers
from fakedet_jax.workdir import Workdir, open_workdir

_LOGGER = logging.getLogger(__name__)

_FEW_VIDEOS = 10


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Scores a dataset and writes `WORKDIR/evaluations/NAME`.

    Args:
        config: The settings.

    Returns:
        The content of `metrics.json`.

    Raises:
        RequestError: The settings or the data are not as expected.
    """
    evaluator = Evaluator(config)
    return evaluator.evaluate(evaluation_data.choose(config, evaluator.info))


class Evaluator:
    """A trained detector, loaded and compiled once for any number of datasets.

    Attributes:
        workdir: Of the detector.
    """

    def __init__(self, config: MeasureConfig) -> None:
        """Loads the detector.

        Args:
            config: How to evaluate; of what, only `evaluate` is told.

        Raises:
            RequestError: The settings or the detector are not as expected.
        """
        compute.prepare(config.compute)
        self._config = config
        self._condition = (
            specification.parse(config.perturb) if config.perturb else None
        )
        mesh = parallel.data_mesh()
        self.workdir = open_workdir(config.workdir)
        compute.set_up(config.compute, self.workdir)
        self._detector = systems.load(self.workdir, mesh, config)
        batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
        self._scorer = Scorer(self._detector.log_probability_fn, mesh, batch_size)

    @property
    def info(self) -> DetectorInfo:
        """What the detector says of itself."""
        return self._detector.info

    @functools.cached_property
    def _training(self) -> dict[str, report.Panel]:
        """The course of the training, the same for all datasets."""
        return _training_panel(self._config.workdir, self.info.step)

    def evaluate(self, chosen: EvaluationData) -> dict[str, Any]:
        """Scores a dataset and writes `WORKDIR/evaluations/NAME`.

        Args:
            chosen: The dataset and the name.

        Returns:
            The content of `metrics.json`; nothing but in the first process.

        Raises:
            RequestError: None of the pictures can be read.
        """
        summary, _ = self.measure(chosen)
        return summary

    def measure(
        self, chosen: EvaluationData
    ) -> tuple[dict[str, Any], report.Evaluation | None]:
        """Does the same as `evaluate`, and keeps the scores.

        Args:
            chosen: The dataset and the name.

        Returns:
            The content of `metrics.json` and the evaluation; nothing but in the first
            process.

        Raises:
            RequestError: None of the pictures can be read.
        """
        config, info, dataset = self._config, self.info, chosen.dataset
        treatment = None
        if self._condition is not None:
            same = np.zeros(dataset.num_examples, np.int32)
            treatment = Treatment((self._condition,), config.seed, same)
        scored = self._scorer.score_dataset(
            self._detector.variables,
            dataset,
            info.framing,
            config.input,
            treatment=treatment,
            label="evaluate",
        )
        changed = {}
        for name in stability.CHANGES if config.stability else ():
            changed[name] = self._scorer.score_dataset(
                self._detector.variables,
                dataset,
                info.framing,
                config.input,
                treatment=treatment,
                change=functools.partial(
                    stability.change, name=name, framing=self.info.framing
                ),
                label=name,
            )
        complete = None
        if self._detector.diagnose is not None:
            complete = self._detector.diagnose(
                self._scorer, dataset, config.input, treatment
            )
        if jax.process_index() > 0:
            return {}, None
        evaluation = evaluation_data.to_evaluation(
            info,
            dataset,
            scored,
            treatment=treatment,
            manipulations=chosen.manipulations,
            left_out=chosen.left_out,
            notes=_notes(self.workdir, dataset, config.input.num_threads),
            changed=changed,
            grouped=chosen.groups,
        )
        facts: dict[str, Any] = {}
        if chosen.data.data_dir is not None:
            facts[evaluation_data.DATA_DIR] = str(chosen.data.data_dir.resolve())
        _LOGGER.info("classes: %s", dataset.reading)
        if info.threshold_pictures is not None:
            facts["threshold_pictures"] = list(info.threshold_pictures)
        if info.max_false_alarms is not None:
            facts["max_false_alarms"] = info.max_false_alarms
            facts["threshold_real_pictures"] = info.num_real
        if chosen.groups is not None:
            facts["group_by"] = chosen.group_by
        facts["calibration"] = info.calibration.kind
        if info.unsure_between is not None:
            facts["unsure_between"] = list(info.unsure_between)
            facts["unsure_rates"] = list(info.unsure_rates or ())
        panels = self._training if config.report else {}
        if complete is not None:
            diagnosis = complete(evaluation)
            facts |= diagnosis.facts
            panels = {**diagnosis.panels, **panels}
        if config.perturb:
            facts |= {"perturb": config.perturb, "seed": config.seed}
        folder = config.workdir / "evaluations" / chosen.name
        summary = report.write_evaluation(
            folder,
            evaluation,
            title=chosen.title,
            facts=facts,
            warnings=_compare_widths(self.workdir, dataset, config.input.num_threads),
            threshold_origin=info.origin_with_doubt,
            unsure_origin=info.unsure_origin,
            calibration=info.calibration.reason,
            config=_describe(
                config, chosen.data, dataset.reading, self.workdir, self._detector
            ),
            examples=_examples(info, dataset, scored, evaluation)
            if config.report
            else (),
            panels=panels,
            num_resamples=config.num_resamples,
            seed=config.seed,
            has_page=config.report,
        )
        _warn_of_files_without_score(evaluation)
        _warn_of_few_videos(summary)
        threshold.tell(info)
        saturation = Saturation()
        saturation.add(evaluation.scores)
        saturation.tell()
        page = f"; open {folder / 'report.html'} to read it" if config.report else ""
        _LOGGER.info("wrote %s%s", folder / "metrics.json", page)
        return summary, evaluation


def _warn_of_files_without_score(evaluation: report.Evaluation) -> None:
    """The numbers are of the files that are easy enough to give a face."""
    if evaluation.without_score:
        counts = ", ".join(f"{n:,} {name}" for name, n in evaluation.without_score)
        _LOGGER.warning(
            "files of this split gave no score: %s; skipped.csv names them", counts
        )


def _notes(workdir: Workdir, dataset: Dataset, num_threads: int) -> list[str] | None:
    """How pictures differ from those of the training, with a warning if some do.

    Args:
        workdir: Of the detector.
        dataset: The pictures.
        num_threads: Threads that read.

    Returns:
        For each picture, empty where it is framed alike or cannot be read; None for a
        dataset that was prepared, whose faces were cut out.
    """
    if dataset.facts is not None:
        return None
    known = expected.from_record(workdir.pictures)

    def look(index: int) -> str:
        try:
            size = read_size(dataset.source[index].encoded)
        except ImageError:
            return ""
        return known.difference(*size)

    with concurrent.futures.ThreadPoolExecutor(num_threads, "fakedet-sizes") as pool:
        differences = list(pool.map(look, range(dataset.num_examples)))
    notes = [f"{found}: {TAKEN_WHOLE}" if found else "" for found in differences]
    counts = collections.Counter(filter(None, notes))
    if counts:
        note, _ = counts.most_common(1)[0]
        _LOGGER.warning(
            "%d of %d pictures are not framed like those of the training, such as one "
            "that %s; cut faces out with `mode=prepare` and evaluate on those",
            counts.total(),
            len(notes),
            note,
        )
    return notes


def _compare_widths(
    workdir: Workdir, dataset: Dataset, num_threads: int
) -> Sequence[str]:
    """Warns of faces that are cut out otherwise than those of the training."""
    trained = widths.from_record(workdir.face_widths)
    if not trained:
        return ()
    found = widths.summarize(widths.search([dataset], num_threads))
    if not (told := widths.compare(found, trained)):
        return ()
    _LOGGER.warning("%s", told)
    return (told,)


def _warn_of_few_videos(summary: dict[str, Any]) -> None:
    """Resampling two videos gives intervals that look like certainty."""
    if not summary.get("num_resamples") or not summary.get("num_videos"):
        return
    num_real = summary["num_real_videos"]
    num_fake = summary["num_videos"] - num_real
    if min(num_real, num_fake) < _FEW_VIDEOS:
        _LOGGER.warning(
            "the intervals come from %d real and %d fake videos; so few say nothing of "
            "others",
            num_real,
            num_fake,
        )


def _examples(
    info: DetectorInfo,
    dataset: Dataset,
    scored: Scored,
    evaluation: report.Evaluation,
) -> list[report.Example]:
    valid = np.flatnonzero(scored.valid)
    examples = []
    for row in report.telling_indices(evaluation):
        encoded = dataset.source[int(valid[row])].encoded
        examples.append(
            report.Example(
                evaluation.names[row],
                dataset.classes[evaluation.labels[row]],
                float(evaluation.scores[row]),
                to_input(decode(encoded), info.framing.largest),
            )
        )
    return examples


def _training_panel(workdir: Path, best_step: int) -> dict[str, report.Panel]:
    """The course of the training, where its record is there."""
    path = workdir / writers.FILE_NAME
    rows = writers.read_rows(path) if path.exists() else []
    if not rows:
        return {}
    caption = (
        "Loss of each training step, and metrics on the validation split. The dashed "
        "line is the step that was chosen."
    )
    curves = report.training_curves(rows, best_step)
    return {"training": report.Panel("Training", curves, caption)}


def _describe(
    config: MeasureConfig,
    data: DataConfig,
    reading: str,
    workdir: Workdir,
    detector: Fitted,
) -> dict[str, object]:
    info = detector.info
    return {
        "detector": info.detector,
        "training step": info.step,
        "classes": reading,
        "workdir": config.workdir,
        **{name: value for name, value in dataclasses.asdict(data).items() if value},
        "split": config.split,
        **({"perturb": config.perturb} if config.perturb else {}),
        "face_detector": workdir.record.get("face_detector"),
        **detector.settings,
        "threshold": info.threshold_origin,
        "seed": config.seed,
        **origin.describe(),
    }
