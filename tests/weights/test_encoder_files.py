# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.weights.encoder_files: layouts and sizes."""

import functools

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models import backbones
from fakedet_jax.models.encoders import clip, dinov2, dinov3, perception
from fakedet_jax.weights import encoder_files, mapping, store
from tests.models.encoders import narrow


@functools.cache
def abstract(backbone):
    return store.abstract(backbone)


def shaped(backbone, layers, prefix=""):
    """A file with arrays of the right names and shapes, which take no memory."""
    shapes = mapping.expected(layers, "torch", abstract(backbone))
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
@pytest.mark.parametrize(
    "name", ["clip_vit_b16", "dinov2_vit_b14_reg", "dinov3_vit_b16"]
)
def test_layouts_are_told_by_names(name, index, prefix):
    backbone = backbones.create(name)
    layers = (backbone.layers, *backbone.layouts)[index]
    file = shaped(backbone, layers, prefix)
    assert encoder_files.layout(backbone, file) is layers
    encoder_files.check_size(backbone, layers, file)


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [clip.VIT_B32, clip.VIT_L14_336, clip.VIT_H14])
@pytest.mark.parametrize("index", [0, 1])
def test_another_size_is_named(size, index):
    other = clip.backbone("other", size)
    file = shaped(other, (other.layers, *other.layouts)[index])
    message = rf"'weights' holds {size.name} \(\d+ features, .* positions\), expected "
    with pytest.raises(RequestError, match=message + "CLIP ViT-B/16 .768 features, 12"):
        store.convert(backbones.create("clip_vit_b16"), file)


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        (
            "dinov2_vit_b14",
            dinov2.backbone("other", dinov2.with_registers(dinov2.VIT_B14)),
            r"DINOv2 ViT-B/14 with registers \(.*, 4 registers\), expected DINOv2 ",
        ),
        (
            "dinov2_vit_b14_reg",
            dinov2.backbone("other", dinov2.VIT_B14),
            r"DINOv2 ViT-B/14 \(.*1370 positions\), expected DINOv2 ViT-B/14 with regi",
        ),
        (
            "dinov3_vit_b16",
            dinov3.backbone("other", dinov3.SIZES[0]),
            r"DINOv3 ViT-S/16 \(384 features, .*, 4 registers\), expected DINOv3 ViT-B",
        ),
        (
            "pe_core_l14",
            perception.backbone("other", perception.SIZES[0]),
            r"PE-Core-B/16 \(768 features, .*197 positions\), expected PE-Core-L/14",
        ),
    ],
)
def test_the_sizes_of_all_families_are_told(name, other, message):
    for layers in (other.layers, *other.layouts):
        with pytest.raises(RequestError, match=message):
            store.convert(backbones.create(name), shaped(other, layers))


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
