# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.encoders.perception against timm."""

import numpy as np

from fakedet_jax.models.encoders import perception
from tests.golden import encoder_weights
from tests.models.encoders import narrow

PERCEPTION = perception.backbone("narrow", encoder_weights.NARROW["perception"])


def test_every_block_is_that_of_timm():
    found = narrow.deviations("perception", PERCEPTION)
    assert {"embedding", "block0", "block1", "block1/qkv", "pool/fc2"} <= found.keys()
    assert max(found.values()) < narrow.TOLERANCE, found


def test_the_input_is_from_minus_one_to_one():
    pictures = np.zeros((1, 1, 1, 3), np.uint8)
    pictures[..., :] = 0, 128, 255
    prepared = np.ravel(PERCEPTION.preprocessing(pictures))
    np.testing.assert_allclose(prepared, [-1, 0.5 / 127.5, 1], rtol=1e-5)
