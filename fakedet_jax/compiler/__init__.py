# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a program costs on a device, told by the compiler for it.

The device need not be there: XLA compiles for TPUs and NVIDIA GPUs on any machine that
has their plug-ins. `targets` names devices, `hlo` reads optimised programs, and `cost`
puts both together. Nothing is run.
"""

from fakedet_jax.compiler.program import Program
from fakedet_jax.compiler.targets import Target

__all__ = ["Program", "Target"]
