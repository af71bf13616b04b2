# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs the training loop in the workdir of a request, the same for every network."""

import math
from collections.abc import Callable
from typing import Any

import jax

from fakedet_jax.data.pipeline import TrainIterator
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.training import loop, writers


def num_steps(request: FitRequest, num_examples: int) -> int:
    """Updates of a whole run over so many examples per epoch."""
    return request.recipe.num_epochs * _steps_per_epoch(request, num_examples)


def reading(request: FitRequest) -> dict[str, int]:
    """How this process reads its rows of each batch, for `pipeline.train_iterator`."""
    return {
        "batch_size": parallel.local_batch_size(
            request.recipe.batch_size, request.mesh
        ),
        "num_workers": request.config.input.num_workers,
        "num_threads": request.config.input.num_threads,
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }


def run(
    request: FitRequest,
    *,
    num_examples: int,
    train_step: loop.TrainStep,
    state: Any,
    batches: TrainIterator,
    validate: Callable[[int, Any], loop.Verdict],
    best_folder: str = "best",
) -> None:
    """Trains to the end, from where an earlier run stopped.

    Args:
        request: Names the workdir, the devices and the intervals.
        num_examples: Per epoch.
        train_step: See `loop.train`.
        state: The state before the first step, on the mesh; it is used up.
        batches: Closed at the end.
        validate: See `loop.train`.
        best_folder: Where the best states go, in the workdir.

    Raises:
        Stopped: The run was asked to stop and has saved.
        NonFiniteLossError: The training diverged.
        RequestError: The workdir belongs to another run.
    """
    config = request.config
    writer = writers.create(config.workdir, process_index=jax.process_index())
    with (
        batches,
        writer,
        checkpoint.Store(config.workdir / "checkpoints") as states,
        checkpoint.Store(config.workdir / best_folder, max_to_keep=None) as bests,
    ):
        loop.train(
            loop.LoopConfig(
                num_steps=num_steps(request, num_examples),
                steps_per_epoch=_steps_per_epoch(request, num_examples),
                batch_size=request.recipe.batch_size,
                log_every=config.options.log_every,
                checkpoint_every=config.options.checkpoint_every,
            ),
            mesh=request.mesh,
            train_step=train_step,
            state=state,
            batches=batches,
            validate=validate,
            states=states,
            bests=bests,
            writer=writer,
            stop=request.stop,
        )


def _steps_per_epoch(request: FitRequest, num_examples: int) -> int:
    return math.ceil(num_examples / request.recipe.batch_size)
