# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.steps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fakedet_jax.runtime import parallel
from fakedet_jax.systems.exif_anomaly import training as ranking_training
from fakedet_jax.systems.networks import amtennet
from fakedet_jax.training import loop, optim, steps
from tests import tiny


def _examples(size, batch_size, num_batches=1, num_classes=3):
    rng = np.random.default_rng(0)
    return [
        (
            rng.integers(0, 256, (batch_size, size, size, 3), np.uint8),
            rng.integers(0, num_classes, batch_size, np.int32),
        )
        for _ in range(num_batches)
    ]


def _make(model, preprocessing=tiny.PREPROCESSING, recipe=None, **settings):
    recipe = recipe or optim.Recipe(learning_rate=1e-2, momentum=0.9)
    optimizer = optim.create_optimizer(recipe, 100)
    schedule = optim.create_schedule(recipe, 100)
    step = steps.make_train_step(
        model, preprocessing, optimizer, schedule, **{"seed": 1, **settings}
    )
    is_averaged = settings.get("averaging") is not None
    return step, steps.create_train_state(
        model, preprocessing, optimizer, seed=1, is_averaged=is_averaged
    )


def _train(num_devices, model, batches, **settings):
    """Losses of the steps, and the state after them."""
    mesh = parallel.data_mesh(jax.devices()[:num_devices])
    step, state = _make(model, **settings)
    compiled = loop.compile_step(step, mesh)
    state = parallel.replicate(mesh, state)
    losses = []
    for images, labels in batches:
        placed = parallel.put_batch(mesh, {"image": images, "label": labels})
        state, metrics = compiled(state, placed["image"], placed["label"])
        losses.append(float(metrics["loss"]))
    return losses, jax.device_get(state)


def _losses(*args, **settings):
    return _train(*args, **settings)[0]


def test_eight_devices_give_the_losses_of_one():
    batches = _examples(tiny.SIZE, 16, num_batches=20)
    one, eight = (_losses(n, tiny.Net(3), batches) for n in (1, 8))
    np.testing.assert_allclose(eight, one, rtol=1e-5)


@pytest.mark.slow
def test_eight_devices_give_the_losses_of_one_for_amtennet():
    batches = _examples(128, 16, num_batches=20)
    one, eight = (
        _losses(
            n,
            amtennet.AmtenNet(3),
            batches,
            preprocessing=amtennet.PREPROCESSING,
            # At larger rates training is chaotic on these pictures of noise: rounding
            # that differs in the last digit is 1% of the loss after ten steps.
            recipe=optim.Recipe(learning_rate=1e-6, weight_decay=0.005),
        )
        for n in (1, 8)
    )
    np.testing.assert_allclose(eight, one, rtol=1e-5)


def _ranked_batches(batch_size, num_batches):
    """Pictures with four settings, some unknown, and whether they are manipulated."""
    rng = np.random.default_rng(1)
    batches = []
    for images, _ in _examples(tiny.SIZE, batch_size, num_batches):
        tags = rng.integers(1, 6, (batch_size, 4)).astype(np.float32)
        tags[rng.random(tags.shape) < 0.2] = np.nan
        is_manipulated = rng.integers(0, 2, (batch_size, 1))
        targets = np.concatenate([tags, is_manipulated], -1).astype(np.float32)
        batches.append((images, targets))
    return batches


@pytest.mark.slow
def test_pairs_on_different_devices_count():
    # Of eight pictures on eight devices no pair lies on one.
    batches = _ranked_batches(8, num_batches=3)
    settings = {"objective": ranking_training.make_objective()}
    (one, state), (eight, other) = (
        _train(number, tiny.Net(5), batches, **settings) for number in (1, 8)
    )
    np.testing.assert_allclose(eight, one, rtol=1e-5)
    jax.tree.map(
        lambda first, second: np.testing.assert_allclose(
            second, first, rtol=1e-5, atol=1e-6
        ),
        state.variables,
        other.variables,
    )


def test_without_its_pairs_the_loss_would_be_another():
    ((_, targets),) = _ranked_batches(8, num_batches=1)
    outputs = np.random.default_rng(2).normal(size=(8, 5)).astype(np.float32)

    @jax.jit
    def losses(outputs, targets):
        return ranking_training.make_objective()(outputs, targets)[0]

    alone = [losses(outputs[row : row + 1], targets[row : row + 1]) for row in range(8)]
    assert losses(outputs, targets) - np.mean(alone) > 0.1


