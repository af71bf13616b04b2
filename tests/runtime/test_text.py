# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of runtime.text."""

from fakedet_jax.runtime.text import PlainNames


def test_long_names_are_cut_and_stay_unique():
    names = PlainNames()
    found = [names.make(text) for text in ("x" * 300, "X" * 300, "x-2", "x", "x")]
    assert len({name.casefold() for name in found}) == 5
    assert max(map(len, found)) < 100
