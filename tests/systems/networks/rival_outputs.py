# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Outputs of AMTENnet's rivals with the golden weights, for the tests of each."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.weights import mapping
from tests.golden import make_rivals_golden as maker
from tests.models import QUICK

# Leaves of our variables in the keys of the golden weights.
_LEAVES = {"mean_sum": "mean", "var_sum": "var"}


def count(model, side):
    """Parameters of a network for pictures of side × side; nothing is computed."""
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def variables(model, side, keys=None):
    """The golden weights as a network's variables.

    Args:
        model: The network.
        side: Of its pictures.
        keys: From our names of layers to those of the golden weights, where they
            differ.
    """
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    shapes = mapping.flatten(jax.eval_shape(model.init, jax.random.key(0), images))
    found = {}
    for path, leaf in shapes.items():
        _, *layer, name = path.split("/")
        if name == "weight":  # of Caffe's running sums
            found[path] = jnp.ones(())
            continue
        key = ".".join(layer)
        key = f"{(keys or {}).get(key, key)}.{_LEAVES.get(name, name)}"
        # PyTorch's layout is ours backwards, but for the order of height and width.
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(leaf.shape)]
        value = maker.make_weight(key, tuple(leaf.shape[axis] for axis in axes))
        value = value.transpose(np.argsort(axes))
        found[path] = jnp.asarray(value)
    return mapping.nest(found)


def golden(name):
    """What PyTorch gave."""
    return json.loads(maker.GOLDEN.read_text())[name]


def run(name, model, values):
    """Logits and outputs for the golden pictures."""
    apply = jax.jit(model.apply, compiler_options=QUICK)
    return apply(values, maker.make_images(name))


def deviations(name, logits, out, keys=None):
    """The largest deviation from PyTorch of logits and layers, relative; by name."""
    names = {theirs: ours for ours, theirs in (keys or {}).items()}
    expected = golden(name)
    found = {"logits": _deviation(logits, expected["logits"])}
    for key, moments in expected["layers"].items():
        values = np.asarray(out[names.get(key, key)], np.float64)
        found[key] = _deviation([values.mean(), values.std()], moments)
    return found


def _deviation(found, expected):
    expected = np.asarray(expected)
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()
