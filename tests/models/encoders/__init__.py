# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
