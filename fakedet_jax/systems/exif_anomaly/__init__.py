# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Faces as anomalies (ICASSP 2025): a mixture of what photographs look like."""

__all__ = [
    "benchmark",
    "diagnosis",
    "embedding",
    "embedding_map",
    "manipulations",
    "metrics",
    "model",
    "options",
    "panels",
    "ranker",
    "ranking",
    "self_supervision",
    "stored",
    "system",
    "training",
]
