# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.bulk.shards."""

from fakedet_jax.bulk.shards import read_shard


def test_shards_are_read():
    assert read_shard("") == (0, 1)
    assert read_shard("3/4") == (3, 4)
