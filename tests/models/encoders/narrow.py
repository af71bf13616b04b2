# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the encoders share: narrow networks with golden outputs."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.weights import store
from fakedet_jax.weights.tensors import TensorFile
from tests.golden import backbone_weights, encoder_weights, make_encoders_golden
from tests.models import QUICK

# Of the scale of an output.
TOLERANCE = 1e-4


@functools.cache
def golden():
    """The content of the golden file."""
    return json.loads(make_encoders_golden.GOLDEN.read_text("utf-8"))


def tensor_file(tensors, name="weights"):
    """Arrays as if they were read from a file of PyTorch."""
    return TensorFile(Path(name), "arrays", "torch", tensors, sha256="", num_bytes=0)


def tensors(case):
    """The arrays of a case, with the names of its layout."""
    return encoder_weights.tensors(golden()[case]["shapes"])


def variables(case, backbone):
    """Variables of a backbone from the arrays of a case."""
    return store.convert(backbone, tensor_file(tensors(case)))[0]


def run(backbone, variables, *, dtype=jnp.float32, site="layer"):
    """Embedding and outputs of the golden pictures, compiled."""
    module = backbone.build(dtype, site)

    def forward(variables, pictures):
        return module.apply(variables, backbone.preprocessing(pictures))

    pictures = encoder_weights.make_pictures(backbone.size.input_side)
    compiled = jax.jit(forward, compiler_options=QUICK)
    return jax.device_get(compiled(variables, pictures))


def deviations(case, backbone, variables=None):
    """Deviations from the golden outputs, each of the scale of its output.

    Of the embedding, of all numbers of the blocks, and of the summaries of the layers.
    """
    if variables is None:
        variables, _, _ = store.convert(backbone, tensor_file(tensors(case)))
    embedding, out = run(backbone, variables)
    expected = golden()[case]
    found = {"embedding": _deviation(embedding, expected["embedding"])}
    for name, numbers in expected["outputs"].items():
        if "/" in name:
            out[name] = backbone_weights.summarise(out[name])
        found[name] = _deviation(out[name], numbers)
    return found


def _deviation(found, expected):
    expected = np.asarray(expected)
    found = np.asarray(found, np.float64).reshape(expected.shape)
    return np.abs(found - expected).max() / np.abs(expected).max()
