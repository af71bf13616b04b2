# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop: plain Python around a compiled step."""

import collections
import dataclasses
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fakedet_jax.config import ProfileConfig
from fakedet_jax.data import pipeline
from fakedet_jax.runtime import checkpoint, parallel, platforms, progress
from fakedet_jax.runtime.signals import Stopped, StopRequest
from fakedet_jax.training import profiling, writers
from fakedet_jax.training.steps import Metrics, TrainState, Variables

_LOGGER = logging.getLogger(__name__)

# From a state, a batch of pictures and its targets to the next state and scalars.
TrainStep = Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]


class NonFiniteLossError(RuntimeError):
    """The training diverged: its numbers are infinite or not numbers."""

    def __init__(self, problem: str) -> None:
        """Adds to the message what to do.

        Args:
            problem: What is not finite, and when.
        """
        super().__init__(
            f"{problem}; try a smaller `learning_rate` in another `workdir`"
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Result of validating a state.

    Attributes:
        metrics: Numbers to record, by name.
        merit: Decides which state is kept as the best; larger is better.
        facts: JSON object that is stored with the variables if they are the best.
    """

    metrics: Mapping[str, float]
    merit: float
    facts: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """Lengths and intervals, in steps.

    Attributes:
        num_steps: Steps of the whole run.
        steps_per_epoch: Steps between two validations.
        batch_size: Examples per step, over all processes.
        log_every: Steps between two transfers of the metrics to the host.
        checkpoint_every: Steps between two checkpoints.
        profile: Which steps are traced; None for none.
    """

    num_steps: int
    steps_per_epoch: int
    batch_size: int
    log_every: int
    checkpoint_every: int
    profile: ProfileConfig | None = None


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

    A run that is interrupted anywhere and started again ends with bit-identical
    parameters, on the same machine with the same number of devices. With other devices,
    processes or reading workers it goes on, says so, and ends with other last digits.

    Args:
        config: Lengths and intervals.
        mesh: Mesh of all devices.
        train_step: Pure function; it is compiled here and its state donated.
        state: State before the first step, replicated on the mesh; it is used up.
        batches: Endless training batches of this process: uint8 `image`
            `[local batch, height, width, 3]` and the targets `label`
            `[local batch, …]`.
        validate: From step and the variables that are judged to a verdict, the same
            in every process.
        states: Checkpoints to resume from.
        bests: Checkpoints of the best state.
        writer: Records the metrics.
        stop: Tells when the run is asked to stop.

    Returns:
        The last state.

    Raises:
        Stopped: The run was asked to stop, and has saved its state.
        NonFiniteLossError: The loss or a parameter is not finite; nothing is saved
            from that step on.
        OSError: A checkpoint cannot be written.
        RequestError: The checkpoint belongs to another run, or a step is to be traced
            that the run does not have.
    """
    best: dict[str, Any] = {"merit": None, "step": 0}
    # The best step of each state that the run may resume from, the newest last.
    saved_bests: collections.deque[int]
    saved_bests = collections.deque(maxlen=checkpoint.NUM_STATES)
    if states.steps():
        step = states.steps()[-1]
        facts = states.read_facts(step)
        is_exact = batches.set_state(facts["input"])
        # Earlier versions did not note the devices.
        is_exact &= facts.get("num_devices", mesh.size) == mesh.size
        sharding = parallel.replicated(mesh)
        state = states.read_tree(step, checkpoint.abstract_like(state, sharding))
        best = facts["best"]
        saved_bests.append(best["step"])
        _LOGGER.info("resuming at step %d of %d", step, config.num_steps)
        if not is_exact:
            _LOGGER.warning(
                "the run goes on with other processes, devices or `num_workers` than "
                "before; it ends with other parameters than a run without the change"
            )
    else:
        step = 0
    profiler = profiling.StepProfiler(config.profile, config.num_steps, done=step)
    bests.delete_after(step)
    if best["step"] not in bests.steps():
        best = {"merit": None, "step": 0}
    writer.truncate_after(step)
    compiled = compile_step(train_step, mesh)
    all_finite = jax.jit(_all_finite)
    pending = _Pending(writer)

    def check(step: int) -> None:
        """Records the pending metrics and refuses numbers that are not finite."""
        pending.flush()
        # The loss of a step says nothing about the update that follows from it.
        if not bool(jax.device_get(all_finite(state))):
            raise NonFiniteLossError(
                f"the parameters are no longer finite after step {step}"
            )

    def save(step: int) -> None:
        inputs = parallel.gather_json(batches.get_state())
        # A state must not be stored before the best step that it names.
        bests.wait()
        writer.flush()
        facts = {"input": inputs, "best": best, "num_devices": mesh.size}
        states.save(step, state, facts)
        saved_bests.append(best["step"])

    def save_best(step: int, facts: Mapping[str, Any], previous: int) -> None:
        bests.save(step, state.judged, facts)
        # Saving has waited for the previous best. A run that resumes from an earlier
        # state needs the best step of that time.
        bests.keep_only({*saved_bests, previous, step})

    with (
        progress.Progress(
            config.num_steps * config.batch_size,
            label="train",
            initial=step * config.batch_size,
            quiet=jax.process_index() > 0,
        ) as shown,
        jax.set_mesh(mesh),
        profiler,
    ):
        while step < config.num_steps:
            with profiler.step(step + 1):
                with jax.profiler.TraceAnnotation("wait for pictures"):
                    batch = next(batches)
                with jax.profiler.TraceAnnotation("put pictures on devices"):
                    placed = parallel.put_batch(
                        mesh, {name: batch[name] for name in ("image", "label")}
                    )
                # All inputs of a step are on the devices; another transfer is a
                # mistake.
                with jax.transfer_guard("disallow"):
                    state, metrics = compiled(state, placed["image"], placed["label"])
            step += 1
            profiler.finish(step, metrics)
            pending.add(step, metrics)
            is_last = step == config.num_steps
            if step % config.log_every == 0 or is_last:
                pending.flush()
            shown.update(config.batch_size, pending.loss)
            if step % config.steps_per_epoch == 0 or is_last:
                check(step)
                verdict = validate(step, state.judged)
                writer.write(step, verdict.metrics)
                _LOGGER.debug("step %d: %s", step, dict(verdict.metrics))
                # Of equals the later one is kept, as it has seen more examples.
                if best["merit"] is None or verdict.merit >= best["merit"]:
                    save_best(step, verdict.facts, previous=best["step"])
                    best = {"merit": verdict.merit, "step": step}
            signum = _asked_to_stop(stop, step, config.log_every)
            if step % config.checkpoint_every == 0 or is_last or signum:
                check(step)
                save(step)
            if signum and not is_last:
                bests.wait()
                states.wait()
                raise Stopped(signum, step)
    bests.wait()
    states.wait()
    return state


def compile_step(train_step: TrainStep, mesh: Mesh) -> TrainStep:
    """Compiles a step for a mesh: state replicated and donated, batch sharded.

    Args:
        train_step: Pure function.
        mesh: Mesh of all devices; its size divides the batch.

    Returns:
        The step for arrays on the mesh. It is compiled at the first call, and the
        state that it is given cannot be used again.
    """
    whole, cut = parallel.replicated(mesh), parallel.batch_sharding(mesh)
    return platforms.jit(
        train_step,
        mesh,
        donate_argnums=0,
        in_shardings=(whole, cut, cut),
        out_shardings=(whole, whole),
    )


class _Pending:
    """Metrics that are still on the devices.

    Attributes:
        loss: The last loss that was brought to the host, None before the first.
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
                raise NonFiniteLossError(f"the loss is {loss} at step {step}")
            self.loss = loss
            self._writer.write(step, {f"train/{name}": row[name] for name in row})


def _all_finite(tree: Any) -> jax.Array:
    """Whether every number of a tree is finite: bool `[]`."""
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all()


def _asked_to_stop(stop: StopRequest, step: int, interval: int) -> int:
    """Number of the signal to stop for, 0 for none; the same in every process."""
    if jax.process_count() == 1:
        return stop.signum or 0
    # Agreeing waits for the slowest process, so it does not happen at every step.
    if step % interval:
        return 0
    return parallel.agree_on_maximum(stop.signum or 0)
