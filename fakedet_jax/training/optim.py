# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Update rules and learning-rate schedules of the published systems, as optax parts."""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fakedet_jax.training import freezing
from fakedet_jax.training.recipe import Recipe

Schedule = Callable[[Any], Any]
Params = Any


class Multipliers(NamedTuple):
    """Caffe's `lr_mult` and `decay_mult` of one parameter."""

    learning_rate: float
    decay: float


def create_schedule(recipe: Recipe, num_steps: int) -> Schedule:
    """Learning rate as a function of the step, which counts from 0.

    With η = `learning_rate`, `constant` is η; `step` is
    `η · decay_factor^⌊step / decay_steps⌋`; `cosine` falls along half a cosine from η
    to `final_learning_rate` at `num_steps` and stays there; `time_decay` (the `decay`
    of Keras' optimizers) is `η / (1 + decay_per_step · step)`.

    Args:
        recipe: The schedule and its constants.
        num_steps: Updates of the whole run.

    Returns:
        A function from the step, an int or an int32 scalar, to the rate; it can be
        compiled.
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
        recipe: The rule and its constants.
        num_steps: Updates of the whole run, for the schedule.
        frozen: Paths of parameters that are not trained, such as `amten/conv1/bias`.

    Returns:
        An optax transformation whose updates are added to the parameters. Its `update`
        raises a ValueError where a frozen path is not among them.
    """
    schedule = create_schedule(recipe, num_steps)
    momentum, decay = recipe.momentum, recipe.weight_decay
    if recipe.optimizer == "caffe_sgd":
        # Its multipliers of 0 freeze a parameter, and its velocity too.
        return caffe_sgd(
            schedule, momentum, decay, lambda params: caffe_multipliers(params, frozen)
        )
    adam = {
        "b2": 0.999 if recipe.adam_beta2 is None else recipe.adam_beta2,
        "eps": 1e-8 if recipe.adam_epsilon is None else recipe.adam_epsilon,
    }
    rules: dict[str, tuple[optax.GradientTransformation, ...]] = {
        # Keras' rule is Caffe's with the same multipliers for all parameters.
        "sgd": (caffe_sgd(schedule, momentum, decay),),
        "torch_sgd": (torch_sgd(schedule, momentum, recipe.dampening, decay),),
        "adam": (optax.adamw(schedule, weight_decay=decay, **adam),),
        # PyTorch's Adam adds the decay to the gradient, so it enters both moments.
        "torch_adam": (optax.add_decayed_weights(decay), optax.adam(schedule, **adam)),
    }

    def zero_frozen(updates: Params, params: Params | None) -> Params:
        del params
        return jax.tree.map(
            lambda update, is_frozen: jnp.zeros_like(update) if is_frozen else update,
            updates,
            freezing.mask(updates, frozen),
        )

    # Not `optax.masked`: its state, though empty, would change the layout of
    # checkpoints.
    return optax.chain(*rules[recipe.optimizer], optax.stateless(zero_frozen))


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

    The learning rate is inside V, and V keeps its size when the rate steps down.
    `optax.sgd` and PyTorch multiply by the rate after the momentum, so they differ in
    the steps that follow. (Jia et al., "Caffe", 2014: `SGDSolver::ComputeUpdateValue`.)

    Args:
        learning_rate: lr, a function of the step from 0.
        momentum: μ.
        weight_decay: wd.
        multipliers: From parameters to a tree of `Multipliers` of the same structure;
            None for 1 everywhere.

    Returns:
        An optax transformation; its `update` raises a ValueError without `params`.
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
        learning_rate: lr, a function of the step from 0.
        momentum: μ.
        dampening: Part of a gradient that is left out from the second step on.
        weight_decay: wd.

    Returns:
        An optax transformation; its `update` raises a ValueError without `params`.
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
        # B is 0 before the first step, which therefore differs in this factor only.
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

    The bias of a layer with a kernel learns at twice the rate and does not decay: 2
    and 0. All other parameters, batch normalisation's scale and bias too, have 1 and 1.

    Args:
        params: Nested dicts of arrays.
        frozen: Paths of parameters that have 0 and 0.

    Returns:
        A tree of `Multipliers` of the same structure.

    Raises:
        ValueError: A frozen path is not among the parameters.
    """
    paths = freezing.paths(params)
    known = set(jax.tree.leaves(paths))

    def multipliers(path: str, is_frozen: bool) -> Multipliers:
        name = path.rpartition("/")[-1]
        if is_frozen:
            return Multipliers(0.0, 0.0)
        if name == "bias" and path.removesuffix(name) + "kernel" in known:
            return Multipliers(2.0, 0.0)
        return Multipliers(1.0, 1.0)

    return jax.tree.map(multipliers, paths, freezing.mask(params, frozen))
