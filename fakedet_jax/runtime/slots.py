# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Arrays in memory that a process shares with its worker.

The worker fills the slots in turn, and waits until the next one is free. The memory has
no name: nothing is left of it, however the processes end.
"""

import math
import mmap
import os
import tempfile
from typing import NamedTuple

import numpy as np


class Handle(NamedTuple):
    """What a worker needs to open the slots of its parent.

    Attributes:
        memory: File of the memory, which the worker must inherit.
        free: Pipe with a byte for each free slot, likewise.
        num_slots: Number of slots.
        shape: Shape of each slot.
    """

    memory: int
    free: int
    num_slots: int
    shape: tuple[int, ...]


class Slots:
    """The slots, seen from the process that empties them."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        """Makes empty slots.

        Args:
            count: Number of slots, 1 to 65,536 (what a pipe holds at least).
            shape: Shape of the uint8 array in each.
        """
        assert 1 <= count <= 65_536
        memory = _open_memory(count * math.prod(shape))
        free, self._release = os.pipe()
        self.handle = Handle(memory, free, count, shape)
        self._arrays = _map(self.handle)
        self._next = 0
        os.write(self._release, bytes(count))

    def take(self) -> np.ndarray:
        """Copies the next array that the worker has announced, and frees its slot.

        Returns:
            uint8 array of the shape of the slots.
        """
        array = self._arrays[self._next].copy()
        self._next = (self._next + 1) % self.handle.num_slots
        os.write(self._release, b"\0")
        return array

    def close(self) -> None:
        """Gives the memory back, as soon as the worker has ended, too."""
        for file in (self.handle.memory, self.handle.free, self._release):
            os.close(file)


class Filler:
    """The slots, seen from the worker that fills them."""

    def __init__(self, handle: Handle) -> None:
        """Opens the slots of the parent."""
        self._free = handle.free
        self._arrays = _map(handle)
        self._next = 0

    def wait(self) -> None:
        """Waits until the next slot is free; ends this process if the parent has."""
        if not os.read(self._free, 1):
            os._exit(0)

    def put(self, array: np.ndarray) -> None:
        """Fills the next slot, which must be free.

        Args:
            array: uint8 array of the shape of the slots.
        """
        self._arrays[self._next] = array
        self._next = (self._next + 1) % len(self._arrays)


def _open_memory(num_bytes: int) -> int:
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("fakedet")
    else:
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    os.ftruncate(file, num_bytes)
    return file


def _map(handle: Handle) -> np.ndarray:
    """The slots as one array, uint8 `[count, *shape]`."""
    num_bytes = handle.num_slots * math.prod(handle.shape)
    memory = mmap.mmap(handle.memory, num_bytes)
    return np.frombuffer(memory, np.uint8).reshape(handle.num_slots, *handle.shape)
