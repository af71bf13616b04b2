# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Update rules and learning-rate schedules of the published systems, as optax parts."""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fakedet_jax.training.recipe import Recipe

Schedule = Callable[[Any], Any]
Params = Any


class Multipliers(NamedTuple):
    """Factors of a parameter's own, Caffe's `lr_mult` and `decay_mult`."""

    learning_rate: float
    decay: float


def create_schedule(recipe: Recipe, num_steps: int) -> Schedule:
    """Learning rate as a function of the step, which counts from 0.

    Args:
        recipe: Names the schedule: `step` is `rate · factor^⌊step / decay_steps⌋`,
            `cosine` falls from `rate` to the final rate at `num_steps` and stays there,
            `time_decay` (the `decay` of Keras' optimizers) is
            `rate / (1 + decay_per_step · step)`.
        num_steps: Updates of the whole run.

    Returns:
        A function of the step.
    """
    rate = recipe.learning_rate
    schedules: dict[str, Callable[[], Schedule]] = {
        "constant": lambda: optax.constant_schedule(rate),
        "cosine": lambda: optax.cosine_decay_schedule(
            rate, max(num_steps, 1), alpha=(recipe.final_learning_rate or 0.0) / rate
        ),
        "step": lambda: optax.exponential_decay(
            rate, recipe.decay_steps, recipe.decay_factor, staircase=True
        ),
        "time_decay": lambda: lambda step: rate / (1.0 + recipe.decay_per_step * step),
    }
    return schedules[recipe.schedule]()


def create_optimizer(
    recipe: Recipe, num_steps: int, frozen: Collection[str] = ()
) -> optax.GradientTransformation:
    """The update rule of a recipe.

    Args:
        recipe: Names the rule and its constants.
        num_steps: Updates of the whole run, for the schedule.
        frozen: Paths of parameters that stay as they are, such as `amten/conv1/bias`.

    Returns:
        An optax transformation whose updates are added to the parameters.
    """
    schedule = create_schedule(recipe, num_steps)

    adam = {
        "b2": 0.999 if recipe.adam_beta2 is None else recipe.adam_beta2,
        "eps": 1e-8 if recipe.adam_epsilon is None else recipe.adam_epsilon,
    }

    def multipliers(params: Params) -> Params:
        return caffe_multipliers(params, frozen)

    optimizers: dict[str, Callable[[], optax.GradientTransformation]] = {
        "caffe_sgd": lambda: caffe_sgd(
            schedule, recipe.momentum, recipe.weight_decay, multipliers
        ),
        # Keras' rule is Caffe's with all parameters alike.
        "sgd": lambda: optax.chain(
            caffe_sgd(schedule, recipe.momentum, recipe.weight_decay),
            _zero_frozen(frozen),
        ),
        "torch_sgd": lambda: optax.chain(
            torch_sgd(schedule, recipe.momentum, recipe.dampening, recipe.weight_decay),
            _zero_frozen(frozen),
        ),
        "adam": lambda: optax.chain(
            optax.adamw(schedule, weight_decay=recipe.weight_decay, **adam),
            _zero_frozen(frozen),
        ),
        # PyTorch's Adam takes the decay into both moments.
        "torch_adam": lambda: optax.chain(
            optax.add_decayed_weights(recipe.weight_decay),
            optax.adam(schedule, **adam),
            _zero_frozen(frozen),
        ),
    }
    return optimizers[recipe.optimizer]()


class CaffeSgdState(NamedTuple):
    """State of `caffe_sgd`: the step (int32) and V, shaped like the parameters."""

    step: jax.Array
    velocity: Params


