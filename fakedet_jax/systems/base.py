# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every system offers, whatever it is inside."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig, InputConfig, TrainConfig
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import LogProbabilityFn, PictureFn, Scorer
from fakedet_jax.media.framing import Framing
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.parameters import Published
from fakedet_jax.perturb.treatment import Treatment
from fakedet_jax.runtime import checkpoint, measurement, parallel
from fakedet_jax.runtime.signals import StopRequest
from fakedet_jax.settings import Settings
from fakedet_jax.systems.features import FeatureFn
from fakedet_jax.systems.options import Options
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.training.recipe import Recipe
from fakedet_jax.workdir import Workdir

if TYPE_CHECKING:
    from fakedet_jax.report import Evaluation, Panel


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What an evaluation tells of a system of this kind besides its scores.

    Attributes:
        facts: More entries of `metrics.json`.
        panels: More figures of the report, by the names of their files.
    """

    facts: Mapping[str, Any]
    panels: "Mapping[str, Panel]"


# From the scores of a dataset to a diagnosis, in the first process.
DiagnosisFn = Callable[["Evaluation"], Diagnosis]


# Computes what only the devices can tell of the pictures of an evaluation, in all
# processes: from the detector's own scorer, whose devices and batches are used, the
# pictures, how they are read and what is done to them, to what completes the diagnosis.
DiagnoseFn = Callable[[Scorer, Dataset, InputConfig, Treatment | None], DiagnosisFn]


@dataclasses.dataclass(frozen=True)
class LayerComparison:
    """How the layers of a network differ from those of faces that it knows.

    Attributes:
        names: Of the layers.
        compare_fn: Pure, from variables and pictures to float32 `[batch, layers]`: the
            distance of each layer from its mean over these faces, in their standard
            deviations.
        faces: What faces they are, in words.
    """

    names: tuple[str, ...]
    compare_fn: PictureFn
    faces: str


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained detector, ready to score.

    Attributes:
        info: What it says of itself.
        variables: Its arrays, on the mesh.
        log_probability_fn: Pure, from variables and pictures to the logarithms of
            class probabilities, which are not rounded to 0 and 1.
        features: What can be extracted with it, by name.
        diagnose: More about the pictures of an evaluation; None for nothing.
        settings: Of its kind, for the report's table of settings.
        has_gradient: Whether `log_probability_fn` tells by its gradient what it reacts
            to; what counts has none.
        layers: How layers are compared, where that tells something.
    """

    info: DetectorInfo
    variables: Any
    log_probability_fn: LogProbabilityFn
    features: Mapping[str, FeatureFn] = dataclasses.field(default_factory=dict)
    diagnose: DiagnoseFn | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    has_gradient: bool = True
    layers: LayerComparison | None = None

    @property
    def probability_fn(self) -> PictureFn:
        """Pure, from variables and pictures to class probabilities, float32."""
        log_probability_fn = self.log_probability_fn

        def probabilities(variables: Any, images: jax.Array) -> jax.Array:
            return jnp.exp(log_probability_fn(variables, images))

        return probabilities

    def with_threshold(self, threshold: float) -> "Fitted":
        """The same detector with a threshold that somebody chose.

        Args:
            threshold: Scores at or above it are decided fake.
        """
        info = dataclasses.replace(
            self.info,
            threshold=threshold,
            threshold_origin="The threshold was given.",
            threshold_pictures=None,
            max_false_alarms=None,
        )
        return dataclasses.replace(self, info=info)

    def with_false_alarms(self, rate: float) -> "Fitted":
        """The same detector with a threshold that calls few real pictures fake.

        Args:
            rate: See `DetectorInfo.at_false_alarms`.

        Raises:
            RequestError: The scores of the validation pictures are not known.
        """
        return dataclasses.replace(self, info=self.info.at_false_alarms(rate))

    def with_unsure(self, false_alarm_rate: float, miss_rate: float) -> "Fitted":
        """The same detector, which decides only where few decisions are wrong.

        Args:
            false_alarm_rate: See `DetectorInfo.unsure_at`.
            miss_rate: See `DetectorInfo.unsure_at`.

        Raises:
            RequestError: The scores of the validation pictures are not known.
        """
        info = self.info.unsure_at(false_alarm_rate, miss_rate)
        return dataclasses.replace(self, info=info)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a system has found out before any pictures are read.

    Attributes:
        record: Entries of `config.json` in the place of settings, such as the digest of
            weights instead of their path.
        weights: Variables to start from, read once; None for none.
    """

    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights: Any = None


@dataclasses.dataclass(frozen=True)
class FitRequest:
    """What a detector is trained on.

    Attributes:
        config: The settings.
        recipe: The optimisation, after flags.
        plan: Of `System.plan`.
        train: Training pictures, from `System.training_pictures`.
        validation: Pictures to choose the step and the threshold on.
        mesh: The devices.
        stop: Tells when the run is asked to stop.
    """

    config: TrainConfig
    recipe: Recipe
    plan: Plan
    train: Dataset
    validation: Dataset
    mesh: Mesh
    stop: StopRequest


class Benchmark:
    """A system that is measured.

    Attributes:
        framing: Framing of its input.
        rows: How the table shows the results: name, label, unit, divisor.
    """

    framing: Framing
    rows: Sequence[measurement.Row]

    def measure(self, dataset: Dataset) -> dict[str, Any]:
        """Measures on training pictures; speeds are of all devices together.

        Args:
            dataset: The pictures.

        Returns:
            Names to numbers, None for what the platform does not tell.
        """
        raise NotImplementedError

    def scoring(self, num_classes: int) -> tuple[LogProbabilityFn, Any]:
        """What `predict` computes, before any training.

        Args:
            num_classes: Classes of the detector.

        Returns:
            A function of variables and pictures, and variables on the mesh.

        Raises:
            RequestError: There are none without a training.
        """
        raise RequestError(
            "`files`: only detectors that are one network can be measured on files; "
            "leave it out"
        )

    def ratios(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """Puts results into proportion to those of the machine; nothing by default.

        Args:
            results: All results, of this system and of the machine.

        Returns:
            More results.
        """
        del results
        return {}


class System(Protocol):
    """A published method: how to train a detector of it, load it and measure it."""

    @property
    def name(self) -> str:
        """What users select it by."""

    @property
    def Options(self) -> type[Options]:  # noqa: N802 - it is a class
        """The class of its training options."""

    @property
    def pretrained(self) -> Backbone | None:
        """The network whose published weights training can start from."""

    @property
    def published(self) -> Published | None:
        """How detectors that others trained are read."""

    @property
    def recipe(self) -> Recipe:
        """The published way to train it."""

    @property
    def can_go_on(self) -> bool:
        """Whether a finished training goes on where it gets more epochs."""

    @property
    def needs_fakes(self) -> bool:
        """Whether it is trained on fakes too, or on photographs alone."""

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Refuses settings that `fit` could not follow, and reads weights.

        Args:
            config: The settings.
            recipe: The optimisation, after flags.
            mesh: The devices.

        Raises:
            RequestError: A setting is wrong, or a weight file does not fit.
        """

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """The pictures of `train` that `fit` learns from.

        Args:
            config: The settings.
            train: All training pictures.
            validation: All validation pictures.

        Raises:
            RequestError: They cannot be learnt from, or are too few.
        """

    def fit(self, request: FitRequest) -> None:
        """Trains, or goes on training, in the workdir of the request.

        Args:
            request: What it is trained on.

        Raises:
            RequestError: Settings, weights or pictures are not as expected.
            Stopped: The run was asked to stop.
            NonFiniteLossError: The training diverged.
        """

    def load(self, workdir: Workdir, mesh: Mesh) -> Fitted:
        """Loads the best detector of a workdir.

        Args:
            workdir: The workdir.
            mesh: The devices that get its arrays.

        Raises:
            RequestError: There is none, or it is damaged or of another network.
        """

    def benchmark(self, config: BenchmarkConfig, mesh: Mesh) -> Benchmark:
        """Gets ready to be measured.

        Args:
            config: The settings.
            mesh: The devices.

        Raises:
            RequestError: A setting is wrong, or a weight file does not fit.
        """

    def programs(self, request: ProgramRequest) -> Programs:
        """What it runs on devices, by name, the most important first.

        Names mean the same for all systems: `train` and `score` are its training step
        and the class probabilities of pictures, `coverage` counts of neurons, and
        `mixture` a pass of its fit over a block of embeddings.
        """


