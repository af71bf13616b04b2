# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.encoders.transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedet_jax.models import precision
from fakedet_jax.models.encoders import clip, transformer
from tests.golden import encoder_weights
from tests.models.encoders import narrow

CLIP = clip.backbone("narrow", encoder_weights.NARROW["clip"])


@pytest.fixture(scope="module")
def variables():
    return narrow.variables("clip_openai", CLIP)


def test_attention_is_a_mean_weighted_by_similarity():
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((2, 1, 2, 4)).astype(np.float32)
    keys, values = rng.standard_normal((2, 2, 3, 2, 4)).astype(np.float32)
    found = transformer.attend(*map(jnp.asarray, (queries, keys, values)))
    assert found.shape == (2, 1, 2, 4)
    for picture in range(2):
        for head in range(2):
            asking, known, told = (
                part[picture, :, head] for part in (queries, keys, values)
            )
            similarity = np.exp(asking @ known.T / np.sqrt(4))
            weights = similarity / similarity.sum(1, keepdims=True)
            own = found[picture, :, head]
            np.testing.assert_allclose(own, weights @ told, rtol=1e-4, atol=1e-5)


def test_products_of_the_attention_are_float32_without_a_choice():
    def text():
        heads = jax.ShapeDtypeStruct((1, 3, 2, 4), jnp.float32)
        # A new function, as JAX keeps what it has traced.
        attend = jax.jit(lambda *heads: transformer.attend(*heads))
        return attend.lower(heads, heads, heads).as_text()

    assert "precision = [HIGHEST, HIGHEST]" in text()
    with precision.using("bfloat16"):
        assert "HIGHEST" not in text()


def test_patches_are_embedded_as_by_a_convolution():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 6, 9, 3)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 3, 5)).astype(np.float32)
    bias = rng.standard_normal(5).astype(np.float32)
    layer = transformer.PatchEmbedding(5, 3, use_bias=True)
    found = layer.apply({"params": {"kernel": kernel, "bias": bias}}, images)
    assert found.shape == (2, 6, 5)
    last = np.tensordot(images[1, 3:, 6:], kernel, 3) + bias
    np.testing.assert_allclose(found[1, -1], last, rtol=1e-4, atol=1e-5)


def test_outputs_at_the_activation_follow_from_the_layers(variables):
    _, layers = narrow.run(CLIP, variables)
    _, out = narrow.run(CLIP, variables, site="activation")
    assert layers.keys() == out.keys()
    hidden = layers["block0/fc1"]
    gelu = hidden / (1 + np.exp(-1.702 * hidden))
    np.testing.assert_allclose(out["block0/fc1"], gelu, rtol=1e-4, atol=1e-5)
    kernel = variables["params"]["block0"]["attention"]["kernel"]
    bias = variables["params"]["block0"]["attention"]["bias"]
    projected = out["block0/qkv"] @ kernel + bias
    np.testing.assert_allclose(
        layers["block0/attention"], projected, rtol=1e-4, atol=1e-4
    )
    # Both branches and what entered.
    total = out["patch_embedding"] + out["block0/attention"] + out["block0/fc2"]
    np.testing.assert_allclose(out["block0"], total, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_near_float32(variables):
    exact, _ = narrow.run(CLIP, variables)
    rough, out = narrow.run(CLIP, variables, dtype=jnp.bfloat16)
    assert rough.dtype == np.float32
    assert {values.dtype for values in out.values()} == {jnp.dtype("bfloat16")}
    assert 0 < np.abs(rough - exact).max() < 0.05 * np.abs(exact).max()
