# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""From embeddings of photographs to a score: a mixture, a threshold, a scale.

The score of a face with log-likelihood `l` is `1/2 + arctan((t − l) / s) / π`, with the
threshold `t` and the spread `s` of held-out photographs. It falls with the likelihood,
is 1/2 at the threshold, and its tails are so heavy that float32 still tells faces apart
which lie hundreds of spreads below.
"""

import dataclasses
import logging
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fakedet_jax import mixture
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import metrics
from fakedet_jax.evaluation.log_odds import of_scores, scores
from fakedet_jax.systems.exif_anomaly.options import ExifAnomalyOptions

_LOGGER = logging.getLogger(__name__)

THRESHOLD = 0.5

# The least spread, as a share of the log-likelihoods' size, and how far below all
# photographs the threshold lies if none may be called fake, in spreads. Where all
# photographs are alike, their variances are tiny and what float32 rounds off in an
# embedding weighs: other devices and versions were seen to differ by 0.03 spreads.
_MIN_SPREAD = 1e-3
_MARGIN = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class AnomalyModel:
    """What turns embeddings into scores.

    Attributes:
        mixture: Of photographs.
        threshold: Log-likelihood, in nats; what lies below is no photograph.
        spread: Of the log-likelihoods of held-out photographs, positive.
        false_alarm_rate: Of the held-out photographs, at this threshold.
        num_held_out: Their number.
        held_out_log_odds: Of these, float64 `[num_held_out]`.
    """

    mixture: mixture.Mixture
    threshold: float
    spread: float
    false_alarm_rate: float
    num_held_out: int
    held_out_log_odds: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0)
    )


def check_number(num_photographs: int, options: ExifAnomalyOptions) -> None:
    """Refuses more components than there are photographs to fit them to.

    Args:
        num_photographs: Number of training photographs.
        options: Name the numbers of components.

    Raises:
        RequestError: There are too few photographs.
    """
    largest = max(options.num_components)
    if num_photographs < largest:
        raise RequestError(
            f"`num_components`: {largest} components need at least as many training "
            f"photographs, found {num_photographs}; ask for fewer components or add "
            "photographs"
        )


def fit(
    photographs: np.ndarray,
    held_out: np.ndarray,
    options: ExifAnomalyOptions,
    seed: int,
    mesh: Mesh,
) -> AnomalyModel:
    """Fits a mixture to photographs, and sets the threshold on others.

    Args:
        photographs: Embeddings float32 `[n, d]`.
        held_out: Embeddings float32 `[m, d]` of photographs that nothing was fitted to.
        options: Name covariance, numbers of components, restarts and false alarms.
        seed: Seed of the starts.
        mesh: The devices.

    Returns:
        The model; of several numbers of components the one with the least BIC.

    Raises:
        RequestError: There are fewer photographs than components, or an embedding is
            not finite.
    """
    for name, rows in (("training", photographs), ("validation", held_out)):
        num_wrong = int((~np.isfinite(rows).all(-1)).sum())
        if num_wrong:
            raise RequestError(
                f"the embeddings of {num_wrong} of {len(rows)} {name} photographs are "
                "not finite; train the embedding with a smaller `learning_rate` in "
                "another `workdir`, or give other weights"
            )
    check_number(len(photographs), options)
    variance = float(photographs.var(0, dtype=np.float64).mean())
    chosen = mixture.choose_num_components(
        photographs,
        options.num_components,
        covariance_type=options.covariance,
        reg_covar=options.reg_covar * variance,
        num_restarts=options.num_restarts,
        seed=seed,
        mesh=mesh,
    )
    fitted = chosen.fitted
    for number, bic in chosen.bics.items() if len(chosen.bics) > 1 else ():
        mark = ", chosen" if number == chosen.num_components else ""
        _LOGGER.info("%d components: BIC %.1f%s", number, bic, mark)
    for warning in fitted.warnings:
        _LOGGER.warning("%s", warning)
    likelihoods = np.asarray(
        mixture.log_likelihoods(fitted.mixture, held_out), np.float64
    )
    if not np.isfinite(likelihoods).all():
        raise RequestError(
            "the log-likelihoods of held-out photographs are not finite: the mixture "
            "is too narrow; give a larger `reg_covar`"
        )
    threshold, spread = _choose_threshold(likelihoods, options.false_alarm_rate)
    return AnomalyModel(
        mixture=fitted.mixture,
        threshold=threshold,
        spread=spread,
        false_alarm_rate=float(np.mean(likelihoods < threshold)),
        num_held_out=len(held_out),
        held_out_log_odds=_log_odds(threshold, spread, likelihoods),
    )


def log_probabilities(
    model: mixture.Mixture, threshold: Any, spread: Any, embeddings: jax.Array
) -> jax.Array:
    """Logarithms of the class probabilities of embeddings; pure.

    The probability of being fake is `1/2 + arctan((threshold − l) / spread) / π` for a
    log-likelihood l: 1/2 at the threshold, more for what is less likely.

    Args:
        model: The mixture.
        threshold: See `AnomalyModel`.
        spread: See `AnomalyModel`.
        embeddings: float32 `[n, d]`.

    Returns:
        float32 `[n, 2]`: real, fake.
    """
    distances = (threshold - mixture.log_likelihoods(model, embeddings)) / spread
    # As angles on either side, neither is rounded to 0 or 1.
    turns = jnp.stack([distances, -distances], axis=-1)
    return jnp.log(jnp.arctan2(1.0, turns) / jnp.pi)


def log_likelihoods(
    log_odds: np.ndarray, threshold: float, spread: float
) -> np.ndarray:
    """The log-likelihoods that log-odds came from, as far as float32 keeps them.

    Args:
        log_odds: `[n]`, of `log_probabilities`.
        threshold: See `AnomalyModel`.
        spread: See `AnomalyModel`.

    Returns:
        float64 `[n]`, in nats.

    >>> log_likelihoods(np.log([1.0, 3.0]), -800.0, 10.0)
    array([-800., -810.])
    """
    values = np.asarray(log_odds, np.float64)
    # The smaller of the two probabilities, which keeps its digits. The cotangent of 0
    # has no value.
    smaller = np.maximum(scores(-np.abs(values)), np.finfo(np.float32).tiny)
    distances = np.sign(values) / np.tan(np.pi * smaller)
    return np.round(threshold - spread * distances, 9)


def _log_odds(threshold: float, spread: float, likelihoods: np.ndarray) -> np.ndarray:
    """The log-odds of log-likelihoods, float64 `[n]`; see `log_probabilities`."""
    distances = (threshold - likelihoods) / spread
    return np.log(np.arctan2(1.0, -distances)) - np.log(np.arctan2(1.0, distances))


def _choose_threshold(likelihoods: np.ndarray, rate: float) -> tuple[float, float]:
    """Threshold and spread of the log-likelihoods float64 `[n]` of photographs."""
    median, lower, upper = (
        float(q) for q in np.quantile(likelihoods, [0.5, 0.25, 0.75])
    )
    # All photographs may be alike.
    spread = max(upper - lower, _MIN_SPREAD * max(1.0, abs(median)))
    around_median = scores(_log_odds(median, spread, likelihoods))
    alarm = metrics.threshold_at_false_alarm_rate(around_median, rate)
    # One half less the last digit at most, as an alarm for none may lie at 1.
    alarm = min(alarm, 1 - 1e-9)
    threshold = float(log_likelihoods(of_scores([alarm]), median, spread)[0])
    if not (likelihoods < threshold).any():
        # What is rounded in another way, as on other devices, must be no alarm either.
        threshold = min(threshold, float(likelihoods.min()) - _MARGIN * spread)
    return threshold, spread
