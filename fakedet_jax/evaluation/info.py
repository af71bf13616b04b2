# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a stored detector says of itself: classes, threshold, step."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing


@dataclasses.dataclass(frozen=True)
class DetectorInfo:
    """What a stored detector says of itself.

    Attributes:
        detector: Its name.
        classes: Its classes: the real ones first.
        is_fake: For every class, whether it is fake.
        task: `multiclass` or `binary`.
        framing: Of its input.
        threshold: Scores at or above it are decided fake.
        threshold_origin: How the threshold was chosen, a sentence.
        step: The training step.
        validation: Metrics on the validation split.
        details: What only detectors of its kind know, JSON-able.
    """

    detector: str
    classes: tuple[str, ...]
    is_fake: tuple[bool, ...]
    task: str
    framing: Framing
    threshold: float
    threshold_origin: str
    step: int
    validation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "DetectorInfo":
        """From what `dataclasses.asdict` gave, through JSON.

        Raises:
            RequestError: Fields are missing or unknown.
        """
        # Earlier versions kept here what `config.json` says.
        fields = {name: facts[name] for name in facts if name != "face_detector"}
        try:
            info = cls(**fields)
            framing = Framing(**facts["framing"])
        except TypeError as error:
            raise RequestError(
                f"`workdir`: the stored detector is of another version ({error}); "
                "train it again"
            ) from error
        return dataclasses.replace(
            info,
            classes=tuple(info.classes),
            is_fake=tuple(info.is_fake),
            framing=framing,
        )

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        """Sums the probabilities of the fake classes.

        Args:
            probabilities: `[n, num_classes]`.

        Returns:
            float64 `[n]`, from 0 to 1; NaN where a probability is not finite.
        """
        values = np.asarray(probabilities, np.float64)
        scores = np.clip(values[:, list(self.is_fake)].sum(-1), 0.0, 1.0)
        return np.where(np.isfinite(values).all(-1), scores, np.nan)
