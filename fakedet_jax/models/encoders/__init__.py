# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Image encoders that others trained on hundreds of millions of pictures."""

__all__ = [
    "clip",
    "dinov2",
    "dinov3",
    "layout",
    "perception",
    "positions",
    "size",
    "transformer",
]
