# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the bytes of pictures and videos to uint8 RGB."""