def test_the_scalars_of_an_objective_are_reported():
    ((images, targets),) = _ranked_batches(8, num_batches=1)
    model = tiny.Net(5, noisy=False)
    step, state = _make(model, objective=ranking_training.make_objective())
    outputs, _ = model.apply(state.variables, tiny.PREPROCESSING(images))
    right = (np.asarray(outputs)[:, 4] > 0) == (targets[:, 4] == 1)
    metrics = jax.jit(step)(state, images, targets)[1]
    assert set(metrics) == {"loss", "manipulated_accuracy", "learning_rate"}
    assert metrics["manipulated_accuracy"] == pytest.approx(right.mean())


@pytest.mark.parametrize("num_devices", [1, 8])
@pytest.mark.slow
def test_accumulated_gradients_are_those_of_the_whole_batch(num_devices):
    model = tiny.Net(3, noisy=False)
    batches = _examples(tiny.SIZE, 32, num_batches=3)
    whole = _losses(num_devices, model, batches)
    parts = _losses(num_devices, model, batches, num_microbatches=4)
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_accumulation_splits_every_part_over_all_devices():
    # Otherwise parts would be shuffled between the devices at every step.
    mesh = parallel.data_mesh()
    step, state = _make(tiny.Net(3, noisy=False), num_microbatches=4)
    ((images, labels),) = _examples(tiny.SIZE, 32)
    placed = parallel.put_batch(mesh, {"image": images, "label": labels})
    text = (
        loop.compile_step(step, mesh)
        .lower(state, placed["image"], placed["label"])
        .compile()
        .as_text()
    )
    assert "all-reduce" in text
    for moved in ("all-gather", "all-to-all", "collective-permute"):
        assert moved not in text


def test_a_step_follows_the_gradient_of_the_mean_cross_entropy():
    model = tiny.Net(3, noisy=False)
    recipe = optim.Recipe(learning_rate=0.1, momentum=0.0)
    step, state = _make(model, recipe=recipe)
    ((images, labels),) = _examples(tiny.SIZE, 8)
    after, metrics = step(state, images, labels)

    def loss_fn(params):
        logits, _ = model.apply({"params": params}, tiny.PREPROCESSING(images))
        chosen = jax.nn.log_softmax(logits)[np.arange(8), labels]
        return -chosen.mean()

    loss, gradients = jax.value_and_grad(loss_fn)(state.params)
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-6)
    kernel = state.params["fc"]["kernel"] - 0.1 * gradients["fc"]["kernel"]
    np.testing.assert_allclose(after.params["fc"]["kernel"], kernel, atol=1e-6)
    # Caffe's bias learns at twice the rate.
    bias = state.params["fc"]["bias"] - 0.2 * gradients["fc"]["bias"]
    np.testing.assert_allclose(after.params["fc"]["bias"], bias, atol=1e-6)


def test_batch_statistics_move_only_in_training():
    step, state = _make(tiny.Net(3))
    ((images, labels),) = _examples(tiny.SIZE, 8)
    after, _ = step(state, images, labels)
    before_mean = state.model_state["batch_stats"]["bn"]["mean"]
    after_mean = after.model_state["batch_stats"]["bn"]["mean"]
    assert not np.allclose(before_mean, after_mean)


@pytest.mark.parametrize("change", [{"seed": 2}, {"step": 1}], ids=str)
def test_random_choices_depend_on_seed_and_step(change):
    _, state = _make(tiny.Net(3))
    ((images, labels),) = _examples(tiny.SIZE, 8)
    first, _ = _make(tiny.Net(3), seed=1)
    other, _ = _make(tiny.Net(3), seed=change.get("seed", 1))
    changed = dataclasses.replace(state, step=jnp.int32(change.get("step", 0)))
    losses = [
        float(first(state, images, labels)[1]["loss"]),
        float(other(changed, images, labels)[1]["loss"]),
    ]
    assert losses[0] != losses[1]


def test_the_learning_rate_reported_is_the_one_used():
    recipe = optim.Recipe(
        learning_rate=0.1, schedule="step", decay_steps=1, decay_factor=0.5
    )
    step, state = _make(tiny.Net(3), recipe=recipe)
    ((images, labels),) = _examples(tiny.SIZE, 8)
    state, first = step(state, images, labels)
    _, second = step(state, images, labels)
    rates = [float(first["learning_rate"]), float(second["learning_rate"])]
    assert rates == pytest.approx([0.1, 0.05])


