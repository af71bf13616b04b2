# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Large runs in numbered units of work, each written whole or not at all.

`inputs` reads what is to be done, `ledger` knows which units are done, `parts` writes
and reads their tables, `work` computes them, `ray_engine` has them computed by workers
on many machines, and `merge` joins them.
"""

__all__ = ["inputs", "ledger", "merge", "parts", "ray_engine", "work"]
