# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the recognition networks share: seeded weights, golden numbers."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fakedet_jax.models import backbones
from fakedet_jax.models.backbone import SITES
from fakedet_jax.weights import mapping
from fakedet_jax.weights.tensors import TensorFile
from tests.golden import backbone_weights, make_backbone_golden
from tests.models import QUICK

# Of the scale of a layer; float32 over some fifty layers.
TOLERANCE = 1e-4


@functools.cache
def golden():
    """The content of the golden file."""
    return json.loads(make_backbone_golden.GOLDEN.read_text())


def to_variables(name, tensors):
    """PyTorch's arrays as Flax variables of a backbone, none left over or missing."""
    file = TensorFile(Path(name), "arrays", "torch", tensors, sha256="", num_bytes=0)
    shapes, _, _ = output_shapes(name)
    variables, _ = mapping.to_variables(backbones.create(name).layers, file, shapes)
    return variables


@functools.lru_cache(maxsize=1)  # VGG-16 takes half a gigabyte
def seeded_variables(name):
    """Variables of a backbone, of the golden numbers."""
    return to_variables(name, backbone_weights.torch_tensors(name))


def run(name, variables, pictures):
    """Embedding, and the layers' outputs by site, compiled."""
    backbone = backbones.create(name)

    def forward(variables, pictures):
        images = backbone.preprocessing(pictures)
        outputs = {}
        for site in SITES:
            model = backbone.build(jnp.float32, site)
            embedding, outputs[site] = model.apply(variables, images)
        return embedding, outputs

    compiled = jax.jit(forward, compiler_options=QUICK)
    return jax.device_get(compiled(variables, pictures))


@functools.lru_cache(maxsize=2)
def seeded_outputs(name):
    """As `run` gives them, of the golden weights and pictures."""
    pictures = backbone_weights.make_pictures(name)
    return run(name, seeded_variables(name), pictures)


def deviating_layers(name, site, outputs=None):
    """Layers whose summary is not the golden one, with the deviation.

    Of the outputs that `run` gives with the golden weights, or of others.
    """
    outputs = (seeded_outputs(name)[1] if outputs is None else outputs)[site]
    deviating = {}
    for layer, expected in golden()[name]["layers"][site].items():
        found = np.asarray(backbone_weights.summarise(outputs[layer]))
        scale = max(abs(expected[0]), expected[1])
        deviation = np.abs(found - expected).max() / scale
        if not deviation <= TOLERANCE:
            deviating[layer] = deviation
    return deviating


def embedding_deviation(name):
    """Largest deviation from the golden embeddings, of their scale."""
    expected = np.asarray(golden()[name]["embedding"])
    found = make_backbone_golden.pick_entries(seeded_outputs(name)[0])
    return np.abs(found - expected).max() / np.abs(expected).max()


@functools.cache
def output_shapes(name, dtype=jnp.float32, site="layer"):
    """Abstract variables, embedding, and outputs of two pictures in network order."""
    backbone = backbones.create(name)
    model = backbone.build(dtype, site)
    shape = (2, *backbone.preprocessing.framing.shape)
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    ordered = []

    def apply(variables, images):
        embedding, out = model.apply(variables, images)
        # Dicts that leave a transformation come back sorted.
        ordered.extend(out)
        return embedding, out

    embedding, out = jax.eval_shape(apply, variables, images)
    return variables, embedding, {name: out[name] for name in ordered}
