# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights that others published: read safely, mapped onto our networks, stored."""
