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
from fakedet_jax.models.backbone import SITES
from fakedet_jax.weights import mapping, store
from tests.models import backbone_outputs

# Parameters, blocks, tokens, features of a token, features of the embedding.
TABLE = {
    "clip_vit_b16": (86_192_640, 12, 197, 768, 512),
    "clip_vit_l14": (303_966_208, 24, 257, 1024, 768),
    "openclip_vit_b16": (86_192_640, 12, 197, 768, 512),
    "openclip_vit_l14": (303_966_208, 24, 257, 1024, 768),
}


def test_every_encoder_is_in_the_list():
    found = [n for n in backbones.names() if backbones.create(n).size is not None]
    assert found == list(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_numbers_of_parameters(name):
    variables = store.abstract(backbones.create(name))
    found = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
    assert found == TABLE[name][0]


@pytest.mark.parametrize("name", TABLE)
def test_shapes_of_outputs(name):
    _, depth, tokens, width, features = TABLE[name]
    _, embedding, out = backbone_outputs.output_shapes(name, dtype=jnp.bfloat16)
    assert (embedding.shape, embedding.dtype) == ((2, features), jnp.float32)
    blocks = {n: v for n, v in out.items() if n.startswith("block") and "/" not in n}
    assert list(blocks) == [f"block{number}" for number in range(depth)]
    assert {v.shape for v in blocks.values()} == {(2, tokens, width)}
    assert {v.dtype for v in blocks.values()} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", TABLE)
def test_outputs_come_in_the_order_of_the_layers(name, site):
    _, _, out = backbone_outputs.output_shapes(name, site=site)
    layers = backbones.create(name).layers
    linear = [one.name for one in layers if one.kind in ("conv", "dense", "matrix")]
    assert [found for found in out if "/" in found or "block" not in found] == linear
    # A block comes behind its last layer.
    names = list(out)
    assert names[names.index("block3/fc2") + 1] == "block3"


@pytest.mark.parametrize("name", TABLE)
def test_all_layouts_describe_all_variables(name):
    backbone = backbones.create(name)
    shapes = store.abstract(backbone)
    paths = {"/".join(path) for path in traverse_util.flatten_dict(shapes)}
    for layers in (backbone.layers, *backbone.layouts):
        assert [one.name for one in layers] == [one.name for one in backbone.layers]
        # `expected` raises where layers do not describe the network.
        assert len(mapping.expected(layers, "torch", shapes)) == len(paths)


@pytest.mark.parametrize("name", TABLE)
def test_other_pictures_are_refused(name):
    backbone = backbones.create(name)
    images = jax.ShapeDtypeStruct((1, 230, 224, 3), jnp.float32)
    with pytest.raises(RequestError, match=r"images: .* found .1, 230, 224, 3."):
        jax.eval_shape(
            backbone.build(jnp.float32, "layer").init, jax.random.key(0), images
        )


@pytest.mark.parametrize("name", TABLE)
def test_unknown_site_is_an_error(name):
    model = backbones.create(name).build(jnp.float32, "activations")
    shape = (1, *backbones.create(name).preprocessing.framing.shape)
    with pytest.raises(KeyError, match="activations"):
        images = jax.ShapeDtypeStruct(shape, jnp.float32)
        jax.eval_shape(model.init, jax.random.key(0), images)
