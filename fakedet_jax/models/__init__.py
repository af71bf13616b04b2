# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks: Flax Linen modules `images → (logits, named layer outputs)`."""
