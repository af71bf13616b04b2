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
from fakedet_jax.evaluation import log_odds, metrics
from fakedet_jax.media.framing import Framing

# Log-odds of validation pictures of a kind that are stored, to choose another threshold
# later.
MAX_KEPT = 20_000

# The least number that float32 rounds to 1.
_ONE_IN_FLOAT32 = 1 - 2.0**-25

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
        real_log_odds: Log-odds of real validation pictures, rising; of more than
            `MAX_KEPT` evenly spaced ones. Empty where they are not known.
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
    real_log_odds: tuple[float, ...] = ()
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
        fields = _up_to_date(facts)
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
            real_log_odds=tuple(info.real_log_odds),
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
        if not self.real_log_odds:
            raise RequestError(
                "`max_false_alarms`: the workdir holds no scores of real validation "
                "pictures, as that of a converted detector or of an earlier version; "
                "train again, or give `threshold`"
            )
        scores = log_odds.scores(self.real_log_odds)
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

    def log_odds(self, log_probabilities: np.ndarray) -> np.ndarray:
        """The log-odds of being fake; scores are their sigmoid, `log_odds.scores`.

        Args:
            log_probabilities: `[n, num_classes]`, of `Fitted.log_probability_fn`.

        Returns:
            float64 `[n]`; NaN where they are not numbers.
        """
        return log_odds.of_classes(log_probabilities, self.is_fake)

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        """The scores of class probabilities, as far as these keep their digits.

        Args:
            probabilities: `[n, num_classes]`, of `Fitted.probability_fn`.

        Returns:
            float64 `[n]`, from 0 to 1; NaN where they are not finite.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithms = np.log(np.asarray(probabilities, np.float64))
        return log_odds.scores(self.log_odds(logarithms))


def kept_log_odds(real_log_odds: np.ndarray) -> dict[str, Any]:
    """What `DetectorInfo` keeps of the log-odds of real validation pictures.

    Args:
        real_log_odds: `[n]`, finite.

    Returns:
        `real_log_odds` and `num_real`.

    >>> kept_log_odds(np.array([1.5, -0.25]))
    {'real_log_odds': (-0.25, 1.5), 'num_real': 2}
    """
    found = np.sort(np.asarray(real_log_odds, np.float64))
    number = len(found)
    if number > MAX_KEPT:
        places = np.linspace(0, number - 1, MAX_KEPT).round().astype(np.int64)
        found = found[places]
    return {"real_log_odds": tuple(found.tolist()), "num_real": number}


def _up_to_date(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as this version would have stored them."""
    # Earlier versions kept here what `config.json` says.
    fields = {name: facts[name] for name in facts if name != "face_detector"}
    if "real_log_odds" in fields:
        return fields
    # Their scores were float32, in which more of them reached a threshold of 1.
    if fields.get("threshold") == 1:
        fields["threshold"] = _ONE_IN_FLOAT32
    earlier = log_odds.of_scores(fields.pop("real_scores", ()))
    return fields | {"real_log_odds": earlier.tolist()}
