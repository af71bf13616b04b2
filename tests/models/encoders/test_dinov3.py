# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.encoders.dinov3 against transformers and timm."""

import numpy as np
import pytest

from fakedet_jax.errors import RequestError
from fakedet_jax.models.encoders import dinov3
from fakedet_jax.weights import store
from tests.golden import encoder_weights
from tests.models.encoders import narrow

SIZE = encoder_weights.NARROW["dinov3"]
DINO = dinov3.backbone("narrow", SIZE)


def with_masks(tensors, middle=0.0):
    """With what the authors' files hold besides: masks of biases, and wavelengths."""
    mask = np.repeat(np.float32([1, middle, 1]), SIZE.width)
    masks = {f"blocks.{n}.attn.qkv.bias_mask": mask for n in range(SIZE.depth)}
    return tensors | masks | {"rope_embed.periods": np.ones(4, np.float32)}


def test_every_block_is_that_of_transformers():
    found = narrow.deviations("dinov3_hugging_face", DINO)
    assert {"embedding", "block0", "block1", "block1/qkv"} <= found.keys()
    assert max(found.values()) < narrow.TOLERANCE, found


def test_every_block_is_that_of_timm():
    tensors = with_masks(narrow.tensors("dinov3_facebook"))
    variables, _, comparison = store.convert(DINO, narrow.tensor_file(tensors))
    assert sorted(comparison.unused) == ["mask_token", "rope_embed.periods"]
    found = narrow.deviations("dinov3_facebook", DINO, variables=variables)
    assert max(found.values()) < narrow.TOLERANCE, found


def test_biases_of_keys_are_zero_in_both_layouts():
    files = {
        "dinov3_facebook": with_masks(narrow.tensors("dinov3_facebook")),
        "dinov3_hugging_face": narrow.tensors("dinov3_hugging_face"),
    }
    for tensors in files.values():
        variables, _, _ = store.convert(DINO, narrow.tensor_file(tensors))
        bias = variables["params"]["block1"]["qkv"]["bias"].reshape(3, -1)
        assert (bias != 0).all(1).tolist() == [True, False, True]
        assert not bias[1].any()


@pytest.mark.parametrize("middle", [0.5, np.nan])
def test_a_mask_of_other_numbers_is_refused(middle):
    tensors = with_masks(narrow.tensors("dinov3_facebook"), middle)
    message = r"'weights' has a mask of blocks.0.attn.qkv.bias with other numbers than"
    with pytest.raises(RequestError, match=message):
        store.convert(DINO, narrow.tensor_file(tensors))
