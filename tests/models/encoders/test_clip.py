# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.encoders.clip against OpenCLIP and transformers."""

import dataclasses

import numpy as np
import pytest

from fakedet_jax.models.encoders import clip, transformer
from tests.golden import encoder_weights
from tests.models.encoders import narrow

SIZE = encoder_weights.NARROW["clip"]
CLIP = clip.backbone("narrow", SIZE)
CASES = {
    "clip_openai": CLIP,
    "clip_hugging_face": CLIP,
    "openclip": clip.backbone("narrow", SIZE, transformer.gelu),
}


@pytest.mark.parametrize("case", CASES)
def test_every_block_is_that_of_pytorch(case):
    found = narrow.deviations(case, CASES[case])
    assert {"embedding", "block0", "block1", "block1/fc1"} <= found.keys()
    assert max(found.values()) < narrow.TOLERANCE, found


def test_the_other_gelu_is_told_by_the_blocks():
    assert narrow.deviations("openclip", CLIP)["block0"] > 10 * narrow.TOLERANCE


def test_whole_files_have_captions_besides():
    tensors = narrow.tensors("clip_hugging_face")
    text = {
        "text_model.final_layer_norm.weight": np.ones(4, np.float32),
        "text_projection.weight": np.ones((4, 4), np.float32),
        "logit_scale": np.float32(4.6),
        "vision_model.embeddings.position_ids": np.arange(5)[None],
    }
    file = narrow.tensor_file(tensors | text)
    _, card, comparison = narrow.store.convert(CLIP, file)
    assert sorted(comparison.unused) == sorted(text)
    same = narrow.store.convert(CLIP, narrow.tensor_file(tensors))[1]
    assert card["digest"] == same["digest"]


@pytest.mark.parametrize("case", ["clip_openai", "clip_hugging_face"])
def test_the_class_token_before_the_projection(case):
    bare = clip.backbone("bare", dataclasses.replace(SIZE, features=0))
    whole = narrow.variables(case, CLIP)
    embedding, _ = narrow.run(bare, narrow.variables(case, bare))
    expected, _ = narrow.run(CLIP, whole)
    projected = embedding @ whole["params"]["projection"]["kernel"]
    assert embedding.shape == (2, SIZE.width)
    np.testing.assert_allclose(projected, expected, rtol=1e-3, atol=1e-4)


def test_preprocessing_is_that_of_the_authors():
    pictures = np.full((1, 2, 2, 3), 255, np.uint8)
    expected = (1 - np.array([0.48145466, 0.4578275, 0.40821073])) / np.array(
        [0.26862954, 0.26130258, 0.27577711]
    )
    found = CLIP.preprocessing(pictures)
    np.testing.assert_allclose(found[0, 0, 0], expected, rtol=1e-6)
