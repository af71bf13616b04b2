# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""FakeSpotter (IJCAI 2020): neuron counts of a recognition network, classified."""

__all__ = [
    "benchmark",
    "classifier",
    "counts",
    "coverage",
    "features",
    "options",
    "system",
]
