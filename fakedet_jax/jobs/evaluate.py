# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate`: measures a trained detector on a labelled dataset."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fakedet_jax import detectors, parallel, report, writers
from fakedet_jax.config import DataConfig, EvaluateConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.decode import decode, to_input
from fakedet_jax.detectors.base import DetectorInfo
from fakedet_jax.jobs import evaluation_data
from fakedet_jax.perturb import specification
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.scoring import Scored, Scorer

_LOGGER = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Scores a dataset and writes `WORKDIR/evaluations/NAME`.

    Args:
        config: The settings.

    Returns:
        The content of `metrics.json`.

    Raises:
        RequestError: The settings or the data are not as expected.
    """
    condition = specification.parse(config.perturb) if config.perturb else None
    mesh = parallel.data_mesh()
    detector = detectors.load(config.workdir, mesh)
    chosen = evaluation_data.choose(config, detector.info)
    data, dataset = chosen.data, chosen.dataset
    folder = config.workdir / "evaluations" / chosen.name
    batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
    scorer = Scorer(detector.probability_fn, mesh, batch_size)
    treatment = None
    if condition is not None:
        same = np.zeros(dataset.num_examples, np.int32)
        treatment = Treatment((condition,), config.seed, same)
    scored = scorer.score_dataset(
        detector.variables,
        dataset,
        detector.info.framing,
        config.input,
        treatment=treatment,
        label="evaluate",
    )
    if jax.process_index() > 0:
        return {}
    evaluation = evaluation_data.to_evaluation(
        detector.info, dataset, scored, treatment=treatment
    )
    summary = report.write_evaluation(
        folder,
        evaluation,
        title=chosen.title,
        facts={"perturb": config.perturb, "seed": config.seed}
        if config.perturb
        else None,
        threshold_origin=detector.info.threshold_origin,
        config=_describe(config, data, detector.info),
        examples=_examples(detector.info, dataset, scored, evaluation),
        panels=_panels(config.workdir, detector.info.step),
    )
    _LOGGER.info(
        "wrote %s; open %s to read it", folder / "metrics.json", folder / "report.html"
    )
    return summary


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
                to_input(decode(encoded), info.framing),
            )
        )
    return examples


def _panels(workdir: Path, best_step: int) -> list[report.Panel]:
    """The course of the training, where its record is there."""
    path = workdir / writers.FILE_NAME
    rows = writers.read_rows(path) if path.exists() else []
    if not rows:
        return []
    caption = (
        "Loss of each training step, and metrics on the validation split. The dashed "
        "line is the step that was chosen."
    )
    curves = report.training_curves(rows, best_step)
    return [report.Panel("Training", curves, caption)]


def _describe(
    config: EvaluateConfig, data: DataConfig, info: DetectorInfo
) -> dict[str, object]:
    return {
        "detector": info.detector,
        "training step": info.step,
        "classes": ", ".join(info.classes),
        "workdir": config.workdir,
        **{name: value for name, value in dataclasses.asdict(data).items() if value},
        "split": config.split,
        **({"perturb": config.perturb} if config.perturb else {}),
        "face_detector": info.face_detector,
    }
