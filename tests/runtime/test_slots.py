# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the memory that processes share."""

import contextlib
import threading
from pathlib import Path

import numpy as np

from fakedet_jax.runtime.slots import Filler, Slots

SHAPE = (4, 5, 3)


def open_files():
    """Numbers of the open files of this process."""
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_arrays_come_in_order_and_no_slot_is_overwritten():
    arrays = np.random.default_rng(0).integers(0, 256, (50, *SHAPE), np.uint8)
    with contextlib.closing(Slots(3, SHAPE)) as slots:
        filler = Filler(slots.handle)
        num_filled = threading.Semaphore(0)

        def fill():
            for array in arrays:
                filler.wait()
                filler.put(array)
                num_filled.release()

        thread = threading.Thread(target=fill)
        thread.start()
        for array in arrays:
            num_filled.acquire()
            np.testing.assert_array_equal(slots.take(), array)
        thread.join()


def test_what_was_taken_stays(tmp_path):
    with contextlib.closing(Slots(1, SHAPE)) as slots:
        filler = Filler(slots.handle)
        filler.put(np.full(SHAPE, 7, np.uint8))
        taken = slots.take()
        filler.put(np.full(SHAPE, 8, np.uint8))
        assert (taken == 7).all() and (slots.take() == 8).all()


def test_nothing_stays_open():
    before = open_files()
    Slots(3, SHAPE).close()
    assert open_files() == before
