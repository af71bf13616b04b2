# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detectors that are one network, trained by gradient descent."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fakedet_jax.config import TrainConfig
from fakedet_jax.data import pipeline
from fakedet_jax.data.dataset import Dataset
from fakedet_jax.errors import RequestError
from fakedet_jax.evaluation.scoring import Scorer
from fakedet_jax.media.framing import Framing
from fakedet_jax.models.backbone import Backbone
from fakedet_jax.models.dtypes import DTYPES
from fakedet_jax.models.parameters import Published
from fakedet_jax.models.preprocessing import Preprocessing
from fakedet_jax.perturb import specification
from fakedet_jax.perturb.treatment import Treatment, check_copies, fixed_set
from fakedet_jax.runtime import checkpoint, parallel
from fakedet_jax.systems import training_run
from fakedet_jax.systems.base import (
    ANOMALY_SETTINGS,
    DetectorInfo,
    FitRequest,
    FittedDetector,
    refuse,
)
from fakedet_jax.systems.verdict import VALIDATION_THRESHOLD, judge, untrained
from fakedet_jax.training import loop, optim, steps
from fakedet_jax.weights import store


@dataclasses.dataclass(frozen=True)
class NetworkDetector:
    """A classifier of pictures.

    Attributes:
        name: As the setting `detector` names it.
        build: From the number of classes and the dtype to a network
            `(images, train) → (logits, outputs)`.
        preprocessing: Of its input.
        recipe: The published way to train it.
        frozen: Parameters that are not trained.
        loss: One of `steps.LOSSES`.
        project: From parameters to those that keep a constraint of the network;
            applied after every update.
        pretrained: The network whose published weights it can start from, if any.
        start_from: From its own fresh variables and those weights to the variables
            that the training starts with.
        published: How a whole detector that others trained is read, if any is.
        options: Of its own, by the names of their flags.
        needs_fakes: See `Detector`.
    """

    name: str
    build: Callable[[int, Any], nn.Module]
    preprocessing: Preprocessing
    recipe: optim.Recipe
    frozen: tuple[str, ...] = ()
    loss: str = "cross_entropy"
    project: Callable[[Any], Any] | None = None
    pretrained: Backbone | None = None
    start_from: Callable[[Any, Any], Any] | None = None
    published: Published | None = None
    options: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    needs_fakes: bool = True

    @property
    def framing(self) -> Framing:
        """Of its input."""
        return self.preprocessing.framing

    def check(self, config: TrainConfig, recipe: optim.Recipe, mesh: Mesh) -> None:
        """Refuses what `fit` could not do, before any data are read.

        Raises:
            RequestError: A setting is unknown, or the batch cannot be cut evenly.
        """
        parallel.local_batch_size(recipe.batch_size, mesh)
        if recipe.batch_size % (mesh.size * config.num_microbatches):
            raise RequestError(
                f"`num_microbatches`: {config.num_microbatches} parts do not cut a "
                f"batch of {recipe.batch_size} evenly over {mesh.size} devices"
            )
        optim.create_optimizer(recipe, num_steps=1, frozen=self.frozen)
        specification.parse_all(config.perturb)
        if config.perturb_copies is not None:
            if not config.perturb:
                raise RequestError(
                    "`perturb_copies`: there is nothing to do to the pictures; give "
                    "`perturb` too, or leave it out"
                )
            check_copies(config.perturb_copies)
        self._model(2, config.dtype, config.batch_norm_fraction)
        if config.weights is not None and self.pretrained is None:
            self._read_weights(config.weights)
        refuse(
            config,
            ("backbone", "neuron", "site", "widths", "cache_dir"),
            f"{self.name} looks at no recognition network",
        )
        refuse(config, ANOMALY_SETTINGS, f"{self.name} fits no mixture to embeddings")

    def training_pictures(
        self, config: TrainConfig, train: Dataset, validation: Dataset
    ) -> Dataset:
        """All of them."""
        return train

    def settings(self, config: TrainConfig) -> dict[str, Any]:
        """What decides the result besides the common settings, for `config.json`."""
        digest = None
        if config.weights is not None:
            _, card = self._read_weights(config.weights)
            digest = card["digest"]
        return {**self.options, "weights": digest}

    def fit(self, request: FitRequest) -> None:
        """Trains, or goes on training, in the workdir of the request.

        Raises:
            RequestError: The request does not fit the devices or the workdir.
            Stopped: The run was asked to stop and has saved.
            NonFiniteLossError: The training diverged.
        """
        config, recipe, mesh = request.config, request.recipe, request.mesh
        self.check(config, recipe, mesh)
        pictures, treatment = _treated(config, request.train, config.perturb_copies)
        num_steps = training_run.num_steps(request, pictures.num_examples)
        model = self._model(
            request.train.num_classes, config.dtype, config.batch_norm_fraction
        )
        optimizer = optim.create_optimizer(recipe, num_steps, self.frozen)
        train_step = steps.make_train_step(
            model,
            self.preprocessing,
            optimizer,
            optim.create_schedule(recipe, num_steps),
            seed=config.seed,
            num_microbatches=config.num_microbatches,
            objective=steps.classification(self.loss),
            project=self.project,
        )

        # Made on the devices, and in one go: dozens of small kernels less.
        initial_state = jax.jit(
            lambda: steps.create_train_state(
                model, self.preprocessing, optimizer, config.seed
            ),
            out_shardings=parallel.replicated(mesh),
        )
        state = initial_state()
        if config.weights is not None and self.start_from is not None:
            read, _ = self._read_weights(config.weights)
            started = parallel.replicate(mesh, self.start_from(state.variables, read))
            state = state.replace(
                params=started["params"],
                model_state={name: started[name] for name in state.model_state},
            )
        batches = pipeline.train_iterator(
            pictures,
            framing=self.framing,
            seed=config.seed,
            flip=config.flip,
            treatment=treatment,
            **training_run.reading(request),
        )
        training_run.run(
            request,
            num_examples=pictures.num_examples,
            train_step=train_step,
            state=state,
            batches=batches,
            validate=self._validator(request, model),
        )

    def load(self, workdir: Path, mesh: Mesh) -> FittedDetector:
        """Loads the best detector of a workdir.

        Raises:
            RequestError: There is none, or it is damaged or of another network.
        """
        config = checkpoint.read_config(workdir)
        folder = workdir / "best"
        if not folder.is_dir():
            raise RequestError(untrained(workdir))
        with checkpoint.Store(folder, read_only=True) as bests:
            found = bests.steps()
            if not found:
                raise RequestError(untrained(workdir))
            info = DetectorInfo.from_json(bests.read_facts(found[-1]))
            if info.detector != self.name:
                raise RequestError(
                    f"`workdir`: {str(folder)!r} holds the detector {info.detector!r}, "
                    f"but config.json says {self.name!r}; train again in another "
                    "`workdir`"
                )
            model = self._model(len(info.classes), config.get("dtype", "float32"))
            pictures = jax.ShapeDtypeStruct((1, *self.framing.shape), jnp.float32)
            abstract = jax.eval_shape(model.init, jax.random.key(0), pictures)
            abstract = checkpoint.abstract_like(abstract, parallel.replicated(mesh))
            variables = bests.read_tree(found[-1], abstract)
        probability_fn = steps.make_probability_fn(model, self.preprocessing)
        return FittedDetector(info, variables, probability_fn)

    def _read_weights(self, path: Path) -> tuple[Any, dict[str, Any]]:
        """Variables to start from, and their card."""
        if self.pretrained is None:
            raise RequestError(
                f"`weights`: {self.name} starts from no published weights; leave it out"
            )
        return store.load(self.pretrained, path)

    def _model(
        self, num_classes: int, dtype: str, batch_norm_fraction: float | None = None
    ) -> nn.Module:
        if dtype not in DTYPES:
            raise RequestError(
                f"`dtype`: expected {', '.join(DTYPES)}, found {dtype!r}"
            )
        model = self.build(num_classes, DTYPES[dtype])
        if batch_norm_fraction is None:
            return model
        if not hasattr(model, "batch_norm_fraction"):
            raise RequestError(
                f"`batch_norm_fraction`: {self.name} has no such setting; leave it out"
            )
        if not 0 < batch_norm_fraction < 1:
            raise RequestError(
                "`batch_norm_fraction`: expected a number between 0 and 1, found "
                f"{batch_norm_fraction}"
            )
        return model.clone(batch_norm_fraction=batch_norm_fraction)

    def _validator(
        self, request: FitRequest, model: nn.Module
    ) -> Callable[[int, Any], loop.Verdict]:
        config = request.config
        # The step and the threshold are chosen under the conditions of the training.
        dataset, treatment = _treated(config, request.validation, copies=1)
        batch_size = parallel.round_up_batch_size(
            min(request.recipe.batch_size, dataset.num_examples), request.mesh
        )
        probability_fn = steps.make_probability_fn(model, self.preprocessing)
        scorer = Scorer(probability_fn, request.mesh, batch_size)

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
                threshold_origin=VALIDATION_THRESHOLD,
                step=step,
            )
            return judge(info, dataset, scored, config.select_by)

        return validate


def _treated(
    config: TrainConfig, dataset: Dataset, copies: float | None
) -> tuple[Dataset, Treatment | None]:
    """The pictures that a run sees, and what is done to them.

    It is drawn anew each time, unless there is a number of copies.
    """
    parts = specification.parse_all(config.perturb)
    if not parts:
        return dataset, None
    if copies is None:
        return dataset, Treatment(parts, config.seed)
    examples, part_of = fixed_set(dataset.labels, len(parts), copies, config.seed)
    return dataset.subset(examples), Treatment(parts, config.seed, part_of)
