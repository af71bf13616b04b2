# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a mode says of the threshold that decided."""

import logging

from fakedet_jax.evaluation.info import DetectorInfo

_LOGGER = logging.getLogger(__name__)


def tell(info: DetectorInfo) -> None:
    """Logs what an operating point rests on, and warns of a rough threshold.

    Args:
        info: The detector.
    """
    if info.unsure_origin:
        _LOGGER.info("%s", info.unsure_origin)
    elif info.max_false_alarms is not None:
        _LOGGER.info("%s", info.threshold_origin)
    if info.doubt:
        _LOGGER.warning("%s", info.doubt)
