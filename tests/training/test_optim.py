# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.optim against the published rules in float64."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fakedet_jax.training import optim
from fakedet_jax.training.recipe import OPTIMIZERS, SCHEDULES
from tests.golden import make_adam_golden, make_sgd_golden

# The constants of Zou et al. (2025).
ANOMALY = optim.Recipe(
    "torch_adam",
    learning_rate=1e-5,
    schedule="cosine",
    final_learning_rate=1e-7,
    adam_beta2=0.98,
    adam_epsilon=1e-6,
    weight_decay=1e-4,
)
STEP = optim.Recipe(
    learning_rate=0.1,
    schedule="step",
    decay_steps=3,
    decay_factor=0.5,
    momentum=0.9,
    weight_decay=0.05,
)
FROZEN = ("net/first/bias",)
# Caffe's lr_mult and decay_mult of each parameter.
FACTORS = {
    "first/kernel": (1, 1),
    "first/bias": (0, 0),
    "second/kernel": (1, 1),
    "second/bias": (2, 0),
    "norm/scale": (1, 1),
    "norm/bias": (1, 1),
}


def _params():
    rng = np.random.default_rng(0)
    flat = {name: rng.normal(size=(2, 3)).astype(np.float32) for name in FACTORS}
    return flat, _nest(flat)


def _nest(flat):
    tree = {}
    for path, value in flat.items():
        layer, name = path.split("/")
        tree.setdefault(layer, {})[name] = jnp.asarray(value)
    return {"net": tree}


def _gradients(num_steps):
    rng = np.random.default_rng(1)
    return [
        {name: rng.normal(size=(2, 3)).astype(np.float32) for name in FACTORS}
        for _ in range(num_steps)
    ]


def _run(optimizer, num_steps):
    """Parameters after each step."""
    _, params = _params()
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    trajectory = []
    for gradients in _gradients(num_steps):
        updates, state = update(_nest(gradients), state, params)
        params = optax.apply_updates(params, updates)
        trajectory.append(params)
    return trajectory


