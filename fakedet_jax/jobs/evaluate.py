# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=evaluate`: measures a trained detector on a labelled dataset."""

import dataclasses
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fakedet_jax import checkpoint, detectors, parallel, report, writers
from fakedet_jax.config import DataConfig, EvaluateConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.decode import decode, to_input
from fakedet_jax.detectors.base import DetectorInfo
from fakedet_jax.errors import RequestError
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
    mesh = parallel.data_mesh()
    detector = detectors.load(config.workdir, mesh)
    trained = checkpoint.read_config(config.workdir)
    data = config.data or DataConfig.from_settings(trained)
    folder = config.workdir / "evaluations" / _name(config, data)
    data = _with_real_classes(data, config.split, trained.get("real_classes") or ())
    dataset = catalog.load_configured(data, config.split, require_both=False)
    if not dataset.num_examples:
        raise RequestError(
            f"--split: {data.dataset} has no pictures in the split {config.split!r}"
        )
    # Classes of another dataset mean nothing to the detector, but real and fake do.
    if not _has_classes_of(detector.info, dataset):
        dataset = dataset.as_binary()
    batch_size = parallel.round_up_batch_size(config.batch_size, mesh)
    scorer = Scorer(detector.probability_fn, mesh, batch_size)
    scored = scorer.score_dataset(
        detector.variables,
        dataset,
        detector.info.framing,
        config.input,
        label="evaluate",
    )
    if jax.process_index() > 0:
        return {}
    evaluation = _to_evaluation(detector.info, dataset, scored)
    if not len(evaluation.names):
        raise RequestError(
            f"--dataset: none of the {dataset.num_examples} pictures can be read; the "
            f"first, {evaluation.skipped[0][0]!r}, {evaluation.skipped[0][1]}"
        )
    summary = report.write_evaluation(
        folder,
        evaluation,
        title=f"{detector.info.detector} on {data.dataset}, split {config.split}",
        threshold_origin=detector.info.threshold_origin,
        config=_describe(config, data, detector.info),
        examples=_examples(detector.info, dataset, scored, evaluation),
        panels=_panels(config.workdir),
    )
    _LOGGER.info(
        "wrote %s; open %s to read it", folder / "metrics.json", folder / "report.html"
    )
    return summary


def _name(config: EvaluateConfig, data: DataConfig) -> str:
    name = config.name or f"{data.dataset}_{config.split}"
    if Path(name).name != name or name in (".", ".."):
        raise RequestError(f"--name: expected a plain folder name, found {name!r}")
    return name


def _with_real_classes(
    data: DataConfig, split: str, trained_real_classes: Collection[str]
) -> DataConfig:
    """What was real in training is real here too, without being said again."""
    if data.real_classes or not trained_real_classes:
        return data
    separate = dataclasses.replace(data, task="multiclass")
    names = catalog.load_configured(separate, split, require_both=False).classes
    known = tuple(sorted(set(trained_real_classes).intersection(names)))
    return dataclasses.replace(data, real_classes=known)


def _has_classes_of(info: DetectorInfo, dataset: Dataset) -> bool:
    return (dataset.classes, dataset.is_fake) == (info.classes, info.is_fake)


def _to_evaluation(
    info: DetectorInfo, dataset: Dataset, scored: Scored
) -> report.Evaluation:
    valid = np.flatnonzero(scored.valid).tolist()
    is_multiclass = _has_classes_of(info, dataset) and len(info.classes) > 2
    probabilities = scored.values[valid]
    return report.Evaluation(
        names=[dataset.names[index] for index in valid],
        labels=dataset.labels[valid],
        scores=info.scores(probabilities),
        threshold=info.threshold,
        classes=dataset.classes,
        is_fake=dataset.is_fake,
        predicted=probabilities.argmax(-1) if is_multiclass else None,
        skipped=[
            (dataset.names[index], pipeline.reason(dataset, index))
            for index in np.flatnonzero(~scored.valid).tolist()
        ],
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
                to_input(decode(encoded), info.framing),
            )
        )
    return examples


def _panels(workdir: Path) -> list[report.Panel]:
    """The course of the training, where its record is there."""
    path = workdir / writers.FILE_NAME
    rows = writers.read_rows(path) if path.exists() else []
    if not rows:
        return []
    caption = "Loss of each training step, and metrics on the validation split."
    return [report.Panel("Training", report.training_curves(rows), caption)]


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
        "face_detector": info.face_detector,
    }
