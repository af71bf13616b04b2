# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every detector offers, whatever it is inside."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import PictureFn, ProbabilityFn
from fakedet_jax.media.framing import Framing
from fakedet_jax.runtime.signals import StopRequest
from fakedet_jax.training import optim


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
            framing = Framing.from_json(facts["framing"])
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


@dataclasses.dataclass(frozen=True)
class AnomalyParts:
    """What a detector of anomalies is made of, to look into it.

    Attributes:
        embed: Pure, from the detector's variables and pictures to embeddings
            `[batch, features]`.
        rank: Likewise to a score for each camera setting, and last the logit of having
            been manipulated; None where the network ranks nothing.
        threshold: Log-likelihood, in nats, below which a picture is called fake.
        spread: Of the log-likelihoods of photographs; it scales the scores.
    """

    embed: PictureFn
    rank: PictureFn | None
    threshold: float
    spread: float


@dataclasses.dataclass(frozen=True)
class FittedDetector:
    """A detector ready to score.

    Attributes:
        info: What it says of itself.
        variables: Its numbers, on the mesh.
        probability_fn: Pure, from variables and pictures to class probabilities.
        anomaly: Its parts, where it looks for anomalies.
    """

    info: DetectorInfo
    variables: Any
    probability_fn: ProbabilityFn
    anomaly: AnomalyParts | None = None


@dataclasses.dataclass(frozen=True)
class FitRequest:
    """What a detector is trained on.

    Attributes:
        config: The settings.
        recipe: The optimisation, after flags.
        train: Training pictures, from `Detector.training_pictures`.
        validation: Pictures to choose the step and the threshold on.
        mesh: The devices.
        stop: Tells when the run is asked to stop.
    """

    config: TrainConfig
    recipe: optim.Recipe
    train: Dataset
    validation: Dataset
    mesh: Mesh
    stop: StopRequest


class Detector(Protocol):
    """A kind of detector: how to train it and how to load it."""

    @property
    def name(self) -> str:
        """As the setting `detector` names it."""

    @property
    def recipe(self) -> optim.Recipe:
        """The published way to train it."""

    @property
    def needs_fakes(self) -> bool:
        """Whether it is trained on fakes too, or on photographs alone."""

    def check(self, config: TrainConfig, recipe: optim.Recipe, mesh: Mesh) -> None:
        """Refuses settings that `fit` could not follow, before any data are read."""

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """The pictures of `train` that `fit` learns from.

        Refuses pictures that it could not learn from, or that are too few to choose
        anything on, before anything is written.
        """

    def settings(self, config: TrainConfig) -> dict[str, Any]:
        """What decides the result besides the common settings, for `config.json`."""

    def fit(self, request: FitRequest) -> None:
        """Trains, or goes on training, in the workdir of the request."""

    def load(self, workdir: Path, mesh: Mesh) -> FittedDetector:
        """Loads the best detector of a workdir."""


def refuse(
    config: TrainConfig | BenchmarkConfig, names: Sequence[str], reason: str
) -> None:
    """Refuses settings that would not be looked at.

    Args:
        config: The settings.
        names: Fields of it that must be as they are by default, named like their flags.
        reason: Why.

    Raises:
        RequestError: One is not.
    """
    for name in names:
        if getattr(config, name) != getattr(type(config), name):
            raise RequestError(f"`{name}`: {reason}; leave it out")


# Settings of detectors of anomalies, which others refuse.
ANOMALY_SETTINGS = (
    "embedder",
    "paired",
    "manipulated_weight",
    "pretrained",
    "covariance",
    "num_components",
    "num_restarts",
    "reg_covar",
    "false_alarm_rate",
)
