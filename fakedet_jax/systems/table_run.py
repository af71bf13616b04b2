# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a small classifier of cached features in the workdir of a request."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from fakedet_jax.config import TrainConfig
from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.systems import perturbed
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.systems.feature_cache import CheckFn
from fakedet_jax.systems.options import PerturbOptions, SelectionOptions
from fakedet_jax.systems.verdict import judge
from fakedet_jax.training import loop, table_training, writers

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        model: Network from rows `[batch, columns]` to logits `[batch]` of being fake.
        rows: Of the training pictures, float32 `[n, columns]`.
        labels: Int `[n]`, 0 for real and 1 for fake.
        score: From parameters of `model` to the logarithms of the class probabilities
            of all validation pictures.
        complete: From parameters of `model` to the variables of the whole detector.
        details: See `DetectorInfo`.
    """

    model: nn.Module
    rows: np.ndarray
    labels: np.ndarray
    score: Callable[[Any], Scored]
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
    assert isinstance(options, SelectionOptions)
    assert isinstance(options, PerturbOptions)
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
        task = prepare(train, validation)

        def validate(step: int, params: Any) -> loop.Verdict:
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
                task.score(params),
                options.select_by,
                options.max_false_alarms,
                options.calibration,
            )

        with writers.create(
            config.workdir, process_index=jax.process_index()
        ) as writer:
            best = table_training.train(
                task.model,
                task.rows,
                task.labels,
                recipe=request.recipe,
                seed=config.seed,
                validate=validate,
                writer=writer,
                stop=request.stop,
            )
        placed = parallel.replicate(request.mesh, task.complete(best.params))
        bests.save(best.step, placed, best.verdict.facts)


def training_rows(
    compute: Callable[[bool], Scored], dataset: Dataset, flip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the readable pictures of a dataset, mirrored too if asked for.

    Args:
        compute: From whether pictures are mirrored to the features of all.
        dataset: The pictures.
        flip: Whether the mirrored ones count too.

    Returns:
        The features, and the labels of their pictures.
    """
    found = [compute(side) for side in ((False, True) if flip else (False,))]
    rows = np.concatenate([part.values[part.valid] for part in found])
    return rows, np.concatenate([dataset.labels[part.valid] for part in found])


def stopping(stop: StopRequest) -> CheckFn:
    """A function that raises where any process was asked to stop.

    Args:
        stop: Tells when this process is.
    """

    def check() -> None:
        if signum := parallel.agree_on_maximum(stop.signum or 0):
            raise Stopped(signum)

    return check


def check(config: TrainConfig, features: str) -> None:
    """Refuses what such a training cannot do, such as to trace its steps.

    Args:
        config: The settings.
        features: What the classifier sees, in words.

    Raises:
        RequestError: That was asked for, or a perturbation is not as expected.
    """
    perturbed.check(config.options)
    if config.profile is not None:
        raise RequestError(
            f"`profile_dir`: {config.detector} trains on {features}, in steps that are "
            "not traced; leave it out"
        )
