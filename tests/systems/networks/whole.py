# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The detectors that are one network small enough to be tested whole."""

from fakedet_jax import systems
from fakedet_jax.systems.networks.system import NetworkDetector


def _is_small(name):
    """Encoders are tested narrow; those of detectors have a gigabyte of weights."""
    detector = systems.create(name)
    if not isinstance(detector, NetworkDetector):
        return False
    return detector.pretrained is None or detector.pretrained.size is None


NAMES = tuple(filter(_is_small, systems.names()))