def _caffe(num_steps, all_factors=FACTORS):
    """The same by Caffe's published rule, in float64."""
    params = {name: value.astype(np.float64) for name, value in _params()[0].items()}
    velocity = {name: np.zeros((2, 3)) for name in params}
    trajectory = []
    for step, gradients in enumerate(_gradients(num_steps)):
        rate = 0.1 * 0.5 ** (step // 3)
        for name, (rate_factor, decay_factor) in all_factors.items():
            decayed = gradients[name] + 0.05 * decay_factor * params[name]
            velocity[name] = 0.9 * velocity[name] + rate * rate_factor * decayed
            params[name] = params[name] - velocity[name]
        trajectory.append(dict(params))
    return trajectory


@pytest.mark.parametrize("name", FACTORS)
def test_caffe_sgd_follows_caffe_across_steps_of_the_rate(name):
    layer, kind = name.split("/")
    found = _run(optim.create_optimizer(STEP, 8, FROZEN), 8)
    for one, other in zip(found, _caffe(8), strict=True):
        np.testing.assert_allclose(
            one["net"][layer][kind], other[name], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", FACTORS)
def test_sgd_is_caffes_rule_with_all_parameters_alike(name):
    layer, kind = name.split("/")
    recipe = dataclasses.replace(STEP, optimizer="sgd")
    found = _run(optim.create_optimizer(recipe, 8), 8)
    expected = _caffe(8, dict.fromkeys(FACTORS, (1, 1)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            one["net"][layer][kind], other[name], rtol=1e-5, atol=1e-6
        )


def test_sgd_follows_keras_under_its_time_decay():
    # Keras: v ← μv − lr·g, w ← w + v, lr = 0.1 / (1 + 0.5 · step).
    recipe = optim.Recipe(
        "sgd",
        learning_rate=0.1,
        schedule="time_decay",
        decay_per_step=0.5,
        momentum=0.9,
    )
    found = _kernels(_run(optim.create_optimizer(recipe, 8), 8))
    weights, velocity = _params()[0]["first/kernel"].astype(np.float64), 0.0
    for step, gradients in enumerate(_gradients(8)):
        rate = 0.1 / (1 + 0.5 * step)
        velocity = 0.9 * velocity - rate * gradients["first/kernel"]
        weights = weights + velocity
        np.testing.assert_allclose(found[step], weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", make_sgd_golden.SETTINGS)
def test_torch_sgd_equals_pytorch(name):
    rates = jnp.asarray(make_sgd_golden.RATES)
    rule = optim.torch_sgd(lambda step: rates[step], **make_sgd_golden.SETTINGS[name])
    params = {"w": jnp.asarray(make_sgd_golden.make_start(), jnp.float32)}
    state = rule.init(params)
    golden = json.loads(make_sgd_golden.GOLDEN.read_text())[name]
    for gradient, expected in zip(
        make_sgd_golden.make_gradients(), golden, strict=True
    ):
        gradients = {"w": jnp.asarray(gradient, jnp.float32)}
        updates, state = jax.jit(rule.update)(gradients, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["w"], expected, rtol=1e-5, atol=1e-6)


def test_torch_sgd_takes_its_constants_from_the_recipe():
    recipe = optim.Recipe(
        "torch_sgd",
        learning_rate=0.1,
        momentum=0.8,
        dampening=0.3,
        weight_decay=0.05,
    )
    found = _kernels(_run(optim.create_optimizer(recipe, 3), 3))
    direct = optim.torch_sgd(lambda step: 0.1, 0.8, 0.3, 0.05)
    expected = _kernels(_run(direct, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _kernels(trajectory):
    return np.asarray([params["net"]["first"]["kernel"] for params in trajectory])


@pytest.mark.parametrize(
    ("until", "alike"), [(3, True), (4, False)], ids=["before", "after"]
)
def test_optax_differs_once_the_rate_has_stepped_down(until, alike):
    caffe = optim.create_optimizer(STEP, 8)
    theirs = optax.chain(
        optax.add_decayed_weights(0.05),
        optax.sgd(optim.create_schedule(STEP, 8), momentum=0.9),
    )
    found, expected = (_kernels(_run(rule, until)) for rule in (caffe, theirs))
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6) == alike


def test_without_multipliers_all_parameters_are_alike():
    rule = optim.caffe_sgd(lambda step: 0.5, momentum=0.0, weight_decay=0.1)
    params = {"kernel": jnp.asarray(2.0), "bias": jnp.asarray(4.0)}
    gradients = {"kernel": jnp.asarray(1.0), "bias": jnp.asarray(1.0)}
    updates, _ = rule.update(gradients, rule.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.5 * (1 + 0.2), rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], -0.5 * (1 + 0.4), rtol=1e-6)


@pytest.mark.parametrize("create", [optim.caffe_sgd, optim.torch_sgd])
def test_sgd_asks_for_the_parameters(create):
    rule = create(lambda step: 0.5, momentum=0.0)
    params = {"kernel": jnp.asarray(2.0)}
    with pytest.raises(ValueError, match="needs the parameters"):
        rule.update(params, rule.init(params))


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1e-3), (999, 1e-3), (1000, 5e-4), (1999, 5e-4), (2000, 2.5e-4)],
)
def test_step_schedule_halves_at_its_boundaries(step, rate):
    recipe = optim.Recipe(schedule="step", learning_rate=1e-3)
    found = optim.create_schedule(recipe, 5000)(step)
    np.testing.assert_allclose(found, rate, rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 1), (25, (1 + math.sqrt(0.5)) / 2), (50, 0.5), (100, 0)]
)
def test_cosine_schedule_ends_at_zero(step, share):
    recipe = optim.Recipe(schedule="cosine", learning_rate=0.2)
    found = optim.create_schedule(recipe, 100)(step)
    np.testing.assert_allclose(found, 0.2 * share, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-5), (50, 5.05e-6), (100, 1e-7)])
def test_cosine_schedule_ends_at_the_final_rate(step, rate):
    found = optim.create_schedule(ANOMALY, 100)(step)
    np.testing.assert_allclose(found, rate, rtol=1e-5)


def test_cosine_schedule_falls_and_never_rises_again():
    rates = np.asarray(jax.vmap(optim.create_schedule(ANOMALY, 100))(jnp.arange(1000)))
    assert (np.diff(rates[:101]) < 0).all()
    assert (rates[100:] == rates[100]).all()


