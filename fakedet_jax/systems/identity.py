# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tells trained detectors apart by what they compute, wherever their files lie."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from fakedet_jax.evaluation.calibration import NONE

if TYPE_CHECKING:
    from fakedet_jax.systems.base import Fitted

_NUM_DIGITS = 16


def model_id(detector: "Fitted") -> str:
    """Digest of a detector's arrays, classes, framing, calibration and thresholds.

    Args:
        detector: The detector; its arrays may lie on devices.

    Returns:
        16 hex digits. Scores and decisions of detectors with the same digits are the
        same but for last digits, which depend on the machine.
    """
    info = detector.info
    facts: dict[str, Any] = {
        "detector": info.detector,
        "classes": info.classes,
        "is_fake": info.is_fake,
        "framing": info.framing.record,
        "threshold": info.threshold,
    }
    if info.calibration.kind != NONE:
        facts["calibration"] = [info.calibration.slope, info.calibration.offset]
    if info.unsure_between is not None:
        facts["unsure_between"] = list(info.unsure_between)
    hashed = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    leaves, _ = jax.tree_util.tree_flatten_with_path(detector.variables)
    for path, leaf in leaves:
        array = np.asarray(leaf)
        name = jax.tree_util.keystr(path)
        hashed.update(f"{name} {array.dtype} {array.shape}\n".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:_NUM_DIGITS]


def digest(settings: Mapping[str, Any]) -> str:
    """Digest of what describes a network that has no workdir.

    Args:
        settings: JSON-able values by name, such as the digest of its weights.

    Returns:
        16 hex digits.
    """
    encoded = json.dumps(dict(settings), sort_keys=True).encode()
    return hashlib.sha256(encoded).hexdigest()[:_NUM_DIGITS]
