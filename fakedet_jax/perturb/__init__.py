# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What happens to pictures on their way through the world, and suites that test it."""
