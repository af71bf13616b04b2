# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.training.freezing: what is not trained stays as it is."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing
from fakedet_jax.models import channel_last, layers
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.training import freezing, optim, steps
from fakedet_jax.training.recipe import Recipe

PREPROCESSING = Preprocessing(Framing.square(6), mean=(128,) * 3, std=(64,) * 3)
PARAMS = {
    "body": {"conv1": {"kernel": 1.0}, "norm1": {"scale": 1.0, "bias": 0.0}},
    "fc": {"kernel": 1.0, "bias": 0.0},
}
RATE = 0.1


def linen_norm(planes, train):
    return nn.BatchNorm(not train, momentum=0.9, name="norm")(planes)


def torch_norm(planes, train):
    return channel_last.BatchNorm(name="norm")(planes, train=train)


def caffe_norm(planes, train):
    normed = layers.BatchNorm(name="norm")(planes.transpose(0, 3, 1, 2), train=train)
    return normed.transpose(0, 2, 3, 1)


class Net(nn.Module):
    """A convolution and a normalisation in `body`, and a linear layer."""

    norm: object

    @nn.compact
    def __call__(self, images, *, train=False):
        features = Body(self.norm, name="body")(images, train)
        logits = nn.Dense(3, name="fc")(features)
        return logits, {"features": features}


class Body(nn.Module):
    norm: object

    @nn.compact
    def __call__(self, images, train):
        planes = self.norm(nn.Conv(4, (3, 3), name="conv")(images), train)
        return nn.relu(planes).mean((1, 2))


@pytest.mark.parametrize(
    ("pattern", "frozen"),
    [
        (None, ()),
        (".", ()),
        ("^fc/", ("body/conv1/kernel", "body/norm1/bias", "body/norm1/scale")),
        ("norm|fc/bias", ("body/conv1/kernel", "fc/kernel")),
    ],
)
def test_those_are_trained_whose_path_holds_a_match(pattern, frozen):
    assert freezing.select(PARAMS, pattern) == frozen


def test_what_is_never_trained_stays_so():
    never = ("fc/bias",)
    assert freezing.select(PARAMS, None, never) == never
    assert freezing.select(PARAMS, "body|fc", never) == never
    with pytest.raises(RequestError, match="'fc/bias' matches no parameter that can"):
        freezing.select(PARAMS, "fc/bias", never)


def test_a_pattern_that_matches_nothing_is_answered_with_names():
    message = (
        "`trainable`: 'head' matches no parameter that can be trained, which are "
        "body/conv1/kernel, body/norm1/bias, body/norm1/scale, fc/bias, fc/kernel; "
        "give a pattern of such names"
    )
    with pytest.raises(RequestError, match=re.escape(message)):
        freezing.select(PARAMS, "head")


def test_of_many_names_ten_are_told():
    many = {f"layer{number:02}": {"bias": 0.0} for number in range(40)}
    with pytest.raises(RequestError, match=r"layer09/bias … \(40 in all\)"):
        freezing.select(many, "head")


def test_what_is_no_regular_expression_is_refused():
    with pytest.raises(
        RequestError, match=r"`trainable`: expected a regular .* '\(fc'"
    ):
        freezing.select(PARAMS, "(fc")


def _trained(norm, frozen, **changes):
    """State before and after a step of plain gradient descent, and its batch."""
    model, rng = Net(norm), np.random.default_rng(3)
    images = rng.integers(0, 256, (8, 6, 6, 3), np.uint8)
    labels = rng.integers(0, 3, 8, np.int32)
    recipe = Recipe(optimizer="sgd", learning_rate=RATE, momentum=0.0)
    optimizer = optim.create_optimizer(recipe, 10, frozen)
    schedule = optim.create_schedule(recipe, 10)
    before = steps.create_train_state(model, PREPROCESSING, optimizer, seed=0)
    step = steps.make_train_step(
        model, PREPROCESSING, optimizer, schedule, seed=0, frozen=frozen, **changes
    )
    after, _ = jax.jit(step)(before, images, labels)
    return model, before, after, images, labels


BODY = ("body/conv/bias", "body/conv/kernel", "body/norm/bias", "body/norm/scale")


@pytest.mark.few(1)
@pytest.mark.parametrize("norm", [linen_norm, torch_norm, caffe_norm])
def test_a_linear_layer_on_frozen_features_learns_as_by_hand(norm):
    model, before, after, images, labels = _trained(norm, BODY)
    # Outside of a training, that is with the running statistics.
    _, out = model.apply(before.variables, PREPROCESSING(images))
    features = np.asarray(out["features"], np.float64)
    logits = features @ np.asarray(before.params["fc"]["kernel"], np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    errors = (shares - np.eye(3)[labels]) / len(labels)
    np.testing.assert_allclose(
        after.params["fc"]["kernel"],
        before.params["fc"]["kernel"] - RATE * features.T @ errors,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        after.params["fc"]["bias"], -RATE * errors.sum(0), atol=1e-6
    )
    for tree in ("params", "model_state"):
        held = [getattr(state, tree) for state in (before, after)]
        held = [one["body"] if tree == "params" else one for one in held]
        jax.tree.map(np.testing.assert_array_equal, *held)


@pytest.mark.parametrize("norm", [linen_norm, torch_norm, caffe_norm])
def test_statistics_move_where_a_parameter_of_their_layer_is_trained(norm):
    frozen = tuple(path for path in BODY if path != "body/norm/bias")
    _, before, after, *_ = _trained(norm, frozen)
    moved = jax.tree.map(
        lambda old, new: bool((old != new).any()), before.model_state, after.model_state
    )
    assert all(jax.tree.leaves(moved))
    assert (after.params["body"]["norm"]["bias"] != 0).any()


def test_no_constraint_changes_what_is_frozen():
    doubled = {"project": lambda params: jax.tree.map(lambda one: 2 * one, params)}
    _, before, after, *_ = _trained(torch_norm, BODY, **doubled)
    jax.tree.map(
        np.testing.assert_array_equal, before.params["body"], after.params["body"]
    )
    assert (after.params["fc"]["kernel"] != before.params["fc"]["kernel"]).all()


def test_gradients_of_frozen_parameters_are_not_computed():
    def flops(frozen):
        def loss(kernels, images):
            kernels = freezing.without_gradient(kernels, frozen)
            hidden = images @ kernels["first"]
            return jnp.square(hidden @ kernels["second"]).sum()

        kernels = dict.fromkeys(("first", "second"), jnp.ones((64, 64)))
        lowered = jax.jit(jax.grad(loss)).lower(kernels, jnp.ones((64, 64)))
        return lowered.compile().cost_analysis()["flops"]

    product = 2 * 64**3
    # Two forward; one for each kernel, and one from the second to the first.
    assert flops(()) == pytest.approx(5 * product, rel=0.05)
    assert flops(("first",)) == pytest.approx(3 * product, rel=0.05)