def caffe_sgd(
    learning_rate: Schedule,
    momentum: float,
    weight_decay: float = 0.0,
    multipliers: Callable[[Params], Params] | None = None,
) -> optax.GradientTransformation:
    """Caffe's stochastic gradient descent with momentum.

    `V ← μV + lr · lr_mult · (g + wd · decay_mult · W)`, `W ← W − V`.

    The learning rate is inside V, and V keeps its size when the rate steps down:
    `optax.sgd` and PyTorch multiply by the rate after the momentum and so differ for
    the steps that follow. (Jia et al., "Caffe", 2014: `SGDSolver::ComputeUpdateValue`.)

    Args:
        learning_rate: Schedule, of the step from 0.
        momentum: μ.
        weight_decay: wd.
        multipliers: From parameters to a tree of `Multipliers` of the same structure;
            1 everywhere by default.

    Returns:
        An optax transformation that needs `params` in `update`.
    """

    def init(params: Params) -> CaffeSgdState:
        velocity = jax.tree.map(jnp.zeros_like, params)
        return CaffeSgdState(jnp.zeros((), jnp.int32), velocity)

    def update(
        gradients: Params, state: CaffeSgdState, params: Params | None = None
    ) -> tuple[Params, CaffeSgdState]:
        if params is None:
            raise ValueError("caffe_sgd needs the parameters for the weight decay")
        if multipliers is None:
            factors = jax.tree.map(lambda _: Multipliers(1.0, 1.0), params)
        else:
            factors = multipliers(params)
        rate = learning_rate(state.step)

        def next_velocity(factor, gradient, velocity, param):  # type: ignore[no-untyped-def]
            decayed = gradient + weight_decay * factor.decay * param
            return momentum * velocity + rate * factor.learning_rate * decayed

        velocity = jax.tree.map(
            next_velocity,
            factors,
            gradients,
            state.velocity,
            params,
            is_leaf=lambda node: isinstance(node, Multipliers),
        )
        updates = jax.tree.map(jnp.negative, velocity)
        return updates, CaffeSgdState(state.step + 1, velocity)

    return optax.GradientTransformation(init, update)


class TorchSgdState(NamedTuple):
    """State of `torch_sgd`: the step (int32) and B, shaped like the parameters."""

    step: jax.Array
    buffer: Params


def torch_sgd(
    learning_rate: Schedule,
    momentum: float,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """PyTorch's stochastic gradient descent with momentum and dampening.

    `G = g + wd · W`, `B ← μB + (1 − dampening) · G` but `B = G` at the first step,
    `W ← W − lr · B`. Without momentum there is no dampening: `W ← W − lr · G`.
    (PyTorch's documentation of `torch.optim.SGD`.)

    Args:
        learning_rate: Schedule, of the step from 0.
        momentum: μ.
        dampening: Part of a gradient that is left out, from the second step on.
        weight_decay: wd.

    Returns:
        An optax transformation that needs `params` in `update`.
    """
    share = 1.0 - dampening if momentum else 1.0

    def init(params: Params) -> TorchSgdState:
        buffer = jax.tree.map(jnp.zeros_like, params)
        return TorchSgdState(jnp.zeros((), jnp.int32), buffer)

    def update(
        gradients: Params, state: TorchSgdState, params: Params | None = None
    ) -> tuple[Params, TorchSgdState]:
        if params is None:
            raise ValueError("torch_sgd needs the parameters for the weight decay")
        # The buffer starts at zero, so only the gradient's share sets the first apart.
        first_or_share = jnp.where(state.step == 0, 1.0, share)
        buffer = jax.tree.map(
            lambda gradient, old, param: (
                momentum * old + first_or_share * (gradient + weight_decay * param)
            ),
            gradients,
            state.buffer,
            params,
        )
        rate = learning_rate(state.step)
        updates = jax.tree.map(lambda value: -rate * value, buffer)
        return updates, TorchSgdState(state.step + 1, buffer)

    return optax.GradientTransformation(init, update)


def caffe_multipliers(params: Params, frozen: Collection[str] = ()) -> Params:
    """The multipliers that Caffe's definitions give to convolutional networks.

    A bias of a layer with a kernel learns at twice the rate and does not decay;
    everything else, batch normalisation's scale and bias too, has 1 and 1.

    Args:
        params: Nested dicts of arrays.
        frozen: Paths, joined by slashes, of parameters with 0 and 0.

    Returns:
        A tree of `Multipliers`.

    Raises:
        ValueError: A frozen path is not among the parameters.
    """
    unknown = set(frozen)

    def walk(node: Params, path: str) -> Params:
        if not isinstance(node, dict):
            unknown.discard(path)
            return Multipliers(1.0, 1.0)
        factors = {key: walk(node[key], f"{path}/{key}".lstrip("/")) for key in node}
        if "kernel" in node and "bias" in node:
            factors["bias"] = Multipliers(2.0, 0.0)
        for key in node:
            if f"{path}/{key}".lstrip("/") in frozen:
                factors[key] = Multipliers(0.0, 0.0)
        return factors

    factors = walk(params, "")
    if unknown:
        raise ValueError(f"no parameter named {', '.join(sorted(unknown))} to freeze")
    return factors


def _zero_frozen(frozen: Collection[str]) -> optax.GradientTransformation:
    def zero(updates: Params, params: Params | None = None) -> Params:
        del params
        return jax.tree.map(
            lambda factor, value: value * bool(factor.learning_rate),
            caffe_multipliers(updates, frozen),
            updates,
            is_leaf=lambda node: isinstance(node, Multipliers),
        )

    return optax.stateless(zero)
