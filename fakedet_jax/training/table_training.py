# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a small classifier on a table of features that fits into memory."""

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from fakedet_jax.errors import RequestError
from fakedet_jax.runtime import parallel
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.training import loop, optim, writers

_LOGGER = logging.getLogger(__name__)

_MAX_LOG_LINES = 10


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The state after an epoch.

    Attributes:
        number: Of the epoch, from 1.
        step: Number of updates up to it.
        params: The parameters.
        metrics: Mean loss and accuracy of the epoch, and the rate of its last update.
    """

    number: int
    step: int
    params: Any
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Best:
    """The state after the best epoch.

    Attributes:
        epoch: The epoch.
        verdict: Result of validating it.
    """

    epoch: Epoch
    verdict: loop.Verdict


def train(
    model: nn.Module,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: optim.Recipe,
    seed: int,
    validate: Callable[[int, Any], loop.Verdict],
    writer: writers.Writer,
    stop: StopRequest,
) -> Best:
    """Trains by binary cross-entropy and keeps the best epoch; see `epochs`.

    Training takes seconds, so a run that was stopped starts anew.

    Args:
        model: See `epochs`.
        features: See `epochs`.
        labels: See `epochs`.
        recipe: See `epochs`.
        seed: See `epochs`.
        validate: From step and parameters to a verdict.
        writer: Records the metrics of every epoch.
        stop: Tells when the run is asked to stop.

    Returns:
        The best epoch; of equals the later one.

    Raises:
        RequestError: There are no rows, or rows of one class only.
        NonFiniteLossError: The loss is not finite.
        Stopped: The run was asked to stop.
    """
    best: Best | None = None
    writer.truncate_after(0)
    log_every = math.ceil(recipe.num_epochs / _MAX_LOG_LINES)
    for epoch in epochs(model, features, labels, recipe=recipe, seed=seed):
        verdict = validate(epoch.step, epoch.params)
        recorded = {f"train/{name}": value for name, value in epoch.metrics.items()}
        writer.write(epoch.step, {**recorded, **verdict.metrics})
        if best is None or verdict.merit >= best.verdict.merit:
            best = Best(epoch, verdict)
        if epoch.number % log_every == 0:
            _LOGGER.info("epoch %d: loss %.4f", epoch.number, epoch.metrics["loss"])
        if signum := parallel.agree_on_maximum(stop.signum or 0):
            raise Stopped(signum)
    assert best is not None
    return best


def epochs(
    model: nn.Module,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: optim.Recipe,
    seed: int,
) -> Iterator[Epoch]:
    """Trains by binary cross-entropy, epoch by epoch.

    An epoch is one compiled loop over shuffled rows; its last batch is filled up with
    the first rows of the same epoch. The same seed gives bit-identical parameters on
    the same machine.

    Args:
        model: Network from float32 `[batch, columns]` to logits `[batch]` of being
            fake.
        features: Float32 `[n, columns]`, finite.
        labels: Int `[n]`, 0 for real and 1 for fake.
        recipe: Optimisation settings; at most `n` rows make a batch.
        seed: Seed of the initial parameters and of the order of rows.

    Yields:
        The state after each epoch of the recipe.

    Raises:
        RequestError: There are no rows, or rows of one class only.
        NonFiniteLossError: The loss is not finite.
    """
    if len(np.unique(labels)) != 2:
        raise RequestError(
            "`dataset`: expected readable training pictures of both kinds, real and "
            f"fake, found {len(labels)} of {len(np.unique(labels))} kinds"
        )
    batch_size = min(recipe.batch_size, len(labels))
    steps_per_epoch = math.ceil(len(labels) / batch_size)
    num_steps = recipe.num_epochs * steps_per_epoch
    optimizer = optim.create_optimizer(recipe, num_steps)
    schedule = optim.create_schedule(recipe, num_steps)
    inputs = jnp.asarray(features, jnp.float32)
    targets = jnp.asarray(labels, jnp.float32)
    key = jax.random.key(seed)

    def loss_fn(params: Any, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = jnp.asarray(model.apply({"params": params}, inputs[rows]))
        losses = optax.sigmoid_binary_cross_entropy(logits, targets[rows])
        correct = jnp.mean((logits > 0) == (targets[rows] > 0), dtype=jnp.float32)
        return losses.mean(), correct

    def step_fn(carry: Any, rows: jax.Array) -> Any:
        params, opt_state = carry
        (loss, correct), gradients = jax.value_and_grad(loss_fn, has_aux=True)(
            params, rows
        )
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), (loss, correct)

    @jax.jit
    def run_epoch(carry: Any, epoch: jax.Array) -> Any:
        order = jax.random.permutation(jax.random.fold_in(key, epoch), len(labels))
        missing = steps_per_epoch * batch_size - len(labels)
        rows = jnp.concatenate([order, order[:missing]])
        carry, (losses, correct) = lax.scan(
            step_fn, carry, rows.reshape(steps_per_epoch, batch_size)
        )
        return carry, losses.mean(), correct.mean()

    params = model.init(jax.random.fold_in(key, recipe.num_epochs), inputs[:1])
    params = params["params"]
    carry = (params, optimizer.init(params))
    for number in range(1, recipe.num_epochs + 1):
        carry, loss, correct = run_epoch(carry, np.int32(number - 1))
        step = number * steps_per_epoch
        if not math.isfinite(loss):
            raise loop.NonFiniteLossError(
                f"the loss is {float(loss)} in epoch {number}"
            )
        metrics = {
            "loss": float(loss),
            "accuracy": float(correct),
            "learning_rate": float(schedule(step - 1)),
        }
        yield Epoch(number, step, carry[0], metrics)
