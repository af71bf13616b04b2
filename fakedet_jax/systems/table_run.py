# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a small classifier of cached features in the workdir of a request."""

import dataclasses
import itertools
import logging
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from fakedet_jax.config import TrainConfig
from fakedet_jax.data import folds
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.systems import feature_cache, perturbed
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.systems.options import TableOptions
from fakedet_jax.systems.verdict import HeldOut, judge
from fakedet_jax.training import loop, table_training, writers

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Features of training pictures, those of the pictures as they are first.

    Attributes:
        values: Float32 `[n, columns]`.
        examples: Int `[n]`, the picture of each row.
        labels: Int `[n]`, 0 for real and 1 for fake.
        num_upright: Rows of pictures that are not mirrored.
    """

    values: np.ndarray
    examples: np.ndarray
    labels: np.ndarray
    num_upright: int


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        model: Network from rows `[batch, columns]` to logits `[batch]` of being fake.
        train: The rows to learn from.
        validation: A row for each validation picture.
        log_probabilities: From parameters of `model` and rows `[m, columns]` to the
            logarithms of the class probabilities, float32 `[m, 2]`.
        complete: From parameters of `model` to the variables of the whole detector.
        details: See `DetectorInfo`.
    """

    model: nn.Module
    train: Rows
    validation: Scored
    log_probabilities: Callable[[Any, Any], jax.Array]
    complete: Callable[[Any], Any]
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


def fit(
    request: FitRequest,
    detector: str,
    framing: Framing,
    prepare: Callable[[Dataset, Dataset], Task],
) -> None:
    """Trains, unless the workdir holds a trained detector already.

    Args:
        request: Names the workdir, the devices, the recipe and the pictures.
        detector: Its name.
        framing: Of the pictures.
        prepare: From training and validation pictures, whose classes are real and
            fake and which are perturbed already, to the task.

    Raises:
        RequestError: The pictures are not as expected.
        Stopped: The run was asked to stop.
        NonFiniteLossError: The training diverged.
    """
    config = request.config
    options = config.options
    assert isinstance(options, TableOptions)
    with checkpoint.Store(config.workdir / "best", max_to_keep=None) as bests:
        if bests.steps():
            _LOGGER.info("%s is trained already", config.workdir)
            return
        train, validation = (
            perturbed.pictures(options, dataset.as_binary(), config.seed, copies)
            for dataset, copies in (
                (request.train, options.perturb_copies),
                (request.validation, 1),
            )
        )
        fold_of = _deal(config, options, train)
        task = prepare(train, validation)

        def validate(
            step: int, params: Any, held_out: HeldOut | None = None
        ) -> loop.Verdict:
            scores = task.log_probabilities(params, task.validation.values)
            info = DetectorInfo(
                detector=detector,
                classes=BINARY_CLASSES,
                is_fake=(False, True),
                task="binary",
                framing=framing,
                threshold=0.5,
                threshold_origin="",
                step=step,
                details=task.details,
            )
            return judge(
                info,
                validation,
                Scored(np.asarray(scores), task.validation.valid),
                options.select_by,
                options.max_false_alarms,
                options.calibration,
                held_out=held_out,
            )

        with writers.create(
            config.workdir, process_index=jax.process_index()
        ) as writer:
            best = table_training.train(
                task.model,
                task.train.values,
                task.train.labels,
                recipe=request.recipe,
                seed=config.seed,
                validate=validate,
                writer=writer,
                stop=request.stop,
            )
        epoch, facts = best.epoch, best.verdict.facts
        if fold_of is not None:
            held_out = _held_out(request, task, epoch.number, fold_of)
            facts = validate(epoch.step, epoch.params, held_out).facts
        placed = parallel.replicate(request.mesh, task.complete(epoch.params))
        bests.save(epoch.step, placed, facts)


def _deal(
    config: TrainConfig, options: TableOptions, train: Dataset
) -> np.ndarray | None:
    """The part of each training picture; None without parts."""
    if options.threshold_folds is None:
        return None
    return folds.deal(
        train,
        options.threshold_folds,
        seed=config.seed,
        whole_folders=config.data.subfolders == "together",
    )


def _held_out(
    request: FitRequest, task: Task, num_epochs: int, fold_of: np.ndarray
) -> HeldOut:
    """Scores training pictures, each by a classifier that is trained without it.

    All of them take part in what needs no labels: the scaling of the features, and the
    thresholds of neurons.

    Args:
        request: Names the recipe and the seed.
        task: What is learned.
        num_epochs: After how many epochs the whole training was best.
        fold_of: Int `[pictures]`, the part that a picture is held out with.

    Raises:
        RequestError: Without a part, no readable picture of one kind is left.
        Stopped: The run was asked to stop.
    """
    num_folds = int(fold_of.max()) + 1
    fold_of_row = fold_of[task.train.examples]
    upright = np.arange(len(fold_of_row)) < task.train.num_upright
    log_probabilities = np.zeros((task.train.num_upright, 2), np.float32)
    check_stop = stopping(request.stop)
    for fold in range(num_folds):
        _LOGGER.info("threshold: training without part %d of %d", fold + 1, num_folds)
        out = fold_of_row == fold
        epochs = table_training.epochs(
            task.model,
            task.train.values[~out],
            task.train.labels[~out],
            recipe=request.recipe,
            seed=request.config.seed,
        )
        params = None
        for epoch in itertools.islice(epochs, num_epochs):
            params = epoch.params
            check_stop()
        rows = np.flatnonzero(out & upright)
        log_probabilities[rows] = task.log_probabilities(
            params, task.train.values[rows]
        )
    labels = task.train.labels[: task.train.num_upright]
    return HeldOut(log_probabilities, labels, num_folds)


def training_rows(
    compute: Callable[[bool], Scored], dataset: Dataset, flip: bool
) -> Rows:
    """Features of the readable pictures of a dataset, mirrored too if asked for.

    Args:
        compute: From whether pictures are mirrored to the features of all.
        dataset: The pictures.
        flip: Whether the mirrored ones count too.

    Returns:
        The rows of the pictures.
    """
    found = [compute(side) for side in ((False, True) if flip else (False,))]
    examples = np.concatenate([np.flatnonzero(part.valid) for part in found])
    return Rows(
        values=np.concatenate([part.values[part.valid] for part in found]),
        examples=examples,
        labels=dataset.labels[examples],
        num_upright=int(found[0].valid.sum()),
    )


def stopping(stop: StopRequest) -> feature_cache.CheckFn:
    """A function that raises where any process was asked to stop.

    Args:
        stop: Tells when this process is.
    """

    def check() -> None:
        if signum := parallel.agree_on_maximum(stop.signum or 0):
            raise Stopped(signum)

    return check


def check_pictures(config: TrainConfig, train: Dataset) -> None:
    """Refuses training pictures that cannot be dealt into as many parts as asked for.

    Args:
        config: The settings.
        train: The pictures.

    Raises:
        RequestError: There are too few.
    """
    assert isinstance(config.options, TableOptions)
    _deal(config, config.options, train)


def check(config: TrainConfig, features: str) -> None:
    """Refuses what such a training cannot do, such as to trace its steps.

    Args:
        config: The settings.
        features: What the classifier sees, in words.

    Raises:
        RequestError: That was asked for, a perturbation is not as expected, or the
            cache has no place.
    """
    perturbed.check(config.options)
    if config.profile is not None:
        raise RequestError(
            f"`profile_dir`: {config.detector} trains on {features}, in steps that are "
            "not traced; leave it out"
        )
    feature_cache.check_folder(config.options.cache_dir)
