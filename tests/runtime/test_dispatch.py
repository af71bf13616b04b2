# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fakedet_jax.runtime.dispatch."""

import pytest

from fakedet_jax.runtime.dispatch import NUM_IN_FLIGHT, dispatch


@pytest.mark.parametrize("count", [0, 1, NUM_IN_FLIGHT, 10])
def test_each_item_comes_back_with_its_result_in_order(count):
    found = list(dispatch(lambda number: number**2, range(count)))
    assert found == [(number, number**2) for number in range(count)]


def test_later_items_are_started_before_a_result_is_returned():
    started = []
    results = dispatch(started.append, range(10))
    for number in range(10):
        assert next(results)[0] == number
        assert len(started) == min(number + 1 + NUM_IN_FLIGHT, 10)


def test_endless_items_are_consumed_only_as_fast_as_results():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield taken[-1]

    results = dispatch(str, endless())
    assert [next(results) for _ in range(3)] == [(0, "0"), (1, "1"), (2, "2")]
    assert len(taken) == 3 + NUM_IN_FLIGHT
