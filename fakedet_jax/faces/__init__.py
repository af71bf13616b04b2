# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Faces in pictures and videos: detection, tracks, and crops."""
