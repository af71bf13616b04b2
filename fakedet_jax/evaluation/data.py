# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a trained detector is measured on, and what its scores there amount to."""

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fakedet_jax import report
from fakedet_jax.config import DataConfig, EvaluateConfig, MeasureConfig
from fakedet_jax.data import catalog, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.data.prepared.facts import Facts
from fakedet_jax.data.prepared.left_out import LeftOut
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import groups, log_odds
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import records
from fakedet_jax.workdir import Workdir, open_workdir

_LOGGER = logging.getLogger(__name__)

# The folder of the evaluated pictures, in `metrics.json`.
DATA_DIR = "data_dir"


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """The pictures of an evaluation.

    Attributes:
        name: Of the evaluation, a plain folder name.
        title: Of the detector, the pictures, and what was done to them.
        data: Which pictures, in full.
        dataset: The pictures; its classes are the detector's, or real and fake.
        manipulations: How each picture was made: its manipulation where that is known,
            and else its class before it became real or fake.
        left_out: Files of the split that gave no picture when it was prepared.
        group_by: What makes groups of pictures; empty for nothing.
        groups: The group of each picture; None for no groups.
    """

    name: str
    title: str
    data: DataConfig
    dataset: Dataset
    manipulations: Sequence[str]
    left_out: Sequence[LeftOut] = ()
    group_by: str = ""
    groups: Sequence[str] | None = None


def choose(
    config: EvaluateConfig, info: DetectorInfo, *, pictures: str = ""
) -> EvaluationData:
    """Loads the pictures that a request means.

    Args:
        config: The request. Without `data` it means those of the training; what was
            real in the training is real in any case.
        info: The detector. Where its classes are others than those of the pictures,
            these become real and fake.
        pictures: What to call them in the title; the name of the dataset when empty.

    Returns:
        The pictures, at least one.

    Raises:
        RequestError: The settings or the data are not as expected.
    """
    trained = open_workdir(config.workdir)
    data = config.data or trained.data
    is_of_training = _is_of_training(trained, data)
    name = _name(config, data, is_of_training)
    if not config.name and not is_of_training:
        check_free(config.workdir / "evaluations" / name, data.data_dir)
    data = _with_classes_of(trained.record, data, config.split)
    dataset = catalog.load(data, config.split, needs="either")
    if not dataset.num_examples:
        raise RequestError(
            f"`split`: {data.dataset} has no pictures in the split {config.split!r}"
        )
    if not is_of_training:
        _tell_part(dataset, data)
    manipulations = _manipulations(dataset)
    # Classes of another dataset mean nothing to the detector, but real and fake do.
    if not _has_classes_of(info, dataset):
        dataset = dataset.as_binary()
    condition = f", {config.perturb}" if config.perturb else ""
    where = f"{pictures or dataset.name}, split {config.split}{condition}"
    title = f"{trained.title} on {where}"
    left_out = catalog.read_left_out(data, config.split)
    found = None
    if config.group_table is not None:
        names = dataset.names if dataset.facts is None else dataset.facts.paths
        found = groups.read(config.group_table, config.group_by, names)
    return EvaluationData(
        *(name, title, data, dataset, manipulations, left_out),
        group_by=config.group_by,
        groups=found,
    )


def to_evaluation(
    info: DetectorInfo,
    dataset: Dataset,
    scored: Scored,
    reasons: Mapping[int, str] | None = None,
    treatment: Treatment | None = None,
    manipulations: Sequence[str] | None = None,
    left_out: Sequence[LeftOut] = (),
    notes: Sequence[str] | None = None,
    changed: Mapping[str, Scored] | None = None,
    grouped: Sequence[str] | None = None,
) -> report.Evaluation:
    """Joins scores and labels.

    Args:
        info: The detector.
        dataset: The pictures.
        scored: The logarithms of their class probabilities.
        reasons: By index, why a picture has none; found out again when not given.
        treatment: What was done to the pictures.
        manipulations: How each picture was made.
        left_out: Files that gave no picture.
        notes: How each picture differs from those of the training.
        changed: The same as `scored` after mild changes, by what was done.
        grouped: The group of each picture.

    Returns:
        The evaluation of all pictures that can be read; the others are skipped in it.

    Raises:
        RequestError: None can be read, or a score is not finite.
    """
    if reasons is None:
        unread = np.flatnonzero(~scored.valid).tolist()
        reasons = {
            index: pipeline.reason(dataset, index, treatment) for index in unread
        }
    skipped = [(dataset.names[index], reasons[index]) for index in sorted(reasons)]
    valid = np.flatnonzero(scored.valid).tolist()
    if not valid:
        raise RequestError(
            f"`dataset`: none of the {dataset.num_examples} pictures can be read; the "
            f"first, {skipped[0][0]!r}, {skipped[0][1]}"
        )
    log_probabilities = scored.values[valid]
    evidence = info.log_odds(log_probabilities)
    _check_finite(evidence, [dataset.names[index] for index in valid])
    after = {
        name: log_odds.scores(info.log_odds(own.values[valid]))
        for name, own in (changed or {}).items()
    }
    is_multiclass = _has_classes_of(info, dataset) and len(info.classes) > 2
    return report.Evaluation(
        names=[dataset.names[index] for index in valid],
        labels=dataset.labels[valid],
        scores=log_odds.scores(evidence),
        log_odds=evidence,
        threshold=info.threshold,
        unsure_between=info.unsure_between,
        changed=after,
        classes=dataset.classes,
        is_fake=dataset.is_fake,
        predicted=log_probabilities.argmax(-1) if is_multiclass else None,
        skipped=skipped,
        skipped_classes=[
            dataset.classes[dataset.labels[index]] for index in sorted(reasons)
        ],
        left_out=left_out,
        reading=dataset.reading,
        facts=_facts_of(dataset, valid),
        manipulations=manipulations and [manipulations[index] for index in valid],
        groups=grouped and [grouped[index] for index in valid],
        notes=notes and [notes[index] for index in valid],
    )


