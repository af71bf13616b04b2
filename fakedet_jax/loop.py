# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop: plain Python around a compiled step."""

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from fakedet_jax import checkpoint, parallel, progress, writers
from fakedet_jax.data import pipeline
from fakedet_jax.signals import Stopped, StopRequest
from fakedet_jax.steps import Metrics, TrainState, Variables

_LOGGER = logging.getLogger(__name__)

TrainStep = Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or not a number; the message names the step."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What validation says of a state.

    Attributes:
        metrics: Numbers to be recorded.
        merit: Larger is better; decides which state is kept as the best.
        facts: What is stored with the variables if they are the best.
    """

    metrics: Mapping[str, float]
    merit: float
    facts: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """Lengths and intervals, in steps.

    Attributes:
        num_steps: Of the whole run.
        steps_per_epoch: Steps between two validations.
        batch_size: Global.
        log_every: Steps between two transfers of the metrics.
        checkpoint_every: Steps between two checkpoints.
    """

    num_steps: int
    steps_per_epoch: int
    batch_size: int
    log_every: int
    checkpoint_every: int


def train(
    config: LoopConfig,
    *,
    mesh: Mesh,
    train_step: TrainStep,
    state: TrainState,
    batches: pipeline.TrainIterator,
    validate: Callable[[int, Variables], Verdict],
    states: checkpoint.Store,
    bests: checkpoint.Store,
    writer: writers.Writer,
    stop: StopRequest,
) -> TrainState:
    """Trains to the end, from the newest checkpoint where there is one.

    A run that was interrupted anywhere and started again ends with bit-identical
    parameters, on the same machine and with the same number of devices.

    Args:
        config: Lengths and intervals.
        mesh: The devices.
        train_step: Pure step; compiled here, its state donated.
        state: The state before the first step, on the mesh.
        batches: Endless training batches of this process.
        validate: From step and variables to a verdict; the same in every process.
        states: Checkpoints to resume from.
        bests: Checkpoints of the best state.
        writer: Records the metrics.
        stop: Tells when the run is asked to stop.

    Returns:
        The last state.

    Raises:
        Stopped: The run was asked to stop and has saved.
        NonFiniteLossError: The loss is not finite; nothing is saved after that step.
        OSError: A checkpoint could not be written.
        RequestError: The checkpoint is of another run.
    """
    best: dict[str, Any] = {"merit": None, "step": 0}
    if states.steps():
        step = states.steps()[-1]
        facts = states.read_facts(step)
        batches.set_state(facts["input"][jax.process_index()])
        sharding = parallel.replicated(mesh)
        state = states.read_tree(step, checkpoint.abstract_like(state, sharding))
        best = facts["best"]
        _LOGGER.info("resuming at step %d of %d", step, config.num_steps)
    else:
        step = 0
    bests.delete_after(step)
    writer.truncate_after(step)
    compiled = compile_step(train_step, mesh)
    pending = _Pending(writer)

    def save(step: int) -> None:
        pending.flush()
        inputs = parallel.gather_json(batches.get_state())
        states.save(step, state, {"input": inputs, "best": best})

    with (
        progress.Progress(
            config.num_steps * config.batch_size,
            label="train",
            initial=step * config.batch_size,
            quiet=jax.process_index() > 0,
        ) as shown,
        jax.set_mesh(mesh),
    ):
        while step < config.num_steps:
            batch = next(batches)
            placed = parallel.put_batch(
                mesh, {name: batch[name] for name in ("image", "label")}
            )
            # All that a step needs is on the devices: anything else is a mistake.
            with jax.transfer_guard("disallow"):
                state, metrics = compiled(state, placed["image"], placed["label"])
            step += 1
            pending.add(step, metrics)
            is_last = step == config.num_steps
            if step % config.log_every == 0 or is_last:
                pending.flush()
            shown.update(config.batch_size, pending.loss)
            if step % config.steps_per_epoch == 0 or is_last:
                pending.flush()
                verdict = validate(step, state.variables)
                writer.write(step, verdict.metrics)
                _LOGGER.debug("step %d: %s", step, dict(verdict.metrics))
                # Of equals the later one: it has seen more.
                if best["merit"] is None or verdict.merit >= best["merit"]:
                    best = {"merit": verdict.merit, "step": step}
                    bests.save(step, state.variables, verdict.facts)
            signum = _asked_to_stop(stop, step, config.log_every)
            if step % config.checkpoint_every == 0 or is_last or signum:
                save(step)
            if signum and not is_last:
                bests.wait()
                states.wait()
                raise Stopped(signum, step)
    bests.wait()
    states.wait()
    return state


def compile_step(train_step: TrainStep, mesh: Mesh) -> TrainStep:
    """The step as compiled for a mesh: state replicated and donated, batch sharded."""
    whole, cut = parallel.replicated(mesh), parallel.batch_sharding(mesh)
    return jax.jit(
        train_step,
        donate_argnums=0,
        in_shardings=(whole, cut, cut),
        out_shardings=(whole, whole),
    )


class _Pending:
    """Metrics that are still on the devices.

    Attributes:
        loss: The last loss that came to the host.
    """

    def __init__(self, writer: writers.Writer) -> None:
        self.loss: float | None = None
        self._writer = writer
        self._waiting: list[tuple[int, Metrics]] = []

    def add(self, step: int, metrics: Metrics) -> None:
        self._waiting.append((step, metrics))

    def flush(self) -> None:
        """Brings the metrics to the host and records them.

        Raises:
            NonFiniteLossError: A loss is not finite.
        """
        waiting, self._waiting = self._waiting, []
        values = jax.device_get([metrics for _, metrics in waiting])
        for (step, _), row in zip(waiting, values, strict=True):
            loss = float(row["loss"])
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"the loss is {loss} at step {step}; try a smaller "
                    "--learning_rate, or look at the pictures of that step; the last "
                    "checkpoint is from before"
                )
            self.loss = loss
            self._writer.write(step, {f"train/{name}": row[name] for name in row})


def _asked_to_stop(stop: StopRequest, step: int, interval: int) -> int:
    """The signal to stop for, 0 for none; the same in every process."""
    if jax.process_count() == 1:
        return stop.signum or 0
    # Agreeing waits for the slowest process, so it is not done at every step.
    if step % interval:
        return 0
    return parallel.agree_on_maximum(stop.signum or 0)
