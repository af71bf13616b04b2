# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A function with the shapes of its arguments: all that a compiler needs to know."""

import dataclasses
import math
from typing import Any

import jax
from jax.sharding import Mesh


@dataclasses.dataclass(frozen=True)
class Program:
    """What a system runs on a mesh, before it is compiled.

    Attributes:
        jitted: Function that `jax.jit` returned.
        arguments: Shapes of its arguments, `jax.ShapeDtypeStruct`s with shardings on
            the mesh.
        mesh: The devices.
        num_rows: Pictures, or rows of a table, of one call, over all devices.
        flops: Multiplications and additions of one call, over all devices, where XLA
            cannot count them because of loops; None for its count.
        dtype: Of the arithmetic, where it is not the one that was asked for.
    """

    jitted: Any
    arguments: tuple[Any, ...]
    mesh: Mesh
    num_rows: int
    flops: float | None = None
    dtype: str | None = None

    def lower(self) -> Any:
        """Traces the function for the devices, a `jax.stages.Lowered`."""
        with jax.set_mesh(self.mesh):
            return self.jitted.lower(*self.arguments)

    @property
    def replicated_bytes(self) -> int:
        """Bytes of the arguments that every device holds whole, such as parameters."""
        return sum(
            math.prod(leaf.shape) * leaf.dtype.itemsize
            for leaf in jax.tree.leaves(self.arguments)
            if leaf.ndim and not any(leaf.sharding.spec)
        )