def read_info(workdir: Workdir) -> DetectorInfo:
    """What the best detector of a workdir says of itself.

    Args:
        workdir: The workdir.

    Raises:
        RequestError: Nothing is trained there, or it is damaged, or of another system.
    """
    folder = workdir.path / "best"
    if folder.is_dir():
        with checkpoint.Store(folder, read_only=True) as bests:
            if bests.steps():
                facts = bests.read_facts(bests.steps()[-1])
                info = DetectorInfo.from_json(facts)
                if info.detector != workdir.detector:
                    raise RequestError(
                        f"`{workdir.field}`: {str(folder)!r} holds the detector "
                        f"{info.detector!r}, but config.json says "
                        f"{workdir.detector!r}; train again in another `workdir`"
                    )
                return info
    raise RequestError(
        f"`{workdir.field}`: {str(workdir.path)!r} holds no trained detector yet; run "
        "`mode=train` with this `workdir` to the end of its first epoch"
    )


def read_variables(workdir: Workdir, abstract: Any, mesh: Mesh) -> Any:
    """The arrays of the best detector of a workdir.

    Args:
        workdir: The workdir, after `read_info`.
        abstract: Shapes and dtypes of the arrays, a tree.
        mesh: The devices that get them.

    Raises:
        RequestError: They are damaged, or of another network.
    """
    placed = checkpoint.abstract_like(abstract, parallel.replicated(mesh))
    with checkpoint.Store(workdir.path / "best", read_only=True) as bests:
        return bests.read_tree(bests.steps()[-1], placed)


def refuse(options: Settings, names: Sequence[str], reason: str) -> None:
    """Refuses settings that would be ignored.

    Args:
        options: The settings.
        names: Fields of it that must have their defaults.
        reason: Why.

    Raises:
        RequestError: One has not.
    """
    for name in names:
        if getattr(options, name) != getattr(type(options), name):
            raise RequestError(f"`{name}`: {reason}; leave it out")
