# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a stored detector says of itself: classes, threshold, step."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fakedet_jax.data.folder import WANTED_PICTURES
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import log_odds, metrics, operating_point
from fakedet_jax.evaluation.calibration import Calibration
from fakedet_jax.evaluation.operating_point import OperatingPoint
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime import text

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
        real_log_odds: Log-odds of real validation pictures before calibration, rising;
            of more than `MAX_KEPT` evenly spaced ones. Empty where they are not known.
        num_real: The number of these pictures.
        fake_log_odds: Those of fake ones.
        num_fake: The number of these.
        max_false_alarms: The share of real pictures that the threshold was chosen for;
            None where it was chosen in another way.
        calibration: From the network's log-odds to those that are shown.
        unsure_between: Scores from the first to below the second are `unsure`; None to
            decide all.
        unsure_rates: The shares of real pictures called fake and of fakes called real
            that these two were chosen for.
        unsure_origin: How they were chosen, a sentence.
        num_folds: Parts of the training pictures that were held out in turn, and whose
            pictures count among those of the validation split in all numbers and
            log-odds here; 0 for none.
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
    fake_log_odds: tuple[float, ...] = ()
    num_fake: int = 0
    calibration: Calibration = dataclasses.field(default_factory=Calibration)
    unsure_between: tuple[float, float] | None = None
    unsure_rates: tuple[float, float] | None = None
    unsure_origin: str = ""
    num_folds: int = 0

    @property
    def point(self) -> OperatingPoint:
        """Which scores are decided fake, and which are not decided."""
        return OperatingPoint(self.threshold, self.unsure_between)

    @property
    def doubt(self) -> str:
        """Why the threshold is a rough one; empty where nothing speaks against it."""
        if self.unsure_rates is not None:
            false_alarms, misses = self.unsure_rates
            doubts = (
                self._too_few_real(false_alarms),
                self._too_few(misses, self.num_fake, "misses", "fake", "below"),
            )
            return text.joined(*doubts)
        rate = self.max_false_alarms
        if rate is not None and (doubt := self._too_few_real(rate)):
            return doubt
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
            f"{self._held_out} pictures; with fewer than {FEW_PICTURES} of each it is "
            "a rough one"
        )

    @property
    def origin_with_doubt(self) -> str:
        """How the threshold was chosen, and what speaks against it; sentences."""
        was_chosen = all(self.threshold_pictures or (1,))
        if not self.doubt or not was_chosen:  # The origin says that it was not.
            return self.threshold_origin
        doubt = f"{self.doubt[0].upper()}{self.doubt[1:]}"
        if self.max_false_alarms is None and self.unsure_rates is None:
            # The numbers stand in the origin.
            doubt = f"With fewer than {FEW_PICTURES} of each it is a rough one"
        return f"{self.threshold_origin} {doubt}."

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "DetectorInfo":
        """From what `dataclasses.asdict` gave, through JSON.

        Raises:
            RequestError: Fields are missing or unknown.
        """
        fields = _up_to_date(facts)
        try:
            info = cls(**fields)
            framing = Framing.from_json(facts["framing"])
            calibration = Calibration(**fields.get("calibration", {}))
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
            fake_log_odds=tuple(info.fake_log_odds),
            calibration=calibration,
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
        threshold = operating_point.at_false_alarm_rate(
            self.real_log_odds, rate, self.calibration
        )
        count, low, high = self._false_alarms(threshold)
        allowed = f"{100 * rate:.4g} %"
        return dataclasses.replace(
            self,
            threshold=threshold,
            threshold_origin=(
                f"The threshold was chosen for at most {allowed} false alarms: "
                f"{count:,} of the {self.num_real:,} real {self._held_out} pictures "
                f"{'reaches' if count == 1 else 'reach'} it, and {low:.1%} to "
                f"{high:.1%} of others like them may (95 % interval)."
            ),
            threshold_pictures=None,
            max_false_alarms=rate,
        )

    def unsure_at(self, false_alarm_rate: float, miss_rate: float) -> "DetectorInfo":
        """The same, which decides only where few decisions are wrong.

        Args:
            false_alarm_rate: The share of the real validation pictures that may be
                called fake, in (0, 1).
            miss_rate: The share of the fake ones that may be called real, in (0, 1).

        Raises:
            RequestError: Their scores are not known.
        """
        for name, known, kind in (
            ("false_alarm_rate", self.real_log_odds, "real"),
            ("miss_rate", self.fake_log_odds, "fake"),
        ):
            if not known:
                raise RequestError(
                    f"`{name}`: the workdir holds no scores of {kind} validation "
                    "pictures, as that of a converted detector, of one that learnt "
                    "from photographs alone or of an earlier version; train again on "
                    "both kinds, or leave out `unsure` and the rates"
                )
        upper = operating_point.at_false_alarm_rate(
            self.real_log_odds, false_alarm_rate, self.calibration
        )
        lower = operating_point.at_miss_rate(
            self.fake_log_odds, miss_rate, self.calibration
        )
        if lower > upper:
            # Every threshold between keeps both rates, so that all can be decided.
            lower = upper = min(max(self.threshold, upper), lower)
        count, low, high = self._false_alarms(upper)
        missed = ~metrics.decide(self._shown(self.fake_log_odds), lower)
        num_missed = round(float(missed.mean()) * self.num_fake)
        ends = metrics.wilson_interval(num_missed, self.num_fake) or (0.0, 1.0)
        return dataclasses.replace(
            self,
            unsure_between=(lower, upper),
            unsure_rates=(false_alarm_rate, miss_rate),
            unsure_origin=(
                f"Scores from {lower:.4g} to below {upper:.4g} are unsure, so that at "
                f"most {100 * false_alarm_rate:.4g} % of real pictures are called fake "
                f"and {100 * miss_rate:.4g} % of fakes real: of the {self._held_out} "
                f"pictures these are {count:,} of {self.num_real:,} and "
                f"{num_missed:,} of {self.num_fake:,}, and of others like them "
                f"{low:.1%} to {high:.1%} and {ends[0]:.1%} to {ends[1]:.1%} may be "
                "(95 % intervals)."
            ),
        )

    @property
    def _held_out(self) -> str:
        """What the pictures are called that the threshold rests on."""
        return "held-out" if self.num_folds else "validation"

    def _too_few(
        self, rate: float, number: int, errors: str, kind: str, side: str
    ) -> str:
        """Why a rate of errors cannot be kept for sure; empty where it can."""
        if metrics.num_allowed(rate, number):
            return ""
        return (
            f"at most {100 * rate:.4g} % {errors} need at least "
            f"{math.ceil(1 / rate):,} {kind} {self._held_out} pictures, there are "
            f"{number:,}: the threshold lies {side} the scores of all of them"
        )

    def _too_few_real(self, rate: float) -> str:
        return self._too_few(rate, self.num_real, "false alarms", "real", "above")

    def _shown(self, kept: tuple[float, ...]) -> np.ndarray:
        """The scores of log-odds that are kept, float64 `[n]`."""
        return log_odds.scores(self.calibration(kept))

    def _false_alarms(self, threshold: float) -> tuple[int, float, float]:
        """The number of real validation pictures called fake, and what others may be.

        Returns:
            The number, and the ends of the interval of the share.
        """
        share = metrics.decide(self._shown(self.real_log_odds), threshold).mean()
        count = round(float(share) * self.num_real)
        return count, *(metrics.wilson_interval(count, self.num_real) or (0.0, 1.0))

    def log_odds(self, log_probabilities: np.ndarray) -> np.ndarray:
        """The calibrated log-odds of being fake; scores are `log_odds.scores` of them.

        Args:
            log_probabilities: `[n, num_classes]`, of `Fitted.log_probability_fn`.

        Returns:
            float64 `[n]`; NaN where they are not numbers.
        """
        return self.calibration(log_odds.of_classes(log_probabilities, self.is_fake))

    def log_odds_of_all(self, log_probabilities: np.ndarray) -> np.ndarray:
        """The same for one or several versions of each picture.

        Args:
            log_probabilities: `[n, versions, num_classes]`, or `[n, num_classes]` for
                one version; of any shape without pictures.

        Returns:
            float64 `[n, versions]`.
        """
        values = np.asarray(log_probabilities)
        if not len(values):
            return np.zeros((0, 1))
        versions = values.swapaxes(0, 1) if values.ndim == 3 else values[None]
        return np.stack([self.log_odds(own) for own in versions], axis=1)

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


def kept_log_odds(real: np.ndarray, fake: ArrayLike = ()) -> dict[str, Any]:
    """What `DetectorInfo` keeps of the log-odds of validation pictures.

    Args:
        real: Of real ones, `[n]`, finite, before calibration.
        fake: Of fake ones, `[m]`.

    Returns:
        Values of the fields of `DetectorInfo`.

    >>> kept_log_odds(np.array([1.5, -0.25]))["real_log_odds"]
    (-0.25, 1.5)
    """
    return {
        "real_log_odds": _kept(np.asarray(real)),
        "num_real": len(np.asarray(real)),
        "fake_log_odds": _kept(np.asarray(fake)),
        "num_fake": len(np.asarray(fake)),
    }


def _kept(log_odds: np.ndarray) -> tuple[float, ...]:
    found = np.sort(log_odds.astype(np.float64))
    if len(found) > MAX_KEPT:
        places = np.linspace(0, len(found) - 1, MAX_KEPT).round().astype(np.int64)
        found = found[places]
    kept: list[float] = found.tolist()
    return tuple(kept)


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
