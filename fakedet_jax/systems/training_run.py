# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs the training loop in the workdir of a request, the same for every network."""

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fakedet_jax.data.pipeline import TrainIterator
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import checkpoint, parallel, platforms
from fakedet_jax.systems.base import FitRequest
from fakedet_jax.training import freezing, loop, optim, steps, writers
from fakedet_jax.training.recipe import Recipe

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Training:
    """How a network is trained, as pure functions.

    Attributes:
        init_state: Makes the state before the first step.
        step: The step, not compiled yet.
    """

    init_state: Callable[[], steps.TrainState]
    step: loop.TrainStep

    def start(self, mesh: Mesh) -> steps.TrainState:
        """The state before the first step, on the devices.

        Args:
            mesh: The devices.
        """
        # Made on the devices, and in one go: dozens of small kernels less.
        return platforms.jit(
            self.init_state, mesh, out_shardings=parallel.replicated(mesh)
        )()


def create(
    model: nn.Module,
    preprocessing: Preprocessing,
    recipe: Recipe,
    num_steps: int,
    *,
    seed: int,
    frozen: Sequence[str] = (),
    averaging: float | None = None,
    trainable: str | None = None,
    **options: Any,
) -> Training:
    """The state of a network before its first step, and the step.

    Nothing is computed yet.

    Args:
        model: `(images, train) → (outputs, named outputs)`.
        preprocessing: From uint8 pictures to the network's input.
        recipe: The optimisation.
        num_steps: Updates of the whole run.
        seed: Seed of the initial parameters and of the network's random choices.
        frozen: Paths of parameters that are never trained.
        trainable: Pattern of the paths of those that are; see `freezing.select`.
        averaging: Decay of the moving average that is judged and kept; None for none.
        **options: Other arguments of `steps.make_train_step`.

    Raises:
        RequestError: The pattern matches nothing.
    """
    if trainable is not None:
        frozen = freezing.select(_parameters(model, preprocessing), trainable, frozen)
        options["frozen"] = frozen
    optimizer = optim.create_optimizer(recipe, num_steps, frozen)
    return Training(
        lambda: steps.create_train_state(
            model, preprocessing, optimizer, seed, is_averaged=averaging is not None
        ),
        steps.make_train_step(
            model,
            preprocessing,
            optimizer,
            optim.create_schedule(recipe, num_steps),
            seed=seed,
            averaging=averaging,
            **options,
        ),
    )


def check_trainable(
    model: nn.Module,
    preprocessing: Preprocessing,
    trainable: str | None,
    frozen: Sequence[str] = (),
) -> None:
    """Refuses a pattern that matches no parameter; says how many are trained.

    Args:
        model: See `create`.
        preprocessing: See `create`.
        trainable: See `create`.
        frozen: See `create`.

    Raises:
        RequestError: It matches none, or is no pattern.
    """
    if trainable is None:
        return
    params = _parameters(model, preprocessing)
    held = freezing.select(params, trainable, frozen)
    marks = jax.tree.leaves(freezing.mask(params, held))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    trained = sum(
        size for size, is_held in zip(sizes, marks, strict=True) if not is_held
    )
    _LOGGER.info(
        "trained are %d of %d arrays of parameters, %d of %d numbers",
        marks.count(False),
        len(marks),
        trained,
        sum(sizes),
    )


def _parameters(model: nn.Module, preprocessing: Preprocessing) -> Any:
    """Shapes of the parameters of a network; nothing is computed."""
    pictures = jax.ShapeDtypeStruct((1, *preprocessing.framing.shape), jnp.float32)
    return platforms.eval_shape(model.init, jax.random.key(0), pictures)["params"]


def reading(request: FitRequest) -> dict[str, int]:
    """How this process reads its rows of each batch, for `pipeline.train_iterator`.

    Args:
        request: Names the batch size, the devices, and how pictures are read.
    """
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
    model: nn.Module,
    preprocessing: Preprocessing,
    *,
    num_examples: int,
    batches: TrainIterator,
    validate: Callable[[int, Any], loop.Verdict],
    start_from: Callable[[Any, Any], Any] | None = None,
    best_folder: str = "best",
    **options: Any,
) -> None:
    """Trains to the end, from where an earlier run stopped.

    Args:
        request: Names the workdir, the devices, the recipe and the intervals.
        model: See `create`.
        preprocessing: See `create`.
        num_examples: Per epoch.
        batches: Closed at the end.
        validate: See `loop.train`.
        start_from: From fresh variables and the weights of the plan to the variables
            that the training starts with.
        best_folder: Where the best states go, in the workdir.
        **options: Other arguments of `create`.

    Raises:
        Stopped: The run was asked to stop and has saved.
        NonFiniteLossError: The training diverged.
        RequestError: The workdir belongs to another run.
    """
    config, recipe, mesh = request.config, request.recipe, request.mesh
    steps_per_epoch = math.ceil(num_examples / recipe.batch_size)
    num_steps = recipe.num_epochs * steps_per_epoch
    training = create(
        model, preprocessing, recipe, num_steps, seed=config.seed, **options
    )
    state = training.start(mesh)
    if start_from is not None and request.plan.weights is not None:
        started = parallel.replicate(
            mesh, start_from(state.variables, request.plan.weights)
        )
        state = dataclasses.replace(
            state,
            params=started["params"],
            model_state={name: started[name] for name in state.model_state},
        )
    writer = writers.create(config.workdir, process_index=jax.process_index())
    with (
        batches,
        writer,
        checkpoint.Store(config.workdir / "checkpoints") as states,
        checkpoint.Store(config.workdir / best_folder, max_to_keep=None) as bests,
    ):
        loop.train(
            loop.LoopConfig(
                num_steps=num_steps,
                steps_per_epoch=steps_per_epoch,
                batch_size=recipe.batch_size,
                log_every=config.options.log_every,
                checkpoint_every=config.options.checkpoint_every,
                profile=config.profile,
            ),
            mesh=mesh,
            train_step=training.step,
            state=state,
            batches=batches,
            validate=validate,
            states=states,
            bests=bests,
            writer=writer,
            stop=request.stop,
        )
