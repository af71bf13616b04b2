# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of systems.networks.mislnet against PyTorch and the published counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.systems.networks import mislnet
from tests.golden import make_rivals_golden as maker
from tests.models import QUICK
from tests.systems.networks import rival_outputs

NAME = "mislnet"


def test_parameters_in_all():
    assert rival_outputs.count(mislnet.MislNet(2), 128) == 550_388 + 402


def test_shapes():
    images = jax.ShapeDtypeStruct((2, 128, 128, 3), jnp.float32)
    (logits, out), values = jax.eval_shape(
        mislnet.MislNet(8).init_with_output, jax.random.key(0), images
    )
    assert logits.shape == (2, 8)
    assert out["constrained"].shape == (2, 3, 124, 124)
    assert out["conv2"].shape == (2, 96, 62, 62)
    assert out["conv5"].shape == (2, 128, 7, 7)
    assert values["params"]["fc1"]["kernel"].shape == (1152, 200)


@functools.cache
def _variables():
    return rival_outputs.variables(mislnet.MislNet(2), maker.SIDES[NAME])


def test_equals_pytorch():
    logits, out = rival_outputs.run(NAME, mislnet.MislNet(2), _variables())
    found = rival_outputs.deviations(NAME, logits, out)
    assert max(found.values()) < 1e-4, found


def test_training_equals_pytorch():
    model = mislnet.MislNet(2)

    def train(values, images):
        return model.apply(values, images, train=True, mutable=["batch_stats"])

    train = jax.jit(train, compiler_options=QUICK)
    (logits, _), _ = train(_variables(), maker.make_images(NAME))
    expected = rival_outputs.golden(NAME)["train_logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_projection_touches_the_first_layer_alone():
    params = _variables()["params"]
    projected = mislnet.project(params)
    changed = jax.tree.map(lambda a, b: a is not b, params, projected)
    names = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, differs in jax.tree_util.tree_leaves_with_path(changed)
        if differs
    }
    assert names == {"constrained/kernel"}
