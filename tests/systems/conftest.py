# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of several systems' tests."""

import pytest

from fakedet_jax.runtime import peer


@pytest.fixture(scope="module")
def theirs():
    """PyTorch in float32; skips where it is not installed."""
    torch = pytest.importorskip("torch")
    return peer.Peer(torch, "float32")
