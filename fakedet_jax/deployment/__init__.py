# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A trained detector as a file of its own, which runs without this package."""

__all__ = ["checking", "onnx_file", "plain", "program", "stablehlo"]
