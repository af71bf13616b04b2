# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Keeps the devices busy while the host prepares the next batches."""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_Started = TypeVar("_Started")

# Computations that stay on the devices while the host prepares the next batches.
NUM_IN_FLIGHT = 2


def dispatch(
    start: Callable[[_Item], _Started], items: Iterable[_Item]
) -> Iterator[tuple[_Item, _Started]]:
    """Starts a computation for each item and returns it a few items later.

    JAX computes in the background, so `start` returns before its result exists. The
    caller waits for the result (or copies it to the host) when it receives it; by then
    the next items have been started. This bounds the memory that waiting batches take
    on the devices.

    Args:
        start: Starts the computation for an item, without waiting for its result.
        items: The items, such as batches. They are consumed only as fast as results
            are.

    Yields:
        Each item with what `start` returned for it, in order.
    """
    waiting: collections.deque[tuple[_Item, _Started]] = collections.deque()
    for item in items:
        waiting.append((item, start(item)))
        if len(waiting) > NUM_IN_FLIGHT:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