def test_log_probabilities_are_those_of_the_logits():
    model = tiny.Net(3)
    _, state = _make(model)
    ((images, _),) = _examples(tiny.SIZE, 4)
    found = steps.make_log_probability_fn(model, tiny.PREPROCESSING)(
        state.variables, images
    )
    logits, _ = model.apply(state.variables, tiny.PREPROCESSING(images))
    expected = np.exp(np.asarray(logits, np.float64))
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-5)


def test_shapes_of_a_new_state_cost_no_computation():
    optimizer = optax.sgd(0.1)
    state = jax.eval_shape(
        lambda: steps.create_train_state(
            tiny.Net(3), tiny.PREPROCESSING, optimizer, seed=0
        )
    )
    assert state.params["conv"]["kernel"].shape == (3, 3, 3, 8)


def test_the_squared_error_of_two_classes_is_that_of_a_sigmoid():
    logits = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 1, 0, 1], np.int32)
    probability = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    found = steps.mean_squared_error(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(found, (probability - labels) ** 2, rtol=1e-5)


def test_a_constraint_holds_after_every_step():
    def project(params):
        kernel = params["conv"]["kernel"]
        return {
            **params,
            "conv": {**params["conv"], "kernel": kernel / jnp.abs(kernel).sum()},
        }

    recipe = tiny.DETECTOR.recipe
    model, schedule = tiny.Net(2), optim.create_schedule(recipe, 10)
    optimizer = optim.create_optimizer(recipe, 10)
    state = steps.create_train_state(model, tiny.PREPROCESSING, optimizer, 0)
    step = steps.make_train_step(
        model,
        tiny.PREPROCESSING,
        optimizer,
        schedule,
        seed=0,
        objective=steps.classification("mean_squared_error"),
        project=project,
    )
    step = jax.jit(step)
    ((images, labels),) = _examples(tiny.SIZE, 8)
    for _ in range(3):
        state, metrics = step(state, images, labels)
        assert jnp.abs(state.params["conv"]["kernel"]).sum() == pytest.approx(1)
    assert 0 < metrics["loss"] < 1


def test_the_average_is_that_of_optax():
    """Of the variables after each step, with Adam's correction of the bias."""
    batches = _examples(tiny.SIZE, 8, num_batches=6)
    mesh = parallel.data_mesh(jax.devices()[:1])
    step, state = _make(tiny.Net(3), averaging=0.8)
    compiled = loop.compile_step(step, mesh)
    state = parallel.replicate(mesh, state)
    ema = optax.ema(0.8, debias=True)
    ema_state = ema.init(state.variables)
    for images, labels in batches:
        state, _ = compiled(
            state, *parallel.put_batch(mesh, {"a": images, "b": labels}).values()
        )
        variables = jax.device_get(state.variables)
        expected, ema_state = ema.update(variables, ema_state)
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4),
            jax.device_get(state.judged),
            expected,
        )
    # It is another thing than the last state.
    kernels = [each["params"]["fc"]["kernel"] for each in (state.judged, variables)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


def test_averaging_does_not_change_the_steps():
    batches = _examples(tiny.SIZE, 8, num_batches=4)
    plain, averaged = (
        _train(1, tiny.Net(3), batches, averaging=decay) for decay in (None, 0.9)
    )
    np.testing.assert_allclose(averaged[0], plain[0], rtol=1e-6)


@pytest.mark.slow
def test_eight_devices_give_the_average_of_one():
    batches = _examples(tiny.SIZE, 16, num_batches=8)
    (_, one), (_, eight) = (
        _train(n, tiny.Net(3), batches, averaging=0.9) for n in (1, 8)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        eight.judged,
        one.judged,
    )


def test_what_does_not_change_keeps_its_value_in_the_average():
    constant = jnp.float32(np.random.default_rng(0).normal(size=100))
    average = {"frozen": jnp.zeros(100), "count": jnp.zeros((), jnp.int32)}
    for step in range(1, 30):
        newest = {"frozen": constant, "count": jnp.int32(step)}
        average = steps.move_average(average, newest, 0.9, step)
    np.testing.assert_array_equal(average["frozen"], constant)
    assert average["count"] == 29 and average["count"].dtype == jnp.int32


def test_an_average_by_hand():
    # Each value weighs twice as much as the one before.
    average = jnp.float32(99)
    for step, value in enumerate((4.0, 8.0, 16.0), 1):
        average = steps.move_average(average, jnp.float32(value), 0.5, step)
    assert float(average) == pytest.approx((4 * 1 + 8 * 2 + 16 * 4) / 7)
