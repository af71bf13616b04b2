# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The TFDS builder of `synthetic_faces`, which works without TensorFlow."""

import dataclasses
import io
import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fakedet_jax.runtime.processes import available_cores
from fakedet_jax.synthetic_faces.examples import (
    CLASSES,
    KINDS_PER_IDENTITY,
    NUM_IDENTITIES,
    SETTINGS,
    SPLITS,
    Example,
)
from fakedet_jax.synthetic_faces.lens import PICTURE_SIZE
from fakedet_jax.synthetic_faces.worker import examples_in_order

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 5.0


@dataclasses.dataclass(eq=False)
class SyntheticFacesConfig(tfds.core.BuilderConfig):
    """Configuration of a dataset.

    Attributes:
        num_identities: Number of identities, with `len(KINDS_PER_IDENTITY)` pictures
            each.
        seed: Seed of all random choices.
    """

    num_identities: int = NUM_IDENTITIES
    seed: int = 0


class SyntheticFaces(tfds.core.GeneratorBasedBuilder):
    """Drawn portraits: simulated photographs and four kinds of fakes.

    Args:
        num_processes: Number of processes; `None` for one per core. The files do not
            depend on it.
        kwargs: Arguments of `tfds.core.GeneratorBasedBuilder`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012

    def __init__(self, *, num_processes: int | None = None, **kwargs: Any):
        self._num_processes = num_processes or available_cores()
        self._done = 0
        self._last_logged = time.monotonic()
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=(
                "Stylised portraits of invented people. Photographs go through a "
                "camera simulation whose ISO, aperture, exposure time and focal length "
                "are in their Exif tags and truly shape the picture; fakes are "
                "synthesised, edited, warped or swapped."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(PICTURE_SIZE, PICTURE_SIZE, 3), encoding_format="jpeg"
                    ),
                    "label": tfds.features.ClassLabel(names=list(CLASSES)),
                    "name": tfds.features.Text(),
                    "identity": tfds.features.Scalar(np.int64),
                    "landmarks": tfds.features.Tensor(shape=(5, 2), dtype=np.float32),
                    "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                    **{name: tfds.features.Scalar(np.float32) for name in SETTINGS},
                }
            ),
            supervised_keys=("image", "label"),
            license="Apache-2.0",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        del dl_manager  # nothing is downloaded
        self._done = 0
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        config = self.builder_config
        total = config.num_identities * len(KINDS_PER_IDENTITY)
        for examples in examples_in_order(
            config.seed, split, config.num_identities, self._num_processes
        ):
            for example in examples:
                yield example.name, _features(example)
            self._done += len(examples)
            self._log(total)

    def _log(self, total: int) -> None:
        """Logs a line every few seconds."""
        now = time.monotonic()
        if self._done == total or now - self._last_logged > _SECONDS_BETWEEN_LINES:
            self._last_logged = now
            _LOG.info("synthetic_faces: %d of %d pictures made", self._done, total)


def _features(example: Example) -> dict[str, Any]:
    return {
        # Encoded bytes are stored as they are; an array would need TensorFlow.
        "image": io.BytesIO(example.encoded),
        "label": example.label,
        "name": example.name,
        "identity": example.identity,
        "landmarks": example.landmarks,
        "box": example.box,
        **{name: getattr(example.settings, name) for name in SETTINGS},
    }
