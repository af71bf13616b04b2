# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.systems.networks.hand_crafted against PyTorch."""

import jax
import jax.numpy as jnp

from fakedet_jax.systems.networks import hand_crafted
from tests.golden import make_rivals_golden as maker
from tests.systems.networks import rival_outputs

NAME = "hand_crafted_net"


def test_parameters_in_all():
    assert rival_outputs.count(hand_crafted.HandCraftedNet(2), 128) == 8_484_354


def test_equals_pytorch():
    model = hand_crafted.HandCraftedNet(2)
    values = rival_outputs.variables(model, maker.SIDES[NAME])
    logits, out = rival_outputs.run(NAME, model, values)
    found = rival_outputs.deviations(NAME, logits, out)
    assert max(found.values()) < 1e-4, found


def test_widths_are_a_choice():
    model = hand_crafted.HandCraftedNet(4, widths=(5, 6), hidden_width=7)
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    (logits, out), _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits.shape == (2, 4)
    assert out["conv2"].shape == (2, 6, 16, 16)
    assert out["fc1"].shape == (2, 7)
