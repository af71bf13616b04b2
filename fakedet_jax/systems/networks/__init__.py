# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detectors that are one network: AMTENnet, its rivals and what trains them."""
