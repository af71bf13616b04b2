# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a stored detector says of itself: classes, threshold, step."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fakedet_jax.errors import RequestError
from fakedet_jax.media.framing import Framing

# Of fewer validation pictures of a kind, one is more than a percent.
FEW_PICTURES = 100


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
        threshold_pictures: Real and fake validation pictures behind the threshold; None
            where it was not chosen on both.
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
    threshold_pictures: tuple[int, int] | None = None

    @property
    def doubt(self) -> str:
        """Why the threshold is a rough one; empty where nothing speaks against it."""
        found = self.threshold_pictures
        if found is None or min(found) >= FEW_PICTURES:
            return ""
        return (
            f"the threshold was chosen on {found[0]} real and {found[1]} fake "
            f"validation pictures; with fewer than {FEW_PICTURES} of each it is a "
            "rough one"
        )

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
        pictures = None
        if info.threshold_pictures is not None:
            num_real, num_fake = info.threshold_pictures
            pictures = num_real, num_fake
        return dataclasses.replace(
            info,
            threshold_pictures=pictures,
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
