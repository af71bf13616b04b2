# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which scores are decided fake, real or not at all."""

import dataclasses

from fakedet_jax.errors import RequestError
from fakedet_jax.settings import Settings, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatingPointConfig(Settings):
    """Which scores are decided fake."""

    threshold: float | None = option(
        None,
        "Scores at or above it are decided fake; by default that of the training.",
        minimum=0,
        maximum=1,
    )
    max_false_alarms: float | None = option(
        None,
        "Instead of a threshold: the largest share of the real validation pictures of "
        "the training that may be called fake, such as 0.01.",
        above=0,
        below=1,
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or both are given.
        """
        super().__post_init__()
        if self.threshold is not None and self.max_false_alarms is not None:
            raise RequestError(
                "`threshold` and `max_false_alarms` both say which scores are decided "
                "fake; give one"
            )

    @property
    def unsure_rates(self) -> tuple[float, float] | None:
        """Shares of real pictures called fake and of fakes called real.

        None where every score is decided.
        """
        return None


# Shares of wrong decisions of either kind where `unsure` is asked for without them.
_UNSURE_RATE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerdictConfig(OperatingPointConfig):
    """Which scores are decided at all."""

    unsure: bool = option(
        False,
        'Whether scores between two thresholds are "unsure" instead of real or fake; '
        "on where a rate is given.",
    )
    false_alarm_rate: float | None = option(
        None,
        "Largest share of the real validation pictures that may be called fake where "
        "others are unsure; 0.05 by default.",
        above=0,
        below=1,
    )
    miss_rate: float | None = option(
        None,
        "Largest share of the fake validation pictures that may be called real where "
        "others are unsure; 0.05 by default.",
        above=0,
        below=1,
    )

    stability: bool = option(
        False,
        "Whether each face is scored after mild changes too (JPEG of quality 75, three "
        'quarters of the size and back, a shift by a pixel), and is "unsure" where '
        "these change the decision. Takes four times as long.",
    )

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            RequestError: A value is not valid, or settings contradict each other.
        """
        super().__post_init__()
        if self.unsure_rates is None:
            return
        given = next(
            name
            for name in ("false_alarm_rate", "miss_rate", "unsure")
            if getattr(self, name)
        )
        for name in ("threshold", "max_false_alarms"):
            if getattr(self, name) is not None:
                raise RequestError(
                    f"`{given}` and `{name}`: the first leaves scores between two "
                    "thresholds unsure, the second decides all by one; give one"
                )

    @property
    def unsure_rates(self) -> tuple[float, float] | None:
        """See `OperatingPointConfig`."""
        rates = self.false_alarm_rate, self.miss_rate
        if not self.unsure and rates == (None, None):
            return None
        false_alarms, misses = (
            _UNSURE_RATE if rate is None else rate for rate in rates
        )
        return false_alarms, misses