def test_a_final_rate_of_zero_is_none():
    schedules = [
        optim.create_schedule(dataclasses.replace(ANOMALY, final_learning_rate=f), 100)
        for f in (None, 0.0)
    ]
    plain = optax.cosine_decay_schedule(1e-5, 100)
    for step in (0, 30, 100, 300):
        assert {float(one(step)) for one in schedules} == {float(plain(step))}


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_constant_schedule(step):
    recipe = optim.Recipe(schedule="constant", learning_rate=0.2)
    assert optim.create_schedule(recipe, 10)(step) == 0.2


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 1e-4), (1, 1e-4 / 1.000001), (10**6, 5e-5)]
)
def test_time_decay_divides_the_rate(step, rate):
    recipe = optim.Recipe(
        schedule="time_decay", learning_rate=1e-4, decay_per_step=1e-6
    )
    found = optim.create_schedule(recipe, 10)(step)
    np.testing.assert_allclose(found, rate, rtol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_work_within_jit(name):
    recipe = optim.Recipe(schedule=name, decay_per_step=1e-3)
    schedule = optim.create_schedule(recipe, 2000)
    found = jax.jit(schedule)(jnp.asarray(1500, jnp.int32))
    np.testing.assert_allclose(found, schedule(1500), rtol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_parameter_alone_stays(optimizer):
    recipe = optim.Recipe(optimizer, learning_rate=0.1, weight_decay=0.1)
    found = _run(optim.create_optimizer(recipe, 2, FROZEN), 2)[-1]["net"]
    start = _params()[0]
    still = [
        name
        for name in FACTORS
        if np.array_equal(found[name.split("/")[0]][name.split("/")[1]], start[name])
    ]
    assert still == ["first/bias"]


def test_adam_is_that_of_optax():
    recipe = optim.Recipe("adam", learning_rate=0.01, weight_decay=0.1)
    found = _kernels(_run(optim.create_optimizer(recipe, 3, FROZEN), 3))
    expected = _kernels(_run(optax.adamw(0.01, weight_decay=0.1), 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weight_decay", [1e-4, 0.5])
def test_torch_adam_follows_the_documented_rule(weight_decay):
    recipe = dataclasses.replace(
        ANOMALY, learning_rate=0.01, schedule="constant", weight_decay=weight_decay
    )
    found = _kernels(_run(optim.create_optimizer(recipe, 8), 8))
    weights = _params()[0]["first/kernel"].astype(np.float64)
    first, second = 0.0, 0.0
    for step, gradients in enumerate(_gradients(8)):
        # The penalty is part of the gradient, and so goes through both moments.
        gradient = gradients["first/kernel"] + weight_decay * weights
        first = 0.9 * first + 0.1 * gradient
        second = 0.98 * second + 0.02 * gradient**2
        corrected = first / (1 - 0.9 ** (step + 1))
        root = np.sqrt(second / (1 - 0.98 ** (step + 1)))
        weights = weights - 0.01 * corrected / (root + 1e-6)
        np.testing.assert_allclose(found[step], weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", make_adam_golden.SETTINGS)
def test_torch_adam_equals_pytorch(name):
    settings = make_adam_golden.SETTINGS[name]
    before, *_, after = make_sgd_golden.RATES
    recipe = optim.Recipe(
        "torch_adam",
        learning_rate=before,
        schedule="step",
        decay_steps=make_sgd_golden.RATES.count(before),
        decay_factor=after / before,
        adam_beta2=settings["beta2"],
        adam_epsilon=settings["epsilon"],
        weight_decay=settings["weight_decay"],
    )
    rule = optim.create_optimizer(recipe, len(make_sgd_golden.RATES))
    params = {"w": jnp.asarray(make_sgd_golden.make_start(), jnp.float32)}
    state = rule.init(params)
    golden = json.loads(make_adam_golden.GOLDEN.read_text())[name]
    scaled = settings["scale"] * make_sgd_golden.make_gradients()
    for gradient, expected in zip(scaled, golden, strict=True):
        gradients = {"w": jnp.asarray(gradient, jnp.float32)}
        updates, state = jax.jit(rule.update)(gradients, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["w"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "torch_adam"])
def test_both_kinds_of_adam_have_the_usual_constants_unless_told(optimizer):
    usual = optim.Recipe(optimizer, learning_rate=0.01)
    told = dataclasses.replace(usual, adam_beta2=0.999, adam_epsilon=1e-8)
    found, expected = (
        _kernels(_run(optim.create_optimizer(recipe, 3), 3)) for recipe in (usual, told)
    )
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, _kernels(_run(optax.adam(0.01), 3)), rtol=1e-6)


@pytest.mark.parametrize("changed", [{"adam_beta2": 0.5}, {"adam_epsilon": 0.1}])
def test_decoupled_adam_takes_its_constants_from_the_recipe(changed):
    recipe = optim.Recipe("adam", learning_rate=0.01, weight_decay=0.1, **changed)
    found = _kernels(_run(optim.create_optimizer(recipe, 3), 3))
    names = {"adam_beta2": "b2", "adam_epsilon": "eps"}
    constants = {names[name]: value for name, value in changed.items()}
    theirs = optax.adamw(0.01, weight_decay=0.1, **constants)
    np.testing.assert_allclose(found, _kernels(_run(theirs, 3)), rtol=1e-6)


def test_multipliers_of_a_tree():
    found = optim.caffe_multipliers(_params()[1], FROZEN)["net"]
    for name, factors in FACTORS.items():
        layer, kind = name.split("/")
        assert tuple(found[layer][kind]) == factors, name


def test_multipliers_of_a_single_layer():
    found = optim.caffe_multipliers({"kernel": jnp.ones(2), "bias": jnp.ones(2)})
    assert found == {"kernel": (1, 1), "bias": (2, 0)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_freezing_a_parameter_that_is_not_there_is_an_error(optimizer):
    rule = optim.create_optimizer(optim.Recipe(optimizer), 1, ["net/first/bais"])
    with pytest.raises(ValueError, match=r"net/first/bais"):
        _run(rule, 1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_mask_adds_nothing_to_the_layout_of_a_stored_state(optimizer):
    state = optim.create_optimizer(optim.Recipe(optimizer), 1, FROZEN).init(
        _params()[1]
    )
    if optimizer == "caffe_sgd":
        assert isinstance(state, optim.CaffeSgdState)
    else:
        assert isinstance(state[-1], optax.EmptyState)