def suffix(config: MeasureConfig) -> str:
    """The end of an evaluation's name: what makes it another one of the same pictures.

    Args:
        config: The request.

    Returns:
        The perturbation, and which scores are decided where the request says it; empty
        for pictures as they are, decided as the training chose.
    """
    parts = [config.perturb.replace(":", "_")] if config.perturb else []
    for field in ("threshold", "max_false_alarms"):
        value = getattr(config, field)
        if value is not None:
            parts.append(f"{field}_{float(value)}")
    if config.unsure_rates is not None:
        parts.append("_".join(["unsure", *map(str, config.unsure_rates)]))
    if config.stability:
        parts.append("stability")
    return "".join(f"_{part}" for part in parts)


def folder_name(folder: Path) -> str:
    """What to call pictures after their folder: a plain name, or nothing.

    >>> folder_name(Path("/no/such folder"))
    'such_folder'
    """
    return re.sub(r"[^\w.-]+", "_", folder.resolve().name).strip(".")


def check_free(results: Path, data_dir: Path | None) -> None:
    """Refuses results of other pictures in the place of a new evaluation.

    Args:
        results: Folder of the new results, whose name nobody chose.
        data_dir: Folder of the new pictures.

    Raises:
        RequestError: There are results of the pictures of another folder.
    """
    try:
        path = results / "metrics.json"
        earlier = records.read(path, dict[str, Any], advice="evaluate again")
    except RequestError:
        return  # No evaluation is complete there.
    before = earlier.get(DATA_DIR)
    # Earlier versions did not write it.
    if before is None or data_dir is None or before == str(data_dir.resolve()):
        return
    raise RequestError(
        f"`name`: {str(results)!r} holds the evaluation of {before!r}, and this one is "
        f"of {str(data_dir)!r}; give it a name of its own"
    )


def is_plain(name: str) -> bool:
    """Whether a name leads to no other folder."""
    return bool(name) and Path(name).name == name and name not in (".", "..")


def check_name(name: str) -> None:
    """Refuses a name of an evaluation that leads to another folder.

    Raises:
        RequestError: It does.
    """
    if not is_plain(name):
        raise RequestError(f"`name`: expected a plain folder name, found {name!r}")


def _check_finite(evidence: np.ndarray, names: Sequence[str]) -> None:
    """Refuses log-odds that are NaN or infinite.

    Skipping these pictures would flatter the detector, and its numbers could no longer
    be compared with those of others on the same pictures.
    """
    wrong = np.flatnonzero(~np.isfinite(evidence))
    if wrong.size:
        raise RequestError(
            f"`workdir`: the detector gives {wrong.size} of {len(names)} pictures a "
            f"score that is not a finite number, the first is {names[wrong[0]]!r}; its "
            "weights are damaged or its training diverged; train it again"
        )


def _name(config: EvaluateConfig, data: DataConfig, is_of_training: bool) -> str:
    if config.name:
        name = config.name
    else:
        parts = [data.dataset, config.split]
        if data.data_dir is not None and not is_of_training:
            parts.insert(1, folder_name(data.data_dir))
        name = "_".join(filter(None, parts)) + suffix(config)
    check_name(name)
    return name


def _is_of_training(trained: Workdir, data: DataConfig) -> bool:
    """Whether pictures lie where those of the training did."""
    try:
        own = trained.data.data_dir
    except RequestError:
        return False  # Of a converted detector nobody knows them.
    if own is None or data.data_dir is None:
        return own is data.data_dir
    return own.resolve() == data.data_dir.resolve()


def _tell_part(dataset: Dataset, data: DataConfig) -> None:
    """Says so where pictures that were never split are evaluated in part.

    Of the training's own pictures a split is what nobody trained on; others all are.
    """
    whole = dataset.num_in_all
    if whole is None or whole == dataset.num_examples:
        return
    where = data.data_dir or data.dataset
    _LOGGER.info(
        f"the split {dataset.split} has {dataset.num_examples:,} of {whole:,} pictures "
        f"of {where}; `split=all` takes all"
    )


def _facts_of(dataset: Dataset, indices: Sequence[int]) -> Facts | None:
    # All conditions of a suite share what is whole.
    if dataset.facts is None or len(indices) == dataset.num_examples:
        return dataset.facts
    return dataset.facts.at(indices)


def _manipulations(dataset: Dataset) -> list[str]:
    # Classes that were merged are lost to the labels.
    names = list(dataset.sources) or [
        dataset.classes[label] for label in dataset.labels.tolist()
    ]
    if dataset.facts is None:
        return names
    known = zip(dataset.facts.manipulations, names, strict=True)
    return [manipulation or name for manipulation, name in known]


def _with_classes_of(
    record: Mapping[str, Any], data: DataConfig, split: str
) -> DataConfig:
    """What was real or fake in training is so here too, without being said again."""
    fields = ("real_classes", "fake_classes")
    trained = {field: record.get(field) or () for field in fields}
    given = any(getattr(data, field) for field in fields)
    if given or not any(trained.values()):
        return data
    separate = dataclasses.replace(data, task="multiclass")
    names = catalog.load(separate, split, needs="either").classes
    real, fake = (
        tuple(sorted(set(trained[field]).intersection(names))) for field in fields
    )
    return dataclasses.replace(data, real_classes=real, fake_classes=fake)


def _has_classes_of(info: DetectorInfo, dataset: Dataset) -> bool:
    return (dataset.classes, dataset.is_fake) == (info.classes, info.is_fake)
