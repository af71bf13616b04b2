# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pure functions of one step of training or scoring, the same for every network."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import lax

from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.training import freezing, optim

Variables = Any
Metrics = dict[str, jax.Array]


def mean_squared_error(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared error of the class probabilities, averaged over the classes.

    `1/C · Σ_c (softmax(logits)_c − [label = c])²`. With two classes it is the squared
    error of the probability that a network with a single sigmoid gives.

    Args:
        logits: Float32 `[batch, classes]`.
        labels: Int32 `[batch]`, in [0, classes). A label out of range counts as no
            class and raises nothing.

    Returns:
        Float32 `[batch]`, in [0, 1].
    """
    wanted = jax.nn.one_hot(labels, logits.shape[-1])
    return jnp.square(jax.nn.softmax(logits) - wanted).mean(-1)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Negative log-likelihood of the labels under a softmax.

    Args:
        logits: Float32 `[batch, classes]`.
        labels: Int32 `[batch]`, in [0, classes). A label out of range counts as no
            class and raises nothing.

    Returns:
        Float32 `[batch]`, in nats.
    """
    # By a mask: the gradient of an indexed logit is a scatter.
    wanted = jax.nn.one_hot(labels, logits.shape[-1])
    return jax.nn.logsumexp(logits, -1) - (wanted * logits).sum(-1)


# From logits `[batch, classes]` and labels int32 `[batch]` to losses `[batch]`.
LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "cross_entropy": cross_entropy,
    "mean_squared_error": mean_squared_error,
}


# From a network's first output `[batch, columns]` and the targets `[batch, …]` to the
# mean loss of the batch and other scalars to record.
Objective = Callable[[jax.Array, jax.Array], tuple[jax.Array, Metrics]]

# From a network's named outputs and the targets to a loss that is added, and scalars.
Regularizer = Callable[[Mapping[str, jax.Array], jax.Array], tuple[jax.Array, Metrics]]


def classification(loss: str) -> Objective:
    """The objective of a classifier of pictures.

    Args:
        loss: Name of one of `LOSSES`.

    Returns:
        A function from logits `[batch, classes]` and labels int32 `[batch]`, in
        [0, classes), to the mean loss, float32 `[]`, and `accuracy`, float32 `[]`: the
        share of examples whose label has the largest logit.

    Raises:
        KeyError: There is no loss of that name.
    """
    losses_of = LOSSES[loss]

    def objective(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, Metrics]:
        losses = losses_of(logits, labels)
        correct = jnp.mean(jnp.argmax(logits, -1) == labels, dtype=jnp.float32)
        return losses.mean(), {"accuracy": correct}

    return objective


@flax.struct.dataclass
class TrainState:
    """Everything that changes in training.

    Attributes:
        step: Number of updates so far, int32 `[]`.
        params: Learned parameters, a tree of float32 arrays.
        model_state: Other collections of the network's variables, such as batch
            statistics.
        opt_state: State of the optimizer.
    """

    step: jax.Array
    params: Any
    model_state: Any
    opt_state: Any

    @property
    def variables(self) -> Variables:
        """Parameters and other variables, as the network's `apply` takes them."""
        return {"params": self.params, **self.model_state}

    @property
    def judged(self) -> Variables:
        """The variables that are validated, and kept as a detector."""
        return self.variables


@flax.struct.dataclass
class AveragedState(TrainState):
    """A state that also keeps a moving average of its variables.

    Attributes:
        average: Of the parameters and the other variables, as `apply` takes them.
    """

    average: Any

    @property
    def judged(self) -> Variables:
        """The average."""
        return self.average


def create_train_state(
    model: nn.Module,
    preprocessing: Preprocessing,
    optimizer: optax.GradientTransformation,
    seed: int,
    *,
    is_averaged: bool = False,
) -> TrainState:
    """The state of a network before its first step.

    The function can be traced, so `jax.eval_shape` gives the shapes at no cost.

    Args:
        model: `(images, train) → (logits, outputs)`.
        preprocessing: From uint8 pictures to the network's input.
        optimizer: The update rule.
        seed: Seed of the initial parameters.
        is_averaged: Whether it keeps an average, which the first step overwrites.

    Returns:
        The state, at step 0.
    """
    pictures = jnp.zeros((1, *preprocessing.framing.shape), jnp.uint8)
    variables = model.init(jax.random.key(seed), preprocessing(pictures))
    model_state = {key: value for key, value in variables.items() if key != "params"}
    params = variables["params"]
    opt_state = optimizer.init(params)
    step = jnp.zeros((), jnp.int32)
    if is_averaged:
        average = jax.tree.map(jnp.zeros_like, dict(variables))
        return AveragedState(step, params, model_state, opt_state, average)
    return TrainState(step, params, model_state, opt_state)


