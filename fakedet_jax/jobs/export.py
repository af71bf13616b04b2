# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=export`: writes pictures of a dataset as files, in folder layout."""

import logging
from pathlib import Path

from fakedet_jax import storage
from fakedet_jax.config import ExportConfig
from fakedet_jax.data import catalog
from fakedet_jax.errors import RequestError

_LOGGER = logging.getLogger(__name__)


def export(config: ExportConfig) -> int:
    """Writes `OUTPUT/CLASS/NAME`, the bytes of each file as they are stored.

    Args:
        config: The settings.

    Returns:
        How many pictures were written.

    Raises:
        RequestError: The settings are not as expected.
    """
    dataset = catalog.load_configured(config.data, config.split, require_both=False)
    if config.num_per_class < 1:
        raise RequestError(
            f"--num_per_class: expected at least 1, found {config.num_per_class}"
        )
    written = 0
    for label, class_name in enumerate(dataset.classes):
        chosen = [i for i, found in enumerate(dataset.labels) if found == label]
        for index in chosen[: config.num_per_class]:
            # Only the last part of the name, so that none leads out of the folder.
            name = Path(dataset.names[index]).name
            path = config.output / class_name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.write_bytes(path, dataset.source[index].encoded)
            written += 1
    _LOGGER.info("wrote %d pictures under %s", written, config.output)
    return written
