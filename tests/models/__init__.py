# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the networks and their layers."""

# For `jax.jit` in tests: what is compiled there runs once, so compiling counts.
QUICK = {"xla_backend_optimization_level": 0}
