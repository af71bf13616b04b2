# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the encoders in fakedet_jax.models.backbones at full size, by shapes."""

import math

import jax
import jax.numpy as jnp
import pytest
from flax import traverse_util

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones
from fakedet_jax.weights import mapping
from tests.models import backbone_outputs

# Parameters, blocks, tokens, features of a token, features of the embedding.
TABLE = {
    "clip_vit_b16": (86_192_640, 12, 197, 768, 512),
    "clip_vit_l14": (303_966_208, 24, 257, 1024, 768),
    "openclip_vit_b16": (86_192_640, 12, 197, 768, 512),
    "openclip_vit_l14": (303_966_208, 24, 257, 1024, 768),
    "dinov2_vit_b14": (86_579_712, 12, 257, 768, 768),
    "dinov2_vit_b14_reg": (86_582_784, 12, 261, 768, 768),
    "dinov2_vit_l14": (304_367_616, 24, 257, 1024, 1024),
    "dinov2_vit_l14_reg": (304_371_712, 24, 261, 1024, 1024),
    "dinov3_vit_b16": (85_668_864, 12, 201, 768, 768),
    "dinov3_vit_l16": (303_153_152, 24, 201, 1024, 1024),
    "pe_core_l14": (317_151_232, 24, 577, 1024, 1024),
}


def traced(name):
    """Abstract variables, embedding and outputs; once, as it takes a second."""
    return backbone_outputs.output_shapes(name, jnp.bfloat16, "activation")


def test_every_encoder_is_in_the_list():
    found = [n for n in backbones.names() if backbones.create(n).size is not None]
    assert found == list(TABLE)


@pytest.mark.few(4)
@pytest.mark.parametrize("name", TABLE)
def test_numbers_of_parameters(name):
    variables, _, _ = traced(name)
    found = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
    assert found == TABLE[name][0]
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", TABLE)
def test_shapes_of_outputs(name):
    _, depth, tokens, width, features = TABLE[name]
    _, embedding, out = traced(name)
    assert (embedding.shape, embedding.dtype) == ((2, features), jnp.float32)
    blocks = {n: v for n, v in out.items() if n.startswith("block") and "/" not in n}
    assert list(blocks) == [f"block{number}" for number in range(depth)]
    assert {v.shape for v in blocks.values()} == {(2, tokens, width)}
    assert {v.dtype for v in blocks.values()} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize("name", TABLE)
def test_outputs_come_in_the_order_of_the_layers(name):
    _, _, out = traced(name)
    layers = backbones.create(name).layers
    linear = [one.name for one in layers if one.kind in ("conv", "dense", "matrix")]
    assert [found for found in out if "/" in found or "block" not in found] == linear
    # A block comes behind its last layer.
    names = list(out)
    assert names[names.index("block3/fc2") + 1] == "block3"


@pytest.mark.parametrize("name", TABLE)
def test_all_layouts_describe_all_variables(name):
    backbone = backbones.create(name)
    shapes, _, _ = traced(name)
    num_arrays = len(traverse_util.flatten_dict(shapes))
    for layers in (backbone.layers, *backbone.layouts):
        assert [one.name for one in layers] == [one.name for one in backbone.layers]
        # `expected` raises where layers do not describe the network.
        assert len(mapping.expected(layers, "torch", shapes)) == num_arrays


@pytest.mark.parametrize("name", TABLE)
def test_other_pictures_are_refused(name):
    module = backbones.create(name).build(jnp.float32, "layer")
    images = jax.ShapeDtypeStruct((1, 230, 224, 3), jnp.float32)
    with pytest.raises(RequestError, match=r"images: .* found \[1, 230, 224, 3\]"):
        jax.eval_shape(module.init, jax.random.key(0), images)


@pytest.mark.parametrize("name", TABLE)
def test_unknown_site_is_an_error(name):
    backbone = backbones.create(name)
    module = backbone.build(jnp.float32, "activations")
    shape = (1, *backbone.preprocessing.framing.shape)
    with pytest.raises(KeyError, match="activations"):
        images = jax.ShapeDtypeStruct(shape, jnp.float32)
        jax.eval_shape(module.init, jax.random.key(0), images)
