# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From photographs and videos to face crops: what `jobs.prepare` is made of."""
