# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.models.encoders.dinov2 against transformers and timm."""

import dataclasses

import numpy as np
import pytest

from fakedet_jax.models.encoders import dinov2
from tests.golden import encoder_weights
from tests.models.encoders import narrow

SIZE = encoder_weights.NARROW["dinov2"]
PLAIN = dinov2.backbone("narrow", SIZE)
REGISTERS = dinov2.backbone("narrow", dinov2.with_registers(SIZE))
# Transformers does not add a tenth of a patch.
WITHOUT_OFFSET = dataclasses.replace(
    PLAIN,
    build=lambda dtype, site: dinov2.Dinov2(SIZE, offset=0, dtype=dtype, site=site),
)
CASES = {
    "dinov2_facebook": PLAIN,
    "dinov2_hugging_face": WITHOUT_OFFSET,
    "dinov2_registers_facebook": REGISTERS,
    "dinov2_registers_hugging_face": REGISTERS,
}


@pytest.mark.parametrize("case", CASES)
def test_every_block_is_that_of_pytorch(case):
    found = narrow.deviations(case, CASES[case])
    assert {"embedding", "block0", "block1", "block1/qkv"} <= found.keys()
    assert max(found.values()) < narrow.TOLERANCE, found


def test_a_tenth_of_a_patch_is_seen():
    deviations = narrow.deviations("dinov2_hugging_face", PLAIN)
    assert deviations["block0"] > 10 * narrow.TOLERANCE


def test_preprocessing_is_that_of_imagenet():
    pictures = np.full((1, 2, 2, 3), 255, np.uint8)
    expected = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    found = PLAIN.preprocessing(pictures)
    np.testing.assert_allclose(found[0, 0, 0], expected, rtol=1e-6)
    assert dinov2.BACKBONES[0].preprocessing.framing.central_share == 224 / 256
