# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Faces as anomalies (ICASSP 2025): a mixture of what photographs look like."""
