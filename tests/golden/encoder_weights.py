# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights and pictures of narrow encoders, alike for PyTorch and for the tests."""

import math
import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from fakedet_jax.models.encoders.size import EncoderSize

# Two blocks and few features; the published ones have the same shapes but for the size.
NARROW = {
    "clip": EncoderSize("narrow CLIP", 32, 2, 2, 14, 28, 16),
    # Positions of 5 × 5 patches, of which 3 × 3 are seen.
    "dinov2": EncoderSize("narrow DINOv2", 32, 2, 2, 14, 70, input_side=42),
    "dinov3": EncoderSize("narrow DINOv3", 32, 2, 2, 16, 48, num_registers=4),
    "perception": EncoderSize("narrow PE-Core", 32, 2, 2, 14, 42, 16),
}
# Pictures of each case.
NUM_PICTURES = 2
_SCALES = re.compile(r".*(norm|ln_|layernorm|layrnorm|gamma|lambda).*(?<!bias)")


def draw(key: str, shape: Sequence[int]) -> np.ndarray:
    """The array of a key: float32, near one for scales, near zero for others."""
    rng = np.random.default_rng([7, zlib.crc32(key.encode())])
    if len(shape) == 1 and _SCALES.fullmatch(key):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) == 1:
        return (0.2 * rng.standard_normal(shape)).astype(np.float32)
    fan_in = math.prod(shape[1:])
    deviation = 1.5 / math.sqrt(fan_in)
    return (deviation * rng.standard_normal(shape)).astype(np.float32)


def tensors(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """All arrays of a network."""
    return {key: draw(key, shape) for key, shape in shapes.items()}


def make_pictures(side: int) -> np.ndarray:
    """Pictures uint8 RGB `[2, side, side, 3]`."""
    rng = np.random.default_rng(side)
    return rng.integers(0, 256, (NUM_PICTURES, side, side, 3), np.uint8)
