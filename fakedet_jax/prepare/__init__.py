# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes datasets of face crops: parallel extraction, staging and assembly."""

__all__ = ["assembly", "manifest", "output", "pool", "ray_tasks", "staging", "worker"]
