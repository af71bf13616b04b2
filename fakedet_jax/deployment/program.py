# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a deployed detector computes, and what it says of itself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fakedet_jax import __version__
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds
from fakedet_jax.evaluation.calibration import NONE
from fakedet_jax.evaluation.scoring import log_odds_fn
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import parallel, storage
from fakedet_jax.systems.base import Fitted
from fakedet_jax.workdir import Workdir

# Names of the input and of the outputs.
INPUT = "crops"
OUTPUTS = ("scores", "log_odds")

# From uint8 RGB `[batch, height, width, 3]` to float32 `[batch]` by name.
CropsFn = Callable[[jax.Array], dict[str, jax.Array]]


def make(fitted: Fitted) -> CropsFn:
    """The scores of face crops, with the detector's arrays inside.

    Args:
        fitted: The detector; its arrays may lie on any devices.

    Returns:
        Pure function from uint8 RGB `[batch, height, width, 3]`, of the size of the
        network's input, to `scores` from 0 to 1 and `log_odds`, float32 `[batch]`,
        calibrated as the detector is.

    Raises:
        RequestError: The detector is of several networks with framings of their own.
    """
    if fitted.info.framing.parts:
        raise RequestError(
            "it sees each picture in several framings, which a file of its own cannot "
            "make; deploy its members one by one"
        )
    variables = jax.tree.map(parallel.to_host, fitted.variables)
    evidence_fn = log_odds_fn(fitted.log_probability_fn, fitted.info.is_fake)
    line = fitted.info.calibration

    def program(crops: jax.Array) -> dict[str, jax.Array]:
        arrays = variables
        if not fitted.has_gradient:
            # XLA computes with constants ahead, and rounds otherwise then, which moves
            # outputs of neurons across the thresholds above which they are counted.
            # Networks are faster for it, and their scores change by some 1e-7.
            arrays = lax.optimization_barrier(variables)
        evidence = evidence_fn(arrays, crops)
        if line.kind != NONE:
            evidence = line.slope * evidence + line.offset
        # NaN is left as it is; infinities are as `log_odds.of_classes` has them.
        evidence = jnp.clip(evidence, -log_odds.LARGEST, log_odds.LARGEST)
        return dict(zip(OUTPUTS, (jax.nn.sigmoid(evidence), evidence), strict=True))

    return program


def crops_of(framing: Framing, batch_size: int | None) -> jax.ShapeDtypeStruct:
    """The input of a program.

    Args:
        framing: Of the crops.
        batch_size: The number of crops of a call; None for any.
    """
    from jax import export

    batch = batch_size or export.symbolic_shape("batch")[0]
    return jax.ShapeDtypeStruct((batch, *framing.shape), np.uint8)


def describe(
    workdir: Workdir, fitted: Fitted, batch_size: int | None
) -> dict[str, Any]:
    """What users of the file need to know, JSON-able.

    Args:
        workdir: Of the detector.
        fitted: The detector.
        batch_size: The number of crops of a call; None for any.
    """
    info = fitted.info
    threshold = float(log_odds.of_scores(info.threshold))
    return {
        "format": "fakedet_jax detector",
        "format_version": 1,
        "fakedet_jax": __version__,
        "detector": workdir.title,
        "step": info.step,
        "input": {
            "name": INPUT,
            "shape": [batch_size, *info.framing.shape],
            "dtype": "uint8",
            "meaning": "RGB face crops, [batch, height, width, channel], 0 to 255",
        },
        "outputs": {
            "scores": "float32 [batch], evidence of being fake, 0 (real) to 1 (fake)",
            "log_odds": "float32 [batch], logit of the scores, which does not saturate",
        },
        "threshold": info.threshold,
        "threshold_log_odds": storage.json_number(threshold),
        "threshold_origin": info.threshold_origin,
        "calibration": info.calibration.kind,
        "classes": list(info.classes),
        "is_fake": list(info.is_fake),
        "task": info.task,
        "framing": info.framing.record,
        "faces": workdir.faces,
        "matmul_precision": workdir.matmul_precision,
    }
