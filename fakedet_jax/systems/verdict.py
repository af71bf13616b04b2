# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What validation says of a trained state: its metrics, its merit and a threshold."""

import dataclasses

import numpy as np

from fakedet_jax.data.dataset import BINARY_CLASSES, Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation import calibration, log_odds, metrics, operating_point
from fakedet_jax.evaluation.info import DetectorInfo, kept_log_odds
from fakedet_jax.evaluation.scoring import Scored
from fakedet_jax.training import loop


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Training pictures, each scored by a detector that was trained without it.

    Attributes:
        log_probabilities: Of the classes, `[n, classes]`.
        labels: Int `[n]`, the classes.
        num_folds: Number of such detectors.
    """

    log_probabilities: np.ndarray
    labels: np.ndarray
    num_folds: int


def judge(
    info: DetectorInfo,
    dataset: Dataset,
    scored: Scored,
    select_by: str,
    max_false_alarms: float | None = None,
    calibrate: str = calibration.NONE,
    fakes: str = "fake",
    held_out: HeldOut | None = None,
) -> loop.Verdict:
    """Chooses calibration and threshold on validation pictures, and judges the state.

    Args:
        info: The detector, with any threshold.
        dataset: The validation pictures.
        scored: The logarithms of their class probabilities.
        select_by: `accuracy` (of the most probable class), `auc` (real against fake)
            or `loss` (mean cross-entropy).
        max_false_alarms: Largest share of the real pictures that the threshold may call
            fake; None to weigh both errors the same.
        calibrate: See `calibration.fit`.
        fakes: What kind of pictures the fakes are, in words.
        held_out: Further pictures to choose calibration and threshold on. They do not
            count in the metrics.

    Returns:
        The verdict; its facts are `info` with the chosen threshold.

    Raises:
        RequestError: No validation picture can be read.
        NonFiniteLossError: A probability is not a number.
    """
    labels = dataset.labels[scored.valid]
    log_probabilities = scored.values[scored.valid].astype(np.float64)
    if not len(labels):
        raise RequestError(
            f"`dataset`: none of the {dataset.num_examples} validation pictures of "
            f"{dataset.name} can be read"
        )
    if np.isnan(log_probabilities).any():
        raise loop.NonFiniteLossError(
            f"the validation at step {info.step} gives probabilities that are not "
            "numbers"
        )
    evidence = log_odds.of_classes(log_probabilities, info.is_fake)
    fake = np.asarray(dataset.is_fake)[labels].astype(np.int32)
    chosen = log_probabilities[np.arange(len(labels)), labels]
    auc = metrics.auc(fake, evidence)
    values = {
        "accuracy": float(np.mean(log_probabilities.argmax(-1) == labels)),
        "loss": float(-np.maximum(chosen, -log_odds.LARGEST).mean()),
    }
    if auc is not None:
        values["auc"] = auc
    merit = -values["loss"] if select_by == "loss" else values.get(select_by, 0.0)
    where = "pictures of the validation split"
    if held_out is not None:
        own = log_odds.of_classes(held_out.log_probabilities, info.is_fake)
        evidence = np.concatenate([evidence, own])
        fake = np.append(fake, np.asarray(dataset.is_fake)[held_out.labels])
        fake = fake.astype(np.int32)
        where = (
            "held-out pictures, those of the validation split and those of the "
            "training, each scored by a classifier trained without it"
        )
    line = calibration.fit(evidence, fake, calibrate)
    threshold = operating_point.best(evidence, fake, line)
    num_fake = int(fake.sum())
    origin = (
        f"The threshold was chosen on {len(fake) - num_fake} real and {num_fake} "
        f"{fakes} {where}: it has the best mean of the rates at which both are "
        "recognised there."
    )
    if num_fake in (0, len(fake)):
        kind = BINARY_CLASSES[int(fake[0])]
        origin = (
            "The threshold is one half and was not chosen: the validation split holds "
            f"only {kind} pictures that can be read."
        )
    info = dataclasses.replace(
        info,
        threshold=threshold,
        threshold_origin=origin,
        threshold_pictures=(len(fake) - num_fake, num_fake),
        num_folds=0 if held_out is None else held_out.num_folds,
        validation=values,
        calibration=line,
        **kept_log_odds(evidence[fake == 0], evidence[fake == 1]),
    )
    if max_false_alarms is not None and info.num_real:
        info = info.at_false_alarms(max_false_alarms)
    recorded = {f"validation/{name}": value for name, value in values.items()}
    recorded["validation/threshold"] = info.threshold
    return loop.Verdict(recorded, merit, dataclasses.asdict(info))
