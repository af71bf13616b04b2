# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.weights.encoder_files: layouts and sizes."""

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones
from fakedet_jax.models.encoders import clip
from fakedet_jax.weights import encoder_files, mapping, store
from tests.models.encoders import narrow


def shaped(backbone, layers, prefix=""):
    """A file with arrays of the right names and shapes, which take no memory."""
    shapes = mapping.expected(layers, "torch", store.abstract(backbone))
    return narrow.tensor_file(
        {
            prefix + name: np.broadcast_to(np.float32(0), shape)
            for name, shape in _split(shapes).items()
        }
    )


def _split(shapes):
    """Names of joined arrays as those of their three parts."""
    found = {}
    for name, shape in shapes.items():
        if "(" not in name:
            found[name] = shape
            continue
        start, _, rest = name.partition("(")
        parts, _, leaf = rest.partition(")")
        for part in parts.split(","):
            found[f"{start}{part.strip('?')}{leaf}"] = (shape[0] // 3, *shape[1:])
    return found


@pytest.mark.parametrize("prefix", ["", "model.encoder."])
@pytest.mark.parametrize("index", [0, 1])
def test_layouts_are_told_by_names(index, prefix):
    backbone = backbones.create("clip_vit_b16")
    layers = (backbone.layers, *backbone.layouts)[index]
    file = shaped(backbone, layers, prefix)
    assert encoder_files.layout(backbone, file) is layers
    encoder_files.check_size(backbone, layers, file)


@pytest.mark.parametrize(
    "size", [clip.VIT_B32, clip.VIT_L14, clip.VIT_L14_336, clip.VIT_H14, clip.VIT_G14]
)
@pytest.mark.parametrize("index", [0, 1])
def test_another_size_is_named(size, index):
    other = clip.backbone("other", size)
    file = shaped(other, (other.layers, *other.layouts)[index])
    message = rf"'weights' holds {size.name} \(\d+ features, .* positions\), expected "
    with pytest.raises(RequestError, match=message + "CLIP ViT-B/16 .768 features, 12"):
        store.convert(backbones.create("clip_vit_b16"), file)


def test_an_unknown_size_is_described():
    file = narrow.tensor_file(narrow.tensors("clip_hugging_face"))
    message = "an encoder of an unknown size .32 features, 2 blocks, patches of 14 "
    with pytest.raises(RequestError, match=message):
        store.convert(backbones.create("clip_vit_l14"), file)


def test_weights_of_something_else_are_listed():
    file = narrow.tensor_file({"conv1.weight": np.zeros((3, 3), np.float32)})
    with pytest.raises(RequestError, match=r"missing: visual\.conv1\.weight"):
        store.convert(backbones.create("clip_vit_b16"), file)


def test_a_layer_with_a_missing_part_is_missing():
    backbone = backbones.create("clip_vit_b16")
    tensors = dict(shaped(backbone, backbone.layouts[0]).tensors)
    del tensors["vision_model.encoder.layers.7.self_attn.k_proj.bias"]
    message = r"missing: vision_model.encoder.layers.7.self_attn.\(q_proj,k_proj,v_pr"
    with pytest.raises(RequestError, match=message):
        store.convert(backbone, narrow.tensor_file(tensors))
