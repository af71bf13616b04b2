# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tells trained detectors apart by what they compute, wherever their files lie."""

import dataclasses
import hashlib
import json

import jax
import numpy as np

from fakedet_jax.systems.base import Fitted

_NUM_DIGITS = 16


def model_id(detector: Fitted) -> str:
    """Digest of a detector's arrays, classes, framing and threshold.

    Args:
        detector: The detector; its arrays may lie on devices.

    Returns:
        16 hex digits. Scores and decisions of detectors with the same digits are the
        same but for last digits, which depend on the machine.
    """
    info = detector.info
    facts = {
        "detector": info.detector,
        "classes": info.classes,
        "is_fake": info.is_fake,
        "framing": dataclasses.asdict(info.framing),
        "threshold": info.threshold,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    leaves, _ = jax.tree_util.tree_flatten_with_path(detector.variables)
    for path, leaf in leaves:
        array = np.asarray(leaf)
        name = jax.tree_util.keystr(path)
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:_NUM_DIGITS]
