# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""How many pictures at a time the memory of the devices takes."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel, platforms
from fakedet_jax.runtime.dispatch import NUM_IN_FLIGHT

# Pictures at a time where nobody knows the memory, as on CPUs.
DEFAULT = 64
# More pictures per device are no faster and take longer to read.
MAX_PER_DEVICE = 1024

# Of the memory, what other programs and fragments leave.
_USABLE = 0.8


class _Need(NamedTuple):
    """Bytes that a function needs on each device."""

    variables: float
    per_picture: float

    def fitting(self, memory: int) -> int:
        """How many pictures fit."""
        return int((memory * _USABLE - self.variables) / self.per_picture)


def largest_batch_size(
    picture_fn: Any,
    variables: Any,
    framing: Framing,
    mesh: Mesh,
    memory: int | None = None,
) -> int:
    """The largest useful batch size that fits the devices.

    Args:
        picture_fn: Function from variables and uint8 `[batch, height, width, 3]` to
            `[batch, …]`, compiled once.
        variables: Its variables, on the mesh.
        framing: Region and size of its input.
        mesh: The devices.
        memory: Bytes of each device; by default what the devices say.

    Returns:
        Pictures over all devices: a power of two for each of them, at most
        `MAX_PER_DEVICE`; about `DEFAULT` where the memory is not known. The same for
        the same devices, whatever else they hold.
    """
    memory = memory or _memory(mesh)
    if memory is None:
        return parallel.round_up_batch_size(DEFAULT, mesh)
    fitting = _need(picture_fn, variables, framing, mesh).fitting(memory)
    fitting = min(max(fitting, 1), MAX_PER_DEVICE)
    return mesh.size * 2 ** (fitting.bit_length() - 1)


def _memory(mesh: Mesh) -> int | None:
    """Bytes of the smallest device; None if one does not say."""
    told = [device.memory_stats() or {} for device in mesh.local_devices]
    if not all("bytes_limit" in stats for stats in told):
        return None
    return min(stats["bytes_limit"] for stats in told)


def _need(picture_fn: Any, variables: Any, framing: Framing, mesh: Mesh) -> _Need:
    batch_size = parallel.round_up_batch_size(DEFAULT, mesh)
    images = jax.ShapeDtypeStruct(
        (batch_size, *framing.shape),
        np.uint8,
        sharding=parallel.batch_sharding(mesh),
    )
    jitted = platforms.jit_rows(picture_fn, mesh)
    with jax.set_mesh(mesh):
        told = jitted.lower(variables, images).compile().memory_analysis()
    assert told is not None  # For the type checker: all platforms tell.
    num_pictures = batch_size // mesh.size
    inputs = num_pictures * float(np.prod(framing.shape))
    # Of the batches in flight inputs and outputs are there.
    waiting = NUM_IN_FLIGHT * (inputs + told.output_size_in_bytes)
    needed = told.temp_size_in_bytes + inputs + told.output_size_in_bytes + waiting
    return _Need(told.argument_size_in_bytes - inputs, needed / num_pictures)
