# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detectors that are one network, trained by gradient descent."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fakedet_jax.config import BenchmarkConfig, TrainConfig
from fakedet_jax.data import balance, pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.info import DetectorInfo
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.media.framing import Framing
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.models.parameters import Published
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.runtime import parallel, platforms
from fakedet_jax.systems import perturbed, training_run
from fakedet_jax.systems.base import (
    Benchmark,
    FitRequest,
    Fitted,
    Plan,
    read_info,
    read_variables,
)
from fakedet_jax.systems.features import FeatureFn
from fakedet_jax.systems.networks import self_blending
from fakedet_jax.systems.networks.options import NetworkOptions
from fakedet_jax.systems.options import PictureOptions
from fakedet_jax.systems.programs import ProgramRequest, Programs
from fakedet_jax.systems.verdict import judge
from fakedet_jax.training import loop, steps
from fakedet_jax.training.recipe import Recipe
from fakedet_jax.weights import store
from fakedet_jax.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class NetworkDetector:
    """A classifier of pictures.

    Attributes:
        name: As the setting `detector` names it.
        build: From the number of classes and the dtype to a network
            `(images, train) → (logits, outputs)`.
        preprocessing: Of its input.
        recipe: The published way to train it.
        frozen: Paths of parameters that are never trained.
        trainable: Pattern of the paths of those that are trained unless the setting
            `trainable` has another one; None for all.
        loss: One of `steps.LOSSES`.
        regularizer: See `steps.make_train_step`.
        project: From parameters to those that keep a constraint of the network;
            applied after every update.
        pretrained: The network whose published weights it can start from, if any.
        needs_weights: Whether a training without these makes no sense.
        start_from: From its own fresh variables and those weights to the variables
            that the training starts with.
        published: How a whole detector that others trained is read, if any is.
        features: From its variables to what can be extracted with them.
        architecture: Options that decided its network, for `config.json`, where those
            that nobody named are not the defaults of their class.
        Options: The class of its training options.
        needs_fakes: See `System`.
        can_go_on: See `System`.
    """

    name: str
    build: Callable[[int, Any], nn.Module]
    preprocessing: Preprocessing
    recipe: Recipe
    frozen: tuple[str, ...] = ()
    trainable: str | None = None
    loss: str = "cross_entropy"
    regularizer: steps.Regularizer | None = None
    project: Callable[[Any], Any] | None = None
    pretrained: Backbone | None = None
    needs_weights: bool = False
    start_from: Callable[[Any, Any], Any] | None = None
    published: Published | None = None
    features: Callable[[Any], Mapping[str, FeatureFn]] | None = None
    architecture: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    Options: type[PictureOptions] = NetworkOptions
    needs_fakes: bool = True
    can_go_on: bool = True

    @property
    def framing(self) -> Framing:
        """Of its input."""
        return self.preprocessing.framing

    def check(self, options: Any, recipe: Recipe, mesh: Mesh) -> None:
        """Refuses what `fit` could not do.

        Args:
            options: Of the training.
            recipe: The optimisation, after flags.
            mesh: The devices.

        Raises:
            RequestError: A setting is unknown, or the batch cannot be cut evenly.
        """
        parallel.local_batch_size(recipe.batch_size, mesh)
        if recipe.batch_size % (mesh.size * options.num_microbatches):
            raise RequestError(
                f"`num_microbatches`: {options.num_microbatches} parts do not cut a "
                f"batch of {recipe.batch_size} evenly over {mesh.size} devices"
            )
        perturbed.check(options)
        training_run.check_trainable(
            self.trained_model(2, options),
            self.preprocessing,
            options.trainable or self.trainable,
            self.frozen,
        )

    def plan(self, config: TrainConfig, recipe: Recipe, mesh: Mesh) -> Plan:
        """Refuses what `fit` could not do, and reads the weights to start from.

        Raises:
            RequestError: See `check`; or the weights do not fit.
        """
        self.check(config.options, recipe, mesh)
        return self.start(config.options)

    def start(self, options: PictureOptions) -> Plan:
        """Reads the weights to start from, if any.

        Args:
            options: Of the training.

        Raises:
            RequestError: They do not fit, or there should be others.
        """
        if self.pretrained is None:
            if options.weights is None:
                return Plan({**self.architecture, "weights": None})
            raise RequestError(
                f"`weights`: {self.name} starts from no published weights; leave it out"
            )
        if options.weights is None and not self.needs_weights:
            return Plan({**self.architecture, "weights": None})
        weights, card = store.load(self.pretrained, options.weights)
        return Plan({**self.architecture, "weights": card["digest"]}, weights)

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """All of them.

        Raises:
            RequestError: Fakes are to be made, and it is not clear of which class; or
                the pictures cannot be balanced as wanted.
        """
        if config.options.makes_fakes:
            self_blending.class_of_fakes(train)
        balance.create(train, config.options.balance, config.seed)
        return train

    def fit(self, request: FitRequest) -> None:
        """Trains, or goes on training, in the workdir of the request.

        Raises:
            RequestError: The request does not fit the devices or the workdir.
            Stopped: The run was asked to stop and has saved.
            NonFiniteLossError: The training diverged.
        """
        config = request.config
        options: NetworkOptions = config.options
        pictures, treatment = perturbed.treatment(
            options, request.train, config.seed, options.perturb_copies
        )
        model = self.trained_model(request.train.num_classes, options)
        training_run.run(
            request,
            model,
            self.preprocessing,
            num_examples=pictures.num_examples,
            batches=pipeline.train_iterator(
                pictures,
                framing=self.framing,
                seed=config.seed,
                flip=options.flip,
                treatment=treatment,
                forgery=self_blending.forgery(options.self_blended, pictures),
                balance=options.balance,
                **training_run.reading(request),
            ),
            validate=self._validator(request, model),
            start_from=self.start_from,
            **self.step_options(options),
        )

    def load(self, workdir: Workdir, mesh: Mesh) -> Fitted:
        """Loads the best detector of a workdir.

        Raises:
            RequestError: There is none, or it is damaged or of another network.
        """
        info = read_info(workdir)
        options = workdir.settings(PictureOptions)
        model = self.model(len(info.classes), options.dtype)
        variables = read_variables(workdir, self.abstract_variables(model), mesh)
        return Fitted(
            info,
            variables,
            steps.make_log_probability_fn(model, self.preprocessing),
            features=self.features(variables) if self.features else {},
        )

    def benchmark(self, config: BenchmarkConfig, mesh: Mesh) -> Benchmark:
        """Measures scoring, traces and training, with initial weights."""
        from fakedet_jax.systems.networks.benchmark import NetworkBenchmark

        return NetworkBenchmark(config, self, mesh)

    def programs(self, request: ProgramRequest) -> Programs:
        """Its training step, and class probabilities."""
        from fakedet_jax.systems.networks import programs

        return programs.create(self, request)

    def model(
        self, num_classes: int, dtype: str, batch_norm_fraction: float | None = None
    ) -> nn.Module:
        """Its network.

        Args:
            num_classes: Of its output.
            dtype: Of the computation.
            batch_norm_fraction: See `NetworkOptions`.

        Raises:
            RequestError: The network has no such fraction.
        """
        model = self.build(num_classes, DTYPES[dtype])
        if batch_norm_fraction is None:
            return model
        if not hasattr(model, "batch_norm_fraction"):
            raise RequestError(
                f"`batch_norm_fraction`: {self.name} has no such setting; leave it out"
            )
        return model.clone(batch_norm_fraction=batch_norm_fraction)

    def trained_model(self, num_classes: int, options: Any) -> nn.Module:
        """Its network as it is trained.

        Args:
            num_classes: Of its output.
            options: Of the training.

        Raises:
            RequestError: The network has not what they name.
        """
        return self.model(num_classes, options.dtype, options.batch_norm_fraction)

    def abstract_variables(self, model: nn.Module) -> Any:
        """Shapes of the variables of its network; nothing is computed."""
        pictures = jax.ShapeDtypeStruct((1, *self.framing.shape), jnp.float32)
        return platforms.eval_shape(model.init, jax.random.key(0), pictures)

    def step_options(self, options: Any) -> dict[str, Any]:
        """How it is trained besides its recipe: options of `training_run.create`."""
        return {
            "frozen": self.frozen,
            "trainable": options.trainable or self.trainable,
            "num_microbatches": options.num_microbatches,
            "objective": steps.classification(self.loss),
            "regularizer": self.regularizer,
            "project": self.project,
            "averaging": options.weight_averaging,
        }

    def _validator(
        self, request: FitRequest, model: nn.Module
    ) -> Callable[[int, Any], loop.Verdict]:
        config = request.config
        # The step and the threshold are chosen under the conditions of the training.
        validation, fakes = request.validation, "fake"
        if config.options.makes_fakes and not validation.fake_labels.any():
            validation = self_blending.with_fakes(validation)
            fakes = "self-blended"
        dataset, treatment = perturbed.treatment(
            config.options, validation, config.seed, copies=1
        )
        batch_size = parallel.round_up_batch_size(
            min(request.recipe.batch_size, dataset.num_examples), request.mesh
        )
        scorer = Scorer(
            steps.make_log_probability_fn(model, self.preprocessing),
            request.mesh,
            batch_size,
        )

        def validate(step: int, variables: Any) -> loop.Verdict:
            scored = scorer.score_dataset(
                variables, dataset, self.framing, config.input, treatment=treatment
            )
            info = DetectorInfo(
                detector=self.name,
                classes=dataset.classes,
                is_fake=dataset.is_fake,
                task=config.data.task,
                framing=self.framing,
                threshold=0.5,
                threshold_origin="",
                step=step,
            )
            options: NetworkOptions = config.options
            return judge(
                info,
                dataset,
                scored,
                options.select_by,
                options.max_false_alarms,
                options.calibration,
                fakes,
            )

        return validate
