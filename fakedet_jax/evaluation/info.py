# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a stored detector says of itself: classes, threshold, step."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fakedet_jax.data.folder import WANTED_PICTURES
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.media.framing import Framing

# Scores of real validation pictures that are stored, to choose another threshold later.
MAX_SCORES = 20_000

# Of fewer validation pictures of a kind, one is more than a percent.
FEW_PICTURES = WANTED_PICTURES


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
        real_scores: Scores of real validation pictures, rising; of more than
            `MAX_SCORES` evenly spaced ones. Empty where they are not known.
        num_real: The number of these pictures.
        max_false_alarms: The share of real pictures that the threshold was chosen for;
            None where it was chosen in another way.
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
    real_scores: tuple[float, ...] = ()
    num_real: int = 0
    max_false_alarms: float | None = None

    @property
    def doubt(self) -> str:
        """Why the threshold is a rough one; empty where nothing speaks against it."""
        rate = self.max_false_alarms
        if rate is not None and not metrics.num_allowed(rate, self.num_real):
            return (
                f"at most {100 * rate:.4g} % false alarms need at least "
                f"{math.ceil(1 / rate):,} real validation pictures, there are "
                f"{self.num_real:,}: the threshold lies above the scores of all of them"
            )
        found = self.threshold_pictures
        if found is None or min(found) >= FEW_PICTURES:
            return ""
        if not min(found):
            return (
                "the threshold is one half and was not chosen: the validation split "
                f"of the training has {found[0]} real and {found[1]} fake pictures"
            )
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
            real_scores=tuple(info.real_scores),
            classes=tuple(info.classes),
            is_fake=tuple(info.is_fake),
            framing=framing,
        )

    def at_false_alarms(self, rate: float) -> "DetectorInfo":
        """The same with the lowest threshold that calls few real pictures fake.

        Args:
            rate: The share of the real validation pictures that may be called fake, in
                (0, 1).

        Raises:
            RequestError: Their scores are not known.
        """
        if not self.real_scores:
            raise RequestError(
                "`max_false_alarms`: the workdir holds no scores of real validation "
                "pictures, as that of a converted detector or of an earlier version; "
                "train again, or give `threshold`"
            )
        scores = np.asarray(self.real_scores)
        threshold = metrics.threshold_at_false_alarm_rate(scores, rate)
        share = float(metrics.decide(scores, threshold).mean())
        count = round(share * self.num_real)
        low, high = metrics.wilson_interval(count, self.num_real) or (0.0, 1.0)
        allowed = f"{100 * rate:.4g} %"
        return dataclasses.replace(
            self,
            threshold=threshold,
            threshold_origin=(
                f"The threshold was chosen for at most {allowed} false alarms: "
                f"{count:,} of the {self.num_real:,} real pictures of the validation "
                f"split {'reaches' if count == 1 else 'reach'} it, and {low:.1%} to "
                f"{high:.1%} of others like them may (95 % interval)."
            ),
            threshold_pictures=None,
            max_false_alarms=rate,
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


def kept_scores(real_scores: np.ndarray) -> dict[str, Any]:
    """What `DetectorInfo` keeps of the scores of real validation pictures.

    Args:
        real_scores: `[n]`, in [0, 1].

    Returns:
        `real_scores` and `num_real`.

    >>> kept_scores(np.array([0.5, 0.25]))
    {'real_scores': (0.25, 0.5), 'num_real': 2}
    """
    found = np.sort(np.asarray(real_scores, np.float64))
    number = len(found)
    if number > MAX_SCORES:
        places = np.linspace(0, number - 1, MAX_SCORES).round().astype(np.int64)
        found = found[places]
    return {"real_scores": tuple(found.tolist()), "num_real": number}