def make_train_step(
    model: nn.Module,
    preprocessing: Preprocessing,
    optimizer: optax.GradientTransformation,
    schedule: optim.Schedule,
    *,
    seed: int,
    num_microbatches: int = 1,
    objective: Objective | None = None,
    regularizer: Regularizer | None = None,
    project: Callable[[Any], Any] | None = None,
    averaging: float | None = None,
    frozen: Collection[str] = (),
) -> Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]:
    """The update of one batch, as a pure function.

    Args:
        model: `(images, train) → (logits, outputs)`.
        preprocessing: From uint8 pictures to the network's input.
        optimizer: The update rule.
        schedule: Learning rate of the optimizer, which is only reported.
        seed: Seed of the network's random choices, such as dropout; with the same seed
            each step makes the same choices.
        num_microbatches: Number of parts of a batch whose gradients are averaged before
            the update, at least 1; batch statistics move with every part.
        objective: The function to minimise; the cross-entropy of labels by default.
        regularizer: What is added to it; None for nothing.
        project: From updated parameters to those that satisfy a constraint; None for
            no constraint.
        averaging: See `move_average`, for an `AveragedState`; None for none.
        frozen: Paths of parameters that the optimizer leaves as they are. No gradients
            of them are computed, and normalisations without others use their running
            statistics.

    Returns:
        `step(state, images, targets)`, where images are uint8
        `[batch, height, width, 3]`, targets are those of the objective, such as labels
        int32 `[batch]`, and `num_microbatches` divides the batch. It gives the next
        state and float32 scalars: `loss` and those of the objective, averaged over the
        parts of the batch, and `learning_rate`. It raises a TypeError for a batch that
        cannot be divided.
    """
    measure = objective or classification("cross_entropy")

    def loss_fn(params, model_state, images, targets, key):  # type: ignore[no-untyped-def]
        if frozen:
            params = freezing.without_gradient(params, frozen)
        variables = {"params": params, **model_state}
        with freezing.statistics_held(variables, frozen):
            (outputs, named), updated = model.apply(
                variables,
                preprocessing(images),
                train=True,
                mutable=list(model_state),
                rngs={"dropout": key},
            )
        loss, scalars = measure(outputs, targets)
        if regularizer is not None:
            added, more = regularizer(named, targets)
            loss, scalars = loss + added, {**scalars, **more}
        return loss, (updated, scalars)

    gradient_fn = jax.value_and_grad(loss_fn, has_aux=True)

    def train_step(
        state: TrainState, images: jax.Array, targets: jax.Array
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)

        def part(carry, inputs):  # type: ignore[no-untyped-def]
            model_state, totals = carry
            number, part_images, part_targets = inputs
            (loss, (model_state, scalars)), gradients = gradient_fn(
                state.params,
                model_state,
                part_images,
                part_targets,
                jax.random.fold_in(key, number),
            )
            totals = jax.tree.map(jnp.add, totals, gradients)
            return (model_state, totals), {"loss": loss, **scalars}

        zeros = jax.tree.map(jnp.zeros_like, state.params)
        carry = (state.model_state, zeros)
        if num_microbatches == 1:
            (model_state, totals), scalars = part(carry, (0, images, targets))
        else:
            numbers = jnp.arange(num_microbatches)
            parts = (
                _split_parts(value, num_microbatches) for value in (images, targets)
            )
            (model_state, totals), rows = lax.scan(part, carry, (numbers, *parts))
            scalars = jax.tree.map(jnp.mean, rows)
        gradients = jax.tree.map(lambda t: t / num_microbatches, totals)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        if project is not None:
            params = project(params)
        if frozen:
            params = freezing.restored(params, state.params, frozen)
        metrics = {
            **scalars,
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
        }
        changed = dataclasses.replace(
            state,
            step=state.step + 1,
            params=params,
            model_state=model_state,
            opt_state=opt_state,
        )
        if averaging is None:
            return changed, metrics
        assert isinstance(changed, AveragedState)
        average = move_average(
            changed.average, changed.variables, averaging, changed.step
        )
        return dataclasses.replace(changed, average=average), metrics

    return train_step


def move_average(average: Any, newest: Any, decay: float, step: jax.Array | int) -> Any:
    """The exponential moving average of arrays after one more step.

    After step `t` it is `Σ_s d^(t−s) · x_s / Σ_s d^(t−s)` over the steps `s` from 1 to
    `t`: Adam's correction of the bias is contained, so that a short run does not
    remember how it was initialised. `optax.ema` gives the same; in this form the
    average itself is the state, and what does not change keeps its value exactly.

    Args:
        average: The average so far, a tree of arrays; not used at step 1.
        newest: The arrays after this step, a tree of the same structure. Those that are
            not floating-point are not averaged.
        decay: d, above 0 and below 1; about `1 / (1 − d)` steps count.
        step: t, from 1.

    Returns:
        A tree of the same structure.
    """
    passed = -jnp.expm1(step * jnp.log(jnp.float32(decay)))  # 1 − d^t
    weight = (1 - decay) / passed

    def move(old: jax.Array, new: jax.Array) -> jax.Array:
        if not jnp.issubdtype(new.dtype, jnp.floating):
            return new
        moved = old + weight.astype(new.dtype) * (new - old)
        return jnp.where(step == 1, new, moved)

    return jax.tree.map(move, average, newest)


def make_log_probability_fn(
    model: nn.Module, preprocessing: Preprocessing
) -> Callable[[Variables, jax.Array], jax.Array]:
    """Logarithms of the class probabilities of pictures, as a pure function.

    Probabilities themselves are rounded to 0 and 1 where the logits are far apart.

    Args:
        model: `(images, train) → (logits, outputs)`.
        preprocessing: From uint8 pictures to the network's input.

    Returns:
        `fn(variables, images)` from uint8 `[batch, height, width, 3]` to float32
        `[batch, classes]`; the exponentials of each row sum to 1.
    """

    def log_probabilities(variables: Variables, images: jax.Array) -> jax.Array:
        logits, _ = model.apply(variables, preprocessing(images), train=False)
        return jax.nn.log_softmax(logits.astype(jnp.float32))

    return log_probabilities


def _split_parts(values: jax.Array, num_parts: int) -> jax.Array:
    """Cuts a batch into `[num_parts, batch / num_parts, …]`, each on all devices."""
    # Part p takes every num_parts-th example, so examples stay on their devices.
    strided = values.reshape(-1, num_parts, *values.shape[1:])
    return strided.swapaxes(0, 1)
