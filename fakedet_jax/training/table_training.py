# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a small classifier on a table of features that fits into memory."""

import dataclasses
import logging
import math
from collections.abc import Callable
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
class Best:
    """The state after the best epoch.

    Attributes:
        step: Number of updates up to it.
        params: The parameters.
        verdict: Result of validating them.
    """

    step: int
    params: Any
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
    """Trains by binary cross-entropy and keeps the best epoch.

    An epoch is one compiled loop over shuffled rows; its last batch is filled up with
    the first rows of the same epoch. The same seed gives bit-identical parameters on
    the same machine. Training takes seconds, so a run that was stopped starts anew.

    Args:
        model: Network from float32 `[batch, columns]` to logits `[batch]` of being
            fake.
        features: Float32 `[n, columns]`, finite.
        labels: Int `[n]`, 0 for real and 1 for fake.
        recipe: Optimisation settings; at most `n` rows make a batch.
        seed: Seed of the initial parameters and of the order of rows.
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
    best: Best | None = None
    writer.truncate_after(0)
    log_every = math.ceil(recipe.num_epochs / _MAX_LOG_LINES)
    for epoch in range(recipe.num_epochs):
        carry, loss, correct = run_epoch(carry, np.int32(epoch))
        step = (epoch + 1) * steps_per_epoch
        if not math.isfinite(loss):
            raise loop.NonFiniteLossError(
                f"the loss is {float(loss)} in epoch {epoch + 1}"
            )
        verdict = validate(step, carry[0])
        rate = float(schedule(step - 1))
        row = {"loss": loss, "accuracy": correct, "learning_rate": rate}
        recorded = {f"train/{name}": value for name, value in row.items()}
        writer.write(step, {**recorded, **verdict.metrics})
        if best is None or verdict.merit >= best.verdict.merit:
            best = Best(step, carry[0], verdict)
        if (epoch + 1) % log_every == 0:
            _LOGGER.info("epoch %d: loss %.4f", epoch + 1, float(loss))
        if signum := parallel.agree_on_maximum(stop.signum or 0):
            raise Stopped(signum)
    assert best is not None
    return best
